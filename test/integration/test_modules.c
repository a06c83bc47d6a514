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

#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { KEYS = 50, ROUNDS = 20 };

static struct oracle source, plain;
static struct redis_cluster cluster;
static redisContext *from;
static char source_at[32], plain_at[32], seeds[512];
static struct migrate m;

static int start(void **state)
{
    static const char *const with_module[] = { "--loadmodule", TEST_MODULE,
                                               "--repl-diskless-sync-delay", "0", NULL };
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .extra = with_module });
    oracle_start_with(&source, with_module);
    oracle_start(&plain);
    from = redis_open(source.port);
    cluster_seeds(&cluster, seeds);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", source.port);
    snprintf(plain_at, sizeof(plain_at), "127.0.0.1:%d", plain.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    oracle_stop(&source);
    oracle_stop(&plain);
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

static void catch_up(void)
{
    redis_do(from, "SET the-last-one yes"); /* WAIT counts what this client has written */
    assert_true(wait_until(caught_up, NULL, scaled_ms(20000)));
}

static void end(int code)
{
    process_signal(&m.process, SIGTERM);
    migrate_wait(&m, 20000);
    if (m.code != code)
        fail_msg("exit code %d: %.4000s%s", m.code, m.err, m.out);
}

static void expect_same(int i)
{
    char key[32];
    snprintf(key, sizeof(key), "key:%d", i);
    int owner = cluster_owner(&cluster, cluster_slot(key));
    redisReply *want = redis_ask(from, "GET %s", key);
    redisReply *got = cluster_ask(&cluster, owner, "GET %s", key);
    assert_int_equal(got->type, REDIS_REPLY_STRING);
    assert_string_equal(got->str, want->str);
    freeReplyObject(want);
    freeReplyObject(got);
}

/* What is written by such a command stands between others' writes. */
static void test_in_order(void **state)
{
    (void)state;
    migrate_start(&m,
                  (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                         "--spool-dir", testenv_dir(), "--name", "modules", NULL });
    assert_true(wait_until(copied, NULL, scaled_ms(20000)));
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < KEYS; i++) {
            if (round % 7 == 3)
                redis_do(from, "SET key:%d begin", i);
            redis_do(from, "TM.APPEND word key:%d %d,", i, round);
            redis_do(from, "APPEND key:%d ;", i);
        }
    catch_up();
    for (int i = 0; i < KEYS; i++)
        expect_same(i);
    end(0);
    assert_non_null(strstr(m.err, "commands learned from the target"));
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
}

/* A slot with nothing but such commands has a marker, so that none would be executed twice. */
static void test_with_marker(void **state)
{
    (void)state;
    redis_do(from, "FLUSHALL");
    cluster_do(&cluster, 0, "FLUSHALL");
    cluster_do(&cluster, 1, "FLUSHALL");
    cluster_do(&cluster, 2, "FLUSHALL");
    migrate_start(&m,
                  (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                         "--spool-dir", testenv_dir(), "--name", "marked", NULL });
    assert_true(wait_until(copied, NULL, scaled_ms(20000)));
    redis_do(from, "TM.APPEND word key:1 x");
    catch_up();
    int owner = cluster_owner(&cluster, cluster_slot("key:1"));
    redisReply *markers = cluster_ask(&cluster, owner, "KEYS __mig:marked:{*");
    assert_int_equal(markers->type, REDIS_REPLY_ARRAY);
    assert_int_equal(markers->elements, 1);
    assert_int_equal(cluster_slot(markers->element[0]->str), cluster_slot("key:1"));
    freeReplyObject(markers);
    end(0);
    migrate_free(&m);
}

static void test_not_there(void **state)
{
    (void)state;
    migrate_start(&m, (const char *const[]){ "sync", source_at, plain_at, "--spool-dir",
                                             testenv_dir(), NULL });
    assert_true(wait_until(copied, NULL, scaled_ms(20000)));
    redis_do(from, "TM.APPEND word key:1 x");
    redis_do(from, "TM.APPEND word key:2 x");
    catch_up();
    end(1);
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
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
