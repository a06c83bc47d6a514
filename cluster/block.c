#include "cluster/block.h"

/* How EXEC puts it when it is itself refused; what follows is the reason, an error like any other.
 */
static const struct span because = { "-EXECABORT Transaction discarded because of: ", 45 };

struct redirect block_verdict(const struct request *r, struct span error)
{
    static const struct redirect pass = { .verdict = VERDICT_PASS };
    if (r->refused == BLOCK_NEVER_BEGAN)
        return pass;
    if (r->refused == BLOCK_COMMAND_REFUSED)
        return redirect_read((struct span){ r->reply.head->at, r->reply.head->len });
    if (error.len < because.len || memcmp(error.at, because.at, because.len) != 0)
        return redirect_read(error);
    /* The reader drops one byte, the type of the reply. */
    return redirect_read((struct span){ error.at + because.len - 1, error.len - because.len + 1 });
}
