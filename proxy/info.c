#include "proxy/info.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "proxy/info_merge.h"
#include "proxy/local.h"
#include "proxy/merge.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

enum { OWN_MAX = 24, VALUE_MAX = PATH_MAX };

/* --- what the proxy knows of itself ----------------------------------------------------------- */

void info_id_of(const char *text, char out[INFO_ID_SIZE])
{
    uint64_t h = 14695981039346656037u;
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    for (int i = 0; i < 40; i += 8) { /* splitmix64 spreads it over as many digits as it takes */
        h += 0x9e3779b97f4a7c15u;
        uint64_t z = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        snprintf(out + i, 9, "%08x", (unsigned)((z ^ (z >> 31)) >> 32));
    }
}

struct own {
    struct info_field field[OWN_MAX];
    uint32_t count;
    size_t used;
    char room[2 * VALUE_MAX + 1024]; /* the values */
};

PRINTF_LIKE(3, 4)
static void know(struct own *own, const char *name, const char *fmt, ...)
{
    va_list args;
    REQUIRE(own->count < OWN_MAX && own->used < sizeof(own->room));
    char *value = own->room + own->used;
    va_start(args, fmt);
    int n = vsnprintf(value, sizeof(own->room) - own->used, fmt, args);
    va_end(args);
    own->used += (size_t)n + 1;
    own->field[own->count++] = (struct info_field){ name, value };
}

static void know_process(struct own *own, const struct worker *w)
{
    char path[VALUE_MAX] = "", file[VALUE_MAX] = "";
    struct timeval now;
    gettimeofday(&now, NULL);
    uint64_t uptime = (uv_now(&w->loop) - w->started_at) / 1000;
    if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
        path[0] = '\0';
    if (w->config.config_file != NULL && realpath(w->config.config_file, file) == NULL)
        file[0] = '\0';
    know(own, "process_id", "%d", (int)getpid());
    know(own, "run_id", "%s", w->run_id);
    know(own, "master_replid", "%s", w->run_id);
    know(own, "tcp_port", "%d", w->config.port);
    know(own, "server_time_usec", "%lld", (long long)now.tv_sec * 1000000 + (long long)now.tv_usec);
    know(own, "uptime_in_seconds", "%llu", (unsigned long long)uptime);
    know(own, "uptime_in_days", "%llu", (unsigned long long)uptime / 86400);
    know(own, "executable", "%s", path);
    know(own, "config_file", "%s", file);
}

static uint64_t load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* Of all workers; what the others have was true a moment ago. */
static void know_clients(struct own *own, const struct worker *w)
{
    uint64_t clients = w->client_count, max = w->max_clients;
    uint64_t blocked = blocked_room_waiting(&w->blocked);
    const struct stats_block *b;
    for (uint32_t i = 0; (b = stats_next_alive(w, &i)) != NULL;) {
        if (b == w->stats.block)
            continue;
        clients += load(&b->gauges.clients);
        max += load(&b->gauges.clients_max);
        blocked += load(&b->gauges.blocked);
    }
    know(own, "connected_clients", "%llu", (unsigned long long)clients);
    know(own, "maxclients", "%llu", (unsigned long long)max);
    know(own, "blocked_clients", "%llu", (unsigned long long)blocked);
    know(own, "tracking_clients", "0");
    know(own, "clients_in_timeout_table", "0");
    if (w->config.cluster_facade) {
        know(own, "cluster_enabled", "1");
        know(own, "redis_mode", "cluster");
    }
}

void info_print_slotgate(const struct worker *w, struct writer *out)
{
    const struct router_counters *n = &w->router.counters;
    const struct slotmap *map = w->router.map;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        { "worker", w->number },
        { "workers", w->crew->count },
        { "shards", map == NULL ? 0 : map->shard_count },
        { "slots_covered", map == NULL ? 0 : map->covered },
        { "topology_epoch", w->router.epoch },
        { "clients", w->client_count },
        { "clients_accepted", w->accepted },
        { "clients_handed_over", w->balance.given },
        { "clients_taken_over", w->balance.taken },
        { "blocked", w->blocked.count },
        { "blocked_total", w->blocked.total },
        { "blocked_moved", w->blocked.moved },
        { "blocked_undelivered", w->blocked.undelivered },
        { "blocked_returned", w->blocked.returned },
        { "keys_watched", w->keywatch.count },
        { "leases", w->leases.count },
        { "leases_in_use", lease_pool_in_use(&w->leases) },
        { "leases_dialled", w->leases.counters.dialled },
        { "leases_refused", w->leases.counters.refused },
        { "requests", n->requests },
        { "requests_outstanding", w->router.outstanding },
        { "redirects_moved", n->moved },
        { "redirects_ask", n->ask },
        { "answers_tryagain", n->try_again },
        { "answers_clusterdown", n->cluster_down },
        { "answers_readonly", n->read_only },
        { "retries", n->retries },
        { "timeouts", n->timeouts },
        { "uncertain_writes", n->uncertain },
        { "lost_links", n->lost_links },
    };
    info_print(out, "%s# Slotgate\r\nslotgate_version:%s\r\n", out->len > 0 ? "\r\n" : "",
               SLOTGATE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        info_print(out, "%s:%llu\r\n", rows[i].name, (unsigned long long)rows[i].value);
}

/* --- the merged reply ------------------------------------------------------------------------- */

static void remember_version(struct worker *w, struct span merged)
{
    struct span version = info_value(merged, "redis_version");
    if (version.at != NULL && version.len < sizeof(w->redis_version)) {
        memcpy(w->redis_version, version.at, version.len);
        w->redis_version[version.len] = '\0';
    }
}

/* False when a part is no text. */
static bool read_texts(struct replies *all, struct span *texts)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct value v;
        if (!value_next(&all->part[i].at, &v) || v.kind != VALUE_STRING)
            return false;
        texts[i] = v.text;
    }
    return true;
}

static void send_info(struct client *c, const struct group *g, struct replies *all)
{
    struct worker *w = c->worker;
    struct own own = { .count = 0 };
    struct writer text;
    struct span *texts = calloc(all->count, sizeof(texts[0]));
    REQUIRE(texts != NULL);
    if (!read_texts(all, texts)) {
        free(texts);
        merge_odd_reply(c);
        return;
    }
    know_process(&own, w);
    know_clients(&own, w);
    writer_init(&text, 2);
    info_merge(texts, all->count, own.field, own.count, &text);
    remember_version(w, writer_span(&text));
    if (g->note != 0)
        info_print_slotgate(w, &text);
    struct writer *reply = worker_writer(w, c->flow.protocol);
    write_verbatim(reply, "txt", writer_span(&text));
    stream_send(&c->stream, writer_span(reply));
    writer_close(&text);
    free(texts);
}

/* Our own section belongs to every INFO that does not name others. */
static bool wants_slotgate(const struct argv *argv)
{
    static const char *const names[] = { "default", "all", "everything", "slotgate" };
    bool wants = argv->count == 1;
    for (uint32_t i = 1; i < argv->count; i++)
        for (size_t n = 0; n < ARRAY_LEN(names); n++)
            wants = wants || span_is(argv_get(argv, i), names[n]);
    return wants;
}

bool local_info(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct merge_rule rule = { .send = send_info };
    (void)w;
    struct group *g = local_broadcast(c, local_request(argv), &rule);
    if (g != NULL)
        g->note = wants_slotgate(argv);
    return g != NULL;
}
