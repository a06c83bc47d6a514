/*
 * slotgate-migrate sync: a source that is written to all the time is copied and followed, into a
 * cluster, through a slotgate, and into one Redis; afterwards every key is the same.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/ledger.h"
#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN | MOVING_CLUSTER | MOVING_PROXY });
    return 0;
}

/* --- tests --------------------------------------------------------------------------------- */

static void sync_under_load(const char *const *words)
{
    struct migrate m;
    struct ledger load = { .rest_us = 200 };
    moving_empty();
    every_type_fill(from, false);
    every_type_fill_large(from, 3 * 1000 * 1000);
    ledger_begin(&load, source.port);
    moving_begin(&m, words);
    ledger_await(&load, 200); /* behind the copy, too */
    ledger_end(&load);
    moving_finish(&m);
    assert_true(migrate_count(&m, "commands sent") > 0);
    migrate_free(&m);
}

static void test_into_a_cluster(void **state)
{
    (void)state;
    redis_do(from, "CONFIG SET repl-diskless-sync yes");
    sync_under_load((const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                           "--big-key", "1mb", "--spool-dir", testenv_dir(),
                                           "--ttl-exact", NULL });
    moving_expect_cluster();
}

static void test_through_a_proxy(void **state)
{
    (void)state;
    redis_do(from, "CONFIG SET repl-diskless-sync no");
    sync_under_load((const char *const[]){ "sync", source_at, proxy_at, "--spool-dir",
                                           testenv_dir(), "--ttl-exact", NULL });
    moving_expect_cluster();
}

/* The spool is so small that the source has to wait again and again. */
static void test_small_spool(void **state)
{
    (void)state;
    sync_under_load((const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                           testenv_dir(), "--spool-max", "1mb", "--window", "64kb",
                                           "--ttl-exact", NULL });
    moving_expect_plain();
}

static void test_full_copy_only(void **state)
{
    (void)state;
    moving_empty();
    every_type_fill(from, true);
    migrate_expect_good("sync", source_at, "--target-cluster", seeds, "--follow", "no", "--db",
                        "only:0", "--spool-dir", testenv_dir());
    moving_expect_cluster();
}

/* The limit is for the data: before the first key all 16384 markers are read, which would take more
   than a minute by it. */
static void test_rate_limit(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    for (int i = 0; i < 100; i++)
        redis_do(from, "SET key:%d %d", i, i);
    uint64_t begun = now_ms();
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--rate-limit-commands", "200", "--spool-dir",
                                            testenv_dir(), NULL });
    assert_in_range(now_ms() - begun, 400, (uint64_t)scaled_ms(15000));
    moving_finish(&m);
    moving_expect_cluster();
    migrate_free(&m);
}

/* The same by bytes: four values of a megabyte, random so that the source cannot pack them. */
static void test_rate_limit_in_bytes(void **state)
{
    enum { VALUES = 4, VALUE = 1 << 20 };
    struct migrate m;
    unsigned seed = 1;
    char *text = malloc(VALUE);
    (void)state;
    assert_non_null(text);
    moving_empty();
    for (int i = 0; i < VALUES; i++) {
        for (int at = 0; at < VALUE; at++)
            text[at] = (char)rand_r(&seed);
        redis_do(from, "SET key:%d %b", i, text, (size_t)VALUE);
    }
    free(text);
    uint64_t begun = now_ms();
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--rate-limit", "2mb", "--spool-dir", testenv_dir(),
                                            NULL });
    assert_in_range(now_ms() - begun, 900, (uint64_t)scaled_ms(15000));
    moving_finish(&m);
    moving_expect_cluster();
    migrate_free(&m);
}

/* Each way in which a command of the stream is handled. */
static void test_every_rule(void **state)
{
    static const char *const commands[] = {
        "MSET a 1 b 2 c 3 d 4",
        "DEL a b nothing",
        "UNLINK c",
        "MSETNX x 1 y 2",
        "SETNX z 3",
        "SET until 1 EX 1000",
        "SET until2 1 PX 1000000 NX",
        "SET keep 1 PXAT 4102444800000",
        "SET keep 2 KEEPTTL",
        "SETEX s 1000 v",
        "PSETEX ps 1000000 v",
        "GETEX x EX 5000",
        "EXPIRE y 5000 NX",
        "PEXPIREAT z 4102444800001 GT",
        "PEXPIREAT z 4102444800001 NX",
        "PERSIST y",
        "SADD s1 a b c d e",
        "SADD s2 x",
        "SMOVE s1 s2 a",
        "SPOP s1 2",
        "RPUSH l1 1 2 3 4",
        "INCRBYFLOAT f 1.5",
        "HINCRBYFLOAT h f 2.5",
        "MULTI",
        "INCR n1",
        "INCR n2",
        "EXEC",
        "XGROUP CREATE st g $ MKSTREAM",
        "XADD st 1-1 a b",
        "XADD st 2-1 a b",
        "XREADGROUP GROUP g me COUNT 1 STREAMS st >",
        "XGROUP SETID st g 1-1 ENTRIESREAD 1", /* which a source keeps from its replicas */
        "PUBLISH channel message",
        "PFADD hll a b c",
        "PFCOUNT hll",
        "GEOADD g 13.3 38.1 p",
        "ZADD zs 1 a 2 b",
        "ZPOPMIN zs",
        "COPY l1 {l1}copy",
        "RENAME {l1}copy {l1}renamed",
        "EVAL redis.call('set',KEYS[1],ARGV[1]);redis.call('incr',KEYS[1]) 1 scripted 41",
        "SET empty-list x",
        "FUNCTION LOAD "
        "#!lua\tname=other\nredis.register_function('other',function()return\t1\tend)",
    };
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "SET first 1");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), "--ttl-exact", NULL });
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        freeReplyObject(redis_ask(from, commands[i]));
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
    moving_expect_cluster();
}

static long long calls_of(const char *command)
{
    char field[64];
    long long calls = 0;
    snprintf(field, sizeof(field), "cmdstat_%s:calls=", command);
    for (int i = 0; i < 3; i++) {
        redisReply *reply = redis_ask(nodes[i], "INFO commandstats");
        const char *at = strstr(reply->str, field);
        calls += at != NULL ? atoll(at + strlen(field)) : 0;
        freeReplyObject(reply);
    }
    return calls;
}

/* Transactions within one slot stay transactions; an error in one is told. */
static void test_transactions(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    for (int i = 0; i < 3; i++)
        redis_do(nodes[i], "CONFIG RESETSTAT");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), NULL });
    redisReply *sum = redis_ask(from, "EVAL %s 3 {t}a {t}b {t}list",
                                "for i=1,5 do redis.call('incr',KEYS[1]) "
                                "redis.call('incr',KEYS[2]) redis.call('rpush',KEYS[3],'-'..i) end "
                                "redis.call('lpop',KEYS[3]) return 1");
    assert_int_equal(sum->integer, 1);
    freeReplyObject(sum);
    redis_do(from, "MULTI");
    redis_do(from, "INCR {u}a");
    redis_do(from, "INCR other");
    redis_do(from, "SADD another x");
    redis_do(from, "EXEC");
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "transactions in parts"), 1);
    migrate_free(&m);
    assert_int_equal(calls_of("exec"), 3); /* two for single INCRs, each with its marker */
    assert_int_equal(calls_of("incr"), 12);
    moving_expect_cluster();
}

/* What moves something between slots; test_across.c has all of them. A cluster does not sort by
   keys of other slots, and it is told. */
static void test_between_slots(void **state)
{
    static const char *const commands[] = {
        "RPUSH a 1 2 3", "LMOVE a b LEFT RIGHT", "RPOPLPUSH a b",        "RENAME b c",
        "SADD s1 a b",   "SADD s2 b c",          "SUNIONSTORE s3 s1 s2", "COPY s3 s4",
        "SET big x",     "PFADD p1 a",           "PFADD p2 b",           "PFMERGE p3 p1 p2",
    };
    struct migrate m;
    (void)state;
    moving_empty();
    moving_begin(&m, (const char *const[]){ "sync", source_at, proxy_at, "--spool-dir",
                                            testenv_dir(), NULL });
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        redis_do(from, commands[i]);
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_cluster();

    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), NULL });
    redis_do(from, "RENAME c moved");
    redis_do(from, "SORT moved BY weight:* STORE sorted");
    redis_do(from, "SET the-last-one yes");
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(30000)));
    migrate_stop(&m, 1);
    assert_non_null(strstr(m.err, "command=SORT key=moved reason=\"its keys lie in several slots"));
    migrate_free(&m);
}

static void test_databases(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "SET zero 0");
    redis_do(from, "SELECT 2");
    redis_do(from, "SET two 2");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), "--db", "prefix", NULL });
    redis_do(from, "MSET a 1 b 2");
    redis_do(from, "LPUSH {l}1 1 2 3");
    redis_do(from, "COPY {l}1 {l}2");
    redis_do(from, "SELECT 0");
    redis_do(from, "INCR zero");
    moving_finish(&m);
    migrate_free(&m);
    static const char *const keys[][2] = {
        { "zero", "1" }, { "db2:two", "2" }, { "db2:a", "1" }, { "db2:b", "2" }
    };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        redisReply *reply =
            redis_ask(moving_node(keys[i][0], strlen(keys[i][0])), "GET %s", keys[i][0]);
        assert_string_equal(reply->str, keys[i][1]);
        freeReplyObject(reply);
    }
    assert_int_equal(moving_cluster_keys(), 7);
}

/* The connection to the source is cut; what was written meanwhile comes from its backlog. */
static void test_cut_connection(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 200 };
    (void)state;
    moving_empty();
    redis_do(from, "CONFIG SET repl-backlog-size 200mb");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), "--ttl-exact", NULL });
    ledger_begin(&load, source.port);
    redis_do(from, "CLIENT KILL TYPE REPLICA");
    bool again = wait_until(moving_went_on, &m, scaled_ms(10000));
    ledger_end(&load);
    assert_true(again);
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_cluster();
}

static const char *name_of(const char *fmt, unsigned i, char key[64])
{
    snprintf(key, 64, fmt, i);
    return key;
}

static void expect_the_same(const char *fmt, unsigned i)
{
    char key[64];
    size_t len = strlen(name_of(fmt, i, key));
    char *want = content_of(from, key, len), *got = content_of(moving_node(key, len), key, len);
    if (strcmp(want, got) != 0)
        fail_msg("key %s: %.2000s instead of %.2000s", key, got, want);
    free(want);
    free(got);
}

/* server NULL: the key's node. */
static long long number_at(redisContext *server, const char *fmt, unsigned i)
{
    char key[64];
    size_t len = strlen(name_of(fmt, i, key));
    redisReply *reply = redis_ask(server != NULL ? server : moving_node(key, len), "GET %s", key);
    long long n = reply->str != NULL ? atoll(reply->str) : -1;
    freeReplyObject(reply);
    return n;
}

/* Without markers: connections to the nodes are cut under load. Nothing is lost; what cannot be
   told from executed is executed again, so only what may be repeated has to be the same. */
static void test_at_least_once(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 200 };
    (void)state;
    moving_empty();
    moving_begin(&m,
                 (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                        testenv_dir(), "--ttl-exact", "--exactly", "off", NULL });
    ledger_begin(&load, source.port);
    for (int i = 0; i < 20; i++) {
        redisReply *reply = redis_ask(nodes[i % 3], "CLIENT KILL TYPE NORMAL SKIPME YES");
        freeReplyObject(reply);
        ledger_await(&load, 20);
    }
    ledger_end(&load);
    moving_finish(&m);
    migrate_free(&m);
    for (unsigned i = 0; i < 50; i++) {
        expect_the_same("ledger:set:%u", i);
        expect_the_same("ledger:stream:%u", i);
        expect_the_same("ledger:expiring:%u", i);
        assert_true(number_at(NULL, "ledger:counter:%u", i) >=
                    number_at(from, "ledger:counter:%u", i));
    }
}

static void test_flush_is_not_repeated(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "SET a 1");
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), NULL });
    redis_do(from, "FLUSHALL");
    migrate_wait(&m, 10000);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the source has executed FLUSHALL"));
    migrate_free(&m);
    assert_int_equal(moving_keys(to), 1);
}

/* The target is this source's alone, or the source's emptying is not meant for it. */
static void test_flush_by_policy(void **state)
{
    static const char *const policies[] = { "apply", "ignore" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct migrate m;
        moving_empty();
        redis_do(from, "MSET a 1 b 2 c 3");
        moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                                "--spool-dir", testenv_dir(), "--flush",
                                                policies[i], NULL });
        redis_do(from, "SET d 4");
        redis_do(from, "FLUSHALL");
        redis_do(from, "SET e 5");
        moving_finish(&m);
        migrate_free(&m);
        assert_int_equal(moving_cluster_keys(), i == 0 ? 2 : 6);
    }
}

/* Messages go over if they are wanted; Sentinel's never. */
static void test_messages(void **state)
{
    struct migrate m;
    redisReply *message;
    redisContext *listener = redis_open(target.port);
    (void)state;
    moving_empty();
    redis_do(listener, "SUBSCRIBE news __sentinel__:hello");
    assert_int_equal(redisGetReply(listener, (void **)&message), REDIS_OK); /* the second one */
    freeReplyObject(message);
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--publish", NULL });
    redis_do(from, "PUBLISH __sentinel__:hello first");
    redis_do(from, "PUBLISH news second");
    assert_int_equal(redisGetReply(listener, (void **)&message), REDIS_OK);
    assert_int_equal(message->elements, 3);
    assert_string_equal(message->element[1]->str, "news");
    assert_string_equal(message->element[2]->str, "second");
    freeReplyObject(message);
    redisFree(listener);
    moving_finish(&m);
    migrate_free(&m);
}

/* Through slotgate, where keys of several databases stand side by side. */
static void test_between_databases(void **state)
{
    static const char *const commands[] = {
        "SET moved x",
        "SET copied y EX 1000",
        "MOVE moved 2",
        "COPY copied copy2 DB 3",
        "COPY copied copied2",
        "SELECT 2",
        "APPEND moved z",
        "MOVE moved 0",
        "SELECT 0",
        "APPEND moved !",
    };
    static const char *const keys[][2] = { { "moved", "xz!" },
                                           { "copied", "y" },
                                           { "copied2", "y" },
                                           { "db3:copy2", "y" },
                                           { "the-last-one", "yes" } };
    struct migrate m;
    (void)state;
    moving_empty();
    moving_begin(&m, (const char *const[]){ "sync", source_at, proxy_at, "--spool-dir",
                                            testenv_dir(), "--db", "prefix", NULL });
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        redis_do(from, commands[i]);
    moving_finish(&m);
    migrate_free(&m);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        redisReply *reply =
            redis_ask(moving_node(keys[i][0], strlen(keys[i][0])), "GET %s", keys[i][0]);
        assert_string_equal(reply->str, keys[i][1]);
        freeReplyObject(reply);
    }
    assert_int_equal(moving_cluster_keys(), ARRAY_LEN(keys));

    /* With one database only: what leaves it is deleted, what comes into it is told. */
    moving_empty();
    redis_do(from, "SET stays x");
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--db", "only:0", NULL });
    redis_do(from, "MOVE stays 5");
    redis_do(from, "SELECT 5");
    redis_do(from, "MOVE stays 0");
    redis_do(from, "SWAPDB 5 6");
    redis_do(from, "SELECT 0");
    redis_do(from, "SET the-last-one yes");
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(30000)));
    migrate_stop(&m, 1);
    assert_int_equal(migrate_count(&m, "commands failed"), 1);
    assert_non_null(strstr(m.err, "command=MOVE key=stays reason=\"it brings a key"));
    migrate_free(&m);
    assert_int_equal(moving_keys(to), 1);
}

static void test_interrupted(void **state)
{
    struct migrate m;
    char nobody[32];
    uint16_t port = port_take();
    (void)state;
    snprintf(nobody, sizeof(nobody), "127.0.0.1:%d", port);
    migrate_run(&m, "sync", nobody, target_at, "--spool-dir", testenv_dir(), NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the source cannot be reached"));
    migrate_free(&m);
    migrate_run(&m, "sync", source_at, target_at, "--spool-dir", "/nowhere", NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "No such file or directory"));
    migrate_free(&m);
    port_give_back(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_a_cluster),
        cmocka_unit_test(test_through_a_proxy),
        cmocka_unit_test(test_small_spool),
        cmocka_unit_test(test_full_copy_only),
        cmocka_unit_test(test_rate_limit),
        cmocka_unit_test(test_every_rule),
        cmocka_unit_test(test_rate_limit_in_bytes),
        cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_between_slots),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_cut_connection),
        cmocka_unit_test(test_at_least_once),
        cmocka_unit_test(test_flush_is_not_repeated),
        cmocka_unit_test(test_flush_by_policy),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_between_databases),
        cmocka_unit_test(test_interrupted),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
