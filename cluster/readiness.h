/*
 * readiness.h: whether the cluster serves, asked before the proxy listens for the first time.
 *
 * A whole slot map is not enough: one node of a dead cluster that has come back tells a whole map
 * too. So one master after the other is asked for CLUSTER INFO until one does not say
 * cluster_state:fail. A node that answers with an error (no right to ask) is believed to serve.
 * Source: CLUSTER INFO in the Redis command documentation.
 */
#ifndef CLUSTER_READINESS_H
#define CLUSTER_READINESS_H

#include "cluster/router.h"

struct readiness {
    struct router *router;
    uv_timer_t timer;
    void (*on_ready)(void *context); /* once */
    void *context;
    struct endpoint asked; /* the master that was asked last */
    uint32_t turn;         /* which one is asked next */
    bool started, closing;
};

void readiness_open(struct readiness *r, struct router *rt, void (*on_ready)(void *context),
                    void *context);
/* Begins to ask; there is a map. Further calls change nothing. */
void readiness_start(struct readiness *r);
/* To be called before router_close; on_ready does not come any more. */
void readiness_close(struct readiness *r);

#endif
