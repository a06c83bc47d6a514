#include "cluster/block.h"

/* How EXEC puts it when it is itself refused; what follows is the reason, an error like any other.
 */
static const struct span because = { "-EXECABORT Transaction discarded because of: ", 45 };

struct redirect block_verdict(enum block_refused refused, struct span first, struct span error)
{
    static const struct redirect pass = { .verdict = VERDICT_PASS };
    if (refused == BLOCK_NEVER_BEGAN)
        return pass;
    if (refused == BLOCK_COMMAND_REFUSED)
        return redirect_read(first);
    if (error.len < because.len || memcmp(error.at, because.at, because.len) != 0)
        return redirect_read(error);
    /* The reader drops one byte, the type of the reply. */
    return redirect_read((struct span){ error.at + because.len - 1, error.len - because.len + 1 });
}

struct redirect block_judge(const struct request *r, struct span error)
{
    const struct piece *first = r->refused != BLOCK_NOT_REFUSED ? r->reply.head : NULL;
    struct span text = first != NULL ? (struct span){ first->at, first->len } : error;
    return block_verdict((enum block_refused)r->refused, text, error);
}
