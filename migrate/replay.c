#include "migrate/replay.h"

#include <string.h>

#include "base/check.h"

typedef bool absolute_if(const struct span *words, size_t count);

/* ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member ... */
static bool zadd(const struct span *words, size_t count)
{
    static const char *const conditions[] = { "nx", "xx", "gt", "lt", "incr" };
    for (size_t i = 2; i < count && i < 6; i++)
        for (size_t j = 0; j < ARRAY_LEN(conditions); j++)
            if (span_is(words[i], conditions[j]))
                return false;
    return true;
}

/* HPEXPIREAT key ms [condition] FIELDS ... */
static bool field_time(const struct span *words, size_t count)
{
    return count > 3 && span_is(words[3], "fields");
}

static bool xtrim(const struct span *words, size_t count)
{
    return count > 2 && span_is(words[2], "minid");
}

static bool restore(const struct span *words, size_t count)
{
    for (size_t i = 4; i < count; i++)
        if (span_is(words[i], "replace"))
            return true;
    return false;
}

/* clang-format off */
/* XADD is none: behind a later entry the server takes no earlier one any more. */
static const struct {
    const char *name;
    absolute_if *when; /* NULL: always */
} absolute[] = {
    { "del", NULL },
    { "getset", NULL },
    { "hdel", NULL },
    { "hmset", NULL },
    { "hpersist", NULL },
    { "hpexpireat", field_time },
    { "hset", NULL },
    { "hsetex", NULL },
    { "lset", NULL },
    { "mset", NULL },
    { "persist", NULL },
    { "pexpireat", NULL },
    { "pfadd", NULL },
    { "restore", restore },
    { "sadd", NULL },
    { "set", NULL },
    { "setbit", NULL },
    { "setrange", NULL },
    { "srem", NULL },
    { "unlink", NULL },
    { "xack", NULL },
    { "xdel", NULL },
    { "xtrim", xtrim },
    { "zadd", zadd },
    { "zrem", NULL },
    { "zremrangebylex", NULL },
    { "zremrangebyscore", NULL },
};
/* clang-format on */

bool replay_is_absolute(const struct span *words, size_t count)
{
    for (size_t i = 0; i < ARRAY_LEN(absolute); i++)
        if (span_is(words[0], absolute[i].name))
            return absolute[i].when == NULL || absolute[i].when(words, count);
    return false;
}

static bool begins_with_one_of(const char *error, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(error, texts[i], strlen(texts[i])) == 0)
            return true;
    return false;
}

bool replay_is_expected(const char *error)
{
    static const char *const texts[] = { "WRONGTYPE",
                                         "BUSYGROUP",
                                         "NOGROUP",
                                         "ERR no such key",
                                         "ERR index out of range",
                                         "ERR Library not found" };
    return begins_with_one_of(error, texts, ARRAY_LEN(texts)) ||
           strstr(error, "equal or smaller") != NULL || strstr(error, "already exists") != NULL;
}

/* How EXEC puts it when it is itself refused. */
static const char *reason_of(const char *error)
{
    static const char because[] = "EXECABORT Transaction discarded because of: ";
    bool refused = strncmp(error, because, sizeof(because) - 1) == 0;
    return refused ? error + sizeof(because) - 1 : error;
}

bool replay_is_needed(const char *error)
{
    static const char *const texts[] = {
        "ASK ",   "BUSY ",  "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF",
        "MOVED ", "NOAUTH", "NOREPLICAS",  "OOM",     "READONLY",   "TRYAGAIN",
    };
    static const char *const parts[] = { "slotgate: no answer", " while waiting for node ",
                                         "may have been executed", "the connection was lost" };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strstr(error, parts[i]) != NULL)
            return true;
    return begins_with_one_of(reason_of(error), texts, ARRAY_LEN(texts));
}

bool replay_is_own_key(struct span key)
{
    static const char begin[] = "__mig:", temporary[] = "}slotgate:migrate:";
    if (key.len > 0 && key.at[0] == '{')
        return memmem(key.at, key.len, temporary, sizeof(temporary) - 1) != NULL;
    return key.len >= sizeof(begin) - 1 && memcmp(key.at, begin, sizeof(begin) - 1) == 0;
}
