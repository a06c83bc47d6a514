#include "cluster/poller.h"

#include "base/error.h"
#include "base/log.h"

static uint64_t now_of(const struct poller *p)
{
    return uv_now(p->router->net->loop);
}

static void on_timer(uv_timer_t *timer);

static void wait_until(struct poller *p, uint64_t at)
{
    uint64_t now = now_of(p);
    if (at == UINT64_MAX)
        uv_timer_stop(&p->timer);
    else
        uv_timer_start(&p->timer, on_timer, at > now ? at - now : 0, 0);
}

static void adopt(struct poller *p, struct slotmap *map)
{
    struct router *rt = p->router;
    if (rt->map != NULL && slotmap_equal(rt->map, map)) {
        slotmap_free(map);
        return;
    }
    char who[ENDPOINT_TEXT_MAX];
    log_info("slot map changed", "node=%s shards=%u slots=%u epoch=%u",
             endpoint_text(&p->asked, who), map->shard_count, map->covered, rt->epoch + 1);
    p->counters.changes++;
    router_set_map(rt, map);
    p->on_map(p->context);
}

/* The answer is put together from its pieces; a slot map of thousands of ranges is some 100 KiB. */
static struct slotmap *read_map(struct poller *p, const struct rope *reply)
{
    struct writer whole;
    writer_init(&whole, 2);
    for (const struct piece *piece = reply->head; piece != NULL; piece = piece->next)
        write_raw(&whole, (struct span){ piece->at, piece->len });
    struct slotmap *map = slotmap_parse(writer_span(&whole), &p->asked);
    writer_close(&whole);
    return map;
}

static void count_answer(struct poller *p, bool sound)
{
    p->counters.answers += sound;
    p->counters.failures += !sound;
    if (sound)
        p->counters.answered_at = net_clock(p->router->net);
}

static void on_answer(struct request *r, int status)
{
    struct poller *p = r->own_context;
    if (p->closing)
        return;
    struct slotmap *map = NULL;
    if (status == 0 && p->router->nodes.count < NODES_MAX)
        map = read_map(p, &r->reply);
    char who[ENDPOINT_TEXT_MAX];
    count_answer(p, map != NULL);
    if (map == NULL)
        log_warn("no slot map from node", "node=%s reason=%s", endpoint_text(&p->asked, who),
                 error_name(status != 0 ? status : ERR_REPLY));
    struct slotmap *adopted = map != NULL
                                  ? topology_answered(p->topology, now_of(p), map, p->router->map)
                                  : topology_failed(p->topology, now_of(p));
    if (adopted != NULL)
        adopt(p, adopted);
    wait_until(
        p, topology_due(p->topology)); /* not advance: a link may be handing back its requests */
}

static void advance(struct poller *p)
{
    static const struct span question = { "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n", 28 };
    struct topology_step step = topology_next(p->topology, now_of(p));
    if (step.want == TOPOLOGY_WAIT) {
        wait_until(p, step.at);
        return;
    }
    p->asked = step.who;
    router_ask(p->router, node_get(&p->router->nodes, &step.who), question, p->ask_timeout,
               on_answer, p);
}

static void on_timer(uv_timer_t *timer)
{
    struct poller *p = timer->data;
    node_table_sweep(&p->router->nodes, now_of(p)); /* here nobody walks the table */
    advance(p);
}

static void on_doubt(void *context)
{
    struct poller *p = context;
    if (p->closing)
        return;
    topology_poke(p->topology, now_of(p));
    wait_until(p, topology_due(p->topology));
}

void poller_open(struct poller *p, struct router *rt, const struct topology_options *options,
                 const struct endpoint *seeds, uint32_t seed_count, uint64_t ask_timeout,
                 void (*on_map)(void *context), void *context)
{
    *p = (struct poller){
        .router = rt, .ask_timeout = ask_timeout, .on_map = on_map, .context = context
    };
    p->topology = topology_new(options, seeds, seed_count, uv_hrtime());
    uv_timer_init(rt->net->loop, &p->timer);
    p->timer.data = p;
    rt->on_doubt = on_doubt;
    rt->doubt_context = p;
    uv_timer_start(&p->timer, on_timer, 0, 0);
}

void poller_set_options(struct poller *p, const struct topology_options *options)
{
    topology_set_options(p->topology, options);
}

void poller_close(struct poller *p)
{
    p->closing = true;
    uv_close((uv_handle_t *)&p->timer, NULL);
}

void poller_free(struct poller *p)
{
    topology_free(p->topology);
}
