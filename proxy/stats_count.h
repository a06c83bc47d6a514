/*
 * stats_count.h: the writing side of stats.h, for the worker itself.
 *
 * What happens for each request is counted in the worker's block at once; these functions are on
 * the hot way. What others count (the router, the pools) is copied there by stats_publish.
 */
#ifndef PROXY_STATS_COUNT_H
#define PROXY_STATS_COUNT_H

#include "base/statistics.h"
#include "cluster/command.h"
#include "proxy/stats_block.h"

struct worker;

struct stats {
    struct stats_block *block;
    struct stats_page *page;
    struct stats_counts base; /* what the block held when this worker began */
    struct stats_counts own;  /* of this worker: those that nobody else counts */
    uint64_t beat_due;        /* us of the monotonic clock: when the next beat should come */
    uint64_t keys_aged_at;    /* ms of loop time; these three of key_report.h */
    uint32_t key_every;       /* calls for one that is looked at; 0: none */
    uint32_t key_gap;         /* calls until the next one */
    uint32_t subscribers;
};

/* The router is open, and knows no node yet. */
void stats_open(struct worker *w);
/* To be called when the worker beats; due_ms later the next one is expected. */
void stats_beat(struct worker *w, uint64_t due_ms);
void stats_publish(struct worker *w);
/* The worker leaves: nothing of it is there any more, what it counted stays. */
void stats_close(struct worker *w);

static inline void stats_call(struct stats *s, const struct command *cmd, bool done)
{
    if (STATISTICS)
        s->block->calls[cmd->tally] += done;
}

/* us: from the request to its reply. */
static inline void stats_latency(struct stats *s, const struct command *cmd, uint32_t us)
{
    histogram_add(&s->block->latency[cmd->tally], us);
}

/* Whether this call is one of those whose keys are looked at. */
static inline bool stats_samples(struct stats *s)
{
    return STATISTICS && UNLIKELY(--s->key_gap == 0);
}

static inline void stats_failed(struct stats *s, const struct command *cmd)
{
    s->block->failed[cmd->tally]++;
}

/* A client gets this error. cmd: NULL when it is about none that is known. */
void stats_error(struct stats *s, const struct command *cmd, struct span error);
/* A client's connection has ended. */
void stats_closed(struct stats *s, int why);

#endif
