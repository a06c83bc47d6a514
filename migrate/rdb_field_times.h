/*
 * rdb_field_times.h: how far the times of the fields of two hashes are apart, of which both are
 * given as DUMP payloads. Pure.
 */
#ifndef MIGRATE_RDB_FIELD_TIMES_H
#define MIGRATE_RDB_FIELD_TIMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

/* ms: by how much at most; UINT64_MAX: a field has a time here and none there. 0 if neither is a
   hash. False: a payload cannot be read. */
MUST_USE bool rdb_field_times_apart(struct span a, struct span b, uint64_t *ms);

#endif
