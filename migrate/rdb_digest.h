/*
 * rdb_digest.h: what a DUMP payload holds, as a number that is the same for every encoding.
 *
 * Two values with the same elements have the same digest: in any order where the type has none,
 * stored as listpack or table. Left out is what a copy by commands cannot keep: when a consumer was
 * seen; and the times of single hash fields (rdb_field_times.h). Of a module's value, only the
 * bytes. Pure.
 */
#ifndef MIGRATE_RDB_DIGEST_H
#define MIGRATE_RDB_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "migrate/rdb_decode.h"

struct rdb_digest {
    uint64_t a, b;
};

/* The same of a value that comes in any pieces, without keeping it. */
struct rdb_digester {
    struct rdb_digest digest; /* valid behind rdb_digester_end */
    /* Of fields with a time: how many, which ones, the sum of their times. */
    uint64_t timed, timed_names, times;
    /* Private from here on. */
    struct rdb_digest sequence; /* of what has an order: lists, streams, the bytes of a string */
    struct rdb_decode decode;
    const struct rdb_type *type;
    bool ordered, bad;
};

/* type: NULL if it is unknown; then only the bytes count. */
void rdb_digester_open(struct rdb_digester *d, const struct rdb_type *type);
void rdb_digester_take(struct rdb_digester *d, struct span bytes);
/* False: the value is damaged. It is closed in any case. */
MUST_USE bool rdb_digester_end(struct rdb_digester *d);

/* False: no payload, or of a type that this program does not know. */
MUST_USE bool rdb_digest_of(struct rdb_digest *d, struct span payload);

#endif
