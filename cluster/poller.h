/*
 * poller.h: keeps the router's slot map true: the doing half of topology.h.
 *
 * Asks one node at a time for CLUSTER SLOTS over the router's own links and gives the router what
 * topology.c adopts. on_map comes after each adopted map, the first time included.
 */
#ifndef CLUSTER_POLLER_H
#define CLUSTER_POLLER_H

#include "cluster/router.h"
#include "cluster/topology.h"

struct poller_counters {
    uint64_t answers, failures, changes;
    uint64_t answered_at; /* us of the monotonic clock; 0: never */
};

struct poller {
    struct router *router;
    struct topology *topology;
    uv_timer_t timer;
    struct endpoint asked; /* who is being asked */
    uint64_t ask_timeout;
    void (*on_map)(void *context);
    void *context;
    bool closing;
    struct poller_counters counters;
};

/* Starts at once. ask_timeout: ms that one node may take, connecting included. */
void poller_open(struct poller *p, struct router *rt, const struct topology_options *options,
                 const struct endpoint *seeds, uint32_t seed_count, uint64_t ask_timeout,
                 void (*on_map)(void *context), void *context);
/* Holds from the next round on. */
void poller_set_options(struct poller *p, const struct topology_options *options);
/* To be called before router_close. */
void poller_close(struct poller *p);
/* After router_free. */
void poller_free(struct poller *p);

#endif
