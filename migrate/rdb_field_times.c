#include "migrate/rdb_field_times.h"

#include <stdlib.h>

#include "migrate/rdb_decode.h"
#include "migrate/rdb_payload.h"

struct field_time {
    uint64_t field; /* hash of its name */
    int64_t at;
};

struct field_times {
    struct field_time *v;
    size_t count, room;
};

static uint64_t hash_of(struct span text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static bool add(void *context, const struct rdb_item *item)
{
    struct field_times *t = context;
    if (item->part != RDB_PART_FIELD || item->expire_at < 0)
        return true;
    if (t->count == t->room) {
        t->room = t->room > 0 ? t->room * 2 : 64;
        t->v = realloc(t->v, t->room * sizeof(*t->v));
        REQUIRE(t->v != NULL);
    }
    t->v[t->count++] = (struct field_time){ hash_of(item->name), item->expire_at };
    return true;
}

static int by_field(const void *a, const void *b)
{
    uint64_t x = ((const struct field_time *)a)->field, y = ((const struct field_time *)b)->field;
    return x < y ? -1 : x > y;
}

static bool read_times(struct field_times *t, struct span payload)
{
    struct span value;
    const struct rdb_type *type = rdb_payload_open(payload, &value);
    if (type == NULL)
        return false;
    if (type->kind != RDB_HASH)
        return true;
    struct rdb_decode decode;
    rdb_decode_open(&decode, type, add, t);
    bool ok = rdb_decode_take(&decode, value) && decode.done;
    rdb_decode_close(&decode);
    if (t->count > 1)
        qsort(t->v, t->count, sizeof(*t->v), by_field);
    return ok;
}

static uint64_t apart(const struct field_times *x, const struct field_times *y)
{
    uint64_t most = 0;
    if (x->count != y->count)
        return UINT64_MAX;
    for (size_t i = 0; i < x->count; i++) {
        int64_t a = x->v[i].at, b = y->v[i].at;
        if (x->v[i].field != y->v[i].field)
            return UINT64_MAX;
        uint64_t ms = a > b ? (uint64_t)(a - b) : (uint64_t)(b - a);
        most = ms > most ? ms : most;
    }
    return most;
}

bool rdb_field_times_apart(struct span a, struct span b, uint64_t *ms)
{
    struct field_times x = { 0 }, y = { 0 };
    bool ok = read_times(&x, a) && read_times(&y, b);
    if (ok)
        *ms = apart(&x, &y);
    free(x.v);
    free(y.v);
    return ok;
}
