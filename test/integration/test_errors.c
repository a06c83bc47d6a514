/*
 * What is wrong is said in Redis's own words, byte for byte, with a plain redis-server as the
 * judge; and what the proxy cannot do gets exactly one error, after which the connection goes on.
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

static void test_error_texts(void **state)
{
    static const char *const requests[] = {
        "foo a b",
        "foo",
        "FOO x",
        "nosuch 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23",
        "get",
        "GET a b",
        "set a",
        "mget",
        "PING a b",
        "ECHO",
        "hset h f",
        "client",
        "CLIENT nosuch",
        "client setname",
        "command nosuch",
        "object nosuch k",
        "object encoding",
        "xgroup nosuch x",
        "EVAL return",
        "EVAL return notanumber k",
        "EVAL return 5 k",
        "EVAL return -1 k",
    };
    char *words = malloc(1200);
    struct client c, o;

    (void)state;
    assert_non_null(words);
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    /* Redis shortens long names and long arguments in its text. */
    memset(words, 'x', 1199);
    words[1199] = words[300] = words[500] = '\0';
    words[300] = ' ';
    oracle_compare_words(&c, &o, words);
    beside_close(&c, &o);
    free(words);
}

static void test_protocol_errors(void **state)
{
    static const char *const broken[] = {
        "*2147483648\r\n",
        "*abc\r\n",
        "*99999999999999999999\r\n",
        "*2\r\nPING\r\n",
        "*1\r\n:4\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$abc\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$1x\r\nP\r\n",
        "SET q \"open\r\n",
        "SET q 'a'b\r\n",
    };
    char *line = malloc(70000);

    (void)state;
    assert_non_null(line);
    for (size_t i = 0; i <= ARRAY_LEN(broken); i++) {
        struct client c, o;
        const char *bytes = i < ARRAY_LEN(broken) ? broken[i] : line;

        memset(line, 'x', 70000); /* an inline command that never ends */
        line[69999] = '\0';
        beside_open(&c, &o);
        oracle_compare(&c, &o, bytes, strlen(bytes));
        if (!client_sees_end(&c))
            fail_msg("still open after %.40s", bytes);
        beside_close(&c, &o);
    }
    free(line);
}

/* What was asked before the broken bytes is still answered. */
static void test_protocol_error_behind_a_pipeline(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "SET before 1\r\nGET before\r\n*1\r\n$x\r\nPING\r\n"));
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$1\r\n1\r\n");
    client_expect(&c, "-ERR Protocol error: invalid bulk length\r\n");
    assert_true(client_sees_end(&c));
    client_close(&c);
}

static void test_keys_in_several_slots(void **state)
{
    struct proxy strict;
    struct client c;
    char seeds[512];

    (void)state;
    proxy_start(&strict, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--enable-cross-slot", "no", NULL });
    assert_true(client_open(&c, strict.port));
    assert_true(client_send_text(&c, "SUNION a b c\r\nSINTER a b\r\nRENAME a b\r\nECHO on\r\n"));
    for (int i = 0; i < 3; i++)
        client_expect(&c, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    client_expect(&c, "$2\r\non\r\n");
    client_close(&c);
    assert_true(proxy_stop(&strict));
}

/* Each gets exactly one error, and the connection goes on. */
static void test_not_supported(void **state)
{
    static const char *const requests[] = {
        "EXEC",       "DISCARD", "MONITOR",       "SHUTDOWN",      "REPLICAOF NO ONE",
        "PSYNC ? -1", "SYNC",    "CLUSTER RESET", "DEBUG SLEEP 0", "MIGRATE h 1 k 0 1",
        "FAILOVER",
    };
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        char token[32];
        size_t len;
        char *request = request_of_words(requests[i], &len);
        int n = snprintf(token, sizeof(token), "$5\r\n%05zu\r\n", i);

        assert_true(client_send(&c, request, len));
        assert_true(client_send_argv(&c, 2, (const char *const[]){ "ECHO", token + 4 },
                                     (const size_t[]){ 4, 5 }));
        client_expect_start(&c, "-");
        client_expect_bytes(&c, token, (size_t)n);
        free(request);
    }
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_texts),
        cmocka_unit_test(test_protocol_errors),
        cmocka_unit_test(test_protocol_error_behind_a_pipeline),
        cmocka_unit_test(test_keys_in_several_slots),
        cmocka_unit_test(test_not_supported),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
