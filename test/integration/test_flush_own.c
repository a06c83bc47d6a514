/*
 * slotgate-migrate sync with --flush own: FLUSHALL and FLUSHDB of one source of a cluster remove
 * the keys of this source and nothing else, in order with what comes before and behind.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { KEYS = 3000 };

static struct oracle source;
static struct redis_cluster cluster;
static redisContext *from;
static char source_at[32], seeds[512];
static struct migrate m;

static int start(void **state)
{
    static const char *const extra[] = { "--enable-debug-command", "yes",
                                         "--repl-diskless-sync-delay", "0", NULL };
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    oracle_start_with(&source, extra);
    from = redis_open(source.port);
    cluster_seeds(&cluster, seeds);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", source.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    oracle_stop(&source);
    cluster_stop(&cluster);
    return 0;
}

static bool copied(void *arg)
{
    char *log = file_text(m.process.err);
    bool there = log != NULL && strstr(log, "full copy done") != NULL;
    (void)arg;
    free(log);
    return there;
}

static bool caught_up(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(from, "WAIT 1 50");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

/* With another source's keys at the target. */
static void begin(const char *option, const char *value)
{
    redis_do(from, "FLUSHALL");
    for (int i = 0; i < 3; i++)
        cluster_do(&cluster, i, "FLUSHALL");
    for (int i = 0; i < 60; i++) {
        char key[64];
        cluster_do(&cluster, i % 3, "SET %s x", cluster_key(&cluster, i % 3, i, "theirs", key));
    }
    redis_do(from, "DEBUG POPULATE %d mine 20", KEYS);
    redis_do(from, "SELECT 2");
    redis_do(from, "DEBUG POPULATE 100 mine 20");
    redis_do(from, "SELECT 0");
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                             "--spool-dir", testenv_dir(), "--flush", "own",
                                             "--include-key", "mine*", option, value, NULL });
    assert_true(wait_until(copied, NULL, scaled_ms(20000)));
}

static void end(void)
{
    redis_do(from, "SET mine:last yes"); /* WAIT counts what this client has written */
    assert_true(wait_until(caught_up, NULL, scaled_ms(20000)));
    process_signal(&m.process, SIGTERM);
    migrate_wait(&m, 20000);
    if (m.code != 0)
        fail_msg("exit code %d: %.4000s%s", m.code, m.err, m.out);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
}

static long long keys_of_target(const char *pattern)
{
    long long sum = 0;
    for (int i = 0; i < 3; i++) {
        redisReply *keys = cluster_ask(&cluster, i, "KEYS %s", pattern);
        sum += (long long)keys->elements;
        freeReplyObject(keys);
    }
    return sum;
}

/* What stands before in the pipeline is gone, what stands behind is there. */
static void test_all(void **state)
{
    (void)state;
    begin("--db", "only:0");
    for (int i = 0; i < 100; i++)
        redisAppendCommand(from, "INCR mine:before:%d", i);
    redisAppendCommand(from, "FLUSHALL");
    for (int i = 0; i < 100; i++)
        redisAppendCommand(from, "INCR mine:behind:%d", i);
    for (int i = 0; i < 201; i++) {
        void *reply;
        assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    end();
    assert_int_equal(keys_of_target("mine*"), 101);
    assert_int_equal(keys_of_target("mine:behind:*"), 100);
    assert_int_equal(keys_of_target("*theirs"), 60);
}

/* Of one database, by the names that it gets. */
static void test_database(void **state)
{
    (void)state;
    begin("--db", "prefix");
    assert_int_equal(keys_of_target("db2:mine:*"), 100);
    redis_do(from, "SELECT 2");
    redis_do(from, "FLUSHDB");
    redis_do(from, "SET mine:new x");
    redis_do(from, "SELECT 0");
    end();
    assert_int_equal(keys_of_target("db2:mine:*"), 1);
    assert_int_equal(keys_of_target("mine:*"), KEYS + 1);
    assert_int_equal(keys_of_target("*theirs"), 60);
}

/* Whose a key is has to be told. */
static void test_needs_an_owner(void **state)
{
    (void)state;
    migrate_run(&m, "sync", source_at, "--target-cluster", seeds, "--flush", "own", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "--flush own needs --owner or --include-key"));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_needs_an_owner),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
