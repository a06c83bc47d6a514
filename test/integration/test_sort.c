/*
 * SORT with BY and GET patterns over many slots (proxy/gather_sort.c): many elements beside one
 * Redis, limits, clients that leave. What each option means is in every_command.inc.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/testenv.h"

enum { ELEMENTS = 3000 }; /* more than are fetched at a time */

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .partial = true },
                 (const char *const[]){ "--request-timeout", "1s", NULL });
    return 0;
}

/* A list of ids, a weight for most and a name for some, each under a key of its own. */
static void fill(struct client *c, uint16_t port)
{
    char text[200];
    int replies = 1;
    assert_true(client_open(c, port));
    assert_true(client_send_text(c, "FLUSHALL\r\n"));
    for (int i = 0; i < ELEMENTS; i++) {
        snprintf(text, sizeof(text),
                 "RPUSH ids %d\r\nSET weight:%d %d\r\nHSET object:%d name n%d\r\n", i,
                 i % 7 == 0 ? -i : i, i * 7919 % 1000, i % 3 == 0 ? -i : i, i);
        assert_true(client_send_text(c, text));
        replies += 3;
    }
    while (replies-- > 0)
        assert_non_null(client_read(c, NULL));
}

static void test_many(void **state)
{
    static const char *const words[] = {
        "SORT ids BY weight:*",
        "SORT ids BY weight:* DESC GET # GET object:*->name",
        "SORT ids BY weight:* LIMIT 10 20 GET object:*->name GET weight:*",
        "SORT ids BY object:*->name ALPHA GET #",
        "SORT ids BY weight:* GET object:*->name GET # STORE result",
        "LRANGE result 0 -1",
        "LLEN result",
        "DBSIZE",
    };
    struct client c, o;
    (void)state;
    fill(&c, proxy.port);
    fill(&o, oracle.port);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&c, &o, words[i]);
    beside_close(&c, &o);
}

/* Texts are compared up to a NUL, but not for STORE: as Redis does. */
static void test_nul_bytes(void **state)
{
    static const char *const push[] = { "RPUSH", "odd", "b", "\0z", "", "\0a", "a" };
    static const size_t len[] = { 5, 3, 1, 2, 0, 2, 1 };
    static const char *const words[] = { "SORT odd ALPHA GET #", "SORT odd ALPHA DESC GET #",
                                         "SORT odd ALPHA GET # STORE sorted",
                                         "LRANGE sorted 0 -1" };
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    assert_true(client_send_argv(&c, 7, push, len) && client_send_argv(&o, 7, push, len));
    client_expect(&c, ":5\r\n");
    client_expect(&o, ":5\r\n");
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&c, &o, words[i]);
    beside_close(&c, &o);
}

/* Past cross-slot-max-bytes it is an error, and what STORE names stays as it was. */
static void test_size_limit(void **state)
{
    struct client c;
    (void)state;
    fill(&c, proxy.port);
    client_ask_expect(&c, "+OK\r\n", "SET", "result", "old");
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "cross-slot-max-bytes", "4096");
    assert_true(client_send_text(&c, "SORT ids BY weight:* STORE result\r\n"));
    client_expect_start(&c, "-ERR slotgate: ");
    client_ask_expect(&c, "$3\r\nold\r\n", "GET", "result");
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "cross-slot-max-bytes", "64mb");
    client_close(&c);
}

static void test_switched_off(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "enable-cross-slot", "no");
    client_ask_expect(&c, "-ERR BY option of SORT denied in Cluster mode.\r\n", "SORT", "ids", "BY",
                      "weight:*");
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "enable-cross-slot", "yes");
    client_close(&c);
}

/* Order in a pipeline, and clients that leave in the middle of it. */
static void test_pipelines_and_leaving(void **state)
{
    struct client c;
    (void)state;
    fill(&c, proxy.port);
    assert_true(client_send_text(&c, "RPUSH two 2 1\r\nSORT two GET #\r\nRPUSH two 0\r\n"
                                     "SORT two GET # STORE two\r\nLRANGE two 0 -1\r\n"));
    client_expect(&c, ":2\r\n");
    client_expect(&c, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    client_expect(&c, ":3\r\n");
    client_expect(&c, ":3\r\n");
    client_expect(&c, "*3\r\n$1\r\n0\r\n$1\r\n1\r\n$1\r\n2\r\n");
    client_close(&c);
    for (int i = 0; i < 50; i++) {
        assert_true(client_open(&c, proxy.port));
        assert_true(client_send_text(&c, "SORT ids BY weight:* GET object:*->name\r\n"));
        rest_us(rand() % 3000); /* at any moment of the work */
        client_abort(&c);
        client_close(&c);
    }
}

/* A weight that cannot be read is the client's error, not a missing weight. */
static void test_a_node_is_away(void **state)
{
    struct client c;
    char key[64], words[128];
    (void)state;
    cluster_key(&cluster, 0, 0, "list", key);
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(10000);
    for (int i = 1; i <= 40; i++) {
        snprintf(words, sizeof(words), "RPUSH %s %d\r\n", key, i);
        assert_true(client_send_text(&c, words));
        client_expect_start(&c, ":");
    }
    cluster_kill_node(&cluster, 2);
    snprintf(words, sizeof(words), "SORT %s BY weight:* GET #\r\n", key);
    assert_true(client_send_text(&c, words));
    client_expect_start(&c, "-");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_pipelines_and_leaving),
        cmocka_unit_test(test_a_node_is_away),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
