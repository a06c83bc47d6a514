/*
 * rdb_decode.h: takes one value of an RDB file or DUMP payload apart into its elements, whatever
 * its encoding.
 *
 * Takes the bytes in any pieces and gives items to a function, in the order of the file. Memory:
 * one element, or one of the compact strings (ziplist, listpack) in which servers store some
 * elements together; a string value comes in pieces. A module's value cannot be taken apart.
 */
#ifndef MIGRATE_RDB_DECODE_H
#define MIGRATE_RDB_DECODE_H

#include "migrate/rdb_text.h"
#include "migrate/rdb_type.h"

struct stream_id {
    uint64_t ms, seq;
};

enum rdb_part {
    RDB_PART_BYTES,    /* name: the next bytes of a string */
    RDB_PART_MEMBER,   /* name: an element of a list or set */
    RDB_PART_SCORED,   /* name, score */
    RDB_PART_FIELD,    /* name, value, expire_at */
    RDB_PART_ENTRY,    /* of a stream: id, fields (name and value in turn) */
    RDB_PART_STREAM,   /* behind its entries: id (the last one), length, added, deleted */
    RDB_PART_GROUP,    /* name, id (last delivered), read (-1: unknown) */
    RDB_PART_PENDING,  /* id, time, count: in the order of ids */
    RDB_PART_CONSUMER, /* name; time: last seen */
    RDB_PART_CLAIM,    /* id of a pending entry that is this consumer's */
};

struct rdb_item {
    enum rdb_part part;
    struct span name, value; /* lent until the function returns, like fields */
    double score;
    int64_t expire_at; /* ms since 1970; -1: never */
    struct stream_id id, deleted;
    uint64_t length, added, count;
    int64_t time, read;
    bool has_added; /* added and deleted are known */
    const struct span *fields;
    uint32_t field_count;
};

/* False: stop, the value is of no use any more. */
typedef bool rdb_item_fn(void *context, const struct rdb_item *item);

enum { DECODE_TEXTS = 2, DECODE_NUMBERS = 8, DECODE_EIGHTS = 2 };

struct rdb_decode {
    const struct rdb_type *type;
    rdb_item_fn *out;
    void *context;
    bool done; /* the last byte has been taken */
    /* Private from here on: what was read since the last mark. */
    struct rdb_walk walk;
    struct rdb_text texts[DECODE_TEXTS];
    uint8_t text_count, number_count, eight_count;
    uint64_t numbers[DECODE_NUMBERS];
    uint64_t eights[DECODE_EIGHTS];
    struct stream_id id;
    double score;
    uint64_t min_expire;
    struct writer words; /* of stream entries */
    struct span *fields; /* room for an entry's */
    uint32_t fields_room;
};

/* The type's kind is not RDB_MODULE. */
void rdb_decode_open(struct rdb_decode *d, const struct rdb_type *type, rdb_item_fn *out,
                     void *context);
void rdb_decode_close(struct rdb_decode *d);
/* False: damaged, or the function said so. Behind the end nothing may come. */
MUST_USE bool rdb_decode_take(struct rdb_decode *d, struct span bytes);

/* For rdb_stream.c: gives the entries of one node of a stream. */
bool rdb_stream_entries(struct rdb_decode *d, struct span first_id, struct span listpack);

#endif
