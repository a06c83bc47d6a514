/*
 * apply_across_steps.h: what each kind of command between slots asks and writes, for
 * apply_across.c, which says when. Pure but for reading the clock.
 */
#ifndef MIGRATE_APPLY_ACROSS_STEPS_H
#define MIGRATE_APPLY_ACROSS_STEPS_H

#include "migrate/apply_across.h"

enum across_kind {
    ACROSS_NONE,   /* there are no steps for it */
    ACROSS_RENAME, /* the value goes to the destination, then the source is deleted */
    ACROSS_COPY,   /* likewise, and the source stays */
    ACROSS_POP,    /* an element goes to the destination, then it is taken off the source */
    ACROSS_GATHER, /* copies of what it reads beside what it writes; then it is executed there */
    ACROSS_WHOLE,  /* as it is, in one transaction with all markers */
    ACROSS_AS_IS,  /* as it is, and the markers behind it */
};

/* One key of the command. */
struct across_key {
    uint32_t arg;
    uint16_t slot;
    bool first;          /* of its slot */
    struct writer value; /* the reply to what was asked of it; nothing if that was not needed */
    struct writer time;
};

/* Which kind a command of keys in several slots is, for a cluster or anything that takes no
   transaction over several slots. *at: the argument that names the destination; 0: there is none.
 */
enum across_kind across_kind_of(const struct command *cmd, const struct argv *argv, uint32_t *at);

/* What is read of a key that is not in the destination's slot: writes the request and gives the
   command's name; none: len 0. */
struct span across_ask(enum across_kind kind, const struct argv *argv, struct span key,
                       struct writer *w);

/* What the replies have told. */
struct across_read {
    const struct argv *argv;
    const struct across_key *keys;
    uint32_t count;
    uint16_t slot;   /* the destination's */
    const char *tag; /* likewise */
    bool absolute;   /* facts.absolute */
    bool expire_time;
    int64_t now;
};

/* The commands of the destination's slot, one behind the other; gives how many. 0: *why says why
   there are none. */
uint32_t across_write(enum across_kind kind, const struct across_read *r, struct writer *w,
                      const char **why);
/* Those of another slot: what the command takes away there. Gives how many, maybe none. */
uint32_t across_clear(enum across_kind kind, const struct argv *argv, struct span key,
                      struct writer *w);

#endif
