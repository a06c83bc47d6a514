#include "proxy/worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "proxy/access.h"
#include "proxy/admin.h"
#include "proxy/blocking_wide.h"
#include "proxy/client_reply.h"
#include "proxy/counting.h"
#include "proxy/exact.h"
#include "proxy/key_report.h"
#include "proxy/news.h"
#include "proxy/op.h"
#include "proxy/parting.h"
#include "proxy/port.h"
#include "proxy/talk_topics.h"
#include "proxy/worker_options.h"

enum {
    BEAT_MS = 200,
    READY_SOON_MS = 2000,
};

void worker_mind(struct worker *w)
{
    w->attention = w->pause.until != 0 || monitor_is_wanted(w);
}

struct writer *worker_writer(struct worker *w, int protocol)
{
    writer_clear(&w->reply, protocol);
    return &w->reply;
}

uint64_t worker_next_client_id(struct worker *w)
{
    w->accepted++;
    return atomic_fetch_add_explicit(&w->crew->board->clients_ever, 1, memory_order_relaxed) + 1;
}

/* xorshift64* */
uint64_t worker_random(struct worker *w)
{
    w->random ^= w->random >> 12;
    w->random ^= w->random << 25;
    w->random ^= w->random >> 27;
    return w->random * UINT64_C(2685821657736338717) >> 16;
}

/* --- turns ------------------------------------------------------------------------------------ */

static bool somebody_waits(const struct worker *w)
{
    return !list_is_empty(&w->to_resume) || !list_is_empty(&w->ops_ready) ||
           !list_is_empty(&w->talk.finished) || pubsub_has_checks(&w->pubsub);
}

static void resume_clients(struct worker *w)
{
    op_run_ready(w);
    pubsub_run_checks(&w->pubsub);
    struct list_node now;
    list_init(&now);
    list_splice(&now, &w->to_resume);
    while (!list_is_empty(&now))
        client_resume(LIST_ENTRY(now.next, struct client, in_resume));
}

/* Clients go on, their requests are sent, some replies may be ready at once; once more at most,
   what is left waits for the next turn. */
static void on_turn_end(void *context)
{
    struct worker *w = context;
    exact_turn(w);
    if (UNLIKELY(w->pubsub.topics.epoch != w->router.epoch))
        topics_on_map(&w->pubsub.topics);
    if (UNLIKELY(!list_is_empty(&w->talk.finished)))
        talk_finish_asks(&w->talk);
    if (UNLIKELY(somebody_waits(w)))
        resume_clients(w);
    router_turn_end(&w->router);
    if (UNLIKELY(somebody_waits(w))) {
        resume_clients(w);
        router_turn_end(&w->router);
    }
    if (UNLIKELY(somebody_waits(w)))
        net_hurry(&w->net);
    if (UNLIKELY(w->talk.pending))
        talk_send(&w->talk);
}

/* --- listening -------------------------------------------------------------------------------- */

void worker_publish_clients(struct worker *w)
{
    atomic_store_explicit(&w->seat->clients, w->client_count, memory_order_relaxed);
}

/* A map that covers every slot, the cluster's commands asked for once, and a master that says that
   the cluster serves: only now may a load balancer's probe succeed. */
static void on_learned(void *context)
{
    struct worker *w = context;
    if (!w->listening && !w->draining && w->router.map->covered == SLOT_COUNT)
        readiness_start(&w->readiness);
}

static void on_ready(void *context)
{
    struct worker *w = context;
    if (w->listening || w->draining)
        return;
    port_open(w);
    log_info("listening", "port=%d worker=%u slots=%u", w->config.port, w->number,
             w->router.map->covered);
}

static void on_map(void *context)
{
    struct worker *w = context;
    atomic_store_explicit(&w->seat->slots, w->router.map->covered, memory_order_relaxed);
    if (w->draining)
        return;
    if (!w->listening && w->router.map->covered < SLOT_COUNT)
        log_warn("not listening yet: slots without a master", "worker=%u covered=%u", w->number,
                 w->router.map->covered);
    if (!learner_ask(&w->learner))
        on_learned(w);
}

/* --- leaving ---------------------------------------------------------------------------------- */

/*
 *   leaving_start -> no client left and no op, at shutdown-timeout at the latest
 *                 -> poller, links, timers, signals closed -> the loop runs empty
 */

static void on_leave(uv_signal_t *handle, int signum)
{
    (void)signum;
    leaving_start(handle->data, LEAVE_FOR_GOOD);
}

/* Ctrl-C is told to all processes. The supervisor hears it, too, and says when it is time. */
static void on_interrupt(uv_signal_t *handle, int signum)
{
    (void)handle;
    (void)signum;
}

static void on_successor(uv_signal_t *handle, int signum)
{
    (void)signum;
    leaving_start(handle->data, LEAVE_TO_SUCCESSOR);
}

static void on_reload(uv_signal_t *handle, int signum)
{
    struct worker *w = handle->data;
    struct acl *users = acl_ref(w->config.acl);
    (void)signum;
    if (!w->draining && reload_config(&w->config, &w->words, false)) {
        config_sets_reloaded(&w->config_sets);
        secure_renew(&w->secure, &w->config);
        access_renew(w);
        worker_take_options(w);
    }
    acl_unref(users); /* clients were theirs until now */
}

static const struct {
    int number;
    uv_signal_cb on_signal;
} signals[WORKER_SIGNALS] = { { SIGTERM, on_leave },
                              { SIGINT, on_interrupt },
                              { SIGUSR2, on_successor },
                              { SIGHUP, on_reload } };

/* Nobody is left who would replace this worker or tell it to end. */
static void on_lifeline(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    leaving_start(poll->data, LEAVE_FOR_GOOD);
}

/* Closed handles leave the default behind: to die. No signal may come in between. */
static void close_signals(struct worker *w)
{
    sigset_t set, before;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    for (size_t i = 0; i < WORKER_SIGNALS; i++) {
        uv_close((uv_handle_t *)&w->signals[i], NULL);
        signal(signals[i].number, SIG_IGN);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void close_everything(struct worker *w)
{
    if (uv_is_closing((uv_handle_t *)&w->log_timer))
        return;
    close_signals(w);
    uv_close((uv_handle_t *)&w->lifeline, NULL);
    uv_close((uv_handle_t *)&w->log_timer, NULL);
    uv_close((uv_handle_t *)&w->beat_timer, NULL);
    seat_enter(w->seat, SEAT_LEFT);
    balance_close(w);
    admin_close(w);
    talk_close(&w->talk);
    leaving_close(w);
    reach_close(w);
    w->learner.closing = true;
    readiness_close(&w->readiness);
    pubsub_close(&w->pubsub);
    pause_close(w);
    reads_close(&w->reads);
    poller_close(&w->poller);
    blocked_room_close(&w->blocked);
    keywatch_close(&w->keywatch);
    watch_room_close(&w->watches);
    lease_pool_close(&w->leases);
    router_close(&w->router);
    latency_close(w);
    net_close(&w->net);
}

void worker_client_left(struct worker *w)
{
    worker_publish_clients(w);
    if (!w->draining)
        return;
    balance_take_waiting(w);
    bool answered = w->leaving.how == LEAVE_FOR_GOOD || admin_is_quiet(w);
    if (w->client_count == 0 && list_is_empty(&w->ops) && answered)
        close_everything(w);
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_log_timer(uv_timer_t *timer)
{
    (void)timer;
    log_tick();
}

/* The supervisor kills a worker whose count stands still. */
static void on_beat(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    atomic_fetch_add_explicit(&w->seat->beat, 1, memory_order_relaxed);
    if (w->launch != 0 && atomic_load(&w->crew->board->failed_launch) == w->launch)
        leaving_start(w, LEAVE_TO_SUCCESSOR); /* nobody may know of this worker */
    counting_publish_topics(w);
    stats_beat(w, BEAT_MS);
    key_report_beat(w);
    parting_of_the_old(w);
}

/* One that replaces another and cannot serve soon must not leave clients waiting in its queue. */
static void shut_port_unless_ready(struct worker *w)
{
    if (w->crew->members[w->number].again && !w->listening && !w->draining &&
        uv_now(&w->loop) - w->started_at >= READY_SOON_MS)
        port_shut(w);
}

static void on_second(uv_timer_t *timer)
{
    on_log_timer(timer);
    shut_port_unless_ready(timer->data);
}

static void start_timers(struct worker *w)
{
    uv_timer_init(&w->loop, &w->log_timer);
    uv_timer_init(&w->loop, &w->beat_timer);
    w->log_timer.data = w->beat_timer.data = w;
    uv_timer_start(&w->log_timer, on_second, 1000, 1000);
    uv_timer_start(&w->beat_timer, on_beat, 0, BEAT_MS);
}

/* Signals have been blocked since the fork, so none is lost. */
static void start_handles(struct worker *w)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < WORKER_SIGNALS; i++) {
        uv_signal_init(&w->loop, &w->signals[i]);
        w->signals[i].data = w;
        uv_signal_start(&w->signals[i], signals[i].on_signal, signals[i].number);
        sigaddset(&set, signals[i].number);
    }
    int rc = uv_poll_init(&w->loop, &w->lifeline, w->crew->lifeline);
    REQUIRE(rc == 0);
    w->lifeline.data = w;
    uv_poll_start(&w->lifeline, UV_READABLE | UV_DISCONNECT, on_lifeline);
    start_timers(w);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void worker_prepare(struct worker *w)
{
    char seed[64];
    snprintf(seed, sizeof(seed), "%d:%d:%lld", w->config.port, (int)getpid(),
             (long long)time(NULL));
    info_id_of(seed, w->run_id);
    snprintf(w->redis_version, sizeof(w->redis_version), "7.0.15");
}

/* No other worker of any proxy may have the same. */
static void name_fence(struct worker *w)
{
    uint64_t random;
    while (getrandom(&random, sizeof(random), 0) != sizeof(random))
        continue;
    snprintf(w->fence_id, sizeof(w->fence_id), "%016llx", (unsigned long long)random);
    snprintf(w->fence_name, sizeof(w->fence_name), "slotgate:%s", w->fence_id);
}

static void open_all(struct worker *w)
{
    REQUIRE(uv_loop_init(&w->loop) == 0);
    w->started_at = uv_now(&w->loop);
    name_fence(w);
    net_open(&w->net, &w->loop, on_turn_end, w);
    list_init(&w->clients);
    list_init(&w->to_resume);
    list_init(&w->ops);
    list_init(&w->ops_ready);
    list_init(&w->scripts_waiting);
    blocked_room_open(&w->blocked, &w->loop);
    slab_init(&w->client_slab, sizeof(struct client));
    writer_init(&w->reply, 2);
    writer_init(&w->inline_request, 2);
    w->commands = command_table_new();
    w->locals = dispatch_find_locals(w->commands);
    worker_take_limits(w);
    start_handles(w);
    leaving_open(w);
    balance_open(w);
    admin_open(w);
    talk_open(&w->talk, &w->loop, w->crew, w->number, talk_topics, TALK_TOPICS, w);
    router_open(&w->router, &w->net, w->commands, &w->router_options);
    w->router.on_link = exact_on_link;
    w->router.on_master = exact_on_master;
    w->router.link_context = w;
    stats_open(w);
    lease_pool_open(&w->leases, &w->net, &w->router_options.link, w->max_leases);
    keywatch_open(&w->keywatch, &w->router, wide_on_found);
    watch_room_open(&w->watches, &w->loop);
    readiness_open(&w->readiness, &w->router, on_ready, w);
    w->learner = (struct learner){ .router = &w->router,
                                   .commands = w->commands,
                                   .on_done = on_learned,
                                   .context = w,
                                   .databases = 1 };
    reads_open(&w->reads, &w->router);
    worker_take_reads(w);
    reach_open(w);
    scripts_open(&w->scripts, &w->router);
    latency_open(w);
    slowlog_open(w);
    acl_log_open(&w->acl_log);
    pubsub_open(w);
    pause_open(w);
    w->random = uv_hrtime() | 1;
    key_report_open(w);
    struct topology_options topology = worker_topology_options(w);
    poller_open(&w->poller, &w->router, &topology, w->config.seeds, (uint32_t)w->config.seed_count,
                w->config.connect_timeout, on_map, w);
    news_ask(w);
}

/* Everything is closed: nothing may be left over, a leak is a bug. */
static void free_all(struct worker *w)
{
    admin_free(w);
    stats_close(w);
    lease_pool_free(&w->leases);
    keywatch_free(&w->keywatch);
    pubsub_free(&w->pubsub);
    router_free(&w->router);
    scripts_close(&w->scripts);
    slowlog_reset(&w->slowlog);
    acl_log_reset(&w->acl_log);
    reads_free(&w->reads);
    poller_free(&w->poller);
    net_free(&w->net);
    talk_free(&w->talk);
    monitor_free(w);
    config_sets_forget(&w->config_sets);
    slab_close(&w->client_slab);
    arg_room_close(&w->args);
    writer_close(&w->reply);
    writer_close(&w->inline_request);
    secure_close(&w->secure);
    free(w->locals);
    slot_tags_free(w->slot_tags);
    free(w->script_slots);
    command_table_free(w->commands);
    REQUIRE(uv_loop_close(&w->loop) == 0);
}

int worker_run(struct worker *w)
{
    char reason[512];
    w->seat = crew_seat(w->crew, w->number);
    signal(SIGPIPE, SIG_IGN);
    if (secure_open(&w->secure, &w->config, reason, sizeof(reason)) != 0) {
        log_error("cannot serve", "worker=%u reason=%s", w->number, log_text(reason));
        return 1;
    }
    /* Chunks beyond the pool's go back to the system at once, not into a heap that stays large. */
    mallopt(M_MMAP_THRESHOLD, CHUNK_READ);
    open_all(w);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    free_all(w);
    log_info("left", "worker=%u", w->number);
    log_flush();
    return w->left ? 1 : 0;
}
