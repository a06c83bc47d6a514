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
    KEYS_NONE = -1,      /* the request names no key */
    KEYS_CROSS = -2,     /* keys in more than one slot */
    KEYS_BAD = -3,       /* malformed: a key count that is no number or exceeds the arguments */
};

/* One key found: its argument index and the spec it came from. */
struct key_at {
    uint32_t arg;
    uint16_t flags; /* enum key_flag */
};

/*
 * A walk over the keys in the order in which COMMAND GETKEYS prints them.
 *   struct key_walk w;
 *   for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w)) use(w.key);
 * Both return 1 (w.key is set), 0 (no more), or KEYS_BAD.
 */
struct key_walk {
    const struct command *cmd;
    const struct argv *argv;
    struct key_at key;
    /* Private from here on. */
    uint32_t spec;
    uint32_t next, end, step;
};

int key_walk_start(struct key_walk *w, const struct command *cmd, const struct argv *argv);
int key_walk_next(struct key_walk *w);

/* The slot that all keys share (0..16383), or KEYS_NONE, KEYS_CROSS, KEYS_BAD. Hot. */
int keys_slot(const struct command *cmd, const struct argv *argv);

#endif
