/*
 * rdb_log.h: what a reader says of a file, as text, so that two ways of reading can be compared.
 */
#ifndef TEST_RDB_LOG_H
#define TEST_RDB_LOG_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "migrate/rdb_decode.h"
#include "migrate/rdb_reader.h"
#include "test/unit/request_log.h"

struct rdb_log {
    struct writer *log;
    struct rdb_decode decode;
    struct writer value;  /* its bytes */
    struct writer string; /* of a string value, whose pieces may fall in any way */
    bool decoding, unpacked;
};

PRINTF_LIKE(2, 3) static inline void rdb_logf(struct writer *w, const char *fmt, ...)
{
    char line[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    write_raw(w, (struct span){ line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1 });
}

static inline void log_word(struct writer *w, struct span s)
{
    char quoted[600];
    size_t n = text_quote_if_needed(quoted, sizeof(quoted), s.at, s.len);
    write_raw(w, SPAN(" "));
    write_raw(w, (struct span){ quoted, n });
}

static inline bool log_item(void *context, const struct rdb_item *item)
{
    static const char *const names[] = { "bytes",  "member", "scored",  "field",    "entry",
                                         "stream", "group",  "pending", "consumer", "claim" };
    struct rdb_log *l = context;
    if (item->part == RDB_PART_BYTES) {
        write_raw(&l->string, item->name);
        return true;
    }
    rdb_logf(l->log, "  %s", names[item->part]);
    bool named = item->name.at != NULL;
    if (named)
        log_word(l->log, item->name);
    if (item->part == RDB_PART_SCORED)
        rdb_logf(l->log, " %.17g", item->score);
    if (item->part == RDB_PART_FIELD) {
        log_word(l->log, item->value);
        rdb_logf(l->log, " at %" PRId64, item->expire_at);
    }
    if (item->part >= RDB_PART_ENTRY && item->part != RDB_PART_CONSUMER)
        rdb_logf(l->log, " %" PRIu64 "-%" PRIu64, item->id.ms, item->id.seq);
    for (uint32_t i = 0; i < item->field_count; i++)
        log_word(l->log, item->fields[i]);
    if (item->part == RDB_PART_STREAM)
        rdb_logf(l->log, " length %" PRIu64 " added %" PRIu64 " deleted %" PRIu64 "-%" PRIu64,
                 item->length, item->added, item->deleted.ms, item->deleted.seq);
    if (item->part == RDB_PART_GROUP)
        rdb_logf(l->log, " read %" PRId64, item->read);
    if (item->part == RDB_PART_PENDING || item->part == RDB_PART_CONSUMER)
        rdb_logf(l->log, " time %" PRId64 " count %" PRIu64, item->time, item->count);
    write_raw(l->log, SPAN("\n"));
    return true;
}

static inline void log_key(struct rdb_log *l, const struct rdb_reader *r)
{
    rdb_logf(l->log, "key db %" PRIu64 " %s", r->db, r->type->name);
    log_word(l->log, r->name);
    rdb_logf(l->log, " expires %" PRId64 " idle %" PRId64 " freq %d\n", r->expire_at, r->idle,
             r->freq);
    writer_clear(&l->value, 2);
    writer_clear(&l->string, 2);
    l->decoding = l->unpacked = r->type->kind != RDB_MODULE;
    if (l->decoding)
        rdb_decode_open(&l->decode, r->type, log_item, l);
}

static inline void log_value(struct rdb_log *l, struct span bytes)
{
    write_raw(&l->value, bytes);
    if (l->unpacked && !rdb_decode_take(&l->decode, bytes)) {
        l->unpacked = false;
        writer_clear(&l->string, 2); /* how much came before the damage depends on the pieces */
        write_raw(l->log, SPAN("  damaged\n"));
    }
}

static inline void log_value_end(struct rdb_log *l, const struct rdb_reader *r)
{
    if (l->unpacked && !l->decode.done)
        write_raw(l->log, SPAN("  unfinished\n"));
    if (l->string.len > 0) {
        log_word(l->log, writer_span(&l->string));
        write_raw(l->log, SPAN("\n"));
    }
    uint64_t crc = crc64_add(r->tables, 0, l->value.at, l->value.len);
    rdb_logf(l->log, "  %zu bytes %016" PRIx64 " stamp %u%s\n", l->value.len, crc, r->stamp,
             r->empty ? " empty" : "");
    if (l->decoding)
        rdb_decode_close(&l->decode);
    l->decoding = false;
}

static inline void log_fact(struct rdb_log *l, const struct rdb_reader *r, enum rdb_fact fact)
{
    switch (fact) {
    case RDB_AUX:
        write_raw(l->log, SPAN("aux"));
        log_word(l->log, r->name);
        log_word(l->log, r->text);
        write_raw(l->log, SPAN("\n"));
        break;
    case RDB_FUNCTION:
        write_raw(l->log, SPAN("function"));
        log_word(l->log, r->text);
        write_raw(l->log, SPAN("\n"));
        break;
    case RDB_KEY:
        log_key(l, r);
        break;
    case RDB_END:
        rdb_logf(l->log, "end version %u crc %s modules %" PRIu64 "\n", r->version,
                 r->checksum != 0 ? "right" : "off", r->modules_left);
        break;
    case RDB_BAD:
        /* Where exactly damage is seen depends on the pieces. */
        rdb_logf(l->log, "bad %s\n", strncmp(r->error, "damaged", 7) == 0 ? "damaged" : r->error);
        break;
    default:
        break;
    }
}

/* Reads the bytes in the pieces that cut says, up to the end or the first fault. */
static inline void log_rdb_piece(struct rdb_log *l, struct rdb_reader *r, struct span bytes,
                                 enum rdb_fact *fact)
{
    do {
        size_t used;
        /* A copy of its own, so that a sanitizer sees one byte read too far. */
        char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
        REQUIRE(copy != NULL);
        memcpy(copy, bytes.at, bytes.len);
        *fact = rdb_read(r, copy, bytes.len, &used);
        REQUIRE(used <= bytes.len);
        /* What came before damage comes alone if it came in another piece. */
        if (*fact == RDB_VALUE || *fact == RDB_VALUE_END || (*fact == RDB_BAD && l->decoding))
            log_value(l, (struct span){ copy, used });
        if (*fact == RDB_VALUE_END)
            log_value_end(l, r);
        log_fact(l, r, *fact);
        free(copy);
        bytes.at += used;
        bytes.len -= used;
    } while (bytes.len > 0 && *fact != RDB_BAD && *fact != RDB_END);
}

static inline void log_rdb(struct writer *log, struct span bytes, const void *tables,
                           struct cut cut)
{
    struct rdb_log l = { .log = log };
    struct rdb_reader r;
    enum rdb_fact fact = RDB_MORE;
    rdb_reader_open(&r, tables);
    while (bytes.len > 0 && fact != RDB_BAD && fact != RDB_END) {
        size_t n = cut_next(&cut);
        n = n < bytes.len ? n : bytes.len;
        log_rdb_piece(&l, &r, (struct span){ bytes.at, n }, &fact);
        bytes.at += n;
        bytes.len -= n;
    }
    if (fact != RDB_BAD && fact != RDB_END)
        write_raw(log, SPAN("more\n"));
    if (l.decoding)
        rdb_decode_close(&l.decode);
    writer_close(&l.value);
    writer_close(&l.string);
    rdb_reader_close(&r);
}

#endif
