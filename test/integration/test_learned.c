/*
 * Commands that our table lacks are learned from the cluster: those of a module are routed by the
 * keys that COMMAND names. And commands that the servers have renamed or denied answer as the
 * servers do.
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
    static const char *const extra[] = {
        "--loadmodule", TEST_MODULE, "--rename-command", "TOUCH", "", NULL,
    };
    (void)state;
    beside_start_alone(&(struct cluster_options){ .masters = 3, .extra = extra }, NULL);
    return 0;
}

/* How often the nodes have answered MOVED: a command that goes straight to its key's owner causes
 * none. */
static long long moved_answers(void)
{
    long long sum = 0;
    for (int i = 0; i < 3; i++) {
        redisReply *r = cluster_ask(&cluster, i, "INFO errorstats");
        assert_non_null(r);
        const char *at = strstr(r->str, "errorstat_MOVED:count=");
        sum += at == NULL ? 0 : atoll(at + strlen("errorstat_MOVED:count="));
        freeReplyObject(r);
    }
    return sum;
}

static void test_routed_by_their_keys(void **state)
{
    struct client c;
    long long before = moved_answers();
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 100; i++) {
        char key[16], want[64];
        snprintf(key, sizeof(key), "k%03d", i);
        snprintf(want, sizeof(want), "$4\r\n%s\r\n", key);
        assert_true(client_send_command(&c, i % 2 == 0 ? "TM.KEY" : "tm.key", key, NULL));
        client_expect_bytes(&c, want, strlen(want));
        assert_true(client_send_command(&c, "tm.second", "word", key, NULL));
        client_expect_bytes(&c, want, strlen(want));
    }
    assert_string_equal(client_ask(&c, "tm.count", "{a}1", "{a}2", "{a}3", NULL), ":3\r\n");
    assert_string_equal(client_ask(&c, "tm.nokey", NULL), ":42\r\n");
    assert_string_equal(client_ask(&c, "tm.count", "a", "b", NULL),
                        "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    assert_string_equal(client_ask(&c, "tm.key", NULL), ":-1\r\n");
    client_close(&c);
    assert_int_equal(moved_answers(), before);
}

static void test_denied_by_the_servers(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "TOUCH", "a", NULL));
    client_expect_start(&c, "-ERR unknown command 'TOUCH'");
    assert_true(client_send_command(&c, "TOUCH", "a", "b", NULL));
    client_expect_start(&c, "-ERR unknown command 'TOUCH'");
    assert_string_equal(client_ask(&c, "SET", "a", "1", NULL), "+OK\r\n");
    client_close(&c);
}

static void test_unknown_everywhere(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_string_equal(client_ask(&c, "tm.unknown", "x", NULL),
                        "-ERR unknown command 'tm.unknown', with args beginning with: 'x' \r\n");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routed_by_their_keys),
        cmocka_unit_test(test_denied_by_the_servers),
        cmocka_unit_test(test_unknown_everywhere),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
