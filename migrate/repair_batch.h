/*
 * repair_batch.h: some keys as the source and the target have them, on their way through a repair.
 *
 * What is asked and written, and what the answers mean; when is repair.c's business. Values come
 * one after the other and are handed on while they come: a small one as RESTORE, one above
 * --big-key, or of a type that the target does not know, by commands (build.h). Of those that are
 * only compared nothing is kept but a digest. So memory holds one small value and the window.
 */
#ifndef MIGRATE_REPAIR_BATCH_H
#define MIGRATE_REPAIR_BATCH_H

#include "migrate/rdb_digest.h"
#include "migrate/repair.h"

/* A value as it comes, on either side. */
struct repair_side {
    struct rdb_digester digester;
    struct rdb_digest digest;
    bool open, there;
};

struct repair_key {
    struct repair_batch *batch;
    struct writer label;   /* databases.h */
    struct span own, name; /* in label: what the source calls it, and the target */
    uint64_t db;           /* at the source */
    uint16_t database;     /* at the target */
    int64_t expire_at;     /* ms since 1970; RDB_NO_TIME */
    struct repair_side source, target;
    struct dump_reply reply;        /* the target's, when it is only compared */
    char error[TARGET_ERROR_SHOWN]; /* "": it is as it should be */
};

struct repair_batch {
    struct repair *repair;
    struct repair_key keys[REPAIR_BATCH];
    uint32_t count, at;          /* keys; the one that comes now */
    uint32_t pending;            /* at the target: commands, values under construction */
    bool writes;                 /* else it is only compared */
    bool ended;                  /* the source's answer */
    struct writer value;         /* of the key that comes now, unless it is built */
    const struct rdb_type *type; /* of it; NULL: unknown */
    struct build *build;         /* or NULL */
};

struct repair_batch *repair_batch_new(struct repair *r, bool writes);
void repair_batch_free(struct repair_batch *b);
/* False: it is full. */
bool repair_batch_add(struct repair_batch *b, struct span label);
/* Then the fetch tells the point. */
void repair_batch_ask(struct repair_batch *b);
/* The point is reached: takes what has come, as far as there is room. Over when it has ended and
   nothing is pending. */
void repair_batch_take(struct repair_batch *b);

#endif
