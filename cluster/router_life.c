/* The router's beginning, its slot maps, its turns and its end; see router.h. */
#include <stdlib.h>

#include "base/error.h"
#include "cluster/group.h"
#include "cluster/order.h"
#include "cluster/router_inner.h"
#include "cluster/settle.h"

static void doubt_nothing(void *context)
{
    (void)context;
}

void router_open(struct router *rt, struct net *net, const struct command_table *commands,
                 const struct router_options *options)
{
    *rt = (struct router){ .net = net,
                           .commands = commands,
                           .options = options,
                           .epoch = 1,
                           .on_doubt = doubt_nothing,
                           .watch = { .slow_after = UINT32_MAX, .big_after = UINT32_MAX } };
    slab_init(&rt->requests, sizeof(struct request));
    node_table_open(&rt->nodes, net, &options->link, &settle_link_user, rt);
    list_init(&rt->stalled);
    list_init(&rt->kicked);
    list_init(&rt->refused);
    rt->marks = calloc(SLOT_PLACES, sizeof(rt->marks[0]));
    rt->split_marks = calloc(SLOT_PLACES, sizeof(rt->split_marks[0]));
    REQUIRE(rt->marks != NULL && rt->split_marks != NULL);
    writer_init(&rt->part, 2);
    uv_timer_init(net->loop, &rt->tick);
    rt->tick.data = rt;
}

void router_close(struct router *rt)
{
    uv_close((uv_handle_t *)&rt->tick, NULL);
    rt->ticking = true; /* for good: it is never started again */
    node_table_close(&rt->nodes, ERR_SHUTDOWN);
}

static void end_refused(struct router *rt)
{
    while (!list_is_empty(&rt->refused)) {
        struct request *r = request_of_call(LIST_ENTRY(rt->refused.next, struct pipe_call, link));
        list_remove(&r->call.link);
        settle_own(rt, r, ERR_CONNECT);
    }
}

void router_free(struct router *rt)
{
    end_refused(rt);
    node_table_free(&rt->nodes);
    if (rt->keep != NULL)
        chunk_unref(rt->keep);
    slotmap_free(rt->map);
    free(rt->masters);
    free(rt->marks);
    free(rt->split_marks);
    free(rt->split_room);
    writer_close(&rt->part);
    slab_close(&rt->requests);
}

/* --- slot maps ----------------------------------------------------------------------------- */

static void forget_old_map(struct router *rt)
{
    struct list_node *n, *safe;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        struct node *node = LIST_ENTRY(n, struct node, in_table);
        node->was_master = node->master;
        node->in_map = node->master = false;
    }
    slotmap_free(rt->map);
    free(rt->masters);
}

static void name_nodes(struct router *rt, const struct slotmap *map)
{
    rt->masters = calloc(map->shard_count + 1, sizeof(struct node *));
    REQUIRE(rt->masters != NULL);
    for (uint32_t i = 0; i < map->shard_count; i++) {
        struct node *master = node_get(&rt->nodes, &map->shards[i].master);
        master->in_map = master->master = true;
        rt->masters[i] = master;
        for (uint32_t j = 0; j < map->shards[i].replica_count; j++) {
            node_get(&rt->nodes, &map->shards[i].replicas[j])->in_map = true;
        }
    }
}

/* A master that fell silent and has been replaced keeps nobody waiting any longer. */
static void leave_silent_links(struct router *rt)
{
    uint64_t now = uv_now(rt->net->loop);
    struct list_node *n, *safe;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        struct node *node = LIST_ENTRY(n, struct node, in_table);
        if (node->master)
            continue;
        struct link *l;
        NODE_EACH_LINK (node, l) {
            bool silent = now - l->pipe.heard_at > ROUTER_SILENT_MS;
            if (l->state == LINK_READY && l->pending > 0 && silent)
                link_close(l, ERR_TIMEOUT);
        }
    }
}

static void greet_new_masters(struct router *rt)
{
    struct list_node *n, *safe;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        struct node *node = LIST_ENTRY(n, struct node, in_table);
        if (!node->master || node->was_master)
            continue;
        bool linked = false;
        struct link *l;
        NODE_EACH_LINK (node, l) {
            if (l->state != LINK_READY)
                continue;
            linked = true;
            rt->greet(rt->rescue_context, l);
        }
        if (linked && rt->on_master != NULL)
            rt->on_master(rt->link_context);
    }
}

void router_set_map(struct router *rt, struct slotmap *map)
{
    forget_old_map(rt);
    rt->map = map;
    name_nodes(rt, map);
    rt->epoch++;
    rt->kick_all = true;
    leave_silent_links(rt);
    if (rt->greet != NULL)
        greet_new_masters(rt);
}

/* --- turns --------------------------------------------------------------------------------- */

void router_on_tick(struct router *rt)
{
    if (rt->outstanding == 0) {
        uv_timer_stop(&rt->tick);
        rt->ticking = false;
        return;
    }
    net_clock(rt->net);
    end_refused(rt);
    rt->kick_all = rt->kick_all || !list_is_empty(&rt->stalled);
    uint64_t now = uv_now(rt->net->loop);
    if (now - rt->swept_at < ROUTER_SWEEP_MS)
        return;
    rt->swept_at = now;
    settle_sweep(rt);
}

static void kick_every_stalled(struct router *rt)
{
    rt->kick_all = false;
    struct list_node *n, *safe;
    LIST_EACH (&rt->stalled, n, safe) {
        struct flow *f = LIST_ENTRY(n, struct flow, stalled);
        if (!list_is_linked(&f->kicked))
            list_append(&rt->kicked, &f->kicked);
    }
}

void router_turn_end(struct router *rt)
{
    if (UNLIKELY(rt->kick_all))
        kick_every_stalled(rt);
    while (UNLIKELY(!list_is_empty(&rt->kicked))) {
        struct flow *f = LIST_ENTRY(rt->kicked.next, struct flow, kicked);
        list_remove(&f->kicked);
        order_walk(rt, f);
    }
}
