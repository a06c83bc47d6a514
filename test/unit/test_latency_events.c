/* Latency events: what is kept, what several workers add up to, and how it looks as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/latency_events.h"
#include "proxy/latency_text.h"

static void expect_sample(const struct latency_series *s, uint32_t i, int64_t at, uint32_t ms)
{
    assert_int_equal(s->v[i].at, at);
    assert_int_equal(s->v[i].ms, ms);
}

/* Per second the longest, and no more than so many seconds. */
static void test_what_is_kept(void **state)
{
    static struct latency_events e;
    const struct latency_series *s = &e.of[LATENCY_COMMAND];
    (void)state;
    latency_events_add(&e, LATENCY_COMMAND, 1000, 7);
    latency_events_add(&e, LATENCY_COMMAND, 1000, 9);
    latency_events_add(&e, LATENCY_COMMAND, 1000, 8);
    assert_int_equal(s->count, 1);
    expect_sample(s, 0, 1000, 9);
    for (int i = 1; i <= LATENCY_SAMPLES; i++)
        latency_events_add(&e, LATENCY_COMMAND, 1000 + 2 * i, 5);
    assert_int_equal(s->count, LATENCY_SAMPLES);
    assert_int_equal(s->max, 9);
    expect_sample(s, 0, 1002, 5);
    expect_sample(s, LATENCY_SAMPLES - 1, 1000 + 2 * LATENCY_SAMPLES, 5);
    latency_events_add(&e, LATENCY_COMMAND, 999, 6); /* older than all that is kept */
    expect_sample(s, 0, 1002, 5);
    assert_int_equal(s->count, LATENCY_SAMPLES);
    assert_int_equal(e.of[LATENCY_EVENT_LOOP].count, 0);
}

static void add_as_worker(struct latency_events *to, const struct latency_events *from)
{
    struct writer w;
    writer_init(&w, 2);
    latency_events_write(from, &w);
    latency_events_read(to, writer_span(&w));
    writer_close(&w);
}

static void test_two_workers(void **state)
{
    struct latency_events a = { 0 }, b = { 0 }, all = { 0 };
    const struct latency_series *s = &all.of[LATENCY_COMMAND];
    (void)state;
    latency_events_add(&a, LATENCY_COMMAND, 10, 3);
    latency_events_add(&a, LATENCY_COMMAND, 12, 4);
    latency_events_add(&a, LATENCY_COMMAND, 14, 50);
    latency_events_add(&b, LATENCY_COMMAND, 11, 70);
    latency_events_add(&b, LATENCY_COMMAND, 12, 6);
    latency_events_add(&b, LATENCY_EVENT_LOOP, 13, 1);
    a.of[LATENCY_COMMAND].max = 90;
    add_as_worker(&all, &a);
    add_as_worker(&all, &b);
    assert_int_equal(s->count, 4);
    assert_int_equal(s->max, 90);
    expect_sample(s, 0, 10, 3);
    expect_sample(s, 1, 11, 70);
    expect_sample(s, 2, 12, 6);
    expect_sample(s, 3, 14, 50);
    assert_int_equal(all.of[LATENCY_EVENT_LOOP].count, 1);
    assert_int_equal(all.of[LATENCY_FAST_COMMAND].count, 0);
}

/* Two full ones, second by second in turn: the younger half of both is kept. */
static void test_two_full_workers(void **state)
{
    static struct latency_events part[2], all;
    const struct latency_series *s = &all.of[LATENCY_FAST_COMMAND];
    (void)state;
    for (int i = 0; i < 2 * LATENCY_SAMPLES; i++)
        latency_events_add(&part[i % 2], LATENCY_FAST_COMMAND, 1000 + i, (uint32_t)i);
    add_as_worker(&all, &part[1]);
    add_as_worker(&all, &part[0]);
    assert_int_equal(s->count, LATENCY_SAMPLES);
    for (uint32_t i = 0; i < LATENCY_SAMPLES; i++)
        expect_sample(s, i, 1000 + LATENCY_SAMPLES + i, LATENCY_SAMPLES + i);
}

static void test_bytes_without_sense(void **state)
{
    static const char *const bad[] = { "",
                                       "+OK\r\n",
                                       "*4\r\n:9\r\n:1\r\n:1\r\n:1\r\n",
                                       "*4\r\n:-1\r\n:1\r\n:1\r\n:1\r\n",
                                       "*4\r\n:0\r\n:1\r\n:1\r\n",
                                       "*4\r\n:0\r\n$1\r\nx\r\n:1\r\n:1\r\n",
                                       "*4294967295\r\n:0\r\n:1\r\n" };
    struct latency_events all = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        latency_events_read(&all, (struct span){ bad[i], strlen(bad[i]) });
    for (int i = 0; i < LATENCY_EVENTS; i++)
        assert_int_equal(all.of[i].count, 0);
}

/* --- text ------------------------------------------------------------------------------------- */

static void expect_text(const struct writer *w, const char *wanted)
{
    char text[8192];
    assert_true(w->len < sizeof(text));
    memcpy(text, w->at, w->len);
    text[w->len] = '\0';
    assert_string_equal(text, wanted);
}

#define LINE "--------------------------------------------------------------------------------\n"

/* These two as a Redis 7.0 has drawn them. */
static void test_graph(void **state)
{
    static const uint32_t ms[] = { 67, 15, 46, 19 };
    struct latency_events e = { 0 };
    struct writer w;
    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        latency_events_add(&e, LATENCY_COMMAND, 96 + i, ms[i]);
    writer_init(&w, 2);
    latency_graph("command", &e.of[LATENCY_COMMAND], 100, &w);
    expect_text(&w, "command - high 67 ms, low 15 ms (all time high 67 ms)\n" LINE "#   \n"
                    "| o \n"
                    "| | \n"
                    "|_|_\n"
                    "    \n"
                    "4321\n"
                    "ssss\n");
    writer_clear(&w, 2);
    e = (struct latency_events){ 0 };
    latency_events_add(&e, LATENCY_COMMAND, 100, 18);
    latency_graph("command", &e.of[LATENCY_COMMAND], 100, &w);
    expect_text(&w, "command - high 18 ms, low 18 ms (all time high 18 ms)\n" LINE " \n"
                    " \n"
                    " \n"
                    "_\n"
                    " \n"
                    "0\n"
                    "s\n");
    writer_close(&w);
}

/* Ages of all units; behind 80 of them new rows begin, as high as all others. */
static void test_long_graph(void **state)
{
    static const int ages[] = { 3 * 86400, 2 * 3600, 61 };
    static struct latency_events e;
    const int64_t now = 1000000;
    struct writer w;
    (void)state;
    for (int i = 0; i < 3; i++)
        latency_events_add(&e, LATENCY_COMMAND, now - ages[i], 40);
    for (int age = 59; age >= 0; age--)
        latency_events_add(&e, LATENCY_COMMAND, now - age, 10);
    for (int i = 1; i <= 18; i++)
        latency_events_add(&e, LATENCY_COMMAND, now + i, 10);
    writer_init(&w, 2);
    latency_graph("command", &e.of[LATENCY_COMMAND], now + 18, &w);
    write_raw(&w, (struct span){ "", 1 });
    const char *first = strstr(w.at, LINE), *second = strstr(w.at, "\n\n");
    assert_non_null(first);
    assert_non_null(second);
    assert_memory_equal(first + sizeof(LINE) - 1, "###   ", 6);
    assert_non_null(strstr(w.at, "\n3211111"));
    assert_non_null(strstr(w.at, "\ndhmmmmm"));
    assert_string_equal(second, "\n\n \n \n \n_\n \n0\ns\n");
    writer_close(&w);
}

static void test_doctor(void **state)
{
    struct latency_events e = { 0 };
    struct writer w;
    char text[4096];
    (void)state;
    latency_events_add(&e, LATENCY_EVENT_LOOP, 90, 20);
    latency_events_add(&e, LATENCY_EVENT_LOOP, 95, 40);
    writer_init(&w, 2);
    latency_doctor(&e, 100, 10, 10000, &w);
    assert_true(w.len < sizeof(text));
    memcpy(text, w.at, w.len);
    text[w.len] = '\0';
    assert_non_null(strstr(text, "1. event-loop: in 2 of the last 11 seconds, the last one 5 s "
                                 "ago; 20 to 40 ms, 30 on average, 40 ever.\n"));
    assert_non_null(strstr(text, "- event-loop: "));
    assert_null(strstr(text, "command:"));
    assert_null(strstr(text, "slowlog-log-slower-than"));
    writer_clear(&w, 2);
    latency_doctor(&e, 100, 10, 10001, &w);
    w.at[w.len - 1] = '\0';
    assert_non_null(strstr(w.at, "CONFIG SET slowlog-log-slower-than 10000 "));
    writer_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_two_workers),
        cmocka_unit_test(test_two_full_workers),
        cmocka_unit_test(test_bytes_without_sense),
        cmocka_unit_test(test_graph),
        cmocka_unit_test(test_long_graph),
        cmocka_unit_test(test_doctor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
