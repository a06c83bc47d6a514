/*
 * router_inner.h: what the router's own files (router.c, router_life.c, order.c, settle.c, reads.c,
 * reads_check.c) share and nobody else calls.
 */
#ifndef CLUSTER_ROUTER_INNER_H
#define CLUSTER_ROUTER_INNER_H

#include "cluster/router.h"

void router_on_tick(struct router *rt);
/* The link that r would take now; NULL: none can be had. */
struct link *router_target(struct router *rt, struct request *r, uint64_t now);
/* Sends r, which is parked, on l. */
void router_dispatch(struct router *rt, struct request *r, struct link *l);
/* Answers r, which is parked, with its last error or ours. */
void router_fail(struct router *rt, struct request *r);
/* router_ask over a given link. */
void router_ask_on(struct router *rt, struct link *l, struct span bytes, uint64_t timeout,
                   request_own_done *done, void *context);
/* r waits for the walk; not before that time (ms). */
void router_park(struct router *rt, struct request *r, uint64_t not_before);

#endif
