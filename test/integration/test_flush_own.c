/*
 * slotgate-migrate sync with --flush own: FLUSHALL and FLUSHDB of one source of a cluster remove
 * the keys of this source and nothing else, in order with what comes before and behind. And with
 * --flush apply: nothing behind it is sent before a later start knows of it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { KEYS = 3000 };

static struct migrate m;

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN | MOVING_CLUSTER });
    return 0;
}

/* With another source's keys at the target. */
static void begin(const char *option, const char *value)
{
    moving_empty();
    for (int i = 0; i < 60; i++) {
        char key[64];
        redis_do(nodes[i % 3], "SET %s x", cluster_key(&cluster, i % 3, i, "theirs", key));
    }
    redis_do(from, "DEBUG POPULATE %d mine 20", KEYS);
    redis_do(from, "SELECT 2");
    redis_do(from, "DEBUG POPULATE 100 mine 20");
    redis_do(from, "SELECT 0");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), "--flush", "own",
                                            "--include-key", "mine*", option, value, NULL });
}

static void end(void)
{
    moving_finish(&m); /* the key that it writes is not one of "mine" */
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
}

static long long keys_of_target(const char *pattern)
{
    long long sum = 0;
    for (int i = 0; i < 3; i++) {
        redisReply *keys = redis_ask(nodes[i], "KEYS %s", pattern);
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
    assert_int_equal(keys_of_target("mine*"), 100);
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
    assert_int_equal(keys_of_target("mine:*"), KEYS);
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

/* The state cannot be put down, so nothing more is sent. */
static void test_state_is_gone(void **state)
{
    enum { BEHIND = 1000 };
    const char *dir = migrate_state_dir();
    char away[300];
    (void)state;
    moving_empty();
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--state-dir", dir,
                                            "--flush", "apply", NULL });
    snprintf(away, sizeof(away), "%s-away", dir);
    assert_int_equal(rename(dir, away), 0);
    redisAppendCommand(from, "FLUSHALL");
    for (int i = 0; i < BEHIND; i++)
        redisAppendCommand(from, "SET key:%d x", i);
    for (int i = 0; i <= BEHIND; i++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    migrate_wait(&m, scaled_ms(10000));
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the state in "));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_database),
        cmocka_unit_test(test_needs_an_owner),
        cmocka_unit_test(test_state_is_gone),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
