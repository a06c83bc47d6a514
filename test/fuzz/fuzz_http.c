/*
 * Any bytes, whole, in pieces and byte by byte, give the same HTTP requests with the same fields,
 * or are refused with the same status; and no request is larger than the limits say.
 */
#include "net/http_request.h"
#include "resp/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct writer *log, const char *text, size_t len)
{
    write_bulk(log, (struct span){ text, len });
}

static void note_request(struct writer *log, const struct http_request *r)
{
    char value[64];
    REQUIRE(r->body_len <= HTTP_BODY_MAX && r->target_len < HTTP_TARGET_MAX);
    REQUIRE(r->has[HTTP_HOST] || r->parser.http_minor == 0);
    write_integer(log, (long long)r->parser.method);
    write_integer(log, r->keep_alive);
    write_integer(log, (long long)r->body_len);
    note(log, r->target, r->target_len);
    note(log, r->path, strlen(r->path));
    note(log, r->query, strlen(r->query));
    note(log, r->body, sizeof(r->body));
    for (int h = 0; h < HTTP_HEADERS; h++)
        note(log, r->header[h], strlen(r->header[h]));
    if (http_query_value(r, "level", value, sizeof(value)))
        note(log, value, strlen(value));
}

/* Pieces of `piece` bytes; behind a request the next one begins. */
static void read_all(struct writer *log, struct http_request *r, struct span bytes, size_t piece)
{
    http_request_start(r);
    while (bytes.len > 0) {
        struct span now = { bytes.at, piece < bytes.len ? piece : bytes.len };
        size_t used;
        enum http_got got = http_request_read(r, now, &used);
        REQUIRE(used <= now.len && (got != HTTP_MORE || used == now.len));
        if (got == HTTP_BAD) {
            REQUIRE(r->status >= 400 && r->status < 600);
            write_simple(log, "refused");
            return;
        }
        if (got == HTTP_DONE) {
            note_request(log, r);
            http_request_start(r);
        }
        bytes.at += used;
        bytes.len -= used;
    }
    write_integer(log, r->begun);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_request request;
    struct writer whole, pieces;
    struct span bytes = { (const char *)data, size };
    const size_t cuts[] = { 1, 3, 17, 1000 };
    writer_init(&whole, 2);
    writer_init(&pieces, 2);
    read_all(&whole, &request, bytes, size + 1);
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        writer_clear(&pieces, 2);
        read_all(&pieces, &request, bytes, cuts[i]);
        REQUIRE(span_equal(writer_span(&whole), writer_span(&pieces)));
    }
    writer_close(&whole);
    writer_close(&pieces);
    return 0;
}
