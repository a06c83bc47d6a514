/*
 * RANDOMKEY: every shard is asked for its size and for a key, and speaks as often as it has keys. A
 * temporary key of a proxy (op_temp_name) is no answer; then all draw again.
 */
#include <stdlib.h>

#include "cluster/group.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/temp_names.h"
#include "proxy/worker.h"

/* So often in a row only where there is hardly another key. */
enum { DRAWS_MAX = 100 };

struct draw {
    struct op op;
    uint32_t tries;
};

static struct draw *draw_of(struct op *op)
{
    return CONTAINER_OF(op, struct draw, op);
}

static void free_draw(struct op *op)
{
    free(draw_of(op));
}

static bool is_key(const struct op *op, uint32_t n)
{
    struct value v = op_value(op, n);
    return v.kind == VALUE_STRING && !temp_names_has(v.text);
}

/* The reply of the shard that the dice choose; its keys are the odd replies. */
static uint32_t choose(struct op *op)
{
    uint64_t keys = 0, seen = 0;
    for (uint32_t i = 0; i < op->count; i += 2)
        keys += (uint64_t)op_integer(op, i);
    uint64_t at = worker_random(op->worker) % (keys > 0 ? keys : 1);
    for (uint32_t i = 0; i < op->count; i += 2) {
        seen += (uint64_t)op_integer(op, i);
        if (at < seen)
            return i + 1;
    }
    return 1;
}

static bool sizes_known(struct op *op)
{
    for (uint32_t i = 0; i < op->count; i += 2) {
        if (op_integer(op, i) >= 0)
            continue;
        op_fail(op, SPAN("-ERR slotgate: a node gave a reply of an unexpected kind\r\n"));
        return false;
    }
    return true;
}

static void ask(struct op *op);

static void drawn(struct op *op)
{
    if (!sizes_known(op))
        return;
    uint32_t chosen = choose(op);
    bool null = op_value(op, chosen).kind == VALUE_NULL, any = false;
    for (uint32_t i = 1; i < op->count; i += 2) {
        any = any || op_value(op, i).kind != VALUE_NULL;
        if (null && is_key(op, i)) { /* the chosen one has become empty since it counted */
            chosen = i;
            break;
        }
    }
    if (!is_key(op, chosen) && any && draw_of(op)->tries++ < DRAWS_MAX) {
        ask(op);
        return;
    }
    if (is_key(op, chosen))
        op_answer(op, op_reply(op, chosen));
    else
        op_answer(op, op->flow.protocol == 3 ? SPAN("_\r\n") : SPAN("$-1\r\n"));
    op_end(op);
}

static void ask(struct op *op)
{
    uint16_t slots[SLOTMAP_SHARDS_MAX];
    uint32_t shards = group_shard_slots(&op->worker->router, slots, SLOTMAP_SHARDS_MAX);
    for (uint32_t i = 0; i < shards; i++) {
        OP_SEND(op, slots[i], SPAN("dbsize"));
        OP_SEND(op, slots[i], SPAN("randomkey"));
    }
    if (shards == 0)
        op_fail(op, SPAN("-CLUSTERDOWN Hash slot not served\r\n"));
    else
        op_then(op, drawn);
}

bool local_randomkey(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)w;
    if (!op_may_start(c))
        return false;
    struct draw *d = calloc(1, sizeof(*d));
    REQUIRE(d != NULL);
    op_start(&d->op, c, c->last_command, argv, ask, free_draw);
    return true;
}
