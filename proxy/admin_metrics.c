/*
 * /metrics, in Prometheus's text format 0.0.4: every row of stats_metrics summed over all workers,
 * and those without a label once more for each worker, as slotgate_worker_*. Two names, so that a
 * sum() counts nothing twice; and no histogram by command and worker, so that the number of series
 * stays bounded.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/admin.h"
#include "proxy/admin_pages.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

enum { LINE_ROOM = 1024, LABEL_ROOM = 160 };

static const char prefix[] = "slotgate_", worker_prefix[] = "slotgate_worker_";

struct exposition {
    struct writer out;
    char name[128];
    char worker[24]; /* worker="0", or "" */
};

PRINTF_LIKE(2, 3)
static void print(struct exposition *e, const char *fmt, ...)
{
    char line[LINE_ROOM];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    REQUIRE(n >= 0 && n < (int)sizeof(line));
    write_raw(&e->out, (struct span){ line, (size_t)n });
}

/* A backslash and a quote have to be escaped; other oddities cannot come. */
static void escape(char *out, size_t cap, const char *text)
{
    size_t n = 0;
    for (; *text != '\0' && n + 3 < cap; text++) {
        if (*text == '\\' || *text == '"')
            out[n++] = '\\';
        out[n++] = *text == '\n' ? ' ' : *text;
    }
    out[n] = '\0';
}

static void write_labels(struct exposition *e, const struct stats_sample *s, char *out, size_t cap)
{
    char label[LABEL_ROOM];
    out[0] = '\0';
    if (s->label == NULL) {
        snprintf(out, cap, "%s", e->worker);
        return;
    }
    escape(label, sizeof(label), s->label);
    snprintf(out, cap, "%s=\"%s\"", stats_label_name((enum stats_label)s->metric->label), label);
}

static void write_histogram(struct exposition *e, const char *labels, const struct histogram *h)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    for (size_t i = 0; i < stats_bound_count; i++)
        print(e, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", e->name, labels, comma,
              (double)stats_bounds[i] / 1e6,
              (unsigned long long)histogram_below(h, stats_bounds[i]));
    unsigned long long count = histogram_count(h);
    print(e, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", e->name, labels, comma, count);
    const char *open = labels[0] != '\0' ? "{" : "", *close = labels[0] != '\0' ? "}" : "";
    print(e, "%s_sum%s%s%s %.9g\n", e->name, open, labels, close, (double)h->sum / 1e6);
    print(e, "%s_count%s%s%s %llu\n", e->name, open, labels, close, count);
}

static void on_sample(void *context, const struct stats_sample *s)
{
    struct exposition *e = context;
    char labels[LABEL_ROOM + 32];
    write_labels(e, s, labels, sizeof(labels));
    if (s->histogram != NULL)
        write_histogram(e, labels, s->histogram);
    else
        print(e, labels[0] != '\0' ? "%s{%s} %.15g\n" : "%s%s %.15g\n", e->name, labels, s->value);
}

static void write_head(struct exposition *e, const struct stats_metric *m, const char *more)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };
    print(e, "# HELP %s %s%s\n# TYPE %s %s\n", e->name, m->help, more, e->name, kinds[m->kind]);
}

static void write_sum(struct worker *w, struct exposition *e, const struct stats_metric *m)
{
    snprintf(e->name, sizeof(e->name), "%s", m->name);
    e->worker[0] = '\0';
    write_head(e, m, "");
    stats_read(w, m, STATS_ALL, on_sample, e);
}

/* slotgate_workers_* make no sense for one of them. */
static bool is_per_worker(const struct stats_metric *m)
{
    return m->label == STATS_PLAIN && m->kind != STATS_HISTOGRAM &&
           strncmp(m->name, "slotgate_workers", 16) != 0;
}

static void write_by_worker(struct worker *w, struct exposition *e, const struct stats_metric *m)
{
    REQUIRE(strncmp(m->name, prefix, sizeof(prefix) - 1) == 0);
    snprintf(e->name, sizeof(e->name), "%s%s", worker_prefix, m->name + sizeof(prefix) - 1);
    write_head(e, m, " By worker.");
    for (uint32_t i = 0; i < stats_worker_count(w); i++) {
        snprintf(e->worker, sizeof(e->worker), "worker=\"%u\"", i);
        stats_read(w, m, i, on_sample, e);
    }
}

void admin_metrics(struct worker *w, struct http_exchange *x)
{
    struct exposition e;
    writer_init(&e.out, 2);
    print(&e,
          "# HELP slotgate_build_info Which program this is.\n# TYPE slotgate_build_info gauge\n"
          "slotgate_build_info{version=\"" SLOTGATE_VERSION "\"} 1\n");
    print(&e,
          "# HELP slotgate_workers Workers that there should be.\n"
          "# TYPE slotgate_workers gauge\nslotgate_workers %u\n",
          stats_worker_count(w));
    for (size_t i = 0; i < stats_metric_count; i++) {
        write_sum(w, &e, &stats_metrics[i]);
        if (is_per_worker(&stats_metrics[i]))
            write_by_worker(w, &e, &stats_metrics[i]);
    }
    struct http_answer a = { .status = 200,
                             .type = "text/plain; version=0.0.4; charset=utf-8",
                             .body = writer_span(&e.out) };
    http_answer(x, &a);
    writer_close(&e.out);
}
