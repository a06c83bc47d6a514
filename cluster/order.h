/*
 * order.h: promise 3 when something is out of the ordinary: which of a flow's parked requests may
 * be sent now. See the comment in order.c.
 */
#ifndef CLUSTER_ORDER_H
#define CLUSTER_ORDER_H

#include "cluster/router.h"

struct order_mark {
    uint64_t walk;   /* the walk that `at` belongs to */
    uint64_t young;  /* the walk in which a younger request was seen in flight */
    struct link *at; /* where older requests on this slot are in flight; NULL: blocked */
};

void order_walk(struct router *rt, struct flow *f);
/* r took effect, or may have: parked older requests on the same key may not be sent any more. */
void order_took_effect(struct request *r);

#endif
