#include "proxy/reach.h"

#include "base/log.h"
#include "proxy/port.h"
#include "proxy/worker.h"

enum { ASK_MIN_MS = 50, ASK_MAX_MS = 1000 };

static void on_answer(struct request *asked, int status)
{
    struct worker *w = asked->own_context;
    struct reach *r = &w->reach;
    if (r->closing || status != 0)
        return;
    r->answered_at = uv_now(&w->loop);
    r->doubtful = false;
    if (!r->cut_off || w->draining)
        return;
    r->cut_off = false;
    log_info("listening again: a master answers", "port=%d worker=%u", w->config.port, w->number);
    port_open(w);
}

static void ask(struct worker *w)
{
    static const struct span question = { "*1\r\n$4\r\nPING\r\n", 14 };
    struct router *rt = &w->router;
    struct reach *r = &w->reach;
    uint32_t shards = rt->map->shard_count, count = r->doubtful ? shards : 1;
    r->doubtful = true;
    for (uint32_t i = 0; i < count && shards > 0; i++) {
        struct node *master = rt->masters[r->turn++ % shards];
        if (master != NULL)
            router_ask(rt, master, question, w->config.connect_timeout, on_answer, w);
    }
}

static void cut_off(struct worker *w)
{
    w->reach.cut_off = true;
    log_error("port closed: no master answers", "port=%d worker=%u for_ms=%llu", w->config.port,
              w->number, (unsigned long long)(uv_now(&w->loop) - w->reach.answered_at));
    port_shut(w);
    seat_enter(w->seat, SEAT_CUT_OFF);
}

static void on_timer(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    struct reach *r = &w->reach;
    uint64_t limit = w->config.not_ready_after, pause = limit / 4;
    if (pause < ASK_MIN_MS)
        pause = ASK_MIN_MS;
    if (limit == 0 || pause > ASK_MAX_MS)
        pause = ASK_MAX_MS;
    uv_timer_start(&r->timer, on_timer, pause, 0);
    if (!w->listening || w->draining || (limit == 0 && !r->cut_off)) {
        r->answered_at = uv_now(&w->loop);
        return;
    }
    if (!r->cut_off && uv_now(&w->loop) - r->answered_at >= limit)
        cut_off(w);
    ask(w);
}

void reach_open(struct worker *w)
{
    w->reach = (struct reach){ .answered_at = uv_now(&w->loop) };
    uv_timer_init(&w->loop, &w->reach.timer);
    w->reach.timer.data = w;
    on_timer(&w->reach.timer);
}

void reach_close(struct worker *w)
{
    w->reach.closing = true;
    uv_close((uv_handle_t *)&w->reach.timer, NULL);
}
