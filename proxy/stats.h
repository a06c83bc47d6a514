/*
 * stats.h: the numbers of all workers: what there is to count, by name, and how to read it.
 *
 * Each worker counts for itself in shared memory (stats_block.h), and any worker can read the
 * numbers of each one and their sums. What /metrics and docs/metrics.md show comes from one table,
 * stats_metrics.
 *
 * Life: stats_open when a worker starts, stats_publish several times a second, stats_close when it
 * leaves. Reading costs some microseconds per worker and metric; nothing is kept.
 */
#ifndef PROXY_STATS_H
#define PROXY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proxy/stats_block.h"

struct worker;

/* --- the table -------------------------------------------------------------------------------- */

enum stats_kind { STATS_COUNTER, STATS_GAUGE, STATS_HISTOGRAM };
enum stats_unit { STATS_NUMBER, STATS_BYTES, STATS_SECONDS };
/* What tells apart the numbers of one metric; see stats_label_name. */
enum stats_label { STATS_PLAIN, STATS_BY_COMMAND, STATS_BY_ERROR, STATS_BY_REASON, STATS_BY_NODE };

struct stats_metric {
    const char *name; /* as Prometheus wants it, "slotgate_requests_total" */
    const char *help; /* what it counts */
    const char *act;  /* what it means when it moves, and what to do */
    uint8_t kind;     /* enum stats_kind */
    uint8_t unit;     /* enum stats_unit */
    uint8_t label;    /* enum stats_label */
    bool since;       /* the block holds a point in time: shown as the time that has passed */
    bool worst;       /* over all workers the largest counts, not the sum */
    size_t offset;    /* in struct stats_block; STATS_BY_NODE: in struct node_stat */
};

extern const struct stats_metric stats_metrics[];
extern const size_t stats_metric_count;

/* "command", "kind", "reason", "node"; NULL for STATS_PLAIN. */
const char *stats_label_name(enum stats_label label);

/* --- reading ---------------------------------------------------------------------------------- */

enum { STATS_ALL = UINT32_MAX };

struct stats_sample {
    const struct stats_metric *metric;
    const char *label; /* "get", "config|get", "MOVED", "10.0.0.1:6379"; NULL for STATS_PLAIN */
    double value;      /* counter, gauge: in the metric's unit */
    const struct histogram *histogram; /* else NULL; lent until the visit returns. In us */
};

typedef void stats_visit(void *context, const struct stats_sample *sample);

/* Calls visit for each number of the metric: with `worker` STATS_ALL for the sums, else for what
   the worker of that number counts, its predecessors' included. Of commands, errors, reasons and
   nodes only those come that were ever counted. A gauge is that of the workers alive. */
void stats_read(const struct worker *w, const struct stats_metric *m, uint32_t worker,
                stats_visit *visit, void *context);
/* A worker's state is on the board (crew_seat); this many there are to ask for. */
uint32_t stats_worker_count(const struct worker *w);

/* Upper ends (us) of the buckets that are worth showing, ascending; the value at such an end is not
   included: histogram_below(h, stats_bounds[i]) is how many were below. The rest is "+Inf". */
extern const uint64_t stats_bounds[];
extern const size_t stats_bound_count;

enum { STATS_NAME_MAX = 80 };

/* The latency of one command over all workers, since the last stats_reset; false: it was not called
   since. */
bool stats_latency_of(const struct worker *w, uint32_t tally, struct histogram *out);
/* The blocks of workers that are alive, one after the other: *i is 0 at first. NULL: no more. */
const struct stats_block *stats_next_alive(const struct worker *w, uint32_t *i);
/* CONFIG RESETSTAT: what LATENCY HISTOGRAM shows begins anew. Metrics go on. */
void stats_reset(const struct worker *w);
/* "get", "config|get"; "other" for the one that all learned commands share. */
const char *stats_command_name(const struct worker *w, uint32_t tally, char room[STATS_NAME_MAX]);

/* A number that stands for the layout of struct stats_page: what has another one must not be read
   as such. */
uint64_t stats_layout(void);

/* Writes docs/metrics.md. */
void stats_write_doc(FILE *out);

#endif
