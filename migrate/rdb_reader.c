#include "migrate/rdb_reader.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

/*
 *   HEADER --> OP --an opcode--> BODY --> OP
 *              |  --a type--> KEY --> VALUE --> OP
 *              +--the end--> CHECKSUM --> END
 */
/* In this order: the checksum covers what comes before it. */
enum { HEADER, OP, BODY, KEY, VALUE, CHECKSUM, END, BROKEN };

enum { HEADER_LEN = 9, CHECKSUM_LEN = 8, CHECKSUM_SINCE = 5, OP_FIRST = 243 };

void rdb_reader_open(struct rdb_reader *r, const struct crc64_tables *tables)
{
    *r = (struct rdb_reader){ .tables = tables };
    r->expire_at = r->idle = RDB_NO_TIME;
    r->freq = RDB_NO_TIME;
}

void rdb_reader_close(struct rdb_reader *r)
{
    rdb_text_close(&r->texts[0]);
    rdb_text_close(&r->texts[1]);
}

PRINTF_LIKE(2, 3)
static enum rdb_fact fail(struct rdb_reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->error, sizeof(r->error), fmt, args);
    va_end(args);
    r->state = BROKEN;
    return RDB_BAD;
}

/* Takes bytes until head holds `want` of them. */
static bool fill_head(struct rdb_reader *r, uint8_t want, struct span in, size_t *used)
{
    while (*used < in.len && r->head_len < want)
        r->head[r->head_len++] = in.at[(*used)++];
    return r->head_len == want;
}

static enum rdb_fact read_header(struct rdb_reader *r, struct span in, size_t *used)
{
    uint64_t version;
    if (!fill_head(r, HEADER_LEN, in, used))
        return RDB_MORE;
    r->valkey = memcmp(r->head, "VALKEY", 6) == 0;
    size_t magic = r->valkey ? 6 : 5;
    if (!r->valkey && memcmp(r->head, "REDIS", 5) != 0)
        return fail(r, "this is no RDB file: it does not begin with REDIS or VALKEY");
    char *digits = r->head + magic, *end = r->head + HEADER_LEN;
    while (digits < end - 1 && *digits == '0')
        digits++;
    if (!text_to_u64(digits, (size_t)(end - digits), &version) || version == 0)
        return fail(r, "this is no RDB file: no version behind its first word");
    if (version > (r->valkey ? RDB_VALKEY_VERSION_MAX : RDB_VERSION_MAX))
        return fail(r, "the file has RDB version %llu, which is newer than this program knows",
                    (unsigned long long)version);
    r->version = (uint32_t)version;
    r->state = OP;
    return RDB_MORE;
}

/* --- between values ------------------------------------------------------------------------ */

static void begin_body(struct rdb_reader *r, uint8_t state, const char *layout)
{
    r->state = state;
    r->text_count = r->number_count = 0;
    rdb_walk_start(&r->walk, layout);
}

static enum rdb_fact read_op(struct rdb_reader *r, struct span in, size_t *used)
{
    uint8_t op = (uint8_t)in.at[*used];
    const char *layout = rdb_op_layout(op, r->valkey);
    r->op = op;
    if (layout != NULL) {
        ++*used;
        begin_body(r, BODY, layout);
        return RDB_MORE;
    }
    r->type = rdb_type_find(op, r->valkey);
    if (r->type == NULL)
        return fail(r, "unknown %s %u at offset %llu", op >= OP_FIRST ? "opcode" : "value type", op,
                    (unsigned long long)r->offset + *used);
    ++*used;
    r->type_byte = op;
    begin_body(r, KEY, "S");
    return RDB_MORE;
}

/* One more part of what stands behind an opcode, or of a key. False: it cannot be right. */
static bool take_part(struct rdb_reader *r, enum walk_token token, struct span stored)
{
    struct rdb_walk *w = &r->walk;
    if (token == WALK_NUMBER && r->number_count < ARRAY_LEN(r->numbers))
        r->numbers[r->number_count++] = w->number;
    bool text = token == WALK_STRING || token == WALK_PIECE;
    if (!text || r->op == RDB_OP_MODULE_AUX || r->op == RDB_OP_SLOT_IMPORT)
        return true;
    if (token == WALK_STRING)
        r->text_count++;
    return rdb_text_take(&r->texts[r->text_count - 1], w, token, stored, RDB_TEXT_MAX);
}

static uint64_t little_endian(const char *bytes, size_t len)
{
    uint64_t n = 0;
    while (len-- > 0)
        n = n << 8 | (uint8_t)bytes[len];
    return n;
}

static enum rdb_fact on_body(struct rdb_reader *r)
{
    const char *fixed = r->walk.fixed;
    r->state = OP;
    switch (r->op) {
    case RDB_OP_AUX:
        r->name = rdb_text_span(&r->texts[0]);
        r->text = rdb_text_span(&r->texts[1]);
        return RDB_AUX;
    case RDB_OP_FUNCTION:
        r->text = rdb_text_span(&r->texts[0]);
        return RDB_FUNCTION;
    case RDB_OP_SELECT_DB:
        r->db = r->numbers[0];
        break;
    case RDB_OP_EXPIRE:
        r->expire_at = (int64_t)(int32_t)(uint32_t)little_endian(fixed, 4) * 1000;
        break;
    case RDB_OP_EXPIRE_MS:
        r->expire_at = (int64_t)little_endian(fixed, 8);
        break;
    case RDB_OP_IDLE:
        r->idle = r->numbers[0] < INT64_MAX ? (int64_t)r->numbers[0] : INT64_MAX;
        break;
    case RDB_OP_FREQ:
        r->freq = (uint8_t)fixed[0];
        break;
    case RDB_OP_MODULE_AUX:
        r->modules_left++;
        break;
    case RDB_OP_EOF:
        r->head_len = 0;
        r->state = r->version >= CHECKSUM_SINCE ? CHECKSUM : END;
        return r->state == END ? RDB_END : RDB_MORE;
    default: /* RESIZEDB, SLOT_INFO, SLOT_IMPORT: hints for a server that loads the file */
        break;
    }
    return RDB_MORE;
}

static enum rdb_fact on_key(struct rdb_reader *r)
{
    r->name = rdb_text_span(&r->texts[0]);
    begin_body(r, VALUE, r->type->layout);
    return RDB_KEY;
}

static enum rdb_fact read_parts(struct rdb_reader *r, struct span in, size_t *used)
{
    for (;;) {
        size_t n, left = in.len - *used;
        enum walk_token token = rdb_walk_next(&r->walk, in.at + *used, left, &n);
        struct span stored = { in.at + *used, n };
        *used += n;
        if (token == WALK_MORE)
            return RDB_MORE;
        if (token == WALK_DONE)
            return r->state == KEY ? on_key(r) : on_body(r);
        if (token == WALK_BAD || !take_part(r, token, stored))
            return fail(r, "damaged near offset %llu: not what opcode %u has behind it",
                        (unsigned long long)r->offset + *used, r->op);
    }
}

/* --- values -------------------------------------------------------------------------------- */

static void value_ended(struct rdb_reader *r)
{
    bool long_lengths = r->walk.long_lengths && r->type->version < RDB_VERSION_LONG;
    r->stamp = long_lengths ? RDB_VERSION_LONG : r->type->version;
    r->empty = r->walk.empty && r->type->kind < RDB_STREAM;
    r->key_done = true;
    r->state = OP;
}

/* What was said of the last key does not hold for the next one. */
static void forget_key(struct rdb_reader *r)
{
    r->expire_at = r->idle = RDB_NO_TIME;
    r->freq = RDB_NO_TIME;
    r->key_done = false;
}

static enum rdb_fact read_value(struct rdb_reader *r, struct span in, size_t *used)
{
    enum walk_token token = rdb_walk_skip(&r->walk, in.at, in.len, used);
    if (token == WALK_BAD)
        return fail(r, "damaged near offset %llu: no value of type %s",
                    (unsigned long long)r->offset + *used, r->type->name);
    if (token == WALK_MORE)
        return *used > 0 ? RDB_VALUE : RDB_MORE;
    value_ended(r);
    return RDB_VALUE_END;
}

static enum rdb_fact read_checksum(struct rdb_reader *r, struct span in, size_t *used)
{
    if (!fill_head(r, CHECKSUM_LEN, in, used))
        return RDB_MORE;
    r->checksum = little_endian(r->head, CHECKSUM_LEN);
    if (r->checksum != 0 && r->checksum != r->crc)
        return fail(r, "the checksum is wrong: the file says %016llx, its bytes give %016llx",
                    (unsigned long long)r->checksum, (unsigned long long)r->crc);
    r->state = END;
    return RDB_END;
}

/* --- all of it ----------------------------------------------------------------------------- */

/* Up to the next fact, the end of the bytes or the end of what the checksum covers. */
static enum rdb_fact read_some(struct rdb_reader *r, struct span in, size_t *used)
{
    enum rdb_fact fact = RDB_MORE;
    while (fact == RDB_MORE && *used < in.len && r->state < CHECKSUM) {
        if (r->state == HEADER)
            fact = read_header(r, in, used);
        else if (r->state == OP)
            fact = read_op(r, in, used);
        /* An opcode may need no byte more, so this is no else. */
        if (fact == RDB_MORE && (r->state == BODY || r->state == KEY))
            fact = read_parts(r, in, used);
    }
    return fact;
}

enum rdb_fact rdb_read(struct rdb_reader *r, const char *bytes, size_t len, size_t *used)
{
    struct span in = { bytes, len };
    enum rdb_fact fact = RDB_MORE;
    *used = 0;
    if (r->state == BROKEN)
        return RDB_BAD;
    if (r->key_done)
        forget_key(r);
    if (r->state == END)
        return fail(r, "there is something behind the end of the file, at offset %llu",
                    (unsigned long long)r->offset);
    if (r->state == VALUE)
        fact = read_value(r, in, used);
    else if (r->state < CHECKSUM)
        fact = read_some(r, in, used);
    r->crc = crc64_add(r->tables, r->crc, bytes, *used);
    r->offset += *used;
    if (r->state != CHECKSUM || fact != RDB_MORE)
        return fact;
    size_t n = 0;
    fact = read_checksum(r, (struct span){ bytes + *used, len - *used }, &n);
    *used += n;
    r->offset += n;
    return fact;
}
