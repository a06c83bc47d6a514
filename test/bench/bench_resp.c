/*
 * bench_resp.c: what the wire level costs per request and per reply.
 *
 *     bench_resp [rounds]        valgrind --tool=callgrind --toggle-collect='request_parse' ...
 *
 * Each round goes through a pipeline of 64. Under callgrind, instructions per call are the number
 * of a function divided by 64 * rounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "resp/reply.h"
#include "resp/request.h"
#include "resp/value.h"
#include "resp/writer.h"

enum { DEPTH = 64 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void report(const char *what, double begin, long count)
{
    printf("%-28s %7.1f ns\n", what, (now() - begin) / (double)count);
}

static void bench_requests(const char *name, const char *const *args, size_t count, long rounds)
{
    struct writer w;
    writer_init(&w, 2);
    for (int i = 0; i < DEPTH; i++)
        write_request(&w, args, count);
    struct request_parser p = { .state = 0 };
    struct arg_room room = { .v = NULL };
    double begin = now();
    for (long i = 0; i < rounds; i++) {
        for (size_t at = 0; at < w.len;) {
            struct argv argv;
            size_t used = 0;
            const char *error;
            REQUIRE(request_parse(&p, &request_limits_default, &room, w.at + at, w.len - at, &argv,
                                  &used, &error) == REQUEST_ARGS);
            at += used;
        }
    }
    report(name, begin, rounds * DEPTH);
    arg_room_close(&room);
    writer_close(&w);
}

static void bench_replies(const char *name, struct span reply, long rounds)
{
    struct writer w;
    writer_init(&w, 2);
    for (int i = 0; i < DEPTH; i++)
        write_raw(&w, reply);
    struct reply_scanner s = { .missing = 0 };
    double begin = now();
    for (long i = 0; i < rounds; i++) {
        for (size_t at = 0; at < w.len;) {
            size_t used = 0;
            REQUIRE(reply_scan(&s, w.at + at, w.len - at, &used) == REPLY_DONE);
            at += used;
        }
    }
    report(name, begin, rounds * DEPTH);
    writer_close(&w);
}

static void bench_values(struct span reply, long rounds)
{
    uint64_t sum = 0;
    double begin = now();
    for (long i = 0; i < rounds * DEPTH; i++) {
        struct value_cursor c = { reply.at, reply.at + reply.len };
        struct value v;
        while (value_next(&c, &v))
            sum += v.text.len;
    }
    REQUIRE(sum > 0);
    report("walk list of 100", begin, rounds * DEPTH);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 50000;
    static const char value[] = "0123456789012345678901234567890123456789012345678901234567890123";
    const char *const set[] = { "SET", "key:000123", value };
    const char *const get[] = { "GET", "key:000123" };
    bench_requests("parse SET key <64>", set, 3, rounds);
    bench_requests("parse GET key", get, 2, rounds);

    struct writer w;
    writer_init(&w, 2);
    write_bulk_text(&w, value);
    bench_replies("scan $64", writer_span(&w), rounds);
    writer_clear(&w, 2);
    write_simple(&w, "OK");
    bench_replies("scan +OK", writer_span(&w), rounds);
    writer_clear(&w, 2);
    write_integer(&w, 12345);
    bench_replies("scan :12345", writer_span(&w), rounds);
    writer_clear(&w, 2);
    write_null(&w);
    bench_replies("scan $-1", writer_span(&w), rounds);
    writer_clear(&w, 2);
    write_array(&w, 100);
    for (int i = 0; i < 100; i++)
        write_bulk_text(&w, value);
    bench_replies("scan list of 100", writer_span(&w), rounds / 50 + 1);
    bench_values(writer_span(&w), rounds / 50 + 1);
    writer_close(&w);
    return 0;
}
