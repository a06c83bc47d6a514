#include "cluster/router.h"

#include <stdlib.h>

#include "base/statistics.h"
#include "cluster/block.h"
#include "cluster/group.h"
#include "cluster/reads.h"
#include "cluster/router_inner.h"

/* --- where a request goes ------------------------------------------------------------------ */

struct node *router_owner(const struct router *rt, uint16_t slot)
{
    if (UNLIKELY(rt->map == NULL))
        return NULL;
    uint16_t shard = rt->map->shard_of[slot];
    return shard == SLOTMAP_NO_SHARD ? NULL : rt->masters[shard];
}

static enum link_kind kind_for(const struct router *rt, const struct request *r)
{
    int three = r->flow->protocol == 3;
    if (UNLIKELY(r->len >= rt->options->bulk_min))
        return three ? LINK_BULK3 : LINK_BULK2;
    return three ? LINK_RESP3 : LINK_RESP2;
}

/* Any master will do, but the flow's own is kept as long as it can be had, for the order. */
static struct link *any_target(struct router *rt, const struct request *r, uint64_t now)
{
    uint32_t shards = rt->map == NULL ? 0 : rt->map->shard_count;
    for (uint32_t i = 0; i < shards; i++) {
        struct node *n = rt->masters[(r->flow->home + i) % shards];
        struct link *l = &node_links(n, r->database)[kind_for(rt, r)];
        if (n->in_map && link_accepts(l, now) && l->last_error == 0)
            return l;
    }
    for (uint32_t i = 0; i < shards; i++) {
        struct node *n = rt->masters[(r->flow->home + i) % shards];
        struct link *l = &node_links(n, r->database)[kind_for(rt, r)];
        if (link_accepts(l, now))
            return l;
    }
    return NULL;
}

static void drop_hint(struct request *r)
{
    if (r->hint == NULL)
        return;
    r->hint->hinted--;
    r->hint = NULL;
    r->asking = false;
}

struct link *router_target(struct router *rt, struct request *r, uint64_t now)
{
    if (UNLIKELY(r->hint != NULL)) {
        struct link *l = &node_links(r->hint, r->database)[kind_for(rt, r)];
        if (link_accepts(l, now))
            return l;
        drop_hint(r);
    }
    if (UNLIKELY(r->slot == SLOT_ANY))
        return any_target(rt, r, now);
    struct node *n = router_owner(rt, r->slot);
    if (n == NULL)
        return NULL;
    struct link *l = &node_links(n, r->database)[kind_for(rt, r)];
    return link_accepts(l, now) ? l : NULL;
}

/* --- sending ------------------------------------------------------------------------------- */

enum { TICK_MS = 10 };

static void on_tick(uv_timer_t *timer)
{
    router_on_tick(timer->data);
}

static void count_outstanding(struct router *rt)
{
    rt->outstanding++;
    if (LIKELY(rt->ticking))
        return;
    rt->ticking = true;
    uv_timer_start(&rt->tick, on_tick, TICK_MS, TICK_MS);
}

static void mark_irregular(struct request *r)
{
    if (r->irregular)
        return;
    r->irregular = true;
    r->flow->irregular++;
}

static void kick(struct router *rt, struct flow *f)
{
    if (f->parked > 0 && !list_is_linked(&f->kicked))
        list_append(&rt->kicked, &f->kicked);
}

void router_park(struct router *rt, struct request *r, uint64_t not_before)
{
    struct flow *f = r->flow;
    r->state = REQUEST_PARKED;
    r->not_before = not_before;
    f->parked++;
    mark_irregular(r);
    if (!list_is_linked(&f->stalled))
        list_append(&rt->stalled, &f->stalled);
    kick(rt, f);
}

/* The request will not be sent at once: its bytes need a place of their own. */
static void keep_bytes(struct router *rt, struct request *r, struct span bytes, struct chunk *chunk)
{
    r->len = (uint32_t)bytes.len;
    if (bytes.len >= ROPE_SHARE_MIN && chunk != NULL) {
        r->chunk = chunk_ref(chunk);
        r->bytes = bytes.at;
        return;
    }
    struct rope place = { 0 };
    r->bytes = rope_copy(&place, &rt->net->store, &rt->keep, bytes);
    r->chunk = chunk_ref(rt->keep);
    rope_clear(&place, &rt->net->store);
}

static inline void take_in(struct router *rt, struct request *r, struct span bytes, uint64_t now)
{
    r->deadline = now + rt->options->request_timeout;
    if (STATISTICS)
        r->began = (uint32_t)rt->net->clock;
    r->len = (uint32_t)bytes.len;
    r->flow->bytes += bytes.len;
    rt->counters.requests++;
    count_outstanding(rt);
}

void router_submit_later(struct router *rt, struct request *r, struct span bytes,
                         struct chunk *chunk)
{
    uint64_t now = uv_now(rt->net->loop);
    take_in(rt, r, bytes, now);
    keep_bytes(rt, r, bytes, chunk);
    router_park(rt, r, now);
}

/* A read that roams: at once where a replica, or else the master, takes it. */
static void submit_roaming(struct router *rt, struct request *r, struct span bytes,
                           struct chunk *chunk, uint64_t now)
{
    bool small = bytes.len < ROPE_SHARE_MIN;
    struct link *l = small ? reads_target(rt, r, now) : NULL;
    r->roams = true;
    r->flow->roaming++;
    mark_irregular(r);
    if (l != NULL && l->state == LINK_READY) {
        link_send(l, r, bytes);
        return;
    }
    keep_bytes(rt, r, bytes, chunk);
    router_park(rt, r, now);
}

void router_submit(struct router *rt, struct request *r, struct span bytes, struct chunk *chunk)
{
    struct flow *f = r->flow;
    uint64_t now = uv_now(rt->net->loop);
    take_in(rt, r, bytes, now);
    if (UNLIKELY(rt->reads != NULL) && reads_roam(r)) {
        submit_roaming(rt, r, bytes, chunk, now);
        return;
    }
    bool regular = f->irregular == 0 && flow_head(f)->epoch == rt->epoch && r->slot != SLOT_ANY &&
                   bytes.len < ROPE_SHARE_MIN;
    struct link *l = LIKELY(regular) ? router_target(rt, r, now) : NULL;
    if (LIKELY(l != NULL && l->state == LINK_READY && l->kind <= LINK_RESP3)) {
        link_send(l, r, bytes);
        return;
    }
    keep_bytes(rt, r, bytes, chunk);
    if (bytes.len >= rt->watch.big_after)
        rt->watch.on_big(rt, r, bytes.len, false);
    router_park(rt, r, now);
}

static struct request *new_request(struct router *rt)
{
    struct request *r = slab_take(&rt->requests);
    *r = (struct request){ .epoch = rt->epoch };
    list_init(&r->call.link);
    list_init(&r->in_flow);
    return r;
}

/* ASKING counts for the next command on its connection, or to the end of the block that it begins;
   so the two go as a pair. */
static struct request *make_asking(struct router *rt)
{
    static const struct span text = { BLOCK_ASKING, sizeof(BLOCK_ASKING) - 1 };
    struct request *r = new_request(rt);
    r->kind = REQUEST_ASKING;
    r->deadline = UINT64_MAX;
    keep_bytes(rt, r, text, NULL);
    count_outstanding(rt);
    return r;
}

void router_dispatch(struct router *rt, struct request *r, struct link *l)
{
    struct flow *f = r->flow;
    if (--f->parked == 0)
        list_remove(&f->stalled);
    struct node *owner = r->slot == SLOT_ANY ? NULL : router_owner(rt, r->slot);
    bool regular =
        l->node == owner && !r->asking && l->kind <= LINK_RESP3 && !r->overtaken && !r->roams;
    if (regular && r->irregular) {
        r->irregular = false;
        f->irregular--;
    }
    struct request *asking = r->asking ? make_asking(rt) : NULL;
    drop_hint(r);
    if (UNLIKELY(r->scripted) && rt->prepare != NULL)
        rt->prepare(rt->rescue_context, l, r);
    link_put(l, r, asking);
}

struct request *router_request(struct router *rt, struct flow *f, const struct command *cmd,
                               uint16_t slot)
{
    struct request *r = new_request(rt);
    r->flow = f;
    r->cmd = cmd;
    r->slot = slot;
    r->database = f->database;
    if (cmd != NULL)
        r->safe = (cmd->flags & CMD_READONLY) != 0 ||
                  (cmd->how == HOW_ANY &&
                   (cmd->flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_PUBSUB)) == 0);
    list_append(&f->requests, &r->in_flow);
    f->count++;
    return r;
}

void router_release(struct router *rt, struct request *r)
{
    if (r->flow != NULL) {
        list_remove(&r->in_flow);
        r->flow->count--;
        r->flow->roaming -= r->roams;
    }
    if (r->chunk != NULL)
        chunk_unref(r->chunk);
    if (UNLIKELY(!rope_is_empty(&r->reply)))
        rope_clear(&r->reply, &rt->net->store);
    if (UNLIKELY(r->group != NULL) && --r->group->refs == 0)
        free(r->group);
    slab_give(&rt->requests, r);
}

void router_ask(struct router *rt, struct node *node, struct span bytes, uint64_t timeout,
                request_own_done *done, void *context)
{
    router_ask_on(rt, &node->links[LINK_RESP2], bytes, timeout, done, context);
}

void router_ask_on(struct router *rt, struct link *l, struct span bytes, uint64_t timeout,
                   request_own_done *done, void *context)
{
    uint64_t now = uv_now(rt->net->loop);
    struct request *r = new_request(rt);
    r->kind = REQUEST_OWN;
    r->on_own = done;
    r->own_context = context;
    r->deadline = now + timeout;
    keep_bytes(rt, r, bytes, NULL);
    count_outstanding(rt);
    /* A resting link is dialled for this: whether the node is back is what is asked. */
    if (l->state == LINK_RESTING)
        l->rest_until = now;
    /* One that owes replies for long would only let this question wait, too. */
    bool silent =
        l->state == LINK_READY && l->pending > 0 && now - l->pipe.heard_at > ROUTER_SILENT_MS;
    if (link_accepts(l, now) && !silent)
        link_put(l, r, NULL);
    else
        list_append(&rt->refused, &r->call.link);
}

void router_tell(struct router *rt, struct link *l, struct span bytes)
{
    struct request *r = new_request(rt);
    r->kind = REQUEST_OWN;
    r->deadline = uv_now(rt->net->loop) + rt->options->request_timeout;
    keep_bytes(rt, r, bytes, NULL);
    count_outstanding(rt);
    link_put(l, r, NULL);
}

/* --- flows --------------------------------------------------------------------------------- */

void flow_init(struct flow *f, const struct flow_user *user, uint32_t home)
{
    *f = (struct flow){ .user = user, .home = home, .protocol = 2 };
    list_init(&f->requests);
    list_init(&f->stalled);
    list_init(&f->kicked);
}

static void abandon(struct router *rt, struct request *r)
{
    if (r->state == REQUEST_SENT && !link_is_unsent(r)) {
        list_remove(&r->in_flow);
        r->flow = NULL;
        rope_clear(&r->reply, &rt->net->store);
        return;
    }
    if (r->state == REQUEST_SENT)
        link_withdraw(r->link, r);
    if (r->state == REQUEST_SENT || r->state == REQUEST_PARKED)
        rt->outstanding--;
    drop_hint(r);
    router_release(rt, r);
}

void flow_abandon(struct router *rt, struct flow *f)
{
    struct list_node *n, *safe;
    LIST_EACH (&f->requests, n, safe)
        abandon(rt, LIST_ENTRY(n, struct request, in_flow));
    list_remove(&f->stalled);
    list_remove(&f->kicked);
    f->count = f->parked = f->irregular = f->roaming = 0;
    f->bytes = 0;
}
