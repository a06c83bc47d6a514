/*
 * group.h: one command that several nodes execute: its parts are requests of the flow, side by
 * side.
 *
 * A split command (MGET over several slots) has one part per slot, a broadcast (DBSIZE) one per
 * shard. The parts are ordinary requests: routed, redirected, retried and kept in order like any
 * other. Their replies wait in them until the last one is there; then the flow's user merges them
 * (proxy/merge.h). A group is freed with the last of its parts.
 */
#ifndef CLUSTER_GROUP_H
#define CLUSTER_GROUP_H

#include "cluster/router.h"

struct group {
    const struct command *cmd;
    uint32_t parts;         /* requests of the flow that carry this group */
    uint32_t open;          /* of those, not answered yet; the flow's user counts down */
    uint32_t refs;          /* requests that still point here */
    uint32_t keys;          /* of a split command, in the caller's order */
    uint32_t part_of_key[]; /* index of the part that key i went to */
};

/*
 * Splits a command whose keys stand at argument 1 and every `step` further ones (MGET: 1, MSET: 2;
 * what stands between belongs to the key before it) into one part per slot and submits them.
 * silent: as in struct request.
 */
void group_split(struct router *rt, struct flow *f, const struct command *cmd,
                 const struct argv *argv, uint32_t step, bool silent);

/* Submits the request as it is to the master of each shard. False: there is no map yet. */
MUST_USE bool group_broadcast(struct router *rt, struct flow *f, const struct command *cmd,
                              struct span bytes, bool silent);

#endif
