/*
 * repair_batch.h: some keys as the source and the target have them, on their way through a repair.
 *
 * What is asked and written, and what the answers mean; when is repair.c's business.
 */
#ifndef MIGRATE_REPAIR_BATCH_H
#define MIGRATE_REPAIR_BATCH_H

#include "migrate/repair.h"

struct repair_key {
    struct repair_batch *batch;
    struct writer name;             /* its label (databases.h) */
    struct span own;                /* in name: what the source calls it */
    uint64_t db;                    /* there */
    struct span payload;            /* in the batch's answer; at NULL: the source has no such key */
    int64_t ttl;                    /* ms, as PTTL says */
    char error[TARGET_ERROR_SHOWN]; /* "": it is as it should be */
};

struct repair_batch {
    struct list_node link; /* in repair->batches */
    struct repair *repair;
    struct repair_key keys[REPAIR_BATCH];
    uint32_t count;
    uint32_t pending; /* at the target */
    bool asking;      /* the source has not answered yet */
    bool answered;
    bool given_up;                  /* the source's answer frees it */
    bool writes;                    /* else it is only compared */
    uint64_t offset;                /* of the stream, at which the source has answered */
    struct writer answer;           /* the source's */
    char error[TARGET_ERROR_SHOWN]; /* "": the source has told all */
};

struct repair_batch *repair_batch_new(struct repair *r, bool writes);
void repair_batch_free(struct repair_batch *b);
/* False: it is full. */
bool repair_batch_add(struct repair_batch *b, struct span name);
/* Sets asking until the answer is there. */
void repair_batch_ask(struct repair_batch *b);
/* pending falls to 0. */
void repair_batch_write(struct repair_batch *b);

#endif
