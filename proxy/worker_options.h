/*
 * worker_options.h: what the options come to in a worker's parts, when it opens them and each time
 * that options have changed.
 */
#ifndef PROXY_WORKER_OPTIONS_H
#define PROXY_WORKER_OPTIONS_H

#include "proxy/worker.h"

/* Takes over the options that may change at run time, after one has. */
void worker_take_options(struct worker *w);
/* When a worker opens. Limits of clients and requests, and the router's; lowered where descriptors would not do. */
void worker_take_limits(struct worker *w);
/* Which nodes reads go to. */
void worker_take_reads(struct worker *w);
struct topology_options worker_topology_options(const struct worker *w);

#endif
