#include "cluster/order.h"

#include "cluster/keys.h"
#include "cluster/reads.h"
#include "cluster/router_inner.h"
#include "resp/request.h"

/*
 * Which parked requests of a flow may be sent?
 *
 * For two requests A (older) and B of one flow on one slot:
 *   - B may be sent only when A is answered, or in flight on the very link that B goes to: the link
 * is a FIFO, so A takes effect first.
 *   - A may be sent (again) only when no younger B is in flight: B would come back refused as A
 * did, or it takes effect. In the second case A, if it is about the same key, has been overtaken,
 * and gets the error that the node gave it instead of another try. One walk looks at the flow's
 * FIFO twice, from the youngest to find the second case and from the oldest for the first; `marks`
 * holds what is known per slot, so a walk is linear.
 */

static struct request *entry(struct list_node *n)
{
    return LIST_ENTRY(n, struct request, in_flow);
}

static void find_blocked_by_younger(struct router *rt, struct flow *f)
{
    for (struct list_node *n = f->requests.prev; n != &f->requests; n = n->prev) {
        struct request *r = entry(n);
        struct order_mark *m = &rt->marks[r->slot];
        if (r->state == REQUEST_SENT)
            m->young = rt->walk;
        else if (r->state == REQUEST_PARKED)
            r->blocked = m->young == rt->walk;
    }
}

/* Older requests on this slot are at l (NULL: must be waited for). */
static void mark(struct router *rt, struct order_mark *m, struct link *l)
{
    bool first = m->walk != rt->walk;
    m->at = first || m->at == l ? l : NULL;
    m->walk = rt->walk;
}

static void walk_parked(struct router *rt, struct request *r, struct order_mark *m, uint64_t now,
                        bool held)
{
    if (r->overtaken || now >= r->deadline) {
        router_fail(rt, r);
        return;
    }
    struct link *l = NULL;
    if (!r->blocked && !held && now >= r->not_before)
        l = UNLIKELY(r->roams) ? reads_target(rt, r, now) : router_target(rt, r, now);
    if (l != NULL && m->walk == rt->walk && m->at != l)
        l = NULL;
    if (l != NULL)
        router_dispatch(rt, r, l);
    mark(rt, m, l);
}

/* A write that is about more than its slot: FLUSHALL, a script without keys. */
static bool is_broad(const struct request *r)
{
    return !r->safe && (r->slot == SLOT_ANY || (r->cmd != NULL && r->cmd->how == HOW_BROADCAST));
}

/* While reads of the flow are at replicas, a write of their slot waits for them, so a broad one
   behind it waits, too, and all behind that. */
void order_walk(struct router *rt, struct flow *f)
{
    uint64_t now = uv_now(rt->net->loop);
    rt->walk++;
    f->walking = true;
    find_blocked_by_younger(rt, f);
    bool held = false;
    struct list_node *n, *safe;
    LIST_EACH (&f->requests, n, safe) {
        struct request *r = entry(n);
        struct order_mark *m = &rt->marks[r->slot];
        if (r->state == REQUEST_SENT)
            mark(rt, m, r->link);
        else if (r->state == REQUEST_PARKED) {
            held = held || (f->roaming > 0 && is_broad(r));
            walk_parked(rt, r, m, now, held);
        }
    }
    f->walking = false;
    f->user->on_walked(f);
}

/* --- being overtaken ----------------------------------------------------------------------- */

static int keys_meet(const struct request *a, const struct argv *args_a, const struct request *b,
                     const struct argv *args_b)
{
    struct key_walk wa, wb;
    for (int i = key_walk_start(&wa, a->cmd, args_a); i > 0; i = key_walk_next(&wa)) {
        struct span ka = argv_get(args_a, wa.key.arg);
        for (int j = key_walk_start(&wb, b->cmd, args_b); j > 0; j = key_walk_next(&wb))
            if (span_equal(ka, argv_get(args_b, wb.key.arg)))
                return 1;
    }
    return 0;
}

static struct argv parse_again(const struct request *r, struct arg_room *room)
{
    size_t used;
    return request_again((struct span){ r->bytes, r->len }, room, &used);
}

/* Whether the order of the two can be seen: not both reads, and a key in common. */
static bool conflict(const struct request *a, const struct request *b)
{
    if (a->slot != b->slot || (a->safe && b->safe))
        return false;
    if (a->slot == SLOT_ANY || a->call.lead > 0 ||
        b->call.lead > 0) /* a block: about all of its slot */
        return true;
    struct arg_room room_a = { 0 }, room_b = { 0 };
    struct argv args_a = parse_again(a, &room_a), args_b = parse_again(b, &room_b);
    bool meet = keys_meet(a, &args_a, b, &args_b);
    arg_room_close(&room_a);
    arg_room_close(&room_b);
    return meet;
}

void order_took_effect(struct request *r)
{
    struct flow *f = r->flow;
    for (struct list_node *n = r->in_flow.prev; n != &f->requests; n = n->prev) {
        struct request *older = entry(n);
        if (older->state == REQUEST_PARKED && !older->overtaken && conflict(older, r))
            older->overtaken = true;
    }
}
