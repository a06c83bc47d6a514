/*
 * rdb_packed.h: walks through the elements of the compact forms in which small collections are
 * stored: ziplist, listpack, intset, zipmap.
 *
 * Borrows the bytes, which are one whole string of an RDB file; believes nothing in them. Sources:
 * the comments at the head of ziplist.c, listpack.c, intset.c and zipmap.c in Redis.
 */
#ifndef MIGRATE_RDB_PACKED_H
#define MIGRATE_RDB_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/text.h"
#include "resp/span.h"

enum rdb_packing { RDB_ZIPLIST, RDB_LISTPACK, RDB_INTSET, RDB_ZIPMAP };

struct rdb_packed {
    const unsigned char *at, *end;
    uint8_t packing;
    uint8_t width; /* of an intset's numbers */
    bool in_value; /* of a zipmap: the next one is a value */
    char digits[TEXT_NUMBER_MAX];
};

/* False: too short for its own head, or of another length than that says. */
MUST_USE bool rdb_packed_open(struct rdb_packed *p, enum rdb_packing packing, struct span bytes);
/* 1: *out is the next element, lent until the next call; 0: there is none; -1: damaged. */
MUST_USE int rdb_packed_next(struct rdb_packed *p, struct span *out);

#endif
