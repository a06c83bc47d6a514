/*
 * rdb_text.h: one string of an RDB file as its reader meant it, put together from a walk's tokens.
 */
#ifndef MIGRATE_RDB_TEXT_H
#define MIGRATE_RDB_TEXT_H

#include "migrate/lzf.h"
#include "migrate/rdb_walk.h"

/* Zero is empty and owns nothing. */
struct rdb_text {
    struct writer bytes; /* what is there so far; may be emptied between two tokens */
    uint64_t taken;      /* bytes in all */
    struct lzf *lzf;     /* made when first needed */
};

void rdb_text_close(struct rdb_text *t);
/* WALK_STRING and WALK_PIECE. False: no LZF, or longer than max. */
MUST_USE bool rdb_text_take(struct rdb_text *t, const struct rdb_walk *w, enum walk_token token,
                            struct span stored, uint64_t max);
static inline struct span rdb_text_span(const struct rdb_text *t)
{
    return (struct span){ t->bytes.at != NULL ? t->bytes.at : "", t->bytes.len };
}

#endif
