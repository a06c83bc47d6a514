/*
 * slotgate-migrate as its operator meets it: a sync under writes is watched, paused and resumed;
 * keys that could not be brought over exactly come into the repair set; cutover brings them over
 * again, so that verify finds nothing; finish ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/ledger.h"
#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { KEYS = 3000, PLANTED = 12, REPAIRS = 3, REST_US = 1000, TIMEOUT = 15000 };

static struct ledger ledger = { .rest_us = REST_US };
static char path[300], repair_file[300], diff_file[300];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER });
    snprintf(path, sizeof(path), "%s/admin.sock", testenv_dir());
    snprintf(repair_file, sizeof(repair_file), "%s/repair", testenv_dir());
    snprintf(diff_file, sizeof(diff_file), "%s/differing", testenv_dir());
    for (int i = 0; i < KEYS; i++)
        redis_do(from, "SET key:%d %d", i, i);
    return 0;
}

static redisContext *node_of(const char *key)
{
    return moving_node(key, strlen(key));
}

/* --- the commands -------------------------------------------------------------------------- */

static long long number(const char *name)
{
    return migrate_status(path, name);
}

static bool in_phase(const char *phase)
{
    struct migrate m;
    char line[64];
    snprintf(line, sizeof(line), "%-28s %12s", "phase", phase);
    migrate_run(&m, "status", path, NULL);
    bool found = m.code == 0 && strstr(m.out, line) != NULL;
    migrate_free(&m);
    return found;
}

static bool is_live(void *arg)
{
    (void)arg;
    return in_phase("stream");
}

static void begin(struct migrate *m, const char *more, const char *value)
{
    const char *const words[] = { "sync",
                                  source_at,
                                  "--target-cluster",
                                  seeds,
                                  "--spool-dir",
                                  testenv_dir(),
                                  "--admin-socket",
                                  path,
                                  "--repair-file",
                                  repair_file,
                                  "--ttl-calm",
                                  "100ms",
                                  "--rewrite",
                                  "no",
                                  more,
                                  value,
                                  NULL };
    ledger_begin(&ledger, source.port);
    migrate_start(m, words);
    assert_true(wait_until(is_live, NULL, scaled_ms(TIMEOUT)));
}

static void finish(struct migrate *m)
{
    migrate_expect_good("finish", path);
    migrate_wait(m, scaled_ms(TIMEOUT));
    if (m->code != 0)
        fail_msg("exit code %d: %.3000s%.2000s", m->code, m->err, m->out);
    assert_int_equal(access(path, F_OK), -1);
}

static bool is_in_repair_set(void *arg)
{
    return number("repair set") >= *(long long *)arg;
}

static void expect_same(void)
{
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "10",
                        "--round-pause", "100ms");
}

/* --- tests --------------------------------------------------------------------------------- */

static bool sends_more(void *arg)
{
    return number("commands sent") > *(long long *)arg;
}

static bool spool_holds(void *arg)
{
    return number("spool, bytes") > *(long long *)arg;
}

static void test_pause_and_resume(void **state)
{
    struct migrate m;
    struct stat st;
    long long none = 0;
    (void)state;
    begin(&m, "--repair", "no");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(number("keys copied") >= KEYS);
    assert_true(wait_until(sends_more, &none, scaled_ms(TIMEOUT)));

    migrate_expect_good("pause", path);
    assert_true(in_phase("paused"));
    long long sent = number("commands sent");
    ledger_await(&ledger, 50);
    assert_true(wait_until(spool_holds, &none, scaled_ms(TIMEOUT)));
    assert_int_equal(number("commands sent"), sent);
    assert_true(number("lag, bytes") > 0);
    assert_true(number("lag, milliseconds") > 0);
    redis_do(from, "SET key:0 held");
    redisReply *acked = redis_ask(from, "WAIT 1 200"); /* nothing was applied, so none has it */
    assert_int_equal(acked->integer, 0);
    freeReplyObject(acked);
    struct migrate refused;
    migrate_run(&refused, "cutover", path, NULL);
    assert_int_equal(refused.code, 1);
    migrate_free(&refused);

    migrate_expect_good("resume", path);
    assert_true(wait_until(sends_more, &sent, scaled_ms(TIMEOUT)));
    redis_do(from, "SET key:0 waited");
    acked = redis_ask(from, "WAIT 1 10000");
    assert_int_equal(acked->integer, 1);
    freeReplyObject(acked);
    redisReply *there = redis_ask(node_of("key:0"), "GET key:0");
    assert_string_equal(there->str, "waited");
    freeReplyObject(there);
    migrate_expect_good("cutover", path, "--pause-source", "300ms");
    ledger_end(&ledger);
    finish(&m);
    expect_same();
    migrate_free(&m);
}

/* Behind the tool's back, and so that commands fail. */
static void plant(void)
{
    char key[64];
    for (int i = 1; i < PLANTED; i++) {
        snprintf(key, sizeof(key), "key:%d", i);
        redis_do(node_of(key), i % 2 == 0 ? "DEL %s" : "SET %s changed", key);
    }
    redis_do(node_of("alien"), "SET alien 1");
    redis_do(node_of("key:100"), "DEL key:100");
    redis_do(from, "RENAME key:100 renamed:100");
    redis_do(node_of("typed"), "RPUSH typed 1");
    redis_do(from, "MULTI");
    redis_do(from, "SETRANGE typed 0 text"); /* of the wrong type at the target */
    redis_do(from, "INCR {typed}2");
    redis_do(from, "EXEC");
}

static void test_repair(void **state)
{
    struct migrate m, v;
    long long expected = 4;
    (void)state;
    redis_do(from, "DEL typed {typed}2 renamed:100");
    begin(&m, "--repair", "no");
    plant();
    assert_true(wait_until(is_in_repair_set, &expected, scaled_ms(TIMEOUT)));
    assert_int_equal(number("commands failed"), 2);
    migrate_run(&v, "verify", source_at, "--target-cluster", seeds, "--rounds", "10",
                "--round-pause", "100ms", "--diff-file", diff_file, NULL);
    assert_int_equal(v.code, 1);
    assert_true(migrate_count(&v, "keys that differ") >= PLANTED);
    migrate_free(&v);

    /* Writes go on, also to a key that is repaired. */
    migrate_run(&v, "cutover", path, "--repair-from", diff_file, "--sample", "500", NULL);
    if (v.code != 0)
        fail_msg("%s%s", v.out, v.err);
    assert_int_equal(migrate_count(&v, "keys that remain"), 0);
    assert_true(migrate_count(&v, "keys repaired") >= PLANTED + 4);
    assert_true(migrate_count(&v, "keys compared") > 0);
    migrate_free(&v);
    assert_int_equal(number("repair set"), 0);
    expect_same();
    ledger_end(&ledger);
    finish(&m);
    assert_int_equal(access(repair_file, F_OK), -1);
    expect_same();
    migrate_free(&m);
}

/* Every ledger key is damaged while it is written to: what is repaired must be exact at once. */
static void test_repair_under_writes(void **state)
{
    struct migrate m, v;
    FILE *f = fopen(diff_file, "w");
    (void)state;
    assert_non_null(f);
    redisReply *keys = redis_ask(from, "KEYS ledger*");
    for (size_t i = 0; i < keys->elements; i++)
        fprintf(f, "\"%s\" planted\n", keys->element[i]->str);
    fclose(f);
    ledger.rest_us = REST_US / 2;
    begin(&m, "--repair", "no");
    for (size_t i = 0; i < keys->elements; i++)
        redis_do(node_of(keys->element[i]->str), "DEL %s", keys->element[i]->str);
    for (int i = 0; i < REPAIRS; i++) {
        migrate_run(&v, "cutover", path, "--repair-from", diff_file, NULL);
        if (v.code != 0)
            fail_msg("%s%s", v.out, v.err);
        assert_true(migrate_count(&v, "keys repaired") >= (long long)keys->elements);
        migrate_free(&v);
    }
    ledger.rest_us = REST_US;
    ledger_await(&ledger, 50);
    ledger_end(&ledger);
    finish(&m);
    expect_same();
    migrate_free(&m);
    freeReplyObject(keys);
}

static bool nothing_to_repair(void *arg)
{
    long long repaired = number("repaired");
    (void)arg;
    return repaired >= 2 && number("repair set") == 0;
}

/* Without being told; and a signal ends it as finish does. */
static void test_repair_by_itself(void **state)
{
    struct migrate m;
    (void)state;
    redis_do(from, "SET key:200 x");
    begin(&m, "--repair", "yes");
    redis_do(node_of("key:200"), "DEL key:200");
    redis_do(from, "RENAME key:200 renamed:200");
    assert_true(wait_until(nothing_to_repair, NULL, scaled_ms(30000)));
    ledger_end(&ledger);
    finish(&m);
    expect_same();
    migrate_free(&m);
}

/* The set outlives the program that has filled it. */
static void test_repair_after_a_kill(void **state)
{
    struct migrate m, next;
    long long expected = 2;
    char folder[320];
    (void)state;
    snprintf(folder, sizeof(folder), "%s/state", testenv_dir());
    assert_int_equal(mkdir(folder, 0700), 0);
    redis_do(from, "SET key:300 x");
    redis_do(from, "DEL renamed:300");
    begin(&m, "--state-dir", folder);
    redis_do(node_of("key:300"), "DEL key:300");
    redis_do(from, "RENAME key:300 renamed:300");
    assert_true(wait_until(is_in_repair_set, &expected, scaled_ms(TIMEOUT)));
    process_kill(&m.process);
    ledger_end(&ledger);
    begin(&next, "--state-dir", folder); /* takes the dead one's socket, too */
    assert_true(number("repair set") >= expected);
    migrate_expect_good("cutover", path);
    ledger_end(&ledger);
    finish(&next);
    expect_same();
    migrate_free(&next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pause_and_resume),    cmocka_unit_test(test_repair),
        cmocka_unit_test(test_repair_under_writes), cmocka_unit_test(test_repair_by_itself),
        cmocka_unit_test(test_repair_after_a_kill),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
