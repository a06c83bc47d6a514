/*
 * slotgate-migrate with filters: the same keys are left out of the full copy and of the stream;
 * commands over several keys go over as far as they can be taken apart.
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

enum { WORDS_MAX = 32 };

static int start(void **state)
{
    (void)state;
    moving_start(
        &(struct moving){ .parts = MOVING_PLAIN,
                          .source = (const char *const[]){ "--repl-diskless-sync", "no", NULL } });
    return 0;
}

static void run_commands(const char *const *commands)
{
    for (; *commands != NULL; commands++)
        redis_do(from, *commands);
}

/* Commands before the copy, sync with the options, commands behind it; the end is m's. */
static void sync_with(struct migrate *m, const char *const *before, const char *const *options,
                      const char *const *behind)
{
    const char *words[WORDS_MAX] = { "sync", source_at, target_at, "--spool-dir", testenv_dir() };
    size_t count = 5;
    while (*options != NULL)
        words[count++] = *options++;
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    run_commands(before);
    moving_begin(m, words);
    run_commands(behind);
    redis_do(from, "SELECT 0");
    redis_do(from, "SET marker yes"); /* WAIT counts what this client has written */
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
    process_signal(&m->process, SIGTERM);
    migrate_wait(m, 20000);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((redisReply *const *)a)[0]->str, ((redisReply *const *)b)[0]->str);
}

/* All keys of the target's database 0, sorted, with a blank between. */
static void expect_keys(const char *want)
{
    char got[2000] = "";
    redisReply *reply = redis_ask(to, "KEYS *");
    qsort(reply->element, reply->elements, sizeof(*reply->element), by_name);
    for (size_t i = 0; i < reply->elements; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i > 0 ? " " : "",
                 reply->element[i]->str);
    assert_string_equal(got, want);
    freeReplyObject(reply);
}

static void expect_text(const char *question, const char *answer)
{
    redisReply *reply = redis_ask(to, question);
    if (reply->str == NULL || strcmp(reply->str, answer) != 0)
        fail_msg("%s: %s", question, reply->str != NULL ? reply->str : "nothing");
    freeReplyObject(reply);
}

static void expect_counts(const struct migrate *m, int code, int keys, int filtered, int mixed,
                          int failed)
{
    if (m->code != code)
        fail_msg("exit code %d: %s%s", m->code, m->err, m->out);
    assert_int_equal(migrate_count(m, "skipped, filtered"), keys > 0 ? keys : -1);
    assert_int_equal(migrate_count(m, "commands filtered"), filtered);
    assert_int_equal(migrate_count(m, "commands of mixed keys"), mixed);
    assert_int_equal(migrate_count(m, "commands failed"), failed);
}

static const char *const keys_before[] = { "SET a:1 x", "SET a:2 x", "SET a:tmp:1 x",
                                           "SET b:1 x", "SET c:1 x", NULL };

static void test_keys(void **state)
{
    static const char *const options[] = {
        "--include-key", "a:*", "--include-key", "b:?", "--exclude-key", "a:tmp:*", NULL
    };
    static const char *const behind[] = {
        "SET a:3 y",
        "SET c:3 y",
        "INCR a:tmp:2",
        "DEL a:2 c:1 a:tmp:1",
        "MSET a:4 1 c:4 2 b:4 3",
        "APPEND a:1 y",
        "EXPIRE c:3 100",
        "MULTI",
        "INCR a:5",
        "INCR c:5",
        "EXEC",
        NULL,
    };
    struct migrate m;
    (void)state;
    sync_with(&m, keys_before, options, behind);
    /* c:3, a:tmp:2, c:1, a:tmp:1, c:4, c:3, c:5, marker */
    expect_counts(&m, 0, 2, 8, 0, 0);
    migrate_free(&m);
    expect_keys("a:1 a:3 a:4 a:5 b:1 b:4");
    expect_text("GET a:1", "xy");
}

static const char *const mixed_behind[] = { "RENAME a:1 c:1", "COPY a:2 a:6", "COPY c:1 c:2",
                                            NULL };

static void test_mixed_keys(void **state)
{
    struct migrate m;
    (void)state;
    sync_with(&m, keys_before, (const char *const[]){ "--include-key", "a:*", NULL }, mixed_behind);
    expect_counts(&m, 1, 2, 2, 0, 1);
    assert_non_null(strstr(m.err, "command=RENAME key=a:1 reason=\"of its keys some go over"));
    migrate_free(&m);
    expect_keys("a:1 a:2 a:6 a:tmp:1");

    sync_with(&m, keys_before,
              (const char *const[]){ "--include-key", "a:*", "--filter-mixed", "drop", NULL },
              mixed_behind);
    expect_counts(&m, 0, 2, 2, 1, 0);
    migrate_free(&m);
    expect_keys("a:1 a:2 a:6 a:tmp:1");

    sync_with(&m, keys_before,
              (const char *const[]){ "--include-key", "a:*", "--filter-mixed", "apply", NULL },
              mixed_behind);
    expect_counts(&m, 0, 2, 2, 1, 0);
    migrate_free(&m);
    expect_keys("a:2 a:6 a:tmp:1 c:1");
}

static void test_types_and_commands(void **state)
{
    static const char *const before[] = {
        "SET string x",  "RPUSH list x",        "SADD set x", "ZADD zset 1 x",
        "HSET hash f x", "XADD stream 1-1 f x", NULL
    };
    static const char *const options[] = {
        "--include-type", "string,hash",       "--include-type", "list", "--exclude-type",
        "list",           "--exclude-command", "append,hdel",    NULL
    };
    static const char *const behind[] = { "SET string2 x",   "RPUSH list2 x",
                                          "ZADD zset2 1 x",  "HSET hash f y",
                                          "APPEND string y", "HDEL hash f",
                                          "DEL set",         NULL };
    struct migrate m;
    (void)state;
    sync_with(&m, before, options, behind);
    expect_counts(&m, 0, 4, 4, 0, 0);
    migrate_free(&m);
    expect_keys("hash marker string string2");
    expect_text("GET string", "x");
    expect_text("HGET hash f", "y");
}

static void test_databases(void **state)
{
    static const char *const before[] = { "SET zero x", "SELECT 1",  "SET one x",
                                          "SELECT 2",   "SET two x", NULL };
    static const char *const behind[] = { "SELECT 1", "SET one2 x", "SELECT 2", "SET two2 x",
                                          NULL };
    struct migrate m;
    (void)state;
    redis_do(from, "SELECT 0");
    sync_with(&m, before, (const char *const[]){ "--db", "prefix", "--exclude-db", "1", NULL },
              behind);
    expect_counts(&m, 0, 1, 1, 0, 0);
    migrate_free(&m);
    expect_keys("db2:two db2:two2 marker zero");
}

/* Only what is named goes over. */
static void test_wanted(void **state)
{
    static const char *const before[] = { "SET zero x", "SELECT 1",  "SET one x",
                                          "SELECT 2",   "SET two x", NULL };
    static const char *const options[] = {
        "--db", "prefix", "--include-db", "0,2", "--include-db", "5", "--include-command",
        "set",  NULL
    };
    static const char *const behind[] = { "SET one2 x",   "SELECT 2", "SET two2 x",
                                          "INCR counter", "DEL two",  NULL };
    struct migrate m;
    (void)state;
    redis_do(from, "SELECT 0");
    redis_do(from, "FLUSHALL");
    sync_with(&m, before, options, behind);
    expect_counts(&m, 0, 1, 2, 0, 0);
    migrate_free(&m);
    expect_keys("db2:one2 db2:two db2:two2 marker zero");
}

/* A FLUSHALL that is not wanted stops nothing. */
static void test_commands_without_keys(void **state)
{
    static const char *const behind[] = { "FLUSHALL", NULL };
    struct migrate m;
    (void)state;
    sync_with(&m, keys_before, (const char *const[]){ "--exclude-command", "flushall", NULL },
              behind);
    expect_counts(&m, 0, 0, 1, 0, 0);
    migrate_free(&m);
    expect_keys("a:1 a:2 a:tmp:1 b:1 c:1 marker");
}

/* verify looks only at what goes over. */
static void test_verify(void **state)
{
    struct migrate m;
    (void)state;
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    run_commands(keys_before);
    redis_do(to, "SET a:1 x");
    redis_do(to, "SET of-another-source x");
    migrate_run(&m, "verify", source_at, target_at, "--include-key", "a:?", "--rounds", "1", NULL);
    assert_int_equal(m.code, 1);
    assert_int_equal(migrate_count(&m, "keys that differ"), 1); /* a:2 */
    assert_int_equal(migrate_count(&m, "keys left out by filters"), 4);
    migrate_free(&m);
}

static void test_usage(void **state)
{
    static const char *const wrong[][2] = {
        { "--include-type", "text" }, { "--exclude-db", "x" },   { "--filter-mixed", "maybe" },
        { "--owner", "codis" },       { "--owner-policy", "x" },
    };
    struct migrate m;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        migrate_run(&m, "sync", source_at, target_at, wrong[i][0], wrong[i][1], NULL);
        assert_int_equal(m.code, 2);
        migrate_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_mixed_keys),
        cmocka_unit_test(test_types_and_commands),
        cmocka_unit_test(test_databases),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_commands_without_keys),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_usage),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
