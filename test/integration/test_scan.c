/*
 * slotgate-migrate scan: a source that lets nobody replicate is copied key by key, and followed by
 * its keyspace notifications.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static char poor_at[64];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    redis_do(from, "ACL SETUSER poor on >secret ~* &* +@all -psync -sync");
    snprintf(poor_at, sizeof(poor_at), "redis://poor:secret@%s", source_at);
    return 0;
}

static void expect_values(void)
{
    redisReply *keys = redis_ask(from, "KEYS *");
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *key = keys->element[i];
        char *want = content_of(from, key->str, key->len),
             *got = content_of(to, key->str, key->len);
        if (strcmp(want, got) != 0)
            fail_msg("%s differs", key->str);
        free(want);
        free(got);
    }
    assert_int_equal(keys->elements, moving_keys(to));
    freeReplyObject(keys);
}

static void test_every_type(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    every_type_fill_large(from, 1000 * 1000);
    redis_do(from, "SET timed x EX 1000");
    migrate_run(&m, "scan", poor_at, target_at, "--big-key", "500kb", NULL);
    if (m.code != 0)
        fail_msg("exit code %d: %s%s", m.code, m.err, m.out);
    assert_non_null(strstr(m.out, "best effort"));
    assert_int_equal(migrate_count(&m, "keys read"), moving_keys(from));
    assert_true(migrate_count(&m, "rewritten") > 0);
    migrate_free(&m);
    expect_values();
    redisReply *ttl = redis_ask(to, "TTL timed");
    assert_in_range(ttl->integer, 900, 1000);
    freeReplyObject(ttl);
}

static void test_filters(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "MSET a:1 x a:2 x b:1 x");
    redis_do(from, "RPUSH a:list x");
    migrate_run(&m, "scan", poor_at, target_at, "--include-key", "a:*", "--exclude-type", "list",
                NULL);
    assert_int_equal(m.code, 0);
    assert_int_equal(migrate_count(&m, "skipped, filtered"), 2);
    migrate_free(&m);
    assert_int_equal(moving_keys(to), 2);
}

/* --- followed ------------------------------------------------------------------------------ */

static atomic_bool enough;
static atomic_int changes;

static void *change_all_the_time(void *arg)
{
    static const char *const commands[] = { "INCR counter:%d",
                                            "RPUSH list:%d x",
                                            "HSET hash:%d f %d",
                                            "DEL list:%d",
                                            "SET string:%d %d PXAT 4102444800000",
                                            "RENAME hash:%d renamed:%d",
                                            "SADD set:%d m" };
    redisContext *r = redisConnect("127.0.0.1", source.port);
    (void)arg;
    for (int i = 0; !atomic_load(&enough); i++) {
        freeReplyObject(redis_ask(r, commands[i % 7], i % 50, i % 50));
        atomic_store(&changes, i);
    }
    redisFree(r);
    return NULL;
}

static bool follows(void *arg)
{
    return migrate_says(arg, "following the notifications") > 0;
}

static bool many_changes_more(void *arg)
{
    return atomic_load(&changes) > *(int *)arg + 1000;
}

static bool marked(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(to, "EXISTS the-last-one");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

static void test_tail(void **state)
{
    pthread_t thread;
    struct migrate m;
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    redis_do(from, "CONFIG SET notify-keyspace-events KEA");
    atomic_init(&enough, false);
    assert_int_equal(pthread_create(&thread, NULL, change_all_the_time, NULL), 0);
    migrate_start(&m, (const char *const[]){ "scan", poor_at, target_at, "--tail", NULL });
    bool good = wait_until(follows, &m, scaled_ms(20000));
    int before = atomic_load(&changes);
    good = good && wait_until(many_changes_more, &before, scaled_ms(20000));
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    assert_true(good);
    redis_do(from, "SET the-last-one x");
    assert_true(wait_until(marked, NULL, scaled_ms(20000)));
    migrate_stop(&m, 0);
    assert_true(migrate_count(&m, "keys deleted") > 0);
    migrate_free(&m);
    expect_values();
}

static void test_no_notifications(void **state)
{
    struct migrate m;
    (void)state;
    redis_do(from, "CONFIG SET notify-keyspace-events KA");
    migrate_run(&m, "scan", poor_at, target_at, "--tail", NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "notify-keyspace-events"));
    migrate_free(&m);
}

static bool half_way(void *arg)
{
    (void)arg;
    return moving_keys(to) > 0;
}

/* The source dies under it: told, no hang. */
static void test_source_is_lost(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "CONFIG SET notify-keyspace-events KEA");
    redis_do(from, "DEBUG POPULATE 5000");
    migrate_start(&m, (const char *const[]){ "scan", poor_at, target_at, "--tail",
                                             "--rate-limit-commands", "1000", NULL });
    assert_true(wait_until(half_way, NULL, scaled_ms(20000)));
    process_kill(&source.process);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "notifications is lost"));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),     cmocka_unit_test(test_filters),
        cmocka_unit_test(test_tail),           cmocka_unit_test(test_no_notifications),
        cmocka_unit_test(test_source_is_lost),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
