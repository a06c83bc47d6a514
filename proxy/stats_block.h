/*
 * stats_block.h: what one worker counts, as it lies in memory that all workers share.
 *
 * A block is written by one process at a time, with plain stores, and read by any at any moment
 * with relaxed loads: a number may be a moment old, never half written. Blocks outlive their
 * workers: the one that replaces a dead worker goes on counting in the same block, and so does the
 * worker that gets that seat after BOARD_GENERATIONS takeovers; so no sum ever falls.
 *
 * The file is sparse. A block is some 800 KiB of addresses, of which only pages that were written
 * cost memory.
 */
#ifndef PROXY_STATS_BLOCK_H
#define PROXY_STATS_BLOCK_H

#include "cluster/node_stat.h"
#include "proxy/board.h"
#include "proxy/top_keys.h"

enum {
    STATS_COMMANDS = 512, /* rows of the command table; all that were learned share one */
    STATS_NODES = 256,    /* the first is for all that find no place of their own */
    STATS_ERRORS = 40,    /* see stats_error_names */
    STATS_REASONS = 32,   /* codes of base/error.h */
    STATS_BLOCKS = BOARD_GENERATIONS * CREW_MAX,
};

/* Only ever go up. Copied here from where they are counted, several times a second. */
struct stats_counts {
    uint64_t clients_accepted, clients_refused, clients_given, clients_taken;
    uint64_t client_bytes_in, client_bytes_out, node_bytes_in, node_bytes_out;
    uint64_t node_requests, moved, ask, try_again, cluster_down, read_only;
    uint64_t retries, timeouts, uncertain, lost_links;
    uint64_t map_answers, map_failures, map_changes;
    uint64_t leases_taken, leases_dialled, leases_lost, leases_refused;
    uint64_t blocked, blocked_moved, blocked_undelivered, blocked_returned;
    uint64_t messages, deliveries;
    uint64_t splits, ops;
    uint64_t cpu_user, cpu_system; /* us */
    uint64_t turns;
};

/* As it is now; copied in the same way. Times are us of the monotonic clock. */
struct stats_gauges {
    uint64_t published_at; /* a block that is much older has no worker any more */
    uint64_t started_at, map_at;
    uint64_t clients, clients_max, blocked, subscribers, subscriptions, monitors;
    uint64_t outstanding, ops;
    uint64_t leases, leases_in_use, leases_queued, leases_max;
    uint64_t nodes, shards, slots_uncovered;
    uint64_t node_places;                  /* of `nodes` below: those that may have been taken */
    uint64_t buffers, memory, memory_peak; /* bytes */
    uint64_t listening, draining;
};

struct stats_block {
    struct stats_counts counts;
    struct stats_gauges gauges;
    /* Counted here, at once. */
    uint64_t errors[STATS_ERRORS];      /* error replies that clients got */
    uint64_t node_errors[STATS_ERRORS]; /* ... that nodes gave */
    uint64_t closed[STATS_REASONS];     /* connections of clients, by -code - 10000 */
    uint64_t calls[STATS_COMMANDS];
    uint64_t failed[STATS_COMMANDS]; /* calls that were answered with an error */
    struct histogram lag;            /* us that the loop's timers came late */
    struct histogram latency[STATS_COMMANDS];
    struct node_stat nodes[STATS_NODES];
    struct hot_keys hot;
    struct big_keys big;
    uint64_t hot_resets, big_resets; /* of the page, as last heeded: otherwise the tables are old */
};

/* The whole area; see board_stats. */
struct stats_page {
    _Atomic uint8_t used[STATS_BLOCKS];      /* a block that never was one's is not touched */
    _Atomic uint64_t hot_resets, big_resets; /* times that the tables of keys were cleared */
    /* What CONFIG RESETSTAT found: LATENCY HISTOGRAM shows what came after. */
    struct histogram latency_before[STATS_COMMANDS];
    struct stats_block blocks[STATS_BLOCKS];
};

#endif
