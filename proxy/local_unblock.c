/*
 * CLIENT UNBLOCK for clients of this worker; texts as in Redis 7.0, networking.c.
 *
 * A client that waits at a node is unblocked by that node, which knows whether an element has just
 * been taken for it. All others are answered here.
 */
#include <stdlib.h>

#include "base/text.h"
#include "proxy/blocked.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/worker.h"

struct unblock {
    struct op op;
    uint64_t client, there; /* ids, with us and at the node */
    enum blocked_wish wish;
    uint16_t slot;
};

static void free_unblock(struct op *op)
{
    free(CONTAINER_OF(op, struct unblock, op));
}

static void on_told(struct op *op)
{
    struct unblock *u = CONTAINER_OF(op, struct unblock, op);
    struct blocked *b = NULL;
    if (op_reply_failed(op, 0)) /* the nodes' user may not */
        b = blocked_find(&op->worker->blocked, u->client);
    op_answer(op, op_reply_failed(op, 0) ? SPAN(":0\r\n") : op_reply(op, 0));
    if (b != NULL) {
        op_answer(op, SPAN(":1\r\n"));
        blocked_end(b, u->wish);
    }
    op_end(op);
}

static void tell_node(struct op *op)
{
    struct unblock *u = CONTAINER_OF(op, struct unblock, op);
    char id[24];
    int n = snprintf(id, sizeof(id), "%llu", (unsigned long long)u->there);
    OP_SEND(op, u->slot, SPAN("client"), SPAN("unblock"), { id, (size_t)n },
            u->wish == BLOCKED_ERROR ? SPAN("error") : SPAN("timeout"));
    op_tolerate(op);
    op_then(op, on_told);
}

static bool unblock(struct client *c, const struct argv *argv, uint64_t id, enum blocked_wish wish,
                    struct writer *w)
{
    struct blocked *b = blocked_find(&c->worker->blocked, id);
    if (b == NULL) {
        write_integer(w, 0);
        return true;
    }
    uint64_t there;
    uint16_t slot;
    if (b->way->where == NULL || !b->way->where(b, &slot, &there)) {
        blocked_end(b, wish);
        write_integer(w, 1);
        return true;
    }
    if (!op_may_start(c))
        return false;
    struct unblock *u = calloc(1, sizeof(*u));
    REQUIRE(u != NULL);
    *u = (struct unblock){ .client = id, .there = there, .slot = slot, .wish = wish };
    op_start(&u->op, c, c->last_command, argv, tell_node, free_unblock);
    return true;
}

bool local_client_unblock(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t id;
    struct span text = argv_get(argv, 2);
    struct span mode = argv->count > 3 ? argv_get(argv, 3) : SPAN("timeout");
    bool error = span_is(mode, "error");
    if (argv->count > 4 || (!error && !span_is(mode, "timeout"))) {
        write_error(w, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return true;
    }
    if (!text_to_i64(text.at, text.len, &id)) {
        write_error(w, "ERR value is not an integer or out of range");
        return true;
    }
    return unblock(c, argv, (uint64_t)id, error ? BLOCKED_ERROR : BLOCKED_TIMEOUT, w);
}
