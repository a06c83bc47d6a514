/*
 * request_log.h: what the request parser says about some bytes, as text, however they arrive.
 *
 * For the unit test and the fuzz target: two ways to cut the same bytes have to give the same text.
 * Each call of the parser sees a fresh copy of exactly the bytes that are there, so that positions
 * cannot depend on the address and the sanitizer sees every byte read too far.
 */
#ifndef TEST_REQUEST_LOG_H
#define TEST_REQUEST_LOG_H

#include <stdio.h>
#include <stdlib.h>

#include "resp/request.h"
#include "resp/writer.h"

/* How many bytes the next piece has; `cut` says how to choose. At least 1. */
struct cut {
    size_t first, then; /* the first piece, all others */
    uint32_t random;    /* when not 0: pieces of random size instead */
};

static inline size_t cut_next(struct cut *c)
{
    if (c->random != 0) {
        c->random = c->random * 1664525 + 1013904223;
        uint32_t bits = c->random >> 16;
        size_t most = (bits & 3) == 0 ? 100 : (bits & 3) == 1 ? 20 : 4;
        c->random |= 1;
        return 1 + (bits >> 2) % most;
    }
    size_t n = c->first;
    c->first = c->then;
    return n > 0 ? n : 1;
}

static inline void log_format(struct writer *log, const char *fmt, size_t n)
{
    char text[80];
    int len = snprintf(text, sizeof(text), fmt, n);
    write_raw(log, (struct span){ text, (size_t)len });
}

/* One result as one line: "args 2 used 20: <5:HELLO> <1:3>". */
static inline void log_request(struct writer *log, enum request_result r, const struct argv *argv,
                               size_t used, const char *bytes, const char *error)
{
    if (r == REQUEST_BAD) {
        write_raw(log, SPAN("bad "));
        write_raw(log, (struct span){ error, strlen(error) });
    } else if (r == REQUEST_EMPTY) {
        log_format(log, "empty used %zu", used);
    } else if (r == REQUEST_INLINE) {
        log_format(log, "inline used %zu: ", used);
        write_raw(log, (struct span){ bytes, used });
    } else {
        log_format(log, "args %zu", argv->count);
        log_format(log, " used %zu:", used);
        for (uint32_t i = 0; i < argv->count; i++) {
            log_format(log, " <%zu:", argv_get(argv, i).len);
            write_raw(log, argv_get(argv, i));
            write_raw(log, SPAN(">"));
        }
    }
    write_raw(log, SPAN("\n"));
}

/* Appends to `log` what the parser says; ends with "more N" when bytes are left over. */
static inline void log_requests(struct writer *log, struct span bytes,
                                const struct request_limits *limits, struct cut cut)
{
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    size_t begin = 0, end = 0;
    enum request_result r = REQUEST_EMPTY;
    while (r != REQUEST_BAD) {
        if (begin == end || r == REQUEST_MORE) {
            if (end == bytes.len)
                break;
            size_t piece = cut_next(&cut);
            end = piece < bytes.len - end ? end + piece : bytes.len;
        }
        size_t len = end - begin, used = 0;
        char *copy = malloc(len);
        REQUIRE(copy != NULL);
        memcpy(copy, bytes.at + begin, len);
        struct argv argv = { .base = NULL };
        const char *error = NULL;
        r = request_parse(&p, limits, &room, copy, len, &argv, &used, &error);
        if (r != REQUEST_MORE)
            log_request(log, r, &argv, used, copy, error);
        REQUIRE(used <= len);
        begin += used;
        free(copy);
    }
    if (r == REQUEST_MORE)
        log_format(log, "more %zu\n", request_missing(&p, end - begin));
    request_parser_reset(&p);
    arg_room_close(&room);
}

#endif
