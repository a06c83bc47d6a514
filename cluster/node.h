/*
 * node.h: the nodes that this worker knows, each with its links.
 *
 * A node is known by its endpoint. It appears when a slot map, a redirect or the poller names it,
 * and goes when no map names it any more and nothing has used it for a while. Links connect on
 * first use.
 */
#ifndef CLUSTER_NODE_H
#define CLUSTER_NODE_H

#include "cluster/link.h"
#include "cluster/node_stat.h"

enum { NODES_MAX = 32 * 1024, NODES_BY_REDIRECT_MAX = 4096 };

struct read_node;

/* The links of a database but the first; made when it is first used. */
struct link_set {
    struct link_set *next;
    uint16_t database;
    struct link links[LINK_KINDS];
};

struct node {
    struct list_node in_table;
    struct endpoint endpoint;
    struct link links[LINK_KINDS]; /* of database 0 */
    struct link_set *databases;    /* the others */
    struct node_stat *stat;        /* where it is counted; never NULL */
    uint32_t fingerprint;          /* of the endpoint, the same in every process */
    uint32_t hinted;               /* parked requests, and questions of reads.h, that point here */
    uint32_t leases; /* connections of lease.h to it; it is not forgotten while there are some */
    struct list_node idle_leases[2]; /* RESP2, RESP3; the one used last is the last */
    uint64_t lease_rest_until;       /* ms: no lease is dialled before */
    uint64_t lease_rest;             /* ms: the back-off after the next failure */
    struct read_node *read;          /* what reads.h knows of it; NULL: nothing; freed with it */
    bool in_map;                     /* the present slot map names it */
    bool master;                     /* ... as the master of a shard */
    bool was_master;                 /* the map before it did */
};

struct node_table {
    struct list_node nodes;
    uint32_t count;
    struct net *net;
    const struct link_options *options;
    const struct link_user *user;
    void *context;
    struct node_stats stats;    /* see node_table_count_in */
    struct node_stat uncounted; /* its memory, until somebody gives other */
};

void node_table_open(struct node_table *t, struct net *net, const struct link_options *options,
                     const struct link_user *user, void *context);
/* From now on nodes are counted there. Before the first node is made. */
void node_table_count_in(struct node_table *t, struct node_stat *v, uint32_t room);
struct node *node_find(const struct node_table *t, const struct endpoint *e);
/* The node at that endpoint, made if need be. */
struct node *node_get(struct node_table *t, const struct endpoint *e);
struct link *node_links_of_other(struct node *n, uint16_t database);
/* Every link of all databases, one after the other; begins behind NULL, ends with NULL. */
struct link *node_next_link(struct node *n, struct link *l);
#define NODE_EACH_LINK(n, l) for ((l) = NULL; ((l) = node_next_link(n, l)) != NULL;)

/* The node's links of that database, by kind. */
static inline struct link *node_links(struct node *n, uint16_t database)
{
    return LIKELY(database == 0) ? n->links : node_links_of_other(n, database);
}

/* Closes idle connections of nodes that no map names, and forgets such nodes; and idle ones of
   databases other than 0. */
void node_table_sweep(struct node_table *t, uint64_t now);
/* Closes every link; node_table_free may follow once the loop has run empty. */
void node_table_close(struct node_table *t, int why);
void node_table_free(struct node_table *t);

#endif
