/*
 * Commands that concern every node: the same replies as from one Redis, in RESP2 and RESP3, and
 * where nodes differ, what one Redis that had it all would say.
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

static void open_with(struct client *c, uint16_t port, int protocol)
{
    assert_true(client_open(c, port));
    if (protocol == 3)
        assert_non_null(client_ask(c, "HELLO", "3", NULL));
}

static void test_as_one_redis(void **state)
{
    static const char *const words[] = {
        "FLUSHALL",
        "FLUSHALL SYNC",
        "FLUSHALL async",
        "FLUSHDB",
        "FLUSHDB ASYNC",
        "FLUSHDB SYNC",
        "FLUSHDB nonsense",
        "FLUSHALL SYNC ASYNC",
        "SCRIPT LOAD return{1,2}",
        "SCRIPT LOAD return(",
        "SCRIPT EXISTS",
        "SCRIPT EXISTS a b c",
        "SCRIPT KILL",
        "SCRIPT FLUSH ASYNC",
        "SCRIPT FLUSH x",
        "FUNCTION FLUSH",
        "FUNCTION LIST",
        "FUNCTION STATS",
        "FUNCTION KILL",
        "FUNCTION DELETE nosuch",
        "FUNCTION LOAD nonsense",
        "FUNCTION RESTORE nonsense",
        "FUNCTION DUMP",
        "PUBSUB CHANNELS",
        "PUBSUB CHANNELS a*",
        "PUBSUB NUMSUB",
        "PUBSUB NUMSUB a b a",
        "PUBSUB NUMPAT",
        "PUBSUB SHARDCHANNELS",
        "PUBSUB SHARDNUMSUB a",
        "PUBSUB SHARDNUMSUB",
        "CONFIG RESETSTAT",
        "MEMORY PURGE",
        "SAVE",
        "BGSAVE nonsense",
        "MOVE k",
        "MOVE k notanumber",
        "MOVE k 99999999999",
        "MOVE k -1",
        "MOVE k 0",
        "MOVE k 16",
        "SWAPDB 0 0",
        "SWAPDB 0 16",
        "SWAPDB a 0",
        "SWAPDB 0 b",
        "SWAPDB 99999999999 0",
        "SCAN",
        "SCAN x",
        "SCAN 18446744073709551616",
        "SCAN 0 COUNT",
        "SCAN 0 COUNT 0",
        "SCAN 0 COUNT x",
        "SCAN 0 NONSENSE",
        "SCAN 0 MATCH",
        "RANDOMKEY",
        "RANDOMKEY x",
        "DBSIZE",
        "KEYS *",
        "KEYS",
    };
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        open_with(&c, proxy.port, protocol);
        open_with(&o, oracle.port, protocol);
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            oracle_compare_words(&c, &o, words[i]);
        client_close(&c);
        client_close(&o);
    }
}

/* What has words with spaces in it: a library comes, is seen, moves by DUMP and RESTORE, and goes.
 */
static void test_functions(void **state)
{
    static const char *const calls[][4] = {
        { "FUNCTION", "LOAD",
          "#!lua name=l\nredis.register_function('f', function() return 1 end)" },
        { "FUNCTION", "LOAD",
          "#!lua name=l\nredis.register_function('f', function() return 1 end)" },
        { "FUNCTION", "LOAD", "REPLACE",
          "#!lua name=l\nredis.register_function('f', function() return 2 end)" },
        { "FUNCTION", "LIST" },
        { "FUNCTION", "LIST", "WITHCODE" },
        { "FUNCTION", "STATS" },
        { "FUNCTION", "DUMP" },
        { "FCALL", "f", "0" },
        { "FUNCTION", "DELETE", "l" },
        { "FUNCTION", "DELETE", "l" },
        { "FUNCTION", "LIST" },
    };
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        open_with(&c, proxy.port, protocol);
        open_with(&o, oracle.port, protocol);
        for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
            size_t argc = 0, len[4];
            while (argc < 4 && calls[i][argc] != NULL) {
                len[argc] = strlen(calls[i][argc]);
                argc++;
            }
            size_t wanted;
            assert_true(client_send_argv(&o, argc, calls[i], len));
            const char *reply = client_read(&o, &wanted);
            assert_non_null(reply);
            assert_true(client_send_argv(&c, argc, calls[i], len));
            client_expect_bytes(&c, reply, wanted);
        }
        client_close(&c);
        client_close(&o);
    }
}

/* A library that was dumped comes back on every node. */
static void test_function_restore(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_non_null(
        client_ask(&c, "FUNCTION", "LOAD",
                   "#!lua name=r\nredis.register_function('g', function() return 5 end)", NULL));
    const char *reply = client_ask(&c, "FUNCTION", "DUMP", NULL);
    assert_non_null(reply);
    size_t size = (size_t)atol(reply + 1);
    char *dump = malloc(size);
    assert_non_null(dump);
    memcpy(dump, strchr(reply, '\n') + 1, size);
    assert_non_null(client_ask(&c, "FUNCTION", "FLUSH", NULL));
    assert_true(client_send_argv(&c, 3, (const char *const[]){ "FUNCTION", "RESTORE", dump },
                                 (const size_t[]){ 8, 7, size }));
    client_expect(&c, "+OK\r\n");
    for (int i = 0; i < 3; i++) {
        char key[64];
        cluster_key(&cluster, i, 0, "restore", key);
        assert_true(client_send_command(&c, "FCALL", "g", "1", key, NULL));
        client_expect(&c, ":5\r\n");
    }
    assert_non_null(client_ask(&c, "FUNCTION", "FLUSH", NULL));
    free(dump);
    client_close(&c);
}

/* Subscribers of nodes are counted together, a channel is named once. */
static void test_pubsub(void **state)
{
    struct client node[3], c;
    char shard_channel[64];
    (void)state;
    cluster_key(&cluster, 1, 0, "shard", shard_channel);
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&node[i], cluster.node[i].port));
        assert_non_null(client_ask(&node[i], "SUBSCRIBE", "both", NULL));
        assert_non_null(client_ask(&node[i], "PSUBSCRIBE", i == 0 ? "p*" : "q*", NULL));
    }
    assert_non_null(client_ask(&node[2], "SUBSCRIBE", "alone", NULL));
    assert_non_null(client_ask(&node[1], "SSUBSCRIBE", shard_channel, NULL));
    for (int protocol = 2; protocol <= 3; protocol++) {
        open_with(&c, proxy.port, protocol);
        assert_true(client_send_text(&c, "PUBSUB CHANNELS\r\nPUBSUB CHANNELS b*\r\n"
                                         "PUBSUB NUMSUB alone none both\r\nPUBSUB NUMPAT\r\n"));
        client_expect(&c, "*2\r\n$5\r\nalone\r\n$4\r\nboth\r\n");
        client_expect(&c, "*1\r\n$4\r\nboth\r\n");
        client_expect(&c, "*6\r\n$5\r\nalone\r\n:1\r\n$4\r\nnone\r\n:0\r\n$4\r\nboth\r\n:3\r\n");
        client_expect(&c, ":3\r\n"); /* patterns of each node: their names nobody tells */
        assert_true(client_send_command(&c, "PUBSUB", "SHARDCHANNELS", NULL));
        char wanted[128];
        int n = snprintf(wanted, sizeof(wanted), "*1\r\n$%zu\r\n%s\r\n", strlen(shard_channel),
                         shard_channel);
        client_expect_bytes(&c, wanted, (size_t)n);
        assert_true(client_send_command(&c, "PUBSUB", "SHARDNUMSUB", shard_channel, NULL));
        n = snprintf(wanted, sizeof(wanted), "*2\r\n$%zu\r\n%s\r\n:1\r\n", strlen(shard_channel),
                     shard_channel);
        client_expect_bytes(&c, wanted, (size_t)n);
        client_close(&c);
    }
    for (int i = 0; i < 3; i++)
        client_close(&node[i]);
}

/* The number under a name of MEMORY STATS. */
static long long stat_of(redisReply *r, const char *name)
{
    assert_non_null(r);
    for (size_t i = 0; i + 1 < r->elements; i += 2)
        if (strcmp(r->element[i]->str, name) == 0)
            return r->element[i + 1]->integer;
    fail_msg("no %s", name);
    return 0;
}

static void test_memory(void **state)
{
    (void)state;
    redisContext *c = redisConnect("127.0.0.1", proxy.port);
    assert_non_null(c);
    for (int i = 0; i < 300; i++)
        freeReplyObject(redisCommand(c, "SET memory:%d x", i));
    redisReply *all = redisCommand(c, "MEMORY STATS");
    assert_int_equal(all->type, REDIS_REPLY_ARRAY);
    assert_int_equal(stat_of(all, "keys.count"), 300);
    long long startup = 0;
    for (int i = 0; i < 3; i++) {
        redisReply *one = cluster_ask(&cluster, i, "MEMORY STATS");
        startup += stat_of(one, "startup.allocated");
        freeReplyObject(one);
    }
    assert_int_equal(stat_of(all, "startup.allocated"), startup);
    freeReplyObject(all);
    redisReply *doctor = redisCommand(c, "MEMORY DOCTOR");
    assert_int_equal(doctor->type, REDIS_REPLY_STRING);
    assert_non_null(strstr(doctor->str, "Sam"));
    freeReplyObject(doctor);
    redisFree(c);
    struct client three;
    open_with(&three, proxy.port, 3);
    assert_true(client_send_text(&three, "MEMORY STATS\r\nMEMORY DOCTOR\r\n"));
    client_expect_start(&three, "%");
    client_expect_start(&three, "=");
    client_close(&three);
}

/* The pages of all three nodes. */
static void test_malloc_stats(void **state)
{
    int pages = 0;
    (void)state;
    redisContext *c = redisConnect("127.0.0.1", proxy.port);
    assert_non_null(c);
    redisReply *r = redisCommand(c, "MEMORY MALLOC-STATS");
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    for (const char *at = r->str; (at = strstr(at, "Begin jemalloc statistics")) != NULL; at++)
        pages++;
    assert_int_equal(pages, 3);
    freeReplyObject(r);
    redisFree(c);
}

/* Every call is in one node's histogram, and so in the last bucket of the sum. */
static void test_histogram(void **state)
{
    enum { CALLS = 300 };
    (void)state;
    redisContext *c = redisConnect("127.0.0.1", proxy.port);
    assert_non_null(c);
    freeReplyObject(redisCommand(c, "CONFIG RESETSTAT"));
    for (int i = 0; i < CALLS; i++)
        freeReplyObject(redisCommand(c, "SET histogram:%d x", i));
    for (int i = 0; i < CALLS; i++)
        freeReplyObject(redisCommand(c, "GET histogram:%d", i));
    redisReply *r = redisCommand(c, "LATENCY HISTOGRAM set get nosuch");
    assert_int_equal(r->elements, 4);
    for (size_t i = 0; i < 4; i += 2) {
        const redisReply *one = r->element[i + 1], *buckets;
        assert_int_equal(one->elements, 4);
        assert_string_equal(one->element[0]->str, "calls");
        assert_int_equal(one->element[1]->integer, CALLS);
        assert_string_equal(one->element[2]->str, "histogram_usec");
        buckets = one->element[3];
        assert_true(buckets->elements >= 2);
        for (size_t b = 2; b < buckets->elements; b++)
            assert_true(buckets->element[b]->integer > buckets->element[b - 2]->integer);
        assert_int_equal(buckets->element[buckets->elements - 1]->integer, CALLS);
    }
    freeReplyObject(r);
    redisFree(c);
    struct client three;
    open_with(&three, proxy.port, 3);
    assert_true(client_send_text(&three, "LATENCY HISTOGRAM get nosuch\r\n"));
    client_expect_start(&three, "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:300\r\n");
    client_close(&three);
}

/* The least of what the nodes say: by then all had saved. */
static void test_lastsave(void **state)
{
    struct client c;
    long long least = 0;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    cluster_do(&cluster, 1, "SAVE");
    for (int i = 0; i < 3; i++) {
        long long one = cluster_number(&cluster, i, "LASTSAVE");
        least = i == 0 || one < least ? one : least;
    }
    char wanted[32];
    int n = snprintf(wanted, sizeof(wanted), ":%lld\r\n", least);
    assert_true(client_send_command(&c, "LASTSAVE", NULL));
    client_expect_bytes(&c, wanted, (size_t)n);
    assert_true(client_send_command(&c, "BGSAVE", NULL));
    client_expect(&c, "+Background saving started\r\n");
    assert_true(client_send_command(&c, "BGREWRITEAOF", NULL));
    client_expect_start(&c, "+Background append only file rewriting");
    client_close(&c);
}

/* A handler that answers nobody: CLIENT REPLY SKIP before it. */
static void test_silent(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c,
                                 "CLIENT REPLY SKIP\r\nSCAN 0\r\nCLIENT REPLY SKIP\r\nRANDOMKEY\r\n"
                                 "CLIENT REPLY SKIP\r\nPUBSUB NUMPAT\r\nECHO on\r\n"));
    client_expect(&c, "$2\r\non\r\n");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_one_redis),     cmocka_unit_test(test_functions),
        cmocka_unit_test(test_function_restore), cmocka_unit_test(test_pubsub),
        cmocka_unit_test(test_memory),           cmocka_unit_test(test_lastsave),
        cmocka_unit_test(test_silent),           cmocka_unit_test(test_malloc_stats),
        cmocka_unit_test(test_histogram),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
