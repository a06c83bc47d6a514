/*
 * node_stat.h: what is counted of each node: places in memory that belongs to whoever opens the
 * node table. The proxy keeps them where all of its workers can read them.
 *
 * A place is taken by a node's name and found again under it, also by the process that goes on with
 * the same memory. The first place is for all nodes that find no other. When all are taken, the one
 * that has had no node for longest goes over to a new name and begins at 0.
 */
#ifndef CLUSTER_NODE_STAT_H
#define CLUSTER_NODE_STAT_H

#include "base/histogram.h"

enum { NODE_STAT_NAME = 128 }; /* bytes of "host:port", the end included; longer ones are cut */

#define NODE_STAT_OTHER "other" /* the name of the first place */

struct node_stat {
    uint32_t version; /* odd while the place goes over to another name */
    uint32_t users;   /* nodes that count here */
    uint64_t left;    /* when the last of them went, in goings */
    char name[NODE_STAT_NAME];
    uint64_t lost;            /* connections */
    uint64_t errors;          /* error replies, redirects included */
    struct histogram latency; /* us from a request put on a connection to the end of its reply */
};

struct node_stats {
    struct node_stat *v; /* borrowed */
    uint32_t room;       /* at least 1 */
    uint32_t count;      /* have a name */
    uint64_t goings;
};

/* Goes on with what the memory holds; all zero is fine, too. */
void node_stats_open(struct node_stats *all, struct node_stat *v, uint32_t room);
struct node_stat *node_stats_take(struct node_stats *all, const char *name);
void node_stats_give(struct node_stats *all, struct node_stat *s);

#endif
