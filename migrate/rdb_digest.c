#include "migrate/rdb_digest.h"

#include "migrate/rdb_decode.h"
#include "migrate/rdb_payload.h"

/* A hash of one element, of its parts in turn. */
struct sum {
    uint64_t a, b;
};

struct state {
    struct rdb_digest *digest;
    struct sum sequence; /* of what has an order: lists, streams, the bytes of a string */
    bool ordered;
};

static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static void add_bytes(struct sum *s, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        s->a = (s->a ^ (uint8_t)bytes.at[i]) * UINT64_C(0x100000001b3);
        s->b = (s->b + (uint8_t)bytes.at[i] + 1) * UINT64_C(0x9e3779b97f4a7c15);
    }
}

static void add_number(struct sum *s, uint64_t n)
{
    s->a = mix(s->a ^ n);
    s->b = mix(s->b + n);
}

/* Its length, too, so that "ab","c" is not "a","bc". */
static void add_text(struct sum *s, struct span text)
{
    add_number(s, text.len);
    add_bytes(s, text);
}

static void add_double(struct sum *s, double d)
{
    uint64_t bits;
    d = d == 0 ? 0 : d; /* there is a negative one */
    memcpy(&bits, &d, sizeof(bits));
    add_number(s, bits);
}

static void add_id(struct sum *s, struct stream_id id)
{
    add_number(s, id.ms);
    add_number(s, id.seq);
}

static void add_stream_item(struct sum *s, const struct rdb_item *item)
{
    if (item->part != RDB_PART_CONSUMER)
        add_id(s, item->id);
    if (item->part == RDB_PART_GROUP || item->part == RDB_PART_CONSUMER)
        add_text(s, item->name);
    if (item->part == RDB_PART_PENDING) {
        add_number(s, (uint64_t)item->time);
        add_number(s, item->count);
    }
    for (uint32_t i = 0; i < item->field_count; i++)
        add_text(s, item->fields[i]);
}

static bool add_item(void *context, const struct rdb_item *item)
{
    struct state *t = context;
    struct sum own = { 1, 2 };
    if (item->part == RDB_PART_BYTES) {
        add_bytes(&t->sequence, item->name);
        return true;
    }
    add_number(&own, item->part);
    if (item->part >= RDB_PART_ENTRY) {
        add_stream_item(&own, item);
    } else {
        add_text(&own, item->name);
        if (item->part == RDB_PART_FIELD)
            add_text(&own, item->value);
        if (item->part == RDB_PART_SCORED)
            add_double(&own, item->score);
    }
    if (t->ordered) {
        add_number(&t->sequence, own.a);
        add_number(&t->sequence, own.b);
    } else {
        t->digest->a += mix(own.a);
        t->digest->b += mix(own.b);
    }
    return true;
}

bool rdb_digest_of(struct rdb_digest *d, struct span payload)
{
    struct span value;
    const struct rdb_type *type = rdb_payload_open(payload, &value);
    if (type == NULL)
        return false;
    *d = (struct rdb_digest){ 0 };
    struct state t = { .digest = d, .sequence = { 3, 4 } };
    add_number(&t.sequence, type->kind);
    t.ordered = type->kind == RDB_LIST || type->kind == RDB_STREAM;
    bool ok = true;
    if (type->kind == RDB_MODULE) {
        add_bytes(&t.sequence, value);
    } else {
        struct rdb_decode decode;
        rdb_decode_open(&decode, type, add_item, &t);
        ok = rdb_decode_take(&decode, value) && decode.done;
        rdb_decode_close(&decode);
    }
    d->a += mix(t.sequence.a);
    d->b += mix(t.sequence.b);
    return ok;
}
