/*
 * /status.json, which the status page asks for each second: every metric summed over all workers,
 * the workers, and the shards. Counters and histograms come as they are; what happened since the
 * last time is the page's to reckon.
 */
#include <string.h>

#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

static const char *short_name(const struct stats_metric *m)
{
    static const char prefix[] = "slotgate_";
    REQUIRE(strncmp(m->name, prefix, sizeof(prefix) - 1) == 0);
    return m->name + sizeof(prefix) - 1;
}

/* {"sum": us, "buckets": [[end, count], ...]}, without the buckets that are empty. */
static void write_histogram(struct json *j, const char *key, const struct histogram *h)
{
    json_object(j, key);
    json_u64(j, "sum", h->sum);
    json_array(j, "buckets");
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->bucket[i] == 0)
            continue;
        uint64_t end = histogram_end(i);
        json_array(j, NULL);
        json_u64(j, NULL, end < UINT32_MAX ? end : UINT32_MAX);
        json_u64(j, NULL, h->bucket[i]);
        json_array_end(j);
    }
    json_array_end(j);
    json_object_end(j);
}

static void on_sample(void *context, const struct stats_sample *s)
{
    struct json *j = context;
    const char *key = s->label != NULL ? s->label : short_name(s->metric);
    if (s->histogram != NULL)
        write_histogram(j, key, s->histogram);
    else
        json_real(j, key, s->value);
}

static void write_metrics(struct worker *w, struct json *j)
{
    json_object(j, "metrics");
    for (size_t i = 0; i < stats_metric_count; i++) {
        const struct stats_metric *m = &stats_metrics[i];
        bool labelled = m->label != STATS_PLAIN;
        if (labelled)
            json_object(j, short_name(m));
        stats_read(w, m, STATS_ALL, on_sample, j);
        if (labelled)
            json_object_end(j);
    }
    json_object_end(j);
}

/* --- workers ------------------------------------------------------------------------------- */

static const char *state_name(uint32_t state)
{
    static const char *const names[] = {
        [SEAT_EMPTY] = "empty",     [SEAT_STARTING] = "starting", [SEAT_SERVING] = "serving",
        [SEAT_CUT_OFF] = "cut off", [SEAT_LEAVING] = "draining",  [SEAT_LEFT] = "left",
    };
    return state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static void write_worker(struct worker *w, struct json *j, uint32_t number)
{
    static const char *const shown[] = {
        "slotgate_node_requests_total",      "slotgate_cpu_user_seconds_total",
        "slotgate_cpu_system_seconds_total", "slotgate_memory_bytes",
        "slotgate_requests_outstanding",     "slotgate_uptime_seconds",
    };
    struct seat *seat = crew_seat(w->crew, number);
    json_object(j, NULL);
    json_u64(j, "number", number);
    json_text(j, "state", state_name(seat_state(seat)));
    json_u64(j, "clients", atomic_load_explicit(&seat->clients, memory_order_relaxed));
    for (size_t i = 0; i < stats_metric_count; i++)
        for (size_t s = 0; s < ARRAY_LEN(shown); s++)
            if (strcmp(stats_metrics[i].name, shown[s]) == 0)
                stats_read(w, &stats_metrics[i], number, on_sample, j);
    json_object_end(j);
}

void admin_status(struct worker *w, struct http_exchange *x)
{
    struct json j;
    json_init(&j);
    json_object(&j, NULL);
    json_text(&j, "version", SLOTGATE_VERSION);
    json_u64(&j, "port", (uint64_t)w->config.port);
    json_u64(&j, "generation", w->crew->generation);
    json_u64(&j, "answered_by", w->number);
    json_real(&j, "now", (double)uv_hrtime() / 1e9);
    json_text(&j, "not_ready", admin_not_ready(w));
    write_metrics(w, &j);
    json_array(&j, "workers");
    for (uint32_t i = 0; i < stats_worker_count(w); i++)
        write_worker(w, &j, i);
    json_array_end(&j);
    admin_write_shards(w, &j, "shards");
    json_object_end(&j);
    admin_send_json(x, &j);
}
