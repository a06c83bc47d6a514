/*
 * Commands over several slots that are executed in parts (MGET, MSET, DEL, UNLINK, EXISTS, TOUCH)
 * and commands that concern every shard (DBSIZE, KEYS, FLUSHALL, SCRIPT ...): the same replies as
 * from one Redis, and an error instead of an invented part (promise 4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .partial = true },
                 (const char *const[]){ "--request-timeout", "700ms", NULL });
    return 0;
}

/* The same words to both, in RESP2 and again in RESP3. */
static void compare_all(const char *const *words, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        char hello[16];
        beside_open(&c, &o);
        snprintf(hello, sizeof(hello), "%d", protocol);
        assert_non_null(client_ask(&c, "HELLO", hello, NULL));
        assert_non_null(client_ask(&o, "HELLO", hello, NULL));
        for (size_t i = 0; i < count; i++)
            oracle_compare_words(&c, &o, words[i]);
        beside_close(&c, &o);
    }
}

static void test_as_one_redis(void **state)
{
    static const char *const words[] = {
        "FLUSHALL",
        "MSET a 1 b 2 c 3 {a}x 4 e 5",
        "MGET a b c nokey {a}x a e a",
        "MGET nokey1 nokey2",
        "EXISTS a b c a nokey",
        "TOUCH a b nokey c c",
        "LPUSH list x",
        "MGET a list b",
        "MSET list 1 a 9",
        "MGET list a",
        "DBSIZE",
        "DEL a b a nokey",
        "UNLINK c e nokey",
        "MSET a",
        "MSET a 1 b",
        "MGET",
        "DEL",
        "DBSIZE",
        "FLUSHDB",
        "DBSIZE",
        "KEYS *",
        "SCRIPT LOAD return{1,2}",
        "SCRIPT EXISTS 2648d0e5ed9b6ab0a3b4b6e3a9a5d3b5e9bb1f5d ffff",
        "SCRIPT FLUSH",
        "FLUSHALL ASYNC",
        "FLUSHALL NONSENSE",
    };
    (void)state;
    compare_all(words, ARRAY_LEN(words));
}

/* In one pipeline, single and split commands of the same keys take effect in the order sent. */
static void test_order_in_a_pipeline(void **state)
{
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (int round = 0; round < 300; round++) {
        char words[256];
        snprintf(words, sizeof(words), "MSET p:%d %d q:%d %d r:%d %d", round, round, round,
                 round + 1, round, round + 2);
        assert_true(client_send_text(&c, words) && client_send_text(&c, "\r\n"));
        assert_true(client_send_text(&o, words) && client_send_text(&o, "\r\n"));
        snprintf(words, sizeof(words),
                 "INCR q:%d\r\nMGET q:%d p:%d none r:%d\r\nDEL p:%d q:%d\r\nGET q:%d\r\n"
                 "EXISTS p:%d r:%d\r\n",
                 round, round, round, round, round, round, round, round, round);
        assert_true(client_send_text(&c, words) && client_send_text(&o, words));
    }
    for (int i = 0; i < 300 * 6; i++) {
        size_t len;
        const char *want = client_read(&o, &len);
        assert_non_null(want);
        client_expect_bytes(&c, want, len);
    }
    beside_close(&c, &o);
}

static char *big_request(const char *name, int keys, bool values, size_t *len)
{
    size_t room = (size_t)keys * 160 + 100;
    char *text = malloc(room);
    assert_non_null(text);
    int n = snprintf(text, room, "*%d\r\n$%zu\r\n%s\r\n", 1 + keys * (values ? 2 : 1), strlen(name),
                     name);
    for (int i = 0; i < keys; i++) {
        n += snprintf(text + n, room - (size_t)n, "$9\r\nkey:%05d\r\n", i);
        if (values)
            n += snprintf(text + n, room - (size_t)n, "$60\r\n%060d\r\n", i);
    }
    *len = (size_t)n;
    return text;
}

static void test_ten_thousand_keys(void **state)
{
    static const struct {
        const char *name;
        bool values;
    } calls[] = { { "MSET", true },   { "MGET", false },   { "EXISTS", false },
                  { "TOUCH", false }, { "UNLINK", false }, { "MGET", false } };
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        size_t len;
        char *request = big_request(calls[i].name, 10000, calls[i].values, &len);
        oracle_compare(&c, &o, request, len);
        free(request);
    }
    beside_close(&c, &o);
}

/* Values that are shared instead of copied, and replies of parts that arrive in pieces. */
static void test_large_values(void **state)
{
    enum { SIZE = 300 * 1000, KEYS = 12 };
    struct client c, o;
    char *value = malloc(SIZE);
    (void)state;
    assert_non_null(value);
    beside_open(&c, &o);
    for (int i = 0; i < KEYS; i++) {
        char key[24];
        snprintf(key, sizeof(key), "large:%d", i);
        memset(value, 'a' + i, SIZE);
        const char *const argv[] = { "SET", key, value };
        const size_t len[] = { 3, strlen(key), SIZE - (size_t)i };
        assert_true(client_send_argv(&c, 3, argv, len) && client_send_argv(&o, 3, argv, len));
        client_expect(&c, "+OK\r\n");
        client_expect(&o, "+OK\r\n");
    }
    oracle_compare_words(&c, &o, "MGET large:3 large:0 none large:11 large:5 large:3 large:7");
    free(value);
    beside_close(&c, &o);
}

/* One master is away: no nil, no smaller count, no OK in place of its part. */
static void test_a_part_that_fails(void **state)
{
    static const char *const commands[] = { "MGET", "EXISTS", "DEL", "UNLINK", "TOUCH" };
    struct client c;
    char key[3][64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 3; i++) {
        cluster_key(&cluster, i, 0, "part", key[i]);
        assert_true(client_send_command(&c, "SET", key[i], "1", NULL));
        client_expect(&c, "+OK\r\n");
    }
    cluster_kill_node(&cluster, 1);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        assert_true(client_send_command(&c, commands[i], key[0], key[1], key[2], NULL));
        client_expect_start(&c, "-");
    }
    assert_true(client_send_command(&c, "MSET", key[0], "2", key[1], "2", key[2], "2", NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "DBSIZE", NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "GET", key[2], NULL));
    client_expect_start(&c, "$");
    client_close(&c);
    cluster_restart_node(&cluster, 1);
}

static void test_switched_off(void **state)
{
    struct proxy strict;
    struct client c;
    char seeds[512];
    (void)state;
    proxy_start(&strict, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--enable-cross-slot", "no", NULL });
    assert_true(client_open(&c, strict.port));
    assert_true(client_send_text(&c, "MGET a b\r\nMSET a 1 b 2\r\nDEL a b\r\nMGET {x}1 {x}2\r\n"));
    for (int i = 0; i < 3; i++)
        client_expect(&c, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    client_expect(&c, "*2\r\n$-1\r\n$-1\r\n");
    client_close(&c);
    assert_true(proxy_stop(&strict));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_one_redis),      cmocka_unit_test(test_order_in_a_pipeline),
        cmocka_unit_test(test_ten_thousand_keys), cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_switched_off),      cmocka_unit_test(test_a_part_that_fails),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
