/*
 * Clients that leave in the middle of anything, or do not read what they asked for, cost nobody
 * else anything: no wrong reply, no delay, no memory and no entry in CLIENT LIST that stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/load.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { LEAVERS = 100, MIB = 1024 /* KiB */, BIG = 1 << 20, OUTPUT_LIMIT_MIB = 64 };

static struct redis_cluster cluster;
static struct proxy proxy;
static struct client steady; /* always there, never disturbed */

static int start(void **state)
{
    static const char *const bounded[] = { "--client-output-limit", "64mb", NULL };
    char seeds[512], *value = malloc(BIG + 1);

    (void)state;
    assert_non_null(value);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), bounded);
    assert_true(client_open(&steady, proxy.port));
    memset(value, 'b', BIG);
    value[BIG] = '\0';
    for (int i = 0; i < 3; i++) {
        char key[64];
        const char *reply =
            client_ask(&steady, "SET", cluster_key(&cluster, i, 0, "big", key), value, NULL);
        assert_non_null(reply);
        assert_string_equal(reply, "+OK\r\n");
    }
    free(value);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    client_close(&steady);
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

/* The i-th way to leave: what was sent, what was read, and how it ends. */
static void come_and_leave(int i)
{
    struct client c;
    char key[64], begun[128];

    assert_true(client_open(&c, proxy.port));
    cluster_key(&cluster, i % 3, 0, "big", key);
    switch (i % 8) {
    case 0: /* inside the header */
        client_send_text(&c, "*3\r\n$3");
        break;
    case 1: /* inside a value */
        snprintf(begun, sizeof(begun), "*3\r\n$3\r\nSET\r\n$6\r\ngone%02d\r\n$100000\r\nabc",
                 i % 100);
        client_send_text(&c, begun);
        break;
    case 2: /* inside a value that is so large that it is on its way to the node already */
        snprintf(begun, sizeof(begun), "*3\r\n$3\r\nSET\r\n$6\r\ngone%02d\r\n$3000000\r\n",
                 i % 100);
        client_send_text(&c, begun);
        for (int j = 0; j < 100; j++)
            client_send(&c, "0123456789012345678901234567890123456789012345678901234567890123", 64);
        break;
    case 3: /* before a large reply */
        client_send_command(&c, "GET", key, NULL);
        break;
    case 4: /* inside a large reply */
        client_send_command(&c, "GET", key, NULL);
        c.timeout_ms = 20;
        client_hears_nothing(&c, scaled_ms(2000));
        client_read(&c, NULL);
        break;
    case 5: /* with a long pipeline on its way */
        for (int j = 0; j < 300; j++) {
            client_send_command(&c, "INCR", "left:counter", NULL);
            client_send_command(&c, "GET", "left:nothing", NULL);
        }
        break;
    case 6: /* with replies half read */
        for (int j = 0; j < 100; j++)
            client_send_command(&c, "ECHO", key, NULL);
        client_read(&c, NULL);
        break;
    default: /* without a word, as a load balancer's probe does */
        break;
    }
    if (i % 16 < 8)
        client_close(&c);
    else
        client_abort(&c);
}

static bool alone_in_the_list(void *arg)
{
    int lines = 0;
    const char *reply = client_ask(&steady, "CLIENT", "LIST", NULL);

    (void)arg;
    assert_non_null(reply);
    for (const char *p = reply; (p = strstr(p, "id=")) != NULL; p++)
        lines += p[-1] == '\n'; /* each entry begins a line */
    return lines == 1;
}

struct bound {
    long kib;
};

static bool rss_is_below(void *arg)
{
    const struct bound *b = arg;

    return proxy_rss_kib(&proxy) < b->kib;
}

/* Room for what an allocator keeps; the sanitizer's keeps more. */
static long slack_kib(long kib)
{
    return testenv_sanitized() ? 4 * kib : kib;
}

static void expect_rss_back_to(long kib, long slack)
{
    struct bound b = { kib + slack_kib(slack) };

    if (!wait_until(rss_is_below, &b, scaled_ms(5000)))
        fail_msg("resident memory is %ld KiB, it was %ld KiB", proxy_rss_kib(&proxy), kib);
}

static void test_a_hundred_leave(void **state)
{
    (void)state;
    for (int i = 0; i < LEAVERS; i++) /* once before measuring, so that pools are filled */
        come_and_leave(i);
    assert_true(wait_until(alone_in_the_list, NULL, scaled_ms(10000)));
    long before = proxy_rss_kib(&proxy);
    struct load *load = load_start(&(struct load_options){ .port = proxy.port, .clients = 4 });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    for (int round = 0; flows && round < 4; round++) {
        for (int i = 0; i < LEAVERS; i++)
            come_and_leave(i);
        flows = load_goes_on(load, 200, scaled_ms(5000));
    }
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    assert_string_equal(tally.first_error, "");
    assert_in_range(tally.slowest_ms, 0, scaled_ms(1500));
    assert_true(wait_until(alone_in_the_list, NULL, scaled_ms(10000)));
    expect_rss_back_to(before, 16 * MIB);
}

/* Not one write of a leaver that was not complete has been executed. */
static void test_half_a_command_is_none(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "gone%02d", i);
        client_ask_expect(&steady, ":0\r\n", "EXISTS", key);
    }
}

/* Asks for 400 MiB and reads nothing: held back or thrown out, but not kept in memory. */
static void test_slow_reader_of_large_replies(void **state)
{
    struct client slow;
    char key[64];
    long before = proxy_rss_kib(&proxy);

    (void)state;
    proxy_forget_peak(&proxy);
    cluster_key(&cluster, 0, 0, "big", key);
    assert_true(client_open_narrow(&slow, proxy.port));
    slow.deaf = true;
    for (int i = 0; i < 400; i++)
        assert_true(client_send_command(&slow, "GET", key, NULL));
    /* Others on the same nodes go on, at their pace, while it does not read. */
    struct load *load = load_start(&(struct load_options){ .port = proxy.port, .clients = 4 });
    bool flows = true;
    for (int i = 0; flows && i < 20; i++)
        flows = load_goes_on(load, 150, scaled_ms(5000));
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    assert_string_equal(tally.first_error, "");
    assert_in_range(tally.slowest_ms, 0, scaled_ms(1500));
    long most = proxy_peak_kib(&proxy);
    fprintf(stderr, "slow reader: %ld KiB before, %ld KiB at most\n", before, most);
    assert_true(most < before + slack_kib((OUTPUT_LIMIT_MIB + 48) * MIB));
    client_close(&slow);
    assert_true(wait_until(alone_in_the_list, NULL, scaled_ms(10000)));
    expect_rss_back_to(before, 24 * MIB);
}

/* One that reads late but does read gets all its replies, in order. */
static void test_late_reader(void **state)
{
    enum { REPLIES = 12 };
    struct client late;
    char key[64], tail[32];

    (void)state;
    cluster_key(&cluster, 1, 0, "big", key);
    assert_true(client_open(&late, proxy.port));
    late.deaf = true;
    for (int i = 0; i < REPLIES; i++) {
        snprintf(tail, sizeof(tail), "%05d", i);
        assert_true(client_send_command(&late, "GET", key, NULL));
        assert_true(client_send_command(&late, "ECHO", tail, NULL));
    }
    assert_true(client_hears_nothing(&steady, 100));
    late.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < REPLIES; i++) {
        size_t len;
        const char *reply = client_read(&late, &len);
        assert_non_null(reply);
        assert_int_equal(len, BIG + 12);
        snprintf(tail, sizeof(tail), "$5\r\n%05d\r\n", i);
        client_expect_bytes(&late, tail, strlen(tail));
    }
    client_close(&late);
}

/* One that asks without end and reads nothing is not read any further itself, long before it would
   have to be thrown out; and when it reads at last, it gets all that it has asked for. */
static void test_flood_without_reading(void **state)
{
    enum { UNIT = 16, VALUE = 16384 };
    const int send_buffer = 64 * 1024; /* what lies there has not been asked yet */
    struct client flood;
    char unit[UNIT * 40] = "", *value = calloc(1, VALUE + 1);
    long before = proxy_rss_kib(&proxy);
    int sent = 0, got = 0;

    (void)state;
    proxy_forget_peak(&proxy);
    assert_non_null(value);
    memset(value, 'f', VALUE);
    client_ask_expect(&steady, "+OK\r\n", "SET", "flood", value);
    for (int i = 0; i < UNIT; i++)
        strcat(unit, "*2\r\n$3\r\nGET\r\n$5\r\nflood\r\n");
    assert_true(client_open(&flood, proxy.port));
    assert_int_equal(setsockopt(flood.fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer)),
                     0);
    flood.deaf = true;
    flood.timeout_ms = scaled_ms(700);
    while (sent < 200000 && client_send_text(&flood, unit)) /* that would be 3 GiB */
        sent += UNIT;
    long most = proxy_peak_kib(&proxy);
    fprintf(stderr, "flood: %s after %d requests, %ld KiB before, %ld KiB at most\n",
            client_state_text(&flood), sent, before, most);
    assert_int_equal(flood.state, CLIENT_TIMEOUT);
    assert_true(most < before + slack_kib((OUTPUT_LIMIT_MIB + 48) * MIB));
    client_ask_expect(&steady, "+PONG\r\n", "PING");
    flood.timeout_ms = scaled_ms(10000);
    for (const char *reply; got < sent && (reply = client_read(&flood, NULL)) != NULL; got++)
        if (strncmp(reply, "$16384\r\nffff", 12) != 0)
            fail_msg("reply %d is %.40s", got, reply);
    assert_int_equal(got, sent);
    client_close(&flood);
    assert_true(wait_until(alone_in_the_list, NULL, scaled_ms(10000)));
    free(value);
}

/* A load balancer's probe that connects and leaves says nothing in the log, however often. */
static void test_probes_are_silent(void **state)
{
    (void)state;
    char *before = proxy_log(&proxy);
    for (int i = 0; i < 20; i++) {
        struct client probe;
        assert_true(client_open(&probe, proxy.port));
        if (i % 2 == 0)
            client_close(&probe);
        else
            client_abort(&probe);
    }
    assert_true(wait_until(alone_in_the_list, NULL, scaled_ms(5000)));
    char *after = proxy_log(&proxy);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hundred_leave),
        cmocka_unit_test(test_half_a_command_is_none),
        cmocka_unit_test(test_late_reader),
        cmocka_unit_test(test_slow_reader_of_large_replies),
        cmocka_unit_test(test_flood_without_reading),
        cmocka_unit_test(test_probes_are_silent),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
