/*
 * slotgate-migrate sync and commands of modules, which only the target can tell the keys of: they
 * go over in order on their slot and once; where the target lacks the module they fail by name.
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

enum { KEYS = 50, ROUNDS = 20 };

static struct migrate m;

static int start(void **state)
{
    static const char *const with_module[] = { "--loadmodule", TEST_MODULE, NULL };
    (void)state;
    moving_start(&(struct moving){
        .parts = MOVING_PLAIN | MOVING_CLUSTER, .source = with_module, .nodes_with = with_module });
    return 0;
}

static void expect_same(int i)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%d", i);
    redisReply *want = redis_ask(from, "GET %s", key);
    redisReply *got = redis_ask(moving_node(key, strlen(key)), "GET %s", key);
    assert_int_equal(got->type, REDIS_REPLY_STRING);
    assert_string_equal(got->str, want->str);
    freeReplyObject(want);
    freeReplyObject(got);
}

/* What is written by such a command stands between others' writes. */
static void test_in_order(void **state)
{
    (void)state;
    moving_begin(&m,
                 (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                        testenv_dir(), "--name", "modules", NULL });
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < KEYS; i++) {
            if (round % 7 == 3)
                redis_do(from, "SET key:%d begin", i);
            redis_do(from, "TM.APPEND word key:%d %d,", i, round);
            redis_do(from, "APPEND key:%d ;", i);
        }
    moving_catch_up(&m);
    for (int i = 0; i < KEYS; i++)
        expect_same(i);
    migrate_stop(&m, 0);
    assert_non_null(strstr(m.err, "commands learned from the target"));
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
}

/* A slot with nothing but such commands has a marker, so that none would be executed twice. */
static void test_with_marker(void **state)
{
    (void)state;
    moving_empty();
    moving_begin(&m,
                 (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                        testenv_dir(), "--name", "marked", NULL });
    redis_do(from, "TM.APPEND word key:1 x");
    moving_catch_up(&m);
    redisReply *markers = redis_ask(moving_node("key:1", 5), "KEYS __mig:marked:{*");
    assert_int_equal(markers->type, REDIS_REPLY_ARRAY);
    assert_int_equal(markers->elements, 1);
    assert_int_equal(cluster_slot(markers->element[0]->str), cluster_slot("key:1"));
    freeReplyObject(markers);
    migrate_stop(&m, 0);
    migrate_free(&m);
}

static void test_not_there(void **state)
{
    (void)state;
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), NULL });
    redis_do(from, "TM.APPEND word key:1 x");
    redis_do(from, "TM.APPEND word key:2 x");
    moving_catch_up(&m);
    migrate_stop(&m, 1);
    assert_non_null(strstr(m.err, "neither this program nor the target knows such a command"));
    assert_int_equal(migrate_count(&m, "commands failed"), 2);
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_with_marker),
        cmocka_unit_test(test_not_there),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
