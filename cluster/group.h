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

/* Marks a slot (or shard) that the walk with that number has seen. */
struct split_mark {
    uint64_t walk;
    uint32_t part;
};

struct group {
    const struct command *cmd;
    const void *rule;       /* the flow's user's: how it merges; NULL: by cmd->merge */
    uint64_t note;          /* the flow's user's, for that rule */
    void *beside;           /* the flow's user's: what it waits for beside the parts; or NULL */
    uint32_t parts;         /* requests of the flow that carry this group */
    uint32_t open;          /* of those, not answered yet; the flow's user counts down */
    bool held;              /* one more is open, which is the flow's user's own affair */
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

/* Submits the request as it is to the master of each shard. Lends the group, which lives until its
   merged reply is out; NULL: there is no map. */
MUST_USE struct group *group_broadcast(struct router *rt, struct flow *f, const struct command *cmd,
                                       struct span bytes, bool silent);

/* Submits a request of our own wording to the master of one slot; merged like any group, so that
   its reply can be rewritten. With g NULL a new group, else one more part of g, in the same turn.
 */
struct group *group_one(struct router *rt, struct flow *f, const struct command *cmd,
                        struct group *g, uint16_t slot, struct span bytes, bool silent);

/* A group that the flow's user fills and merges itself: with `keys` places in part_of_key and
   `room` bytes behind them. Lent; it lives as long as its parts, of which there must be one. */
struct group *group_new(const struct command *cmd, uint32_t keys, size_t room);
/* One more part, for the caller to submit in this turn. */
struct request *group_add(struct router *rt, struct flow *f, struct group *g, uint16_t slot,
                          bool silent);

/* The lowest slots of each shard in ascending order, up to `room`; gives how many there are. */
uint32_t group_shard_slots(struct router *rt, uint16_t *slots, uint32_t room);

#endif
