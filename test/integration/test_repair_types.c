/*
 * slotgate-migrate cutover repairs keys whose layout the target does not know: they cannot be
 * restored as they are, so they are built there, and then they are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/server.h"
#include "test/lib/testenv.h"

/* Of these a Redis 7.0 does not know the set and the stream of a Valkey 9, and a Redis 6.0 none of
   a Redis 7.0. */
static const char *const keys[] = { "list", "hash", "zset", "set", "stream" };

static void fill(void)
{
    redis_do(from, "RPUSH list a b c");
    redis_do(from, "HSET hash a 1 b 2");
    redis_do(from, "ZADD zset 1 a 2.5 b");
    redis_do(from, "SADD set a b");
    redis_do(from, "XADD stream 1-1 a 1");
    redis_do(from, "PEXPIREAT hash 4102444800000");
}

/* They vanish at the target, and a file says that they differ. */
static const char *damage(void)
{
    char text[200] = "";
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        size_t len = strlen(text);
        redis_do(to, "DEL %s", keys[i]);
        snprintf(text + len, sizeof(text) - len, "\"%s\" planted\n", keys[i]);
    }
    return testenv_file("unknown", text);
}

/* What a dry run says of the two versions; and nobody's connection is lost by it. */
static void expect_plan(void)
{
    struct migrate m;
    migrate_run(&m, "sync", source_at, target_at, "--spool-dir", testenv_dir(), "--dry-run", NULL);
    assert_int_equal(m.code, 0);
    assert_non_null(strstr(m.out, "target: version "));
    assert_non_null(strstr(m.out, "warn  target: older than the source"));
    migrate_free(&m);
    redis_do(to, "PING"); /* over a connection of before */
}

static void repair_all(void)
{
    struct migrate m, cutover;
    char path[160];
    snprintf(path, sizeof(path), "%s/admin.sock", testenv_dir());
    fill();
    expect_plan();
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--admin-socket", path, "--repair", "no",
                                            "--ttl-calm", "100ms", NULL });
    migrate_run(&cutover, "cutover", path, "--repair-from", damage(), "--sample", "100", NULL);
    if (cutover.code != 0)
        fail_msg("%s%s", cutover.out, cutover.err);
    assert_int_equal(migrate_count(&cutover, "keys repaired"), ARRAY_LEN(keys));
    migrate_free(&cutover);
    migrate_expect_good("finish", path);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 0);
    migrate_free(&m);
    assert_int_equal(moving_keys(to), ARRAY_LEN(keys));
    migrate_expect_good("verify", source_at, target_at, "--rounds", "2");
}

static void test_from_valkey_9(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source_server = "valkey-9" });
    repair_all();
    moving_end(NULL);
}

static void test_into_redis_6(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .target_server = "redis-6.0" });
    repair_all();
    moving_end(NULL);
}

int main(void)
{
    struct CMUnitTest tests[2];
    size_t count = 0;
    if (server_is_there("valkey-9"))
        tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_from_valkey_9);
    if (server_is_there("redis-6.0"))
        tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_into_redis_6);
    return testenv_finish(_cmocka_run_group_tests("tests", tests, count, NULL, NULL));
}
