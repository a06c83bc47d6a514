/*
 * rdb_walk.h: walks through the bytes of one value (or of what belongs to an opcode) by its layout.
 *
 * Constant memory, no recursion, no allocation; takes the bytes in any pieces. Whoever only wants
 * the end skips every token up to WALK_DONE; whoever decodes looks at them.
 */
#ifndef MIGRATE_RDB_WALK_H
#define MIGRATE_RDB_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum walk_token {
    WALK_BAD = -1, /* a length or a module field that no server writes */
    WALK_MORE = 0, /* all bytes used */
    WALK_DONE,     /* the value ends after *used bytes */
    WALK_COUNT,    /* number: rounds of the loop that begins */
    WALK_NUMBER,   /* number: a length */
    WALK_FIXED,    /* fixed, fixed_len: raw bytes; of a score without text number is its code */
    WALK_STRING,   /* a string begins, see form */
    WALK_PIECE,    /* *used bytes of it as they are stored; `body` are still to come */
    WALK_MARK,     /* mark */
};

enum walk_form {
    WALK_PLAIN,  /* number bytes follow in pieces */
    WALK_PACKED, /* LZF: body bytes follow, number once unpacked */
    WALK_INT,    /* integer, nothing follows */
};

enum { WALK_LOOPS = 3, WALK_FIXED_MAX = 255 };

struct rdb_walk {
    uint64_t number;
    int64_t integer;
    uint64_t body; /* bytes of a string that are still to come */
    uint8_t form;  /* enum walk_form */
    char mark;
    bool long_lengths;  /* some length had 64 bits, which RDB knows from version 8 on */
    bool empty;         /* its first loop has no round */
    uint16_t fixed_len; /* bytes in fixed */
    /* Private from here on. */
    uint16_t fixed_want;
    uint8_t state, encoding, want, depth;
    bool first_byte, any_loop;
    const char *at; /* in the layout */
    uint64_t value; /* of the length that is being read */
    struct {
        const char *begin;
        uint64_t left;
    } loops[WALK_LOOPS];
    char fixed[WALK_FIXED_MAX + 1];
};

/* The layout must live as long as the walk. */
void rdb_walk_start(struct rdb_walk *w, const char *layout);
/* len may be 0: a token that needs no byte comes all the same. */
enum walk_token rdb_walk_next(struct rdb_walk *w, const char *bytes, size_t len, size_t *used);
/* Goes on to the end: WALK_DONE, WALK_MORE or WALK_BAD. */
enum walk_token rdb_walk_skip(struct rdb_walk *w, const char *bytes, size_t len, size_t *used);

#endif
