#include "migrate/rdb_digest.h"

#include "migrate/rdb_decode.h"
#include "migrate/rdb_payload.h"

static uint64_t mix(uint64_t n)
{
    n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
    return n ^ n >> 31;
}

static void add_bytes(struct rdb_digest *s, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        s->a = (s->a ^ (uint8_t)bytes.at[i]) * UINT64_C(0x100000001b3);
        s->b = (s->b + (uint8_t)bytes.at[i] + 1) * UINT64_C(0x9e3779b97f4a7c15);
    }
}

static void add_number(struct rdb_digest *s, uint64_t n)
{
    s->a = mix(s->a ^ n);
    s->b = mix(s->b + n);
}

/* Its length, too, so that "ab","c" is not "a","bc". */
static void add_text(struct rdb_digest *s, struct span text)
{
    add_number(s, text.len);
    add_bytes(s, text);
}

static void add_double(struct rdb_digest *s, double d)
{
    uint64_t bits;
    d = d == 0 ? 0 : d; /* there is a negative one */
    memcpy(&bits, &d, sizeof(bits));
    add_number(s, bits);
}

static void add_id(struct rdb_digest *s, struct stream_id id)
{
    add_number(s, id.ms);
    add_number(s, id.seq);
}

static void add_stream_item(struct rdb_digest *s, const struct rdb_item *item)
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

static void add_time(struct rdb_digester *t, const struct rdb_item *item)
{
    struct rdb_digest own = { 5, 6 };
    add_text(&own, item->name);
    t->timed_names += mix(own.a);
    t->times += (uint64_t)item->expire_at;
    t->timed++;
}

static bool add_item(void *context, const struct rdb_item *item)
{
    struct rdb_digester *t = context;
    struct rdb_digest own = { 1, 2 };
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
        if (item->part == RDB_PART_FIELD && item->expire_at >= 0)
            add_time(t, item);
        if (item->part == RDB_PART_SCORED)
            add_double(&own, item->score);
    }
    if (t->ordered) {
        add_number(&t->sequence, own.a);
        add_number(&t->sequence, own.b);
    } else {
        t->digest.a += mix(own.a);
        t->digest.b += mix(own.b);
    }
    return true;
}

static bool is_decoded(const struct rdb_digester *d)
{
    return d->type != NULL && d->type->kind != RDB_MODULE;
}

void rdb_digester_open(struct rdb_digester *d, const struct rdb_type *type)
{
    *d = (struct rdb_digester){ .type = type, .sequence = { 3, 4 } };
    if (type == NULL)
        return;
    add_number(&d->sequence, type->kind);
    d->ordered = type->kind == RDB_LIST || type->kind == RDB_STREAM;
    if (is_decoded(d))
        rdb_decode_open(&d->decode, type, add_item, d);
}

void rdb_digester_take(struct rdb_digester *d, struct span bytes)
{
    if (!is_decoded(d))
        add_bytes(&d->sequence, bytes);
    else if (!d->bad)
        d->bad = !rdb_decode_take(&d->decode, bytes);
}

bool rdb_digester_end(struct rdb_digester *d)
{
    if (is_decoded(d)) {
        d->bad |= !d->decode.done;
        rdb_decode_close(&d->decode);
    }
    d->digest.a += mix(d->sequence.a);
    d->digest.b += mix(d->sequence.b);
    return !d->bad;
}

bool rdb_digest_of(struct rdb_digest *d, struct span payload)
{
    struct rdb_digester whole;
    struct span value;
    const struct rdb_type *type = rdb_payload_open(payload, &value);
    if (type == NULL)
        return false;
    rdb_digester_open(&whole, type);
    rdb_digester_take(&whole, value);
    bool good = rdb_digester_end(&whole);
    *d = whole.digest;
    return good;
}
