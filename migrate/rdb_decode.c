#include "migrate/rdb_decode.h"

#include <math.h>
#include <stdlib.h>

#include "base/text.h"
#include "migrate/rdb_packed.h"

enum { TEXT_LIMIT = 512 * 1024 * 1024, SCORE_TEXT_MAX = 256 };
enum { SCORE_NAN = 253, SCORE_INF = 254, SCORE_MINUS_INF = 255 };
enum { NEVER = -1 };

void rdb_decode_open(struct rdb_decode *d, const struct rdb_type *type, rdb_item_fn *out,
                     void *context)
{
    REQUIRE(type->kind != RDB_MODULE);
    *d = (struct rdb_decode){ .type = type, .out = out, .context = context };
    rdb_walk_start(&d->walk, type->layout);
}

void rdb_decode_close(struct rdb_decode *d)
{
    for (int i = 0; i < DECODE_TEXTS; i++)
        rdb_text_close(&d->texts[i]);
    writer_close(&d->words);
    free(d->fields);
    d->fields = NULL;
}

/* --- items --------------------------------------------------------------------------------- */

static bool give(struct rdb_decode *d, struct rdb_item item)
{
    return d->out(d->context, &item);
}

static struct span text(const struct rdb_decode *d, int i)
{
    return rdb_text_span(&d->texts[i]);
}

static bool give_member(struct rdb_decode *d, struct span name)
{
    return give(d, (struct rdb_item){ .part = RDB_PART_MEMBER, .name = name });
}

static bool give_field(struct rdb_decode *d, struct span name, struct span value, int64_t expire_at)
{
    return give(d,
                (struct rdb_item){
                    .part = RDB_PART_FIELD, .name = name, .value = value, .expire_at = expire_at });
}

static bool give_scored(struct rdb_decode *d, struct span name, double score)
{
    return give(d, (struct rdb_item){ .part = RDB_PART_SCORED, .name = name, .score = score });
}

static bool read_score(struct span digits, double *out)
{
    char copy[SCORE_TEXT_MAX], *end;
    if (digits.len == 0 || digits.len >= sizeof(copy))
        return false;
    memcpy(copy, digits.at, digits.len);
    copy[digits.len] = '\0';
    *out = strtod(copy, &end);
    return end == copy + digits.len && !isnan(*out);
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

/* --- compact forms ------------------------------------------------------------------------- */

static bool each_member(struct rdb_decode *d, enum rdb_packing packing, struct span bytes)
{
    struct rdb_packed p;
    struct span name;
    if (!rdb_packed_open(&p, packing, bytes))
        return false;
    int rc;
    while ((rc = rdb_packed_next(&p, &name)) == 1)
        if (!give_member(d, name))
            return false;
    return rc == 0;
}

/* Keeps a copy: the next element of a packed form overwrites the digits of the last one. */
static struct span keep(struct rdb_decode *d, struct span bytes)
{
    writer_clear(&d->words, 2);
    write_raw(&d->words, bytes);
    return (struct span){ d->words.at, bytes.len };
}

static bool each_pair(struct rdb_decode *d, enum rdb_packing packing, bool scored)
{
    struct rdb_packed p;
    struct span name, value;
    if (!rdb_packed_open(&p, packing, text(d, 0)))
        return false;
    int rc;
    while ((rc = rdb_packed_next(&p, &name)) == 1) {
        double score = 0;
        name = keep(d, name);
        if (rdb_packed_next(&p, &value) != 1 || (scored && !read_score(value, &score)))
            return false;
        if (!(scored ? give_scored(d, name, score) : give_field(d, name, value, NEVER)))
            return false;
    }
    return rc == 0;
}

/* Field, value, and when it expires; 0: never. */
static bool each_triplet(struct rdb_decode *d)
{
    struct rdb_packed p, time;
    struct span name, value, at;
    if (!rdb_packed_open(&p, RDB_LISTPACK, text(d, 0)))
        return false;
    int rc;
    while ((rc = rdb_packed_next(&p, &name)) == 1) {
        int64_t expire_at;
        name = keep(d, name);
        if (rdb_packed_next(&p, &value) != 1)
            return false;
        time = p; /* so that value keeps its digits */
        if (rdb_packed_next(&time, &at) != 1 || !text_to_i64(at.at, at.len, &expire_at))
            return false;
        if (!give_field(d, name, value, expire_at > 0 ? expire_at : NEVER))
            return false;
        p.at = time.at;
    }
    return rc == 0;
}

/* --- marks --------------------------------------------------------------------------------- */

/* One node of a quicklist: 1 a single element, 2 a listpack of them. */
static bool quicklist_node(struct rdb_decode *d)
{
    if (d->numbers[0] == 1)
        return give_member(d, text(d, 0));
    return d->numbers[0] == 2 && each_member(d, RDB_LISTPACK, text(d, 0));
}

static bool hash_with_times(struct rdb_decode *d)
{
    uint64_t ttl = d->numbers[0];
    int64_t at = ttl == 0 ? NEVER : (int64_t)(ttl + d->min_expire - 1);
    return give_field(d, text(d, 0), text(d, 1), at);
}

static bool stream_meta(struct rdb_decode *d, bool newer)
{
    const uint64_t *n = d->numbers; /* length, last id, first id, largest deleted id, added */
    return give(d, (struct rdb_item){ .part = RDB_PART_STREAM,
                                      .length = n[0],
                                      .id = { n[1], n[2] },
                                      .deleted = { newer ? n[5] : 0, newer ? n[6] : 0 },
                                      .added = newer ? n[7] : 0,
                                      .has_added = newer });
}

static bool group(struct rdb_decode *d, bool newer)
{
    return give(d, (struct rdb_item){ .part = RDB_PART_GROUP,
                                      .name = text(d, 0),
                                      .id = { d->numbers[0], d->numbers[1] },
                                      .read = newer ? (int64_t)d->numbers[2] : -1 });
}

static bool on_stream_mark(struct rdb_decode *d, char mark)
{
    switch (mark) {
    case 'e':
        return rdb_stream_entries(d, text(d, 0), text(d, 1));
    case 't':
    case 'u':
        return stream_meta(d, mark == 't');
    case 'g':
    case 'v':
        return group(d, mark == 'g');
    case 'p':
        return give(d, (struct rdb_item){ .part = RDB_PART_PENDING,
                                          .id = d->id,
                                          .time = (int64_t)d->eights[0],
                                          .count = d->numbers[0] });
    case 'c':
        return give(d, (struct rdb_item){ .part = RDB_PART_CONSUMER,
                                          .name = text(d, 0),
                                          .time = (int64_t)d->eights[0] });
    default: /* 'q' */
        return give(d, (struct rdb_item){ .part = RDB_PART_CLAIM, .id = d->id });
    }
}

static bool on_hash_mark(struct rdb_decode *d, char mark)
{
    switch (mark) {
    case 'f':
        return give_field(d, text(d, 0), text(d, 1), NEVER);
    case 'a':
        return each_pair(d, RDB_ZIPMAP, false);
    case 'h':
        return each_pair(d, RDB_ZIPLIST, false);
    case 'k':
        return each_pair(d, RDB_LISTPACK, false);
    case 'o':
        d->min_expire = d->eights[0];
        return true;
    case 'r':
        return hash_with_times(d);
    case 's':
        return each_triplet(d);
    case 'w':
        return give_field(d, text(d, 0), text(d, 1), (int64_t)d->eights[0]);
    default: /* 'x' */
        return give_field(d, text(d, 0), text(d, 1),
                          d->numbers[0] == 0 ? NEVER : (int64_t)d->numbers[0]);
    }
}

static bool on_other_mark(struct rdb_decode *d, char mark)
{
    switch (mark) {
    case 'm':
        return give_member(d, text(d, 0));
    case 'b':
        return each_member(d, RDB_ZIPLIST, text(d, 0));
    case 'l':
        return each_member(d, RDB_LISTPACK, text(d, 0));
    case 'i':
        return each_member(d, RDB_INTSET, text(d, 0));
    case 'n':
        return quicklist_node(d);
    case 'z':
        return give_scored(d, text(d, 0), d->score);
    case 'y':
        return give_scored(d, text(d, 0), double_of(d->eights[0]));
    case 'd':
        return each_pair(d, RDB_ZIPLIST, true);
    default: /* 'j' */
        return each_pair(d, RDB_LISTPACK, true);
    }
}

static bool on_mark(struct rdb_decode *d)
{
    char mark = d->walk.mark;
    bool ok = d->type->kind == RDB_STREAM ? on_stream_mark(d, mark)
              : d->type->kind == RDB_HASH ? on_hash_mark(d, mark)
                                          : on_other_mark(d, mark);
    d->text_count = d->number_count = d->eight_count = 0;
    return ok;
}

/* --- parts --------------------------------------------------------------------------------- */

static uint64_t number_of(const char *bytes, bool big_endian)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | (uint8_t)bytes[big_endian ? i : 7 - i];
    return n;
}

static bool take_fixed(struct rdb_decode *d)
{
    const struct rdb_walk *w = &d->walk;
    if (d->type->kind == RDB_STREAM && w->fixed_len == 16) {
        d->id = (struct stream_id){ number_of(w->fixed, true), number_of(w->fixed + 8, true) };
        return true;
    }
    bool old_score = d->type->layout[2] == 'Z';
    if (!old_score) {
        if (d->eight_count < DECODE_EIGHTS)
            d->eights[d->eight_count++] = number_of(w->fixed, false);
        return true;
    }
    if (w->number < SCORE_NAN)
        return read_score((struct span){ w->fixed, w->fixed_len }, &d->score);
    d->score = w->number == SCORE_INF ? INFINITY : -INFINITY;
    return w->number != SCORE_NAN;
}

static bool take_text(struct rdb_decode *d, enum walk_token token, struct span stored)
{
    bool string = d->type->kind == RDB_STRING;
    if (token == WALK_STRING)
        d->text_count++;
    if (d->text_count > DECODE_TEXTS)
        return false;
    struct rdb_text *t = &d->texts[d->text_count - 1];
    if (!rdb_text_take(t, &d->walk, token, stored, string ? UINT64_MAX : TEXT_LIMIT))
        return false;
    bool nothing = t->bytes.len == 0 && d->walk.body > 0;
    if (!string || nothing)
        return true;
    bool ok = give(d, (struct rdb_item){ .part = RDB_PART_BYTES, .name = rdb_text_span(t) });
    writer_clear(&t->bytes, 2);
    return ok;
}

static bool take_token(struct rdb_decode *d, enum walk_token token, struct span stored)
{
    switch (token) {
    case WALK_NUMBER:
        if (d->number_count < DECODE_NUMBERS)
            d->numbers[d->number_count++] = d->walk.number;
        return true;
    case WALK_FIXED:
        return take_fixed(d);
    case WALK_STRING:
    case WALK_PIECE:
        return take_text(d, token, stored);
    case WALK_MARK:
        return on_mark(d);
    case WALK_COUNT:
        return true;
    default:
        return false;
    }
}

bool rdb_decode_take(struct rdb_decode *d, struct span bytes)
{
    for (;;) {
        size_t used;
        enum walk_token token = rdb_walk_next(&d->walk, bytes.at, bytes.len, &used);
        struct span stored = { bytes.at, used };
        bytes.at += used;
        bytes.len -= used;
        if (token == WALK_MORE)
            return true;
        if (token == WALK_DONE) {
            d->done = true;
            return bytes.len == 0;
        }
        if (!take_token(d, token, stored))
            return false;
    }
}
