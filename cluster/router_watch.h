/*
 * router_watch.h: for whoever counts: what the router tells of requests beside their replies.
 */
#ifndef CLUSTER_ROUTER_WATCH_H
#define CLUSTER_ROUTER_WATCH_H

#include "cluster/request.h"

struct node;
struct router;

enum router_error {
    ROUTER_ERROR_HEARD,  /* a node gave it, and the request is tried again */
    ROUTER_ERROR_PASSED, /* a node gave it, and it is the answer */
    ROUTER_ERROR_MADE,   /* it is the answer; ours, or one that a node has given before */
};

/* Nothing may be done to the request from inside. */
struct router_watch {
    /* r is done, slow_after us or more after it came; its bytes are still there. by: the node that
       answered it, or NULL. */
    void (*on_slow)(struct router *rt, const struct request *r, const struct node *by);
    uint32_t slow_after; /* UINT32_MAX: nobody wants to know */
    /* r, which was so large, has been taken; or such a reply to it is complete. Its bytes are
       there. */
    void (*on_big)(struct router *rt, const struct request *r, uint64_t bytes, bool is_reply);
    uint32_t big_after; /* UINT32_MAX: nobody wants to know */
    /* An error reply. NULL: nobody counts. */
    void (*on_error)(struct router *rt, const struct request *r, struct span error,
                     enum router_error what);
};

#endif
