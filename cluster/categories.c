#include "cluster/categories.h"

static const struct {
    const char *name;
    uint32_t bit;
} names[] = {
    { "keyspace", CAT_KEYSPACE },
    { "read", CAT_READ },
    { "write", CAT_WRITE },
    { "set", CAT_SET },
    { "sortedset", CAT_SORTEDSET },
    { "list", CAT_LIST },
    { "hash", CAT_HASH },
    { "string", CAT_STRING },
    { "bitmap", CAT_BITMAP },
    { "hyperloglog", CAT_HYPERLOGLOG },
    { "geo", CAT_GEO },
    { "stream", CAT_STREAM },
    { "pubsub", CAT_PUBSUB },
    { "admin", CAT_ADMIN },
    { "fast", CAT_FAST },
    { "slow", CAT_SLOW },
    { "blocking", CAT_BLOCKING },
    { "dangerous", CAT_DANGEROUS },
    { "connection", CAT_CONNECTION },
    { "transaction", CAT_TRANSACTION },
    { "scripting", CAT_SCRIPTING },
};

#define OF_SORT (CAT_LIST | CAT_SET | CAT_SORTEDSET | CAT_DANGEROUS)

/*
 * Rows that are not what their family is: `own` stands in its place. A row that is named here and
 * has subcommands stands for these, too.
 */
static const struct exception {
    const char *name;
    uint32_t own;
} exceptions[] = {
    { "asking", CAT_CONNECTION },
    { "bitcount", CAT_BITMAP },
    { "bitfield", CAT_BITMAP },
    { "bitfield_ro", CAT_BITMAP },
    { "bitop", CAT_BITMAP },
    { "bitpos", CAT_BITMAP },
    { "command", CAT_CONNECTION },
    { "dbsize", CAT_KEYSPACE },
    { "discard", CAT_TRANSACTION },
    { "exec", CAT_TRANSACTION },
    { "flushall", CAT_KEYSPACE | CAT_DANGEROUS },
    { "flushdb", CAT_KEYSPACE | CAT_DANGEROUS },
    { "getbit", CAT_BITMAP },
    { "info", CAT_DANGEROUS },
    { "keys", CAT_KEYSPACE | CAT_DANGEROUS },
    { "lastsave", CAT_ADMIN | CAT_DANGEROUS },
    { "migrate", CAT_KEYSPACE | CAT_DANGEROUS },
    { "multi", CAT_TRANSACTION },
    { "pfadd", CAT_HYPERLOGLOG },
    { "pfcount", CAT_HYPERLOGLOG },
    { "pfdebug", CAT_HYPERLOGLOG },
    { "pfmerge", CAT_HYPERLOGLOG },
    { "pfselftest", CAT_HYPERLOGLOG },
    { "proxy", CAT_DANGEROUS }, /* it tells of the whole proxy, as INFO and CLIENT LIST do */
    { "readonly", CAT_CONNECTION },
    { "readwrite", CAT_CONNECTION },
    { "restore", CAT_KEYSPACE | CAT_DANGEROUS },
    { "restore-asking", CAT_KEYSPACE | CAT_DANGEROUS },
    { "role", CAT_ADMIN | CAT_DANGEROUS },
    { "setbit", CAT_BITMAP },
    { "sort", OF_SORT },
    { "sort_ro", OF_SORT },
    { "swapdb", CAT_KEYSPACE | CAT_DANGEROUS },
    { "unwatch", CAT_TRANSACTION },
    { "wait", CAT_CONNECTION },
    { "watch", CAT_TRANSACTION },
};

uint32_t category_of_name(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_is(name, names[i].name))
            return names[i].bit;
    return 0;
}

static uint32_t own_of(const char *name, uint32_t family)
{
    for (size_t i = 0; i < ARRAY_LEN(exceptions); i++)
        if (strcmp(exceptions[i].name, name) == 0)
            return exceptions[i].own;
    return family;
}

uint32_t categories_derive(const struct command *c, uint32_t family)
{
    uint32_t own = own_of(c->parent != NULL ? c->parent->name : c->name, family);
    uint32_t flags = c->flags, all = (flags & CMD_FAST) != 0 ? CAT_FAST : CAT_SLOW;
    /* A container is in no family in Redis; COMMAND is one that does something by itself. */
    if (c->subs == NULL || strcmp(c->name, "command") == 0)
        all |= own;
    if ((flags & CMD_WRITE) != 0)
        all |= CAT_WRITE;
    if ((flags & CMD_READONLY) != 0 && (own & CAT_SCRIPTING) == 0)
        all |= CAT_READ;
    if ((flags & CMD_ADMIN) != 0)
        all |= CAT_ADMIN | CAT_DANGEROUS;
    if ((flags & CMD_PUBSUB) != 0)
        all |= CAT_PUBSUB;
    if ((flags & CMD_BLOCKING) != 0)
        all |= CAT_BLOCKING;
    return all;
}
