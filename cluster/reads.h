/*
 * reads.h: reads from replicas: which request may go to one, and which replicas are well.
 *
 * A request *roams* when its row only reads, its flow allows it, and all that its flow has under
 * way roams too; so it overtakes no write of its own client. All others go to the master as ever.
 * reads.c chooses (read_choice.h), reads_check.c asks every second how masters and replicas are.
 * A replica is never waited for while it is not connected, and never asked twice: what it cannot
 * answer goes to the master.
 *
 * Off (READ_MASTER): router->reads is NULL, nothing is asked and nothing roams.
 */
#ifndef CLUSTER_READS_H
#define CLUSTER_READS_H

#include "cluster/read_choice.h"
#include "cluster/redirect.h"
#include "cluster/replication.h"
#include "cluster/router.h"
#include "cluster/zone.h"

enum {
    READS_CHECK_MS = 1000, /* between two questions to a node, and the time for its answer */
};

struct reads_options {
    enum read_policy policy;
    uint64_t max_lag;           /* ms */
    const char *zone;           /* our own; NULL or "": unknown */
    const char *const *subnets; /* texts that zone_subnet_parse takes */
    size_t subnet_count;
};

/* What is known of one node; node->read. */
struct read_node {
    struct reads *reads;
    struct node *node;
    uint32_t shard; /* of rt->map */
    uint8_t health; /* enum read_health: as the last answer said; BAD or GOOD */
    bool replica;   /* by the map */
    bool judged;    /* somebody has been told of its health */
    bool asking;    /* for its replication */
    bool asking_zone;
    bool zone_known;
    bool near;
    uint64_t asked_at;     /* ms */
    uint64_t doubt_until;  /* ms: its connection was lost a moment ago */
    uint64_t banned_until; /* ms: it refused a read; no answer makes it well before */
    char zone[ZONE_NAME_MAX + 1];
    struct lag_history history; /* of a master */
};

struct reads {
    struct router *router;
    enum read_policy policy;
    uint64_t max_lag;
    char zone[ZONE_NAME_MAX + 1];
    struct zone_subnet *subnets;
    uint32_t subnet_count;
    uint32_t epoch;      /* of the map that the nodes belong to; 0: none */
    struct node **nodes; /* of all shards: each master, then its replicas */
    uint32_t *first;     /* by shard, and one more: its place in nodes */
    uint32_t shard_count;
    uv_timer_t timer;
    bool closing;
};

void reads_open(struct reads *rs, struct router *rt);
/* Copies the options; at any time, as often as one likes. */
void reads_set(struct reads *rs, const struct reads_options *options);
/* Before router_close. */
void reads_close(struct reads *rs);
/* After router_free. */
void reads_free(struct reads *rs);

/* --- for the router ------------------------------------------------------------------------ */

/* Whether r, which is new, roams. */
bool reads_roam(const struct request *r);
/* Where r, which roams, goes now. NULL: nowhere yet. */
struct link *reads_target(struct router *rt, struct request *r, uint64_t now);
/* The node at the end of l did not answer r but said that; r is the master's from now on. */
void reads_refused(struct router *rt, struct link *l, struct request *r, enum verdict verdict);
/* How long (ms) a replica may owe replies in silence: then there is still time to ask another. */
uint64_t reads_patience(const struct router *rt);
/* A link for reads was lost. */
void reads_lost(struct link *l);

/* --- between reads.c and reads_check.c ----------------------------------------------------- */

/* Makes sure that nodes and first are those of the present map. False: there is none. */
bool reads_know_map(struct reads *rs);
void reads_find_near(struct read_node *g);
void reads_check(struct reads *rs);

#endif
