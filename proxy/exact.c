#include "proxy/exact.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "cluster/group.h"
#include "proxy/op.h"
#include "proxy/worker.h"

enum { PATIENCE_MS = 500 };

/* --- the beginning ------------------------------------------------------------------------- */

struct admission {
    struct op op;
    uint64_t until; /* ms of loop time */
};

static void free_admission(struct op *op)
{
    free(CONTAINER_OF(op, struct admission, op));
}

/* Those that its requests take; one that is not there is dialled. */
static bool has_links(struct router *rt, int protocol)
{
    static const struct span ping = { "*1\r\n$4\r\nPING\r\n", 14 };
    const enum link_kind small = protocol == 3 ? LINK_RESP3 : LINK_RESP2;
    const enum link_kind kinds[] = { small, protocol == 3 ? LINK_BULK3 : LINK_BULK2 };
    uint64_t now = uv_now(rt->net->loop);
    bool all = true;
    for (uint32_t i = 0; rt->map != NULL && i < rt->map->shard_count; i++)
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
            struct link *l = &rt->masters[i]->links[kinds[k]];
            all &= l->state == LINK_READY;
            bool rests = l->state == LINK_IDLE || l->state == LINK_RESTING;
            if (rests && link_accepts(l, now))
                router_tell(rt, l, ping);
        }
    return all;
}

static void look(struct op *op)
{
    struct admission *a = CONTAINER_OF(op, struct admission, op);
    struct worker *worker = op->worker;
    if (!has_links(&worker->router, op->flow.protocol) && uv_now(&worker->loop) < a->until) {
        uint16_t slots[SLOTMAP_SHARDS_MAX];
        uint32_t n = group_shard_slots(&worker->router, slots, SLOTMAP_SHARDS_MAX);
        for (uint32_t i = 0; i < n; i++)
            OP_SEND(op, slots[i], SPAN("ping"));
        op_tolerate(op);
        op_then(op, look);
        return;
    }
    struct client *c = op->client;
    if (c != NULL && !c->exact) {
        c->exact = true;
        worker->exact_clients++;
    }
    struct writer *w = worker_writer(worker, op->flow.protocol);
    write_simple(w, worker->fence_id);
    op_answer(op, writer_span(w));
    op_end(op);
}

bool exact_admit(struct client *c, const struct argv *argv)
{
    struct worker *worker = c->worker;
    if (!op_may_start(c))
        return false;
    struct admission *a = calloc(1, sizeof(*a));
    REQUIRE(a != NULL);
    a->until = uv_now(&worker->loop) + PATIENCE_MS;
    c->flow.may_roam = false; /* it asks for what it has written itself */
    op_start(&a->op, c, c->last_command, argv, look, free_admission);
    return true;
}

/* --- the end ------------------------------------------------------------------------------- */

static void end_client(struct client *c)
{
    log_info("a client has to begin again: a node is a master now, or has another connection",
             "id=%llu", (unsigned long long)c->id);
    stream_close(&c->stream, ERR_KILLED);
}

static void drop_client(struct client *c)
{
    if (c->op != NULL)
        op_give_up(c->op);
    client_abandon(c);
    c->exact = false;
    c->worker->exact_clients--;
}

void exact_on_link(void *context, struct link *l)
{
    struct worker *w = context;
    struct list_node *n, *safe;
    if (LIKELY(w->exact_clients == 0) || l->kind >= LINK_READ2)
        return;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (!c->exact)
            continue;
        end_client(c);
        drop_client(c);
    }
}

void exact_on_master(void *context)
{
    struct worker *w = context;
    struct list_node *n, *safe;
    if (LIKELY(w->exact_clients == 0))
        return;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (c->exact && !c->stream.closing)
            end_client(c);
    }
    w->exact_due = true;
}

void exact_turn(struct worker *w)
{
    struct list_node *n, *safe;
    if (LIKELY(!w->exact_due))
        return;
    w->exact_due = false;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (c->exact && c->stream.closing)
            drop_client(c);
    }
}
