#include "proxy/leaving.h"

#include "base/error.h"
#include "base/log.h"
#include "proxy/admin.h"
#include "proxy/blocked.h"
#include "proxy/op.h"
#include "proxy/parting.h"
#include "proxy/port.h"
#include "proxy/worker.h"

enum {
    SWEEP_MS = 20,
    LAST_WORDS_MS = 500, /* for good: how long clients are still read */
    FIRST_WORD_MS = 200, /* a client that has only just connected is about to say something */
    QUIET_MS = 500,      /* to a successor: a client that says nothing for so long is idle */
};

static bool is_idle(const struct worker *w, const struct client *c)
{
    uint64_t now = uv_now(&w->loop);
    if (!parting_is_possible(c))
        return false;
    if (w->leaving.how == LEAVE_TO_SUCCESSOR)
        return now - c->active_at >= QUIET_MS;
    return now - c->active_at >= (c->stream.received > 0 ? PARTING_QUIET_MS : FIRST_WORD_MS);
}

/* The last half of the time belongs to replies that are under way. */
static uint64_t patience(const struct worker *w)
{
    uint64_t ms = w->config.shutdown_timeout / 2;
    return w->leaving.how == LEAVE_FOR_GOOD && ms > LAST_WORDS_MS ? LAST_WORDS_MS : ms;
}

/* Who waits for something that may still come is served to the end, so that nothing is lost by it.
 */
static bool waits(const struct client *c)
{
    return c->blocked != NULL || c->subscriber != NULL;
}

static uint64_t patience_with_waiting(const struct worker *w)
{
    uint64_t ms = w->config.shutdown_timeout;
    if (w->leaving.how == LEAVE_TO_SUCCESSOR)
        return patience(w);
    return ms > 2 * LAST_WORDS_MS ? ms - LAST_WORDS_MS : ms / 2;
}

/* For a successor, pauses are waited for before those at work are asked to part. */
static bool work_ends(const struct worker *w, uint64_t since)
{
    return w->leaving.how == LEAVE_FOR_GOOD || since >= patience(w) - patience(w) / 4;
}

static void sweep(struct worker *w)
{
    uint64_t since = uv_now(&w->loop) - w->leaving.began;
    bool all = since >= patience_with_waiting(w), rest = since >= patience(w);
    bool parts = work_ends(w, since);
    if (all)
        blocked_room_leave(w);
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (c->finishing || c->stream.closing)
            continue;
        if (parts)
            parting_begin(c, ERR_SHUTDOWN);
        if (all || (rest && !waits(c)) || is_idle(w, c))
            client_finish(c, ERR_SHUTDOWN);
    }
    worker_client_left(w);
}

static void on_sweep(uv_timer_t *timer)
{
    sweep(timer->data);
}

static void on_deadline(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    log_warn("shutdown timeout", "worker=%u clients=%u", w->number, w->client_count);
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe)
        stream_close(&LIST_ENTRY(n, struct client, in_worker)->stream, ERR_SHUTDOWN);
    op_abort_all(w);
}

void leaving_start(struct worker *w, enum leaving_how how)
{
    if (w->draining)
        return;
    log_info("draining", "worker=%u clients=%u successor=%s", w->number, w->client_count,
             how == LEAVE_TO_SUCCESSOR ? "yes" : "no");
    seat_enter(w->seat, SEAT_LEAVING);
    if (how == LEAVE_FOR_GOOD)
        port_shut(w);
    else
        port_stop_accepting(w);
    if (how == LEAVE_TO_SUCCESSOR)
        admin_retire(w);
    w->draining = true;
    w->leaving.how = how;
    uv_update_time(&w->loop);
    w->leaving.began = uv_now(&w->loop);
    uv_timer_start(&w->leaving.deadline, on_deadline, w->config.shutdown_timeout, 0);
    uv_timer_start(&w->leaving.sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    sweep(w);
}

void leaving_open(struct worker *w)
{
    uv_timer_init(&w->loop, &w->leaving.deadline);
    uv_timer_init(&w->loop, &w->leaving.sweep);
    w->leaving.deadline.data = w->leaving.sweep.data = w;
}

void leaving_close(struct worker *w)
{
    uv_close((uv_handle_t *)&w->leaving.deadline, NULL);
    uv_close((uv_handle_t *)&w->leaving.sweep, NULL);
}
