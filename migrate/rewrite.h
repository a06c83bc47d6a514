/*
 * rewrite.h: one value of an RDB file as the commands that build it: for a value that is too large
 * for one RESTORE, or of a type that the target does not know.
 *
 * Takes the value's bytes in any pieces and gives commands of bounded size. Pure: knows no
 * connection. Memory: one element, one command, and of a stream the pending entries of one group.
 */
#ifndef MIGRATE_REWRITE_H
#define MIGRATE_REWRITE_H

#include "migrate/rdb_decode.h"
#include "migrate/target_facts.h"

enum {
    REWRITE_BYTES = 64 * 1024, /* of elements in one command, as far as elements can be parted */
    REWRITE_ELEMENTS = 512,
};

/* again: may be executed twice without harm, because the key is private to us. */
typedef void rewrite_fn(void *context, struct span name, struct span command, bool again);

/* One pending entry of a stream's group. */
struct rewrite_pending {
    struct stream_id id;
    int64_t time;
    uint64_t count;
};

struct rewrite {
    struct rdb_decode decode;
    const struct target_facts *facts;
    struct span key; /* borrowed: the key to build */
    rewrite_fn *out;
    void *context;
    /* The time that a field shall get in place of its own; NULL: that. The user's to set. */
    int64_t (*field_time)(void *context, struct span field, int64_t at);
    const char *error;         /* what cannot be done; NULL so far */
    uint64_t commands;         /* given so far */
    uint64_t field_times_lost; /* the target has none */
    /* Private from here on. */
    struct writer args, command; /* of the command that is being gathered; scratch */
    uint32_t arg_count;
    int64_t time; /* of the fields whose names are in `group` */
    uint32_t time_count;
    uint64_t entries;
    struct writer group, consumer;
    struct rewrite_pending *pending;
    uint32_t pending_count, pending_room;
};

/* Borrows facts and key. False: the value cannot be rewritten at all, error says why. */
MUST_USE bool rewrite_open(struct rewrite *w, const struct rdb_type *type, struct span key,
                           const struct target_facts *facts, rewrite_fn *out, void *context);
void rewrite_close(struct rewrite *w);
/* False: error is set. */
MUST_USE bool rewrite_take(struct rewrite *w, struct span bytes);
/* Behind the last byte. False: error is set. */
MUST_USE bool rewrite_end(struct rewrite *w);

#endif
