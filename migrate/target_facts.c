#include "migrate/target_facts.h"

#include <stdio.h>

#include "base/text.h"
#include "migrate/rdb_type.h"
#include "resp/value.h"

/* What came with which version of Redis; Valkey and Redict count on from 7.2. */
static const struct {
    uint32_t version;
    uint16_t rdb;
} rdb_versions[] = {
    { 20600, 6 },  { 30200, 7 },  { 40000, 8 },  { 50000, 9 },
    { 70000, 10 }, { 70200, 11 }, { 70400, 12 }, { 80000, 12 },
};

enum { VALKEY_WITH_OWN_RDB = 90000, VALKEY_RDB = 11, FIELD_TIMES = 70400, SET_FIELDS = 80000 };

struct span target_info_line(struct span info, const char *name)
{
    size_t len = strlen(name);
    const char *at = info.at, *end = info.at + info.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = stop != NULL ? stop : end;
        if ((size_t)(line_end - at) > len && memcmp(at, name, len) == 0 && at[len] == ':') {
            struct span value = { at + len + 1, (size_t)(line_end - at) - len - 1 };
            while (value.len > 0 && value.at[value.len - 1] == '\r')
                value.len--;
            return value;
        }
        at = line_end + 1;
    }
    return (struct span){ "", 0 };
}

/* "7.0.15" as 70015. */
static uint32_t version_number(struct span text)
{
    uint32_t parts[3] = { 0 };
    int part = 0;
    for (size_t i = 0; i < text.len && part < 3; i++) {
        char c = text.at[i];
        if (c == '.')
            part++;
        else if (c >= '0' && c <= '9' && parts[part] < 1000)
            parts[part] = parts[part] * 10 + (uint32_t)(c - '0');
        else
            break;
    }
    return parts[0] * 10000 + parts[1] * 100 + parts[2];
}

static void read_version(struct target_facts *f, struct span info)
{
    struct span redis = target_info_line(info, "redis_version"),
                valkey = target_info_line(info, "valkey_version");
    struct span shown = valkey.len > 0 ? valkey : redis;
    uint32_t v = version_number(redis), own = version_number(valkey);
    snprintf(f->version, sizeof(f->version), "%.*s", (int)shown.len, shown.at);
    for (size_t i = 0; i < ARRAY_LEN(rdb_versions) && rdb_versions[i].version <= v; i++)
        f->rdb = rdb_versions[i].rdb;
    f->rdb_valkey = own >= VALKEY_WITH_OWN_RDB ? RDB_VALKEY_VERSION : 0;
    if (own > 0)
        f->rdb = VALKEY_RDB;
    f->replace = v >= 30000;
    f->absolute = f->streams = v >= 50000;
    f->hset_many = v >= 40000;
    f->create_consumer = f->set_until = v >= 60200;
    f->entries_added = f->functions = f->expire_if = f->expire_time = v >= 70000;
    f->field_times = v >= FIELD_TIMES || own >= VALKEY_WITH_OWN_RDB;
    f->set_fields = v >= SET_FIELDS || own >= VALKEY_WITH_OWN_RDB;
}

bool target_facts_read(struct target_facts *f, struct span reply)
{
    struct value_cursor c = { reply.at, reply.at + reply.len };
    struct value v;
    *f = (struct target_facts){ 0 };
    if (!value_next(&c, &v) || v.kind != VALUE_STRING)
        return false;
    if (target_info_line(v.text, "redis_version").len == 0)
        return false;
    read_version(f, v.text);
    struct span policy = target_info_line(v.text, "maxmemory_policy");
    static const char lfu[] = "lfu";
    f->counts_frequency = policy.len > 3 && memcmp(policy.at + policy.len - 3, lfu, 3) == 0;
    f->evicts = policy.len > 0 && !span_is(policy, "noeviction");
    f->slotgate = target_info_line(v.text, "slotgate_version").len > 0;
    f->cluster_node = span_is(target_info_line(v.text, "cluster_enabled"), "1");
    return true;
}

void target_ids_add(struct writer *ids, struct span reply)
{
    static const char *const names[] = { "run_id", "master_replid" };
    struct value_cursor c = { reply.at, reply.at + reply.len };
    struct value v;
    if (!value_next(&c, &v) || v.kind != VALUE_STRING)
        return;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        write_raw(ids, target_info_line(v.text, names[i]));
        write_raw(ids, SPAN(" "));
    }
}

bool target_ids_have(const struct writer *ids, struct span id)
{
    return id.len > 0 && ids->len > 0 && memmem(ids->at, ids->len, id.at, id.len) != NULL;
}

bool target_ids_meet(const struct writer *ids, const struct writer *others)
{
    struct span rest = writer_span(others);
    bool met = false;
    while (rest.len > 0 && !met) {
        const char *end = memchr(rest.at, ' ', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.at) : rest.len;
        met = target_ids_have(ids, (struct span){ rest.at, len });
        len += end != NULL;
        rest = (struct span){ rest.at + len, rest.len - len };
    }
    return met;
}

void target_facts_meet(struct target_facts *f, const struct target_facts *o)
{
    if (o->rdb < f->rdb) {
        f->rdb = o->rdb;
        memcpy(f->version, o->version, sizeof(f->version));
    }
    f->rdb_valkey = o->rdb_valkey < f->rdb_valkey ? o->rdb_valkey : f->rdb_valkey;
    f->replace &= o->replace;
    f->absolute &= o->absolute;
    f->hset_many &= o->hset_many;
    f->streams &= o->streams;
    f->create_consumer &= o->create_consumer;
    f->set_until &= o->set_until;
    f->entries_added &= o->entries_added;
    f->functions &= o->functions;
    f->expire_if &= o->expire_if;
    f->field_times &= o->field_times;
    f->expire_time &= o->expire_time;
    f->set_fields &= o->set_fields;
    f->counts_frequency &= o->counts_frequency;
    f->evicts |= o->evicts;
    f->cluster_node |= o->cluster_node;
    f->slotgate |= o->slotgate;
}

bool target_takes(const struct target_facts *f, uint16_t stamp)
{
    return stamp == RDB_VALKEY_VERSION ? f->rdb_valkey >= stamp : stamp <= f->rdb;
}
