#include "migrate/rdb_type.h"

#include <stddef.h>

#include "base/check.h"

/* What is common to both forms of newer streams: entries; their number, the last, the first and the
   largest deleted id, entries added; groups, of which only the consumers differ. */
#define STREAM_2_HEAD "(SSe)LLLLLLLLt(SLLLg"
#define PENDING "(I8Lp)"

/* clang-format off */
static const struct rdb_type types[] = {
    [0] = { "string", "S", RDB_STRING, 6 },
    [1] = { "list", "(Sm)", RDB_LIST, 6 },
    [2] = { "set", "(Sm)", RDB_SET, 6 },
    [3] = { "zset", "(SZz)", RDB_ZSET, 6 },
    [4] = { "hash", "(SSf)", RDB_HASH, 6 },
    [5] = { "zset-2", "(S8y)", RDB_ZSET, 8 },
    [7] = { "module-2", "LM", RDB_MODULE, 8 },
    [9] = { "hash-zipmap", "Sa", RDB_HASH, 6 },
    [10] = { "list-ziplist", "Sb", RDB_LIST, 6 },
    [11] = { "set-intset", "Si", RDB_SET, 6 },
    [12] = { "zset-ziplist", "Sd", RDB_ZSET, 6 },
    [13] = { "hash-ziplist", "Sh", RDB_HASH, 6 },
    [14] = { "list-quicklist", "(Sb)", RDB_LIST, 7 },
    [15] = { "stream-listpacks", "(SSe)LLLu(SLLv" PENDING "(S8c(Iq)))", RDB_STREAM, 9 },
    [16] = { "hash-listpack", "Sk", RDB_HASH, 10 },
    [17] = { "zset-listpack", "Sj", RDB_ZSET, 10 },
    [18] = { "list-quicklist-2", "(LSn)", RDB_LIST, 10 },
    [19] = { "stream-listpacks-2", STREAM_2_HEAD PENDING "(S8c(Iq)))", RDB_STREAM, 10 },
    [20] = { "set-listpack", "Sl", RDB_SET, 11 },
    [21] = { "stream-listpacks-3", STREAM_2_HEAD PENDING "(S88c(Iq)))", RDB_STREAM, 11 },
    [22] = { "hash-metadata-pre-ga", "(LSSx)", RDB_HASH, RDB_NO_VERSION },
    [23] = { "hash-listpack-ex-pre-ga", "Ss", RDB_HASH, RDB_NO_VERSION },
    [24] = { "hash-metadata", "8o(LSSr)", RDB_HASH, 12 },
    [25] = { "hash-listpack-ex", "8oSs", RDB_HASH, 12 },
};

static const struct rdb_type valkey_hash = { "hash-2", "(SS8w)", RDB_HASH, RDB_VALKEY_VERSION };

enum { OP_FIRST = RDB_OP_SLOT_INFO };

static const char *const ops[] = {
    [RDB_OP_SLOT_INFO - OP_FIRST] = "LLL",
    [RDB_OP_FUNCTION - OP_FIRST] = "S",
    [RDB_OP_FUNCTION_PRE_GA - OP_FIRST] = NULL,
    [RDB_OP_MODULE_AUX - OP_FIRST] = "LM",
    [RDB_OP_IDLE - OP_FIRST] = "L",
    [RDB_OP_FREQ - OP_FIRST] = "1",
    [RDB_OP_AUX - OP_FIRST] = "SS",
    [RDB_OP_RESIZE_DB - OP_FIRST] = "LL",
    [RDB_OP_EXPIRE_MS - OP_FIRST] = "8",
    [RDB_OP_EXPIRE - OP_FIRST] = "4",
    [RDB_OP_SELECT_DB - OP_FIRST] = "L",
    [RDB_OP_EOF - OP_FIRST] = "",
};
/* clang-format on */

const struct rdb_type *rdb_type_find(uint8_t type, bool valkey)
{
    if (valkey && type >= RDB_TYPE_HASH_2)
        return type == RDB_TYPE_HASH_2 ? &valkey_hash : NULL;
    return type < ARRAY_LEN(types) && types[type].name != NULL ? &types[type] : NULL;
}

const char *rdb_op_layout(uint8_t op, bool valkey)
{
    if (op == RDB_OP_SLOT_IMPORT && valkey)
        return "S(LL)";
    return op >= OP_FIRST ? ops[op - OP_FIRST] : NULL;
}
