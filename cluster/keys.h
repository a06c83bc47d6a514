/*
 * keys.h: where the keys of a request stand, and which slot they name.
 *
 * Pure: works on a command row and spans. Follows Redis's key specifications (db.c,
 * getKeysUsingKeySpecs) and, where those are marked incomplete, Redis's own getkeys procedures
 * (SORT ... STORE, MIGRATE ... KEYS, GEORADIUS ... STORE, ZUNIONSTORE, EVAL ...).
 */
#ifndef CLUSTER_KEYS_H
#define CLUSTER_KEYS_H

#include "cluster/command.h"

enum {
    KEYS_NONE = -1,  /* the request names no key */
    KEYS_CROSS = -2, /* keys in more than one slot */
    KEYS_BAD = -3,   /* malformed: a key count that is no number or exceeds the arguments */
};

/* One key found: its argument index and what the command does with it. */
struct key_at {
    uint32_t arg;
    uint16_t flags; /* enum key_flag */
};

/* Private: argument positions next, next + step, ... below end. */
struct key_range {
    uint32_t next, end;
    uint16_t step, flags;
};

/*
 * A walk over the keys in the order in which COMMAND GETKEYS prints them. A channel that is routed
 * like a key (KEY_NOT_KEY) is left out. A malformed request is BAD before any key of it is shown.
 *   struct key_walk w;
 *   for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w)) use(w.key);
 * Both return 1 (w.key is set), 0 (no more), or KEYS_BAD.
 */
struct key_walk {
    struct key_at key;
    /* Private from here on. */
    uint32_t at, count;
    struct key_range ranges[KEY_SPECS_MAX];
};

int key_walk_start(struct key_walk *w, const struct command *cmd, const struct argv *argv);
int key_walk_next(struct key_walk *w);

/* The slot that all keys share (0..16383), or KEYS_NONE, KEYS_CROSS, KEYS_BAD; the channels of
   SPUBLISH and SSUBSCRIBE (KEY_NOT_KEY) count as keys here. Hot. */
int keys_slot(const struct command *cmd, const struct argv *argv);

#endif
