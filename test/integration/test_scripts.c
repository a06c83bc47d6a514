/*
 * Scripts heal: a node that lacks a script or a function library that a client of this proxy has
 * brought is given it, and the client never learns that it was missing.
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

static const char append_body[] = "return redis.call('RPUSH',KEYS[1],ARGV[1])";
static const char library[] = "#!lua name=lib\n"
                              "redis.register_function('hello', function(keys, args)"
                              " return 'hello '..args[1] end)";

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1 }, NULL);
    return 0;
}

/* Loads a script through the proxy; its SHA1, without a line end. */
static void load(struct client *c, const char *body, char sha[41])
{
    const char *reply = client_ask(c, "SCRIPT", "LOAD", body, NULL);
    assert_non_null(reply);
    assert_memory_equal(reply, "$40\r\n", 5);
    snprintf(sha, 41, "%.40s", reply + 5);
}

static void lose_scripts(void)
{
    for (int i = 0; i < cluster.count; i++)
        if (cluster_is_master(&cluster, i))
            cluster_do(&cluster, i, "SCRIPT FLUSH");
}

static void test_flushed_on_the_nodes(void **state)
{
    struct client c;
    char sha[41], key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, "return {KEYS[1],ARGV[1]}", sha);
    for (int i = 0; i < 3; i++) {
        lose_scripts();
        cluster_key(&cluster, i, 0, "flush", key);
        for (int twice = 0; twice < 2; twice++) {
            assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, "x", NULL));
            client_expect_start(&c, "*2\r\n");
        }
        lose_scripts();
        assert_true(client_send_command(&c, "EVALSHA_RO", sha, "1", key, "x", NULL));
        client_expect_start(&c, "*2\r\n");
    }
    lose_scripts();
    assert_true(client_send_command(&c, "EVALSHA", sha, "0", "x", NULL));
    client_expect_start(&c, "*");
    client_close(&c);
}

/* One client ran it with EVAL at one node, another one asks another node for it, in capitals. */
static void test_seen_in_eval(void **state)
{
    struct client a, b;
    char key[2][64];
    (void)state;
    assert_true(client_open(&a, proxy.port));
    assert_true(client_open(&b, proxy.port));
    cluster_key(&cluster, 0, 0, "eval", key[0]);
    cluster_key(&cluster, 1, 0, "eval", key[1]);
    assert_true(client_send_command(&a, "EVAL", "return 77", "1", key[0], NULL));
    client_expect(&a, ":77\r\n");
    redisReply *r = cluster_ask(&cluster, 2, "SCRIPT LOAD %s", "return 77");
    assert_non_null(r);
    char sha[41];
    snprintf(sha, sizeof(sha), "%s", r->str);
    freeReplyObject(r);
    assert_true(client_send_command(&b, "SCRIPT", "EXISTS", sha, NULL));
    client_expect(&b, "*1\r\n:1\r\n");
    for (char *p = sha; *p != '\0'; p++)
        *p = (char)(*p >= 'a' ? *p - 32 : *p);
    assert_true(client_send_command(&b, "EVALSHA", sha, "1", key[1], NULL));
    client_expect(&b, ":77\r\n");
    client_close(&a);
    client_close(&b);
}

/* What SCRIPT EXISTS and EVALSHA say of a script that only EVAL has brought is what Redis says. */
static void test_as_one_redis(void **state)
{
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    static const char *const words[] = {
        "SCRIPT FLUSH",
        "EVALSHA ffffffffffffffffffffffffffffffffffffffff 0",
        "EVALSHA ffffffffffffffffffffffffffffffffffffffff 1 k",
        "EVALSHA short 1 k",
        "EVALSHA_RO short 1 k",
        "EVAL return(1 1 k",
        "EVALSHA bd7fab400349222e60926c466404cc3535962981 1 k",
        "EVAL return{1,2} 1 somekey",
        "SCRIPT LOAD return{1,2}",
        "SCRIPT EXISTS ffffffffffffffffffffffffffffffffffffffff x",
        "SCRIPT FLUSH NONSENSE",
        "SCRIPT FLUSH ASYNC",
        "SCRIPT FLUSH SYNC",
        "SCRIPT KILL",
        "FCALL nosuch 1 k",
        "FCALL nosuch 0",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&c, &o, words[i]);
    beside_close(&c, &o);
}

/* SCRIPT EXISTS of what EVAL brought to one node only: one Redis has it. Flushed, it is gone. */
static void test_exists(void **state)
{
    struct client c;
    char sha[41], key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, "return 79", sha);
    lose_scripts();
    cluster_key(&cluster, 2, 0, "exists", key);
    assert_true(client_send_command(&c, "SCRIPT", "EXISTS", "x", sha, NULL));
    client_expect(&c, "*2\r\n:0\r\n:1\r\n");
    assert_true(client_send_command(&c, "SCRIPT", "FLUSH", NULL));
    client_expect(&c, "+OK\r\n");
    assert_true(client_send_command(&c, "SCRIPT", "EXISTS", "x", sha, NULL));
    client_expect(&c, "*2\r\n:0\r\n:0\r\n");
    assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, NULL));
    client_expect(&c, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    client_close(&c);
}

/* A hundred calls on one key in one go: all come back with NOSCRIPT first, and keep their order. */
static void test_order_in_a_pipeline(void **state)
{
    enum { CALLS = 100 };
    struct client c;
    char sha[41], key[64], number[16];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, append_body, sha);
    for (int round = 0; round < 10; round++) {
        cluster_key(&cluster, round % 3, round, "pipe", key);
        lose_scripts();
        for (int i = 1; i <= CALLS; i++) {
            snprintf(number, sizeof(number), "%d", i);
            assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, number, NULL));
        }
        for (int i = 1; i <= CALLS; i++) {
            int n = snprintf(number, sizeof(number), ":%d\r\n", i);
            client_expect_bytes(&c, number, (size_t)n);
        }
        assert_true(client_send_command(&c, "LRANGE", key, "0", "-1", NULL));
        size_t len;
        const char *at = client_read(&c, &len);
        assert_non_null(at);
        for (int i = 1; i <= CALLS; i++) {
            snprintf(number, sizeof(number), "\r\n%d\r\n", i);
            at = strstr(at, number);
            assert_non_null(at);
        }
    }
    client_close(&c);
}

static void lose_libraries(void)
{
    for (int i = 0; i < cluster.count; i++)
        if (cluster_is_master(&cluster, i))
            cluster_do(&cluster, i, "FUNCTION FLUSH");
}

/* Inside EXEC's reply it would be too late to heal, so it is done before. */
static void test_inside_multi(void **state)
{
    struct client c;
    char sha[41], key[2][64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, append_body, sha);
    client_ask_expect(&c, "$3\r\nlib\r\n", "FUNCTION", "LOAD", "REPLACE", library);
    for (int i = 0; i < 12; i++) {
        bool watch = i % 2 == 0, both = i % 4 >= 2;
        lose_scripts();
        lose_libraries();
        cluster_key(&cluster, i % 3, i, "multi", key[0]);
        cluster_key(&cluster, (i + 1) % 3, i, "multi", key[1]);
        if (watch)
            client_ask_expect(&c, "+OK\r\n", "WATCH", key[0]);
        client_ask_expect(&c, "+OK\r\n", "MULTI");
        client_ask_expect(&c, "+QUEUED\r\n", "EVALSHA", sha, "1", key[0], "x");
        client_ask_expect(&c, "+QUEUED\r\n", "FCALL", "hello", "1", key[0], "you");
        client_ask_expect(&c, "+QUEUED\r\n", "EVALSHA", sha, "1", key[both], "y");
        client_ask_expect(&c,
                          both ? "*3\r\n:1\r\n$9\r\nhello you\r\n:1\r\n"
                               : "*3\r\n:1\r\n$9\r\nhello you\r\n:2\r\n",
                          "EXEC");
    }
    client_ask_expect(&c, "+OK\r\n", "FUNCTION", "FLUSH");
    client_close(&c);
}

/* A younger write on the same key is not undone: then, and only then, the node's own answer comes,
   and nothing takes effect out of order. */
static void test_overtaken_by_another_write(void **state)
{
    struct client c;
    char sha[41], key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, append_body, sha);
    for (int round = 0; round < 20; round++) {
        cluster_key(&cluster, round % 3, round, "over", key);
        lose_scripts();
        assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, "a", NULL) &&
                    client_send_command(&c, "RPUSH", key, "b", NULL) &&
                    client_send_command(&c, "LRANGE", key, "0", "-1", NULL));
        size_t len;
        const char *first = client_read(&c, &len);
        assert_non_null(first);
        bool ran = first[0] == ':';
        if (!ran)
            assert_string_equal(first, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
        assert_non_null(client_read(&c, &len));
        if (ran)
            client_expect(&c, "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        else
            client_expect(&c, "*1\r\n$1\r\nb\r\n");
    }
    client_close(&c);
}

static void test_failover(void **state)
{
    struct client c;
    char sha[41], key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, "return ARGV[1]", sha);
    cluster_key(&cluster, 0, 0, "failover", key);
    for (int round = 0; round < 2; round++) {
        int master = cluster_owner(&cluster, cluster_slot(key));
        cluster_failover(&cluster, cluster_replica_of(&cluster, master), "");
        for (int i = 0; i < 20; i++) {
            assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, "y", NULL));
            client_expect(&c, "$1\r\ny\r\n");
        }
        cluster_await_settled(&cluster, 20000);
    }
    client_close(&c);
}

/* The new master is given the script before anything else, so a younger write on the same key never
   overtakes the call. */
static void test_pipeline_over_a_failover(void **state)
{
    enum { ROUNDS = 2, CALLS = 50 };
    struct client c;
    char sha[41], key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, append_body, sha);
    cluster_key(&cluster, 1, 0, "mixed", key);
    for (int round = 0; round < ROUNDS; round++) {
        int master = cluster_owner(&cluster, cluster_slot(key));
        cluster_failover(&cluster, cluster_replica_of(&cluster, master), "");
        for (int i = 0; i < CALLS; i++) {
            assert_true(client_send_command(&c, "EVALSHA", sha, "1", key, "a", NULL));
            assert_true(client_send_command(&c, "RPUSH", key, "b", NULL));
        }
        for (int i = 1; i <= 2 * CALLS; i++) {
            char wanted[16];
            int n = snprintf(wanted, sizeof(wanted), ":%d\r\n", 2 * CALLS * round + i);
            client_expect_bytes(&c, wanted, (size_t)n);
        }
        cluster_await_settled(&cluster, 20000);
    }
    client_close(&c);
}

static void test_functions(void **state)
{
    struct client c;
    char key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "FUNCTION", "LOAD", library, NULL));
    client_expect(&c, "$3\r\nlib\r\n");
    for (int i = 0; i < 3; i++) {
        for (int node = 0; node < 3; node++)
            if (cluster_is_master(&cluster, node))
                cluster_do(&cluster, node, "FUNCTION FLUSH");
        cluster_key(&cluster, i, 0, "fcall", key);
        assert_true(client_send_command(&c, "FCALL", "hello", "1", key, "you", NULL));
        client_expect(&c, "$9\r\nhello you\r\n");
    }
    assert_true(client_send_command(&c, "FCALL", "nosuch", "1", key, NULL));
    client_expect(&c, "-ERR Function not found\r\n");
    assert_true(client_send_command(&c, "FUNCTION", "FLUSH", NULL));
    client_expect(&c, "+OK\r\n");
    assert_true(client_send_command(&c, "FCALL", "hello", "1", key, "you", NULL));
    client_expect(&c, "-ERR Function not found\r\n");
    client_close(&c);
}

/* More than is remembered: the oldest is forgotten, memory stays bounded, the youngest heals. */
static void test_bounded(void **state)
{
    struct client c;
    char body[64], first[41], used[41], last[41];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    load(&c, "return 'the first'", first);
    load(&c, "return 'used'", used);
    for (int i = 0; i < 1100; i++) {
        snprintf(body, sizeof(body), "return %d", 100000 + i);
        load(&c, body, last);
        if (i % 100 == 0) {
            assert_true(client_send_command(&c, "EVALSHA", used, "1", "k", NULL));
            client_expect(&c, "$4\r\nused\r\n");
        }
    }
    lose_scripts();
    assert_true(client_send_command(&c, "EVALSHA", first, "1", "k", NULL));
    client_expect_start(&c, "-NOSCRIPT");
    assert_true(client_send_command(&c, "EVALSHA", last, "1", "k", NULL));
    client_expect(&c, ":101099\r\n");
    assert_true(client_send_command(&c, "EVALSHA", used, "1", "k", NULL));
    client_expect(&c, "$4\r\nused\r\n");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flushed_on_the_nodes),
        cmocka_unit_test(test_seen_in_eval),
        cmocka_unit_test(test_as_one_redis),
        cmocka_unit_test(test_exists),
        cmocka_unit_test(test_order_in_a_pipeline),
        cmocka_unit_test(test_inside_multi),
        cmocka_unit_test(test_overtaken_by_another_write),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_pipeline_over_a_failover),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
