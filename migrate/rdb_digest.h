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

#include "base/check.h"
#include "resp/span.h"

struct rdb_digest {
    uint64_t a, b;
};

/* False: no payload, or of a type that this program does not know. */
MUST_USE bool rdb_digest_of(struct rdb_digest *d, struct span payload);

#endif
