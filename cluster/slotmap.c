#include "cluster/slotmap.h"

#include <stdlib.h>
#include <strings.h>

#include "resp/value.h"

static struct slotmap *slotmap_new(void)
{
    struct slotmap *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    memset(m->shard_of, 0xff, sizeof(m->shard_of));
    return m;
}

void slotmap_free(struct slotmap *m)
{
    if (m == NULL)
        return;
    for (uint32_t i = 0; i < m->shard_count; i++)
        free(m->shards[i].replicas);
    free(m->shards);
    free(m);
}

/* --- reading CLUSTER SLOTS ----------------------------------------------------------------- */

/* [endpoint, port, id, [metadata]]. *usable is false for a node whose address is unknown. */
static bool read_node(struct value_cursor *c, const struct endpoint *asked, struct endpoint *out,
                      bool *usable)
{
    struct value node, host, port, rest;
    if (!value_next(c, &node) || node.kind != VALUE_LIST || node.count < 2)
        return false;
    if (!value_next(c, &host) || (host.kind != VALUE_STRING && host.kind != VALUE_NULL))
        return false;
    if (!value_next(c, &port) || port.kind != VALUE_INTEGER || port.number < 0 ||
        port.number > 65535)
        return false;
    struct span name = host.kind == VALUE_STRING ? host.text : (struct span){ "", 0 };
    bool unknown = span_is(name, "?");
    for (uint64_t i = 2; i < node.count; i++) {
        if (!value_next(c, &rest) || !value_skip_children(c, &rest))
            return false;
    }
    if (name.len == 0)
        name = (struct span){ asked->host, strlen(asked->host) };
    *usable =
        !unknown && port.number != 0 && endpoint_set(out, name.at, name.len, (uint16_t)port.number);
    return true;
}

static struct slotmap_shard *add_shard(struct slotmap *m, const struct endpoint *master)
{
    if (m->shard_count == SLOTMAP_SHARDS_MAX)
        return NULL;
    struct slotmap_shard *shards = realloc(m->shards, (m->shard_count + 1) * sizeof(m->shards[0]));
    REQUIRE(shards != NULL);
    m->shards = shards;
    struct slotmap_shard *s = &shards[m->shard_count++];
    *s = (struct slotmap_shard){ .master = *master };
    return s;
}

static struct slotmap_shard *find_shard(struct slotmap *m, const struct endpoint *master)
{
    for (uint32_t i = 0; i < m->shard_count; i++)
        if (endpoint_equal(&m->shards[i].master, master))
            return &m->shards[i];
    return NULL;
}

static void add_replica(struct slotmap_shard *s, const struct endpoint *e)
{
    struct endpoint *all = realloc(s->replicas, (s->replica_count + 1) * sizeof(all[0]));
    REQUIRE(all != NULL);
    all[s->replica_count++] = *e;
    s->replicas = all;
}

/* Reads what follows the master in a range's entry; a shard's replicas are those of its first
 * range. */
static bool read_replicas(struct value_cursor *c, const struct endpoint *asked,
                          struct slotmap_shard *s, uint64_t count, bool fresh)
{
    for (uint64_t i = 0; i < count; i++) {
        struct endpoint e;
        bool usable;
        if (!read_node(c, asked, &e, &usable))
            return false;
        if (usable && fresh)
            add_replica(s, &e);
    }
    return true;
}

static bool assign(struct slotmap *m, int64_t from, int64_t to, uint16_t shard)
{
    for (int64_t slot = from; slot <= to; slot++) {
        if (m->shard_of[slot] != SLOTMAP_NO_SHARD)
            return false;
        m->shard_of[slot] = shard;
        m->covered++;
    }
    return true;
}

/* [from, to, master, replica ...] */
static bool read_range(struct value_cursor *c, const struct endpoint *asked, struct slotmap *m)
{
    struct value entry, from, to;
    if (!value_next(c, &entry) || entry.kind != VALUE_LIST || entry.count < 3)
        return false;
    if (!value_next(c, &from) || from.kind != VALUE_INTEGER || !value_next(c, &to) ||
        to.kind != VALUE_INTEGER)
        return false;
    if (from.number < 0 || to.number >= SLOT_COUNT || from.number > to.number)
        return false;
    struct endpoint master;
    bool usable;
    if (!read_node(c, asked, &master, &usable))
        return false;
    if (!usable) {
        struct slotmap_shard nowhere = { .replica_count = 0 };
        return read_replicas(c, asked, &nowhere, entry.count - 3, false);
    }
    struct slotmap_shard *s = find_shard(m, &master);
    bool fresh = s == NULL;
    if (fresh)
        s = add_shard(m, &master);
    if (s == NULL || !assign(m, from.number, to.number, (uint16_t)(s - m->shards)))
        return false;
    return read_replicas(c, asked, s, entry.count - 3, fresh);
}

static int compare_endpoints(const void *a, const void *b)
{
    const struct endpoint *x = a, *y = b;
    int hosts = strcasecmp(x->host, y->host);
    return hosts != 0 ? hosts : (int)x->port - (int)y->port;
}

/* Nodes tell the same map in different orders (Redis 6 in that of its own tables). Shards by their
   first slot and replicas by their names: so equal maps are equal, whoever was asked. */
static void put_in_order(struct slotmap *m)
{
    uint16_t new_index[SLOTMAP_SHARDS_MAX];
    memset(new_index, 0xff, sizeof(new_index));
    struct slotmap_shard *shards = malloc(m->shard_count * sizeof(shards[0]));
    REQUIRE(shards != NULL);
    uint16_t count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t old = m->shard_of[slot];
        if (old == SLOTMAP_NO_SHARD)
            continue;
        if (new_index[old] == SLOTMAP_NO_SHARD) {
            struct slotmap_shard *s = &shards[count];
            *s = m->shards[old];
            if (s->replica_count > 1)
                qsort(s->replicas, s->replica_count, sizeof(s->replicas[0]), compare_endpoints);
            new_index[old] = count++;
        }
        m->shard_of[slot] = new_index[old];
    }
    REQUIRE(count == m->shard_count); /* each was made for a range */
    free(m->shards);
    m->shards = shards;
}

struct slotmap *slotmap_parse(struct span reply, const struct endpoint *asked)
{
    struct value_cursor c = { reply.at, reply.at + reply.len };
    struct value list;
    if (!value_next(&c, &list) || list.kind != VALUE_LIST)
        return NULL;
    struct slotmap *m = slotmap_new();
    bool ok = true;
    for (uint64_t i = 0; ok && i < list.count; i++)
        ok = read_range(&c, asked, m);
    if (ok && m->covered > 0) {
        put_in_order(m);
        return m;
    }
    slotmap_free(m);
    return NULL;
}

/* --- copies -------------------------------------------------------------------------------- */

static struct slotmap *slotmap_copy(const struct slotmap *m)
{
    struct slotmap *copy = slotmap_new();
    memcpy(copy->shard_of, m->shard_of, sizeof(copy->shard_of));
    copy->covered = m->covered;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        struct slotmap_shard *s = add_shard(copy, &m->shards[i].master);
        for (uint32_t j = 0; s != NULL && j < m->shards[i].replica_count; j++)
            add_replica(s, &m->shards[i].replicas[j]);
    }
    return copy;
}

struct slotmap *slotmap_moved(const struct slotmap *m, uint16_t slot, const struct endpoint *to)
{
    struct slotmap *copy = slotmap_copy(m);
    struct slotmap_shard *s = find_shard(copy, to);
    if (s == NULL)
        s = add_shard(copy, to);
    if (s == NULL)
        return copy;
    if (copy->shard_of[slot] == SLOTMAP_NO_SHARD)
        copy->covered++;
    copy->shard_of[slot] = (uint16_t)(s - copy->shards);
    return copy;
}

static bool shard_equal(const struct slotmap_shard *a, const struct slotmap_shard *b)
{
    if (!endpoint_equal(&a->master, &b->master) || a->replica_count != b->replica_count)
        return false;
    for (uint32_t i = 0; i < a->replica_count; i++)
        if (!endpoint_equal(&a->replicas[i], &b->replicas[i]))
            return false;
    return true;
}

bool slotmap_equal(const struct slotmap *a, const struct slotmap *b)
{
    if (a->covered != b->covered || a->shard_count != b->shard_count)
        return false;
    for (uint32_t i = 0; i < a->shard_count; i++)
        if (!shard_equal(&a->shards[i], &b->shards[i]))
            return false;
    return memcmp(a->shard_of, b->shard_of, sizeof(a->shard_of)) == 0;
}
