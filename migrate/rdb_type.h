/*
 * rdb_type.h: what stands in an RDB file behind each type and opcode, one row each. Pure data.
 *
 * A layout is a text that says how to find the end of a value, and where its parts are:
 *   S  a string         L  a length          1 4 8 I  that many raw bytes (I: 16)
 *   Z  a score of old   M  module fields up to the one that ends them
 *   ( )  a length, and that many times what stands between
 *   a-z  a mark: what was read since the last one is a part (rdb_decode.c knows which)
 * Source: rdb.c and rdb.h of Redis 1.3 to 8.0 and of Valkey 9.
 */
#ifndef MIGRATE_RDB_TYPE_H
#define MIGRATE_RDB_TYPE_H

#include <stdbool.h>
#include <stdint.h>

enum rdb_kind { RDB_STRING, RDB_LIST, RDB_SET, RDB_ZSET, RDB_HASH, RDB_STREAM, RDB_MODULE };

enum { RDB_TYPE_STRING = 0, RDB_TYPE_HASH_2 = 22 };

enum {
    RDB_VERSION_MAX = 12,    /* of Redis that we can read */
    RDB_TIMED_HASH = 12,     /* of a hash from here on: its fields may have times */
    RDB_VERSION_LONG = 8,    /* the first one with lengths of 64 bits */
    RDB_VALKEY_VERSION = 80, /* the first one of Valkey's own */
    RDB_VALKEY_VERSION_MAX = 80,
    RDB_NO_VERSION = UINT16_MAX, /* no RESTORE takes it: the value has to be rewritten */
};

enum rdb_op {
    RDB_OP_SLOT_IMPORT = 243, /* Valkey */
    RDB_OP_SLOT_INFO = 244,
    RDB_OP_FUNCTION = 245,
    RDB_OP_FUNCTION_PRE_GA = 246,
    RDB_OP_MODULE_AUX = 247,
    RDB_OP_IDLE = 248,
    RDB_OP_FREQ = 249,
    RDB_OP_AUX = 250,
    RDB_OP_RESIZE_DB = 251,
    RDB_OP_EXPIRE_MS = 252,
    RDB_OP_EXPIRE = 253,
    RDB_OP_SELECT_DB = 254,
    RDB_OP_EOF = 255,
};

struct rdb_type {
    const char *name;
    const char *layout;
    uint8_t kind;     /* enum rdb_kind */
    uint16_t version; /* the lowest one that a payload with this type can be stamped with */
};

/* NULL: unknown. valkey: the file's magic says so; some numbers have two meanings. */
const struct rdb_type *rdb_type_find(uint8_t type, bool valkey);
/* The layout behind an opcode; NULL: unknown here. */
const char *rdb_op_layout(uint8_t op, bool valkey);

#endif
