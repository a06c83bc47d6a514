/*
 * slotgate-migrate verify: nothing differs where nothing does, whatever the encodings; each planted
 * difference is found, and only those.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static char file[300];

static int start(void **state)
{
    static const char *const other[] = { "--hash-max-listpack-entries",
                                         "0",
                                         "--zset-max-listpack-entries",
                                         "0",
                                         "--set-max-intset-entries",
                                         "0",
                                         "--list-max-listpack-size",
                                         "2",
                                         NULL };
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER | MOVING_PROXY, .nodes_with = other });
    snprintf(file, sizeof(file), "%s/differing", testenv_dir());
    every_type_fill(from, false);
    /* Rewritten, so that the target chooses its own encodings. */
    migrate_expect_good("sync", source_at, "--target-cluster", seeds, "--follow", "no", "--rewrite",
                        "--spool-dir", testenv_dir());
    return 0;
}

static void test_nothing_differs(void **state)
{
    struct migrate m;
    redisReply *size = redis_ask(from, "DBSIZE");
    (void)state;
    migrate_run(&m, "verify", source_at, "--target-cluster", seeds, NULL);
    if (m.code != 0)
        fail_msg("%s", m.out);
    assert_int_equal(migrate_count(&m, "keys at the source"), size->integer);
    assert_int_equal(migrate_count(&m, "keys at the target"), size->integer);
    migrate_free(&m);
    migrate_run(&m, "verify", source_at, proxy_at, NULL);
    if (m.code != 0)
        fail_msg("%s", m.out);
    assert_int_equal(migrate_count(&m, "keys at the target"), size->integer);
    migrate_free(&m);
    freeReplyObject(size);
}

/* A change of one element in each type, its undoing, and what is to be said. */
static void test_planted_differences(void **state)
{
    static const struct {
        const char *key, *change, *undo, *said;
    } rows[] = {
        { "number:3", "SET number:3 8", "SET number:3 -128", "the content differs" },
        { "list:small", "LSET list:small 1 2", "LSET list:small 1 1", "the content differs" },
        { "list:large", "LSET list:large 5 x", "LSET list:large 5 14", "the content differs" },
        { "set:int16", "SADD set:int16 9", "SREM set:int16 9", "the content differs" },
        { "zset:small", "ZADD zset:small 2 a", "ZADD zset:small 1 a", "the content differs" },
        { "hash:large", "HSET hash:large field:7 8", "HSET hash:large field:7 7",
          "the content differs" },
        { "stream:one", "XGROUP CREATE stream:one g 0", "XGROUP DESTROY stream:one g",
          "the content differs" },
        { "stream", "XACK stream workers 1205-1", NULL, "the content differs" },
        { "hash:small", "PEXPIREAT hash:small 4102444900777", "PEXPIREAT hash:small 4102444800777",
          "the time to live differs" },
        { "number:1", "PEXPIREAT number:1 4102444800000", "PERSIST number:1",
          "the time to live differs" },
        { "number:2", "DEL number:2", "SET number:2 127", "the target lacks it" },
        { "additional", "SET additional x", "DEL additional", "the source lacks it" },
    };
    struct migrate m;
    char line[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        freeReplyObject(redis_ask(moving_node(rows[i].key, strlen(rows[i].key)), rows[i].change));
    migrate_run(&m, "verify", source_at, "--target-cluster", seeds, "--rounds", "2",
                "--round-pause", "10ms", "--diff-file", file, NULL);
    assert_int_equal(m.code, 1);
    assert_int_equal(migrate_count(&m, "keys that differ"), ARRAY_LEN(rows));
    migrate_free(&m);
    char *told = file_text(file);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(line, sizeof(line), "\"%s\" %s\n", rows[i].key, rows[i].said);
        if (strstr(told, line) == NULL)
            fail_msg("no line %s in %s", line, told);
    }
    free(told);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].undo != NULL)
            freeReplyObject(redis_ask(moving_node(rows[i].key, strlen(rows[i].key)), rows[i].undo));
    migrate_run(&m, "verify", source_at, "--target-cluster", seeds, "--round-pause", "10ms", NULL);
    assert_int_equal(migrate_count(&m, "keys that differ"), 1);
    migrate_free(&m);
    redis_do(from, "XACK stream workers 1205-1");
    migrate_expect_good("verify", source_at, "--target-cluster", seeds);
}

static long long verify_databases(const char *db, char **told)
{
    struct migrate m;
    migrate_run(&m, "verify", source_at, "--target-cluster", seeds, "--db", db, "--rounds", "1",
                "--diff-file", file, "--exclude-db", "9", NULL);
    long long differing = migrate_count(&m, "keys that differ");
    assert_int_equal(m.code, differing == 0 ? 0 : 1);
    migrate_free(&m);
    *told = file_text(file);
    return differing;
}

/* "db3:..." is a key of the source's database 3, if it has one; the file names it so. */
static void test_prefix(void **state)
{
    char *told;
    (void)state;
    redis_do(from, "MSET db7:mine 1 plain 2");
    redis_do(from, "SELECT 3");
    redis_do(from, "MSET same 1 changed 2 missing 3");
    redis_do(from, "SELECT 9");
    redis_do(from, "SET left-out 1");
    redis_do(from, "SELECT 0");
    migrate_expect_good("sync", source_at, "--target-cluster", seeds, "--follow", "no", "--db",
                        "prefix", "--exclude-db", "9", "--spool-dir", testenv_dir());
    if (verify_databases("prefix", &told) != 0)
        fail_msg("%s", told);
    free(told);
    redis_do(moving_node("db3:changed", 11), "SET db3:changed x");
    redis_do(moving_node("db3:missing", 11), "DEL db3:missing");
    redis_do(moving_node("db3:extra", 9), "SET db3:extra x");
    redis_do(moving_node("db7:mine", 8), "SET db7:mine x");
    if (verify_databases("prefix", &told) != 4 ||
        strstr(told, "\"db3:changed\" the content differs\n") == NULL ||
        strstr(told, "\"db3:missing\" the target lacks it\n") == NULL ||
        strstr(told, "\"db3:extra\" the source lacks it\n") == NULL ||
        strstr(told, "\"db7:mine\" the content differs\n") == NULL)
        fail_msg("%s", told);
    free(told);
}

static void test_only(void **state)
{
    char *told, source_3[64];
    (void)state;
    moving_empty();
    redis_do(from, "SET of-0 1");
    redis_do(from, "SELECT 3");
    redis_do(from, "MSET a 1 b 2");
    redis_do(from, "SELECT 0");
    snprintf(source_3, sizeof(source_3), "redis://%s/3", source_at);
    migrate_expect_good("sync", source_3, "--target-cluster", seeds, "--follow", "no",
                        "--spool-dir", testenv_dir()); /* another way to say only:3 */
    migrate_expect_good("verify", source_3, "--target-cluster", seeds);
    if (verify_databases("only:3", &told) != 0)
        fail_msg("%s", told);
    free(told);
    redis_do(moving_node("of-0", 4), "SET of-0 1");
    redis_do(moving_node("a", 1), "SET a x");
    if (verify_databases("only:3", &told) != 2 ||
        strstr(told, "\"of-0\" the source lacks it\n") == NULL ||
        strstr(told, "\"a\" the content differs\n") == NULL)
        fail_msg("%s", told);
    free(told);
}

/* Times to live that are not too far apart are the same. */
static void test_tolerance(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    redis_do(from, "SET timed x EX 1000");
    redis_do(moving_node("timed", 5), "SET timed x EX 1100");
    migrate_run(&m, "verify", source_at, "--target-cluster", seeds, "--rounds", "1",
                "--ttl-tolerance", "90s", NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.out, "the time to live differs"));
    migrate_free(&m);
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "1",
                        "--ttl-tolerance", "110s");
}

static void test_nobody_there(void **state)
{
    struct migrate m;
    char nobody[32];
    uint16_t port = port_take();
    (void)state;
    snprintf(nobody, sizeof(nobody), "127.0.0.1:%d", port);
    migrate_run(&m, "verify", nobody, "--target-cluster", seeds, "--connect-timeout", "300ms",
                NULL);
    assert_int_equal(m.code, 1);
    migrate_free(&m);
    port_give_back(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_differs), cmocka_unit_test(test_planted_differences),
        cmocka_unit_test(test_prefix),          cmocka_unit_test(test_only),
        cmocka_unit_test(test_tolerance),       cmocka_unit_test(test_nobody_there),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
