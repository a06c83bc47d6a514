/* PROXY METRICS: the numbers as text, for people without Prometheus. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "proxy/local.h"
#include "proxy/stats.h"
#include "proxy/worker.h"

PRINTF_LIKE(2, 3)
static void print(struct writer *w, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    write_raw(w, (struct span){ text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1 });
}

static void print_histogram(struct writer *w, const struct histogram *h)
{
    uint64_t count = histogram_count(h);
    print(w,
          " count=%" PRIu64 " mean_us=%" PRIu64 " p50_us=%" PRIu64 " p99_us=%" PRIu64
          " p999_us=%" PRIu64 "\n",
          count, count > 0 ? h->sum / count : 0, histogram_quantile(h, 0.5),
          histogram_quantile(h, 0.99), histogram_quantile(h, 0.999));
}

static void show(void *context, const struct stats_sample *s)
{
    struct writer *w = context;
    const char *by = stats_label_name((enum stats_label)s->metric->label);
    print(w, "%s", s->metric->name);
    if (by != NULL)
        print(w, "{%s=\"%s\"}", by, s->label);
    if (s->histogram != NULL)
        print_histogram(w, s->histogram);
    else
        print(w, " %.*f\n", s->metric->unit == STATS_SECONDS ? 6 : 0, s->value);
}

bool local_proxy_metrics(struct client *c, const struct argv *argv, struct writer *w)
{
    struct worker *worker = c->worker;
    struct writer text;
    int64_t number = STATS_ALL;
    if (argv->count > 3) {
        write_error(w, "ERR syntax error, try PROXY HELP");
        return true;
    }
    if (argv->count == 3) {
        struct span word = argv_get(argv, 2);
        if (!text_to_i64(word.at, word.len, &number) || number < 0 ||
            number >= stats_worker_count(worker)) {
            write_error(w, "ERR slotgate: there is no such worker");
            return true;
        }
    }
    writer_init(&text, 2);
    stats_publish(worker);
    for (size_t i = 0; i < stats_metric_count; i++)
        stats_read(worker, &stats_metrics[i], (uint32_t)number, show, &text);
    write_verbatim(w, "txt", writer_span(&text));
    writer_close(&text);
    return true;
}
