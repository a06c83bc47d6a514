#include "base/check.h"
#include "proxy/stats.h"

static const char *const intro[] = {
    "# Metrics",
    "",
    "<!-- Written by `./dev docs` from the rows in proxy/stats_table.c; edit those. -->",
    "",
    "What each worker counts. Counters only go up, over deaths of workers and takeovers too: the",
    "worker that replaces another goes on from where that one stopped. A worker that is killed",
    "takes with it what plain counters have counted in its last 200 ms.",
    "",
    "Durations are measured by a clock that is read once per turn of the loop, so what takes less",
    "than a turn counts as 0. Histograms have four buckets to each power of two; `/metrics` shows",
    "one for each power of two from 32 us to 16.8 s.",
    "",
    "Labels are bounded: `command` by the command table (what was learned from the cluster is",
    "`other`), `kind` by a list of error words, `reason` by the ways in which a connection ends,",
    "and `node` by 256 nodes per worker (a further one takes the place of one that is gone, or",
    "counts as `other`). Keys, values and names of clients are in none.",
    "",
    "`/metrics` of the [admin port](operations.md#the-admin-port) shows each as the sum over all",
    "workers, and what has no label once more for each worker, as",
    "`slotgate_worker_NAME{worker=\"0\"}`. Two more stand there: `slotgate_workers`, how many",
    "there should be, and `slotgate_build_info`, which has the version.",
    "",
    "| Metric | Kind | By | What it counts | When it moves |",
    "|---|---|---|---|---|",
};

void stats_write_doc(FILE *out)
{
    static const char *const kinds[] = { "counter", "gauge", "histogram" };
    for (size_t i = 0; i < ARRAY_LEN(intro); i++)
        fprintf(out, "%s\n", intro[i]);
    for (size_t i = 0; i < stats_metric_count; i++) {
        const struct stats_metric *m = &stats_metrics[i];
        const char *label = stats_label_name((enum stats_label)m->label);
        fprintf(out, "| `%s` | %s | %s | %s | %s |\n", m->name, kinds[m->kind],
                label != NULL ? label : "", m->help, m->act);
    }
}
