/*
 * redirect.h: what an error reply of a cluster node tells a router to do. Pure.
 *
 * Source: "MOVED Redirection", "ASK redirection" and "Multi-keys operations" in the Redis Cluster
 * specification, and the shared errors in Redis's server.c (createSharedObjects).
 */
#ifndef CLUSTER_REDIRECT_H
#define CLUSTER_REDIRECT_H

#include "base/endpoint.h"
#include "resp/span.h"

enum verdict {
    VERDICT_PASS = 0,  /* the client's own answer: hand it on byte for byte */
    VERDICT_MOVED,     /* another node owns the slot: send it there, refresh the map */
    VERDICT_ASK,       /* this once ask there, with ASKING right before */
    VERDICT_TRY_AGAIN, /* a slot half way between two nodes: wait a moment */
    VERDICT_WAIT,      /* CLUSTERDOWN, LOADING, MASTERDOWN: wait, refresh the map */
    VERDICT_READ_ONLY, /* this node is a replica now: refresh the map, try again */
};

struct redirect {
    enum verdict verdict;
    uint16_t slot;      /* MOVED, ASK */
    struct endpoint to; /* MOVED, ASK; an empty host means the node that answered */
};

/* error: one complete error reply as it came ("-MOVED 1 a:2\r\n" or "!21\r\n..."). */
struct redirect redirect_read(struct span error);

#endif
