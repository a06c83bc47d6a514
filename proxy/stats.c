#include "proxy/stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/client_reply.h"
#include "proxy/stats_errors.h"
#include "proxy/worker.h"

enum { NUMBERS = sizeof(struct stats_counts) / sizeof(uint64_t) };

BUILD_ASSERT(sizeof(struct stats_counts) % sizeof(uint64_t) == 0, "nothing but numbers");
BUILD_ASSERT(sizeof(struct stats_gauges) % sizeof(uint64_t) == 0, "nothing but numbers");

/* --- the layout ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *bytes, size_t len)
{
    for (const unsigned char *p = bytes; len > 0; len--, p++)
        h = (h ^ *p) * 1099511628211u;
    return h;
}

static uint64_t mix_commands(uint64_t h)
{
    struct command_table *t = command_table_new();
    REQUIRE(command_table_size(t) < STATS_COMMANDS);
    for (uint32_t i = 0; i < command_table_size(t); i++)
        h = mix(h, command_at(t, i)->name, strlen(command_at(t, i)->name) + 1);
    command_table_free(t);
    return h;
}

uint64_t stats_layout(void)
{
    const uint64_t sizes[] = { sizeof(struct stats_page), sizeof(struct stats_block),
                               sizeof(struct node_stat), HISTOGRAM_BUCKETS };
    uint64_t h = mix(14695981039346656037u, sizes, sizeof(sizes));
    for (size_t i = 0; i < stats_metric_count; i++) {
        const struct stats_metric *m = &stats_metrics[i];
        h = mix(h, m->name, strlen(m->name) + 1);
        h = mix(h, &m->offset, sizeof(m->offset));
    }
    for (uint32_t i = 0; stats_error_name(i) != NULL; i++)
        h = mix(h, stats_error_name(i), strlen(stats_error_name(i)) + 1);
    h = mix_commands(h);
    return h != 0 ? h : 1;
}

/* --- counting --------------------------------------------------------------------------------- */

void stats_error(struct stats *s, const struct command *cmd, struct span error)
{
    s->block->errors[stats_error_of(error)]++;
    if (cmd != NULL)
        stats_failed(s, cmd);
}

/* Of a group only what becomes the whole reply counts, which proxy/merge.c knows; and an op tells
   its own. */
static void on_error(struct router *rt, const struct request *r, struct span error,
                     enum router_error what)
{
    struct stats *s = &CONTAINER_OF(rt, struct worker, router)->stats;
    if (what != ROUTER_ERROR_MADE)
        s->block->node_errors[stats_error_of(error)]++;
    if (what != ROUTER_ERROR_HEARD && r->group == NULL && r->flow->user == &client_flow_user) {
        stats_error(s, r->cmd, error);
        CONTAINER_OF(r->flow, struct client, flow)->errors++;
    }
}

void stats_closed(struct stats *s, int why)
{
    int place = -why - 10000;
    s->block->closed[place > 0 && place < STATS_REASONS ? place : 0]++;
}

/* --- what others count ------------------------------------------------------------------------ */

static void read_cluster(const struct worker *w, struct stats_counts *n)
{
    const struct router_counters *r = &w->router.counters;
    n->node_requests = r->requests;
    n->moved = r->moved;
    n->ask = r->ask;
    n->try_again = r->try_again;
    n->cluster_down = r->cluster_down;
    n->read_only = r->read_only;
    n->retries = r->retries;
    n->timeouts = r->timeouts;
    n->uncertain = r->uncertain;
    n->lost_links = r->lost_links;
    n->map_answers = w->poller.counters.answers;
    n->map_failures = w->poller.counters.failures;
    n->map_changes = w->poller.counters.changes;
    n->leases_taken = w->leases.counters.taken;
    n->leases_dialled = w->leases.counters.dialled;
    n->leases_lost = w->leases.counters.lost;
    n->leases_refused = w->leases.counters.refused;
}

static void read_clients(const struct worker *w, struct stats_counts *n)
{
    n->clients_accepted = w->accepted;
    n->clients_given = w->balance.given;
    n->clients_taken = w->balance.taken;
    n->blocked = w->blocked.total;
    n->blocked_moved = w->blocked.moved;
    n->blocked_undelivered = w->blocked.undelivered;
    n->blocked_returned = w->blocked.returned;
    n->client_bytes_in = w->net.bytes[NET_CLIENT].in;
    n->client_bytes_out = w->net.bytes[NET_CLIENT].out;
    n->node_bytes_in = w->net.bytes[NET_NODE].in;
    n->node_bytes_out = w->net.bytes[NET_NODE].out;
    n->turns = w->net.turns;
}

static uint64_t us_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* Resident bytes; 0 when /proc is not there. Without stdio, which would allocate each time. */
static uint64_t resident(void)
{
    char text[128];
    unsigned long long pages;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return sscanf(text, "%*u %llu", &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void read_process(struct stats_counts *n, struct stats_gauges *g)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        n->cpu_user = us_of(usage.ru_utime);
        n->cpu_system = us_of(usage.ru_stime);
        g->memory_peak = (uint64_t)usage.ru_maxrss * 1024;
    }
    g->memory = resident();
}

static void read_gauges(const struct worker *w, struct stats_gauges *g)
{
    const struct slotmap *map = w->router.map;
    g->started_at = w->stats.block->gauges.started_at;
    g->map_at = w->poller.counters.answered_at != 0 ? w->poller.counters.answered_at
                                                    : w->stats.block->gauges.started_at;
    g->clients = w->client_count;
    g->clients_max = w->max_clients;
    g->blocked = w->blocked.count;
    g->subscribers = w->stats.subscribers;
    g->subscriptions = HASH_COUNT(w->pubsub.members);
    g->monitors = list_length(&w->pubsub.monitors);
    g->outstanding = w->router.outstanding;
    g->ops = list_length(&w->ops);
    g->leases = w->leases.count;
    g->leases_in_use = lease_pool_in_use(&w->leases);
    g->leases_queued = list_length(&w->leases.queued);
    g->leases_max = w->max_leases;
    g->nodes = w->router.nodes.count;
    g->shards = map == NULL ? 0 : map->shard_count;
    g->slots_uncovered = map == NULL ? SLOT_COUNT : SLOT_COUNT - map->covered;
    g->buffers = w->net.store.chunks.live_bytes;
    g->listening = w->listening && !w->draining;
    g->draining = w->draining;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written by the atomic store */
static void put(uint64_t *to, const uint64_t *base, const uint64_t *now, size_t count)
{
    for (size_t i = 0; i < count; i++)
        __atomic_store_n(&to[i], (base != NULL ? base[i] : 0) + now[i], __ATOMIC_RELAXED);
}

void stats_publish(struct worker *w)
{
    struct stats *s = &w->stats;
    struct stats_counts n = s->own;
    struct stats_gauges g = { .published_at = uv_hrtime() / 1000 };
    read_cluster(w, &n);
    read_clients(w, &n);
    read_process(&n, &g);
    read_gauges(w, &g);
    put(&s->block->counts.clients_accepted, &s->base.clients_accepted, &n.clients_accepted,
        NUMBERS);
    put(&s->block->gauges.published_at, NULL, &g.published_at, sizeof(g) / sizeof(g.published_at));
}

/* --- life ------------------------------------------------------------------------------------- */

void stats_beat(struct worker *w, uint64_t due_ms)
{
    struct stats *s = &w->stats;
    uint64_t now = uv_hrtime() / 1000;
    if (s->beat_due != 0)
        histogram_add(&s->block->lag, now > s->beat_due ? (uint32_t)(now - s->beat_due) : 0);
    s->beat_due = now + due_ms * 1000;
    stats_publish(w);
}

void stats_open(struct worker *w)
{
    struct stats *s = &w->stats;
    uint32_t i = w->crew->generation % BOARD_GENERATIONS * CREW_MAX + w->number;
    s->page = board_stats(w->crew->board);
    s->block = &s->page->blocks[i];
    s->base = s->block->counts;
    memset(&s->block->gauges, 0, sizeof(s->block->gauges));
    s->block->gauges.started_at = uv_hrtime() / 1000;
    atomic_store_explicit(&s->page->used[i], 1, memory_order_relaxed);
    w->router.watch.on_error = on_error;
    node_table_count_in(&w->router.nodes, s->block->nodes, STATS_NODES);
}

void stats_close(struct worker *w)
{
    stats_publish(w);
    memset(&w->stats.block->gauges, 0, sizeof(w->stats.block->gauges));
}
