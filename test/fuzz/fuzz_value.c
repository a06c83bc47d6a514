/*
 * The cursor survives any bytes. Of a reply that the scanner delimited it stays inside, and when it
 * understands all of it, it ends where the scanner ended; what it read, written again in either
 * protocol, is one reply again.
 */
#include "resp/reply.h"
#include "resp/value.h"
#include "resp/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(struct writer *w, const struct value *v)
{
    switch (v->kind) {
    case VALUE_STRING:
        write_bulk(w, v->text);
        break;
    case VALUE_ERROR:
        write_error(w, "%.*s", (int)(v->text.len % 1000), v->text.at);
        break;
    case VALUE_INTEGER:
        write_integer(w, v->number);
        break;
    case VALUE_NULL:
        write_null(w);
        break;
    case VALUE_LIST:
        write_array(w, v->count);
        break;
    case VALUE_MAP:
        write_map(w, v->count);
        break;
    }
}

/* Walks the elements of one reply. True when all of it was understood; then w holds it again. */
static bool walk(struct span reply, struct writer *w)
{
    struct value_cursor c = { reply.at, reply.at + reply.len };
    uint64_t missing = 1;
    while (missing > 0) {
        struct value v;
        const char *before = c.at;
        if (!value_next(&c, &v)) {
            REQUIRE(c.at == before);
            return false;
        }
        REQUIRE(c.at > before && c.at <= c.end);
        write_value(w, &v);
        missing--;
        missing += v.kind == VALUE_LIST ? v.count : v.kind == VALUE_MAP ? 2 * v.count : 0;
    }
    REQUIRE(c.at == c.end);
    return true;
}

static void check_reply(struct span reply)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct writer w;
        writer_init(&w, protocol);
        if (walk(reply, &w)) {
            struct reply_scanner s = { .missing = 0 };
            size_t used = 0;
            REQUIRE(reply_scan(&s, w.at, w.len, &used) == REPLY_DONE);
            REQUIRE(used == w.len);
            struct value_cursor c = { reply.at, reply.at + reply.len };
            struct value v;
            REQUIRE(value_next(&c, &v) && value_skip_children(&c, &v) && c.at == c.end);
        }
        writer_close(&w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct value_cursor c = { bytes, bytes + size };
    struct value v;
    while (value_next(&c, &v)) {
        struct value_cursor behind = c;
        if (value_skip_children(&behind, &v))
            REQUIRE(behind.at >= c.at && behind.at <= c.end);
    }
    struct reply_scanner s = { .missing = 0 };
    size_t at = 0, used = 0;
    while (at < size && reply_scan(&s, bytes + at, size - at, &used) == REPLY_DONE) {
        check_reply((struct span){ bytes + at, used });
        at += used;
    }
    return 0;
}
