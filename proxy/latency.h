/*
 * latency.h: the latency monitor of a worker: which commands of its clients and which turns of its
 * loop took at least latency-monitor-threshold. LATENCY shows those of all workers together.
 *
 * A command is an event when its request went to a node, and is as long as SLOWLOG would show it.
 */
#ifndef PROXY_LATENCY_H
#define PROXY_LATENCY_H

#include "net/turn_watch.h"
#include "proxy/latency_events.h"

struct command;
struct worker;

struct latency {
    struct latency_events events;
    struct turn_watch turns;
    uint32_t least_us; /* UINT32_MAX: nothing is watched */
};

/* w->net is open; as long as it is. */
void latency_open(struct worker *w);
void latency_close(struct worker *w);
/* Takes over the worker's options. What has been seen stays. */
void latency_set_options(struct worker *w);

/* A command has got its answer after so long; cmd may be NULL, then it is none. */
void latency_see(struct worker *w, const struct command *cmd, uint32_t us);

#endif
