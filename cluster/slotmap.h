/*
 * slotmap.h: which shard serves which slot: an immutable picture of the cluster at one moment.
 *
 * Made from a reply to CLUSTER SLOTS and swapped whole; a MOVED makes a corrected copy. Pure data:
 * no socket, no clock. Source: CLUSTER SLOTS in the Redis command documentation (7.0: the endpoint
 * may be null for "the one you asked", or "?" for unknown, with the addresses in a metadata list).
 */
#ifndef CLUSTER_SLOTMAP_H
#define CLUSTER_SLOTMAP_H

#include "base/endpoint.h"
#include "cluster/keyslot.h"

enum { SLOTMAP_NO_SHARD = 0xffff, SLOTMAP_SHARDS_MAX = 4096 };

struct slotmap_shard {
    struct endpoint master;
    struct endpoint *replicas;
    uint32_t replica_count;
};

struct slotmap {
    uint32_t covered; /* slots that have a shard */
    uint32_t shard_count;
    uint16_t shard_of[SLOT_COUNT];
    struct slotmap_shard *shards;
};

/*
 * Reads a complete reply to CLUSTER SLOTS (RESP2 or RESP3). asked: the node that sent it, whose
 * host stands in for an empty one. Gives a map that the caller frees, or NULL when the reply is an
 * error, no such reply, names a slot twice or out of range, or covers nothing.
 */
struct slotmap *slotmap_parse(struct span reply, const struct endpoint *asked);
void slotmap_free(struct slotmap *m);

/* A copy in which slot belongs to the shard whose master is at `to`; a new shard if there is none.
 */
struct slotmap *slotmap_moved(const struct slotmap *m, uint16_t slot, const struct endpoint *to);

bool slotmap_equal(const struct slotmap *a, const struct slotmap *b);

#endif
