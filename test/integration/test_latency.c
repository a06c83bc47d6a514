/*
 * LATENCY of the proxy's own events: beside one Redis's, and of two workers together.
 *
 * A machine under load makes events of its own, so each test looks for the one that it has made,
 * and stops the monitor before it counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/differ.h"
#include "test/lib/testenv.h"

enum { WORKERS = 2, KEYS = 50000 };

/* Takes so many ms at a node. */
static const char busy[] =
    "local function now() local t=redis.call('TIME') return t[1]*1000+t[2]/1000 end "
    "local start=now() while now()-start < tonumber(ARGV[1]) do end return 1";

static struct client c[WORKERS], one; /* one on each worker; of the oracle */

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--workers", "2", "--slowlog-log-slower-than", "-1",
                                        "--worker-timeout", "20s", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", WORKERS, scaled_ms(5000));
    crowd_open_on_each(c, WORKERS, proxy.port);
    assert_true(client_open(&one, oracle.port));
    return 0;
}

static int stop(void **state)
{
    crowd_close(c, WORKERS);
    client_close(&one);
    return beside_end(state);
}

static void set_threshold(const char *ms)
{
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "latency-monitor-threshold", ms);
    client_ask_expect(&one, "+OK\r\n", "CONFIG", "SET", "latency-monitor-threshold", ms);
}

static int forget(void **state)
{
    (void)state;
    assert_non_null(client_ask(&c[0], "HELLO", "2", NULL));
    assert_non_null(client_ask(&one, "HELLO", "2", NULL));
    set_threshold("0");
    assert_non_null(client_ask(&c[0], "LATENCY", "RESET", NULL));
    assert_non_null(client_ask(&one, "LATENCY", "RESET", NULL));
    return 0;
}

struct row {
    long long at, ms, max;
};

static bool find_row(struct client *from, const char *event, struct row *row)
{
    char start[64];
    const char *reply = client_ask(from, "LATENCY", "LATEST", NULL);
    assert_non_null(reply);
    snprintf(start, sizeof(start), "*4\r\n$%zu\r\n%s\r\n", strlen(event), event);
    const char *at = strstr(reply, start);
    return at != NULL && sscanf(at + strlen(start), ":%lld\r\n:%lld\r\n:%lld\r\n", &row->at,
                                &row->ms, &row->max) == 3;
}

/* --- nothing has been seen -------------------------------------------------------------------- */

static void compare_all(int protocol)
{
    static const char *const words[] = {
        "LATENCY LATEST",
        "LATENCY LATEST x",
        "LATENCY HISTORY command",
        "LATENCY HISTORY nosuch",
        "LATENCY HISTORY",
        "LATENCY HISTORY a b",
        "LATENCY RESET",
        "LATENCY RESET command nosuch command",
        "LATENCY GRAPH command",
        "LATENCY GRAPH nosuch",
        "LATENCY GRAPH",
        "LATENCY DOCTOR",
        "LATENCY DOCTOR x",
        "LATENCY nosuch",
        "LATENCY",
        "CONFIG GET latency-monitor-threshold",
    };
    struct client p, o;
    beside_open(&p, &o);
    assert_non_null(client_ask(&p, "HELLO", protocol == 3 ? "3" : "2", NULL));
    assert_non_null(client_ask(&o, "HELLO", protocol == 3 ? "3" : "2", NULL));
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&p, &o, words[i]);
    beside_close(&p, &o);
}

static void test_nothing_seen(void **state)
{
    (void)state;
    compare_all(2);
    compare_all(3);
    set_threshold("1000000");
    compare_all(2);
    compare_all(3);
    client_ask_expect(&c[1], "*2\r\n$25\r\nlatency-monitor-threshold\r\n$7\r\n1000000\r\n",
                      "CONFIG", "GET", "latency-monitor-threshold");
}

/* What is slow is none while the monitor is off. */
static void test_off(void **state)
{
    struct row row;
    (void)state;
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "0", "30");
    client_ask_expect(&c[1], "*0\r\n", "LATENCY", "LATEST");
    set_threshold("10000");
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "0", "30");
    assert_false(find_row(&c[1], "command", &row));
}

/* --- commands --------------------------------------------------------------------------------- */

static void expect_shape(const char *word, const char *event)
{
    size_t mine_len, wanted_len;
    assert_true(client_send_command(&c[0], "LATENCY", word, event, NULL));
    const char *mine = client_read(&c[0], &mine_len);
    assert_true(client_send_command(&one, "LATENCY", word, event, NULL));
    const char *wanted = client_read(&one, &wanted_len);
    assert_non_null(mine);
    assert_non_null(wanted);
    assert_true(differ_agree(DIFFER_SHAPE, mine, mine_len, wanted, wanted_len));
}

/* Drops what the machine has made beside it. */
static void keep_commands(struct client *from)
{
    assert_non_null(client_ask(from, "LATENCY", "RESET", "fast-command", "event-loop", NULL));
}

static void run_both(const char *ms)
{
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "0", ms);
    client_ask_expect(&one, ":1\r\n", "EVAL", busy, "0", ms);
}

static void test_beside_one_redis(void **state)
{
    struct row mine, wanted;
    (void)state;
    set_threshold("25");
    run_both("60");
    run_both("30");
    set_threshold("0");
    keep_commands(&c[0]);
    keep_commands(&one);
    assert_true(find_row(&c[0], "command", &mine) && find_row(&one, "command", &wanted));
    assert_true(mine.max >= 60 && wanted.max >= 60);
    assert_true(mine.ms >= 30 && wanted.ms >= 30);
    assert_in_range(mine.at, time(NULL) - 60, time(NULL));
    for (int protocol = 2; protocol <= 3; protocol++) {
        assert_non_null(client_ask(&c[0], "HELLO", protocol == 3 ? "3" : "2", NULL));
        assert_non_null(client_ask(&one, "HELLO", protocol == 3 ? "3" : "2", NULL));
        expect_shape("LATEST", NULL);
        expect_shape("GRAPH", "command");
        expect_shape("DOCTOR", NULL);
    }
    assert_non_null(
        strstr(client_ask(&c[0], "LATENCY", "GRAPH", "command", NULL), "\r\ntxt:command - high "));
    const char *doctor = client_ask(&c[0], "LATENCY", "DOCTOR", NULL);
    assert_non_null(strstr(doctor, "\n1. command: "));
    client_ask_expect(&c[0], "-ERR No samples available for event 'COMMAND'\r\n", "LATENCY",
                      "GRAPH", "COMMAND");
    client_ask_expect(&one, ":1\r\n", "LATENCY", "RESET", "COMMAND", "command", "nosuch");
    client_ask_expect(&c[0], ":1\r\n", "LATENCY", "RESET", "COMMAND", "command", "nosuch");
    client_ask_expect(&c[0], "*0\r\n", "LATENCY", "LATEST");
}

/* SLOWLOG has a limit of its own; here it keeps nothing. */
static void test_without_slowlog(void **state)
{
    struct row row;
    (void)state;
    set_threshold("25");
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "0", "30");
    client_ask_expect(&c[0], ":0\r\n", "SLOWLOG", "LEN");
    assert_true(find_row(&c[0], "command", &row));
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "0");
    client_ask_expect(&c[0], ":2\r\n", "EVAL", "return 2", "0");
    client_ask_expect(&c[0], ":1\r\n", "SLOWLOG", "LEN");
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "-1");
}

/* Also one that runs in steps. */
static void test_in_steps(void **state)
{
    struct row row;
    (void)state;
    set_threshold("25");
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "2", "a", "b", "40");
    assert_true(find_row(&c[0], "command", &row));
    assert_true(row.max >= 40);
}

/* EXEC is as long as all that it runs; SLOWLOG leaves it out, as Redis does. */
static void test_transaction(void **state)
{
    struct row row;
    (void)state;
    set_threshold("25");
    client_ask_expect(&c[0], "+OK\r\n", "MULTI");
    client_ask_expect(&c[0], "+QUEUED\r\n", "EVAL", busy, "1", "a", "40");
    client_ask_expect(&c[0], "*1\r\n:1\r\n", "EXEC");
    assert_true(find_row(&c[0], "command", &row));
    assert_true(row.max >= 40);
}

/* To wait is not to be slow. */
static void test_waiting_clients(void **state)
{
    struct row row;
    (void)state;
    set_threshold("400");
    client_ask_expect(&c[0], "*-1\r\n", "BLPOP", "nothing", "0.5");
    client_ask_expect(&c[0], "*-1\r\n", "BLPOP", "nothing", "none", "0.5");
    assert_false(find_row(&c[0], "command", &row));
}

static bool get_is_slow(void *arg)
{
    struct row row;
    (void)arg;
    for (int node = 0; node < 3; node++)
        cluster_do(&cluster, node, "CLIENT PAUSE 100 ALL");
    client_ask_expect(&c[0], "$-1\r\n", "GET", "nothing");
    return find_row(&c[0], "fast-command", &row) && row.max >= 20;
}

static void test_fast_commands(void **state)
{
    (void)state;
    set_threshold("20");
    assert_true(wait_until(get_is_slow, NULL, scaled_ms(10000)));
}

/* --- both workers ----------------------------------------------------------------------------- */

static long long history_length(struct client *from)
{
    const char *reply = client_ask(from, "LATENCY", "HISTORY", "command", NULL);
    assert_non_null(reply);
    assert_int_equal(*reply, '*');
    return atoll(reply + 1);
}

static bool is_later(void *arg)
{
    return time(NULL) > *(const time_t *)arg;
}

static void test_both_workers(void **state)
{
    struct row row[WORKERS];
    (void)state;
    set_threshold("25");
    client_ask_expect(&c[0], ":1\r\n", "EVAL", busy, "0", "90");
    time_t first = time(NULL);
    assert_true(wait_until(is_later, &first, scaled_ms(5000)));
    client_ask_expect(&c[1], ":1\r\n", "EVAL", busy, "0", "30");
    set_threshold("0");
    keep_commands(&c[0]);
    for (int i = 0; i < WORKERS; i++) {
        assert_true(find_row(&c[i], "command", &row[i]));
        assert_true(row[i].max >= 90);
        assert_true(row[i].ms >= 30);
        assert_true(row[i].at > (long long)first);
        assert_true(history_length(&c[i]) >= 2);
    }
    assert_memory_equal(&row[0], &row[1], sizeof(row[0]));
    client_ask_expect(&c[1], ":1\r\n", "LATENCY", "RESET");
    client_ask_expect(&c[0], ":0\r\n", "LATENCY", "RESET");
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&c[i], "*0\r\n", "LATENCY", "HISTORY", "command");
}

/* --- the loop --------------------------------------------------------------------------------- */

/* All of it is read, split and sent in a few turns. */
static bool turn_is_long(void *arg)
{
    static const char *argv[KEYS];
    static char name[KEYS][16];
    static size_t len[KEYS];
    struct row row;
    (void)arg;
    for (int i = 0; i < KEYS; i++) {
        snprintf(name[i], sizeof(name[i]), "key:%d", i);
        argv[i] = i > 0 ? name[i] : "MGET";
        len[i] = strlen(argv[i]);
    }
    assert_true(client_send_argv(&c[0], KEYS, argv, len));
    client_expect_start(&c[0], "*49999\r\n");
    return find_row(&c[1], "event-loop", &row) && row.max >= 1;
}

static void test_long_turns(void **state)
{
    (void)state;
    set_threshold("1");
    assert_true(wait_until(turn_is_long, NULL, scaled_ms(20000)));
    assert_non_null(strstr(client_ask(&c[0], "LATENCY", "DOCTOR", NULL), "- event-loop: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nothing_seen, forget),
        cmocka_unit_test_setup(test_off, forget),
        cmocka_unit_test_setup(test_beside_one_redis, forget),
        cmocka_unit_test_setup(test_without_slowlog, forget),
        cmocka_unit_test_setup(test_in_steps, forget),
        cmocka_unit_test_setup(test_transaction, forget),
        cmocka_unit_test_setup(test_waiting_clients, forget),
        cmocka_unit_test_setup(test_fast_commands, forget),
        cmocka_unit_test_setup(test_both_workers, forget),
        cmocka_unit_test_setup(test_long_turns, forget),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
