/*
 * lane.h: the commands of a stream on their way to the target, slot by slot, so that each is
 * executed exactly once whatever breaks.
 *
 * Commands that may be executed again (replay.h) are sent as they come. All others go in batches:
 * MULTI, commands of one slot, SET marker OFFSET, EXEC; so the marker says for ever how far the
 * slot has come. While a batch is under way nothing else of its slot is; what comes meanwhile makes
 * the next batch. Hence no refusal (MOVED, TRYAGAIN, CLUSTERDOWN ...) can let a later command of
 * the slot be executed before an earlier one, and what a slot has executed is always a beginning of
 * its part of the stream, but for absolute commands behind it.
 *
 * When an answer does not tell what became of a command, broken says so; from then on nothing is
 * sent, and the user calls lanes_reset and begins again further back (mend.h).
 */
#ifndef MIGRATE_LANE_H
#define MIGRATE_LANE_H

#include "migrate/target.h"

enum { LANE_NAME_SHOWN = 24, LANE_MARKER_MAX = 128 };

/* What the source executed as one: a command, or the part of a transaction that lies in one slot.
 */
struct lane_unit {
    void *owner;
    uint64_t offset; /* the stream up to here is executed with it */
    uint32_t commands;
    uint32_t bytes;
    uint32_t key_len; /* as in target_call */
    bool absolute;
    char name[LANE_NAME_SHOWN];
    char key[TARGET_KEY_SHOWN];
};

struct lanes_user {
    /* error: "", or why it failed for good. Once for each unit, unless it broke. */
    void (*on_done)(void *context, const struct lane_unit *unit, const char *error);
    void (*on_broken)(void *context, const struct lane_unit *unit, const char *why);
};

struct lane;

struct lanes {
    struct target *target;
    const struct lanes_user *user;
    void *context;
    const char *marker; /* borrowed: begin of the markers' names, up to the tag */
    char history[9];    /* begins each marker's value; begin of the id of the source's history */
    struct lane *lanes; /* one for each slot */
    struct list_node ready, flying;
    struct slab flights;
    uint64_t held_bytes; /* of batches, sent or not */
    uint32_t held;       /* units in batches that are not sent */
    bool *marked;        /* slots that have a marker of ours */
    uint64_t skipped_to; /* units up to this offset may have been executed before */
    bool broken;
};

void lanes_open(struct lanes *l, struct target *target, const char *marker,
                const struct lanes_user *user, void *context);
void lanes_close(struct lanes *l);
/* The unit's commands, one behind the other; all about that key's slot. */
void lanes_send(struct lanes *l, const struct lane_unit *unit, struct span key, struct span bytes);
/* Sends what may be sent. Not from inside a done. */
void lanes_flush(struct lanes *l);
/* Forgets everything; target_drop has been called. */
void lanes_reset(struct lanes *l);
/* The name of a slot's marker. */
void lane_marker(const struct target *target, const char *marker, uint16_t slot,
                 char name[LANE_MARKER_MAX]);

#endif
