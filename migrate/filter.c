#include "migrate/filter.h"

#include "base/text.h"

static const char *const kinds[] = {
    [RDB_STRING] = "string", [RDB_LIST] = "list",     [RDB_SET] = "set",       [RDB_ZSET] = "zset",
    [RDB_HASH] = "hash",     [RDB_STREAM] = "stream", [RDB_MODULE] = "module",
};

/* Writing commands by the type that they are about; SORT, RENAME, DEL and their like know none. */
static const struct {
    const char *name;
    uint8_t kind; /* enum rdb_kind */
} typed[] = {
    { "append", RDB_STRING },
    { "bitfield", RDB_STRING },
    { "bitop", RDB_STRING },
    { "decr", RDB_STRING },
    { "decrby", RDB_STRING },
    { "getdel", RDB_STRING },
    { "getset", RDB_STRING },
    { "incr", RDB_STRING },
    { "incrby", RDB_STRING },
    { "incrbyfloat", RDB_STRING },
    { "mset", RDB_STRING },
    { "msetnx", RDB_STRING },
    { "pfadd", RDB_STRING },
    { "pfcount", RDB_STRING },
    { "pfmerge", RDB_STRING },
    { "psetex", RDB_STRING },
    { "set", RDB_STRING },
    { "setbit", RDB_STRING },
    { "setex", RDB_STRING },
    { "setnx", RDB_STRING },
    { "setrange", RDB_STRING },
    { "linsert", RDB_LIST },
    { "lmove", RDB_LIST },
    { "lpop", RDB_LIST },
    { "lpush", RDB_LIST },
    { "lpushx", RDB_LIST },
    { "lrem", RDB_LIST },
    { "lset", RDB_LIST },
    { "ltrim", RDB_LIST },
    { "rpop", RDB_LIST },
    { "rpoplpush", RDB_LIST },
    { "rpush", RDB_LIST },
    { "rpushx", RDB_LIST },
    { "sadd", RDB_SET },
    { "sdiffstore", RDB_SET },
    { "sinterstore", RDB_SET },
    { "smove", RDB_SET },
    { "spop", RDB_SET },
    { "srem", RDB_SET },
    { "sunionstore", RDB_SET },
    { "geoadd", RDB_ZSET },
    { "georadius", RDB_ZSET },
    { "georadiusbymember", RDB_ZSET },
    { "geosearchstore", RDB_ZSET },
    { "zadd", RDB_ZSET },
    { "zdiffstore", RDB_ZSET },
    { "zincrby", RDB_ZSET },
    { "zinterstore", RDB_ZSET },
    { "zpopmax", RDB_ZSET },
    { "zpopmin", RDB_ZSET },
    { "zrangestore", RDB_ZSET },
    { "zrem", RDB_ZSET },
    { "zremrangebylex", RDB_ZSET },
    { "zremrangebyrank", RDB_ZSET },
    { "zremrangebyscore", RDB_ZSET },
    { "zunionstore", RDB_ZSET },
    { "hdel", RDB_HASH },
    { "hgetdel", RDB_HASH },
    { "hexpire", RDB_HASH },
    { "hexpireat", RDB_HASH },
    { "hincrby", RDB_HASH },
    { "hincrbyfloat", RDB_HASH },
    { "hmset", RDB_HASH },
    { "hpersist", RDB_HASH },
    { "hpexpire", RDB_HASH },
    { "hpexpireat", RDB_HASH },
    { "hset", RDB_HASH },
    { "hsetex", RDB_HASH },
    { "hsetnx", RDB_HASH },
    { "xack", RDB_STREAM },
    { "xadd", RDB_STREAM },
    { "xautoclaim", RDB_STREAM },
    { "xclaim", RDB_STREAM },
    { "xdel", RDB_STREAM },
    { "xgroup", RDB_STREAM },
    { "xsetid", RDB_STREAM },
    { "xtrim", RDB_STREAM },
};

static bool is_set(const struct filter_lists *l)
{
    return l->include.count > 0 || l->exclude.count > 0;
}

bool filter_is_empty(const struct filter *f)
{
    return !is_set(&f->keys) && !is_set(&f->commands) && !is_set(&f->types) &&
           !is_set(&f->databases) && f->owner == NULL;
}

static bool lists_one(const struct option_list *l, struct span text, bool glob)
{
    for (size_t i = 0; i < l->count; i++) {
        size_t len = strlen(l->items[i]);
        bool hit = glob ? text_glob(l->items[i], len, text.at, text.len, false)
                        : text_equal_nocase(l->items[i], len, text.at, text.len);
        if (hit)
            return true;
    }
    return false;
}

static bool passes(const struct filter_lists *l, struct span text, bool glob)
{
    bool named = l->include.count == 0 || lists_one(&l->include, text, glob);
    return named && !lists_one(&l->exclude, text, glob);
}

enum filter_verdict filter_key(const struct filter *f, struct span key)
{
    if (!passes(&f->keys, key, true))
        return FILTER_OUT;
    if (f->owner == NULL || key_owner_is_me(f->owner, key))
        return FILTER_TAKE;
    return f->report ? FILTER_REPORTED : FILTER_STALE;
}

bool filter_command(const struct filter *f, struct span name)
{
    return passes(&f->commands, name, false);
}

bool filter_type(const struct filter *f, enum rdb_kind kind)
{
    return passes(&f->types, (struct span){ kinds[kind], strlen(kinds[kind]) }, false);
}

bool filter_type_of_command(const struct filter *f, struct span name)
{
    if (!is_set(&f->types))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(typed); i++)
        if (span_is(name, typed[i].name))
            return filter_type(f, typed[i].kind);
    return true;
}

bool filter_database(const struct filter *f, uint64_t db)
{
    char digits[TEXT_NUMBER_MAX];
    return passes(&f->databases, (struct span){ digits, text_from_u64(digits, db) }, false);
}

const char *filter_type_fault(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (text_equal_nocase(text, strlen(text), kinds[i], strlen(kinds[i])))
            return NULL;
    return "a type is string, list, set, zset, hash, stream or module";
}

const char *filter_database_fault(const char *text)
{
    uint64_t db;
    return text_to_u64(text, strlen(text), &db) ? NULL : "a database is a number";
}
