/*
 * slotgate-migrate cutover: what the source tells of us meanwhile, times to live that were held
 * back, a sample that differs, keys that no repair brings over; and a source that writes more than
 * its output buffer may hold while nothing is sent to the target.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { TIMEOUT = 20000, KEYS = 20 };

static char socket_at[200], repair_file[200], poor_at[64];

static int start(void **state)
{
    static const char *const words[] = { "--repl-backlog-size", "1mb", NULL };
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source = words });
    redis_do(from, "ACL SETUSER poor on >secret ~* &* +@all -dump");
    snprintf(poor_at, sizeof(poor_at), "redis://poor:secret@%s", source_at);
    snprintf(socket_at, sizeof(socket_at), "%s/cutover.sock", testenv_dir());
    snprintf(repair_file, sizeof(repair_file), "%s/cutover.repair", testenv_dir());
    return 0;
}

static void begin(struct migrate *m, const char *at)
{
    moving_begin(m, (const char *const[]){ "sync", at, target_at, "--spool-dir", testenv_dir(),
                                           "--admin-socket", socket_at, "--repair-file",
                                           repair_file, "--ttl-calm", "1h", "--ttl-exact", NULL });
}

static int reset(void **state)
{
    (void)state;
    moving_empty();
    for (int i = 0; i < KEYS; i++)
        redis_do(from, "SET key:%d %d", i, i);
    return 0;
}

static void finish(struct migrate *m)
{
    migrate_expect_good("finish", socket_at);
    migrate_wait(m, scaled_ms(TIMEOUT));
    if (m->code != 0)
        fail_msg("exit code %d: %.3000s%.1000s", m->code, m->err, m->out);
    migrate_free(m);
}

/* What the source's INFO replication says behind the name. */
static long long source_says(const char *name)
{
    redisReply *info = redis_ask(from, "INFO replication");
    const char *at = strstr(info->str, name);
    long long n = at != NULL ? atoll(at + strlen(name)) : -1;
    freeReplyObject(info);
    return n;
}

static bool is_told_all(void *arg)
{
    (void)arg;
    return source_says(",offset=") == source_says("master_repl_offset:");
}

/* --- tests --------------------------------------------------------------------------------- */

/* Our offset there is what the target has. With port 0 no Sentinel can promote us. */
static void test_what_the_source_tells(void **state)
{
    struct migrate m, cutover;
    (void)state;
    begin(&m, source_at);
    migrate_expect_good("pause", socket_at);
    assert_int_equal(source_says("connected_slaves:"), 1);
    assert_int_equal(source_says(",port="), 0);
    long long before = source_says("master_repl_offset:");
    redis_do(from, "SET key:0 held");
    redisReply *none = redis_ask(from, "WAIT 1 1500"); /* we acknowledge at least once meanwhile */
    assert_int_equal(none->integer, 0);
    freeReplyObject(none);
    assert_in_range(source_says(",offset="), 0, before);
    migrate_expect_good("resume", socket_at);
    migrate_run(&cutover, "cutover", socket_at, NULL);
    assert_int_equal(cutover.code, 0);
    assert_true(migrate_count(&cutover, "offset applied") >=
                migrate_count(&cutover, "offset of the source"));
    migrate_free(&cutover);
    assert_true(wait_until(is_told_all, NULL, scaled_ms(TIMEOUT)));
    finish(&m);
}

static void test_times_are_set(void **state)
{
    struct migrate m, cutover;
    (void)state;
    redis_do(from, "SET timed x EX 1000");
    begin(&m, source_at);
    redisReply *held = redis_ask(to, "TTL timed");
    assert_in_range(held->integer, 24 * 3600, 25 * 3600);
    freeReplyObject(held);
    assert_int_equal(migrate_status(socket_at, "times to live held back"), 1);
    migrate_run(&cutover, "cutover", socket_at, NULL);
    assert_int_equal(cutover.code, 0);
    assert_int_equal(migrate_count(&cutover, "times to live a day too long"), 0);
    migrate_free(&cutover);
    redisReply *set = redis_ask(to, "TTL timed");
    assert_in_range(set->integer, 900, 1000);
    freeReplyObject(set);
    finish(&m);
    moving_expect_plain();
}

/* Half of the keys are damaged, so a sample finds some, and repairs those. */
static void test_sample(void **state)
{
    struct migrate m, cutover;
    (void)state;
    begin(&m, source_at);
    for (int i = 0; i < KEYS; i += 2)
        redis_do(to, "SET key:%d damaged", i);
    migrate_run(&cutover, "cutover", socket_at, "--sample", "1000", NULL);
    assert_int_equal(cutover.code, 0);
    assert_int_equal(migrate_count(&cutover, "keys compared"), 1000);
    assert_true(migrate_count(&cutover, "of them differed") >= KEYS / 2);
    assert_int_equal(migrate_count(&cutover, "keys repaired"), KEYS / 2);
    assert_int_equal(migrate_count(&cutover, "keys that remain"), 0);
    assert_non_null(strstr(cutover.out, "run verify over all keys"));
    migrate_free(&cutover);
    finish(&m);
    moving_expect_plain();
}

/* The source lets nobody DUMP: it is said which keys remain, and where. */
static void test_what_remains(void **state)
{
    struct migrate m, cutover;
    (void)state;
    begin(&m, poor_at);
    redis_do(to, "DEL key:3");
    redis_do(to, "RPUSH key:3 x");
    redis_do(from, "INCR key:3");
    moving_catch_up(&m);
    migrate_run(&cutover, "cutover", socket_at, "--sample", "0", NULL);
    assert_int_equal(cutover.code, 1);
    assert_int_equal(migrate_count(&cutover, "keys that remain"), 1);
    assert_non_null(strstr(cutover.out, "\"key:3\""));
    assert_non_null(strstr(cutover.err, "something remains"));
    migrate_free(&cutover);
    migrate_stop(&m, 1);
    assert_int_equal(migrate_count(&m, "keys to repair"), 1);
    migrate_free(&m);
    char *told = file_text(repair_file);
    assert_non_null(strstr(told, "\"key:3\""));
    free(told);
}

static bool source_is_rid_of_it(void *arg)
{
    redisReply *list = redis_ask(from, "CLIENT LIST TYPE replica");
    const char *at = strstr(list->str, " omem=");
    bool yes = at != NULL && atoll(at + 6) < 1 << 20;
    (void)arg;
    freeReplyObject(list);
    return yes;
}

/* Paused, it writes nothing to the target; but what the source sends is taken at once. */
static void test_source_is_drained(void **state)
{
    enum { MB = 1 << 20, ROUNDS = 24 };
    struct migrate m;
    char *text = calloc(1, MB);
    (void)state;
    assert_non_null(text);
    redis_do(from, "CONFIG SET client-output-buffer-limit %s", "replica 4194304 0 0");
    begin(&m, source_at);
    migrate_expect_good("pause", socket_at);
    for (int i = 0; i < ROUNDS; i++) {
        redis_do(from, "SET large:%d %b", i % 4, text, (size_t)MB);
        assert_true(wait_until(source_is_rid_of_it, NULL, scaled_ms(TIMEOUT)));
    }
    free(text);
    assert_true(migrate_status(socket_at, "spool, bytes") > (long long)ROUNDS * MB);
    migrate_expect_good("resume", socket_at);
    moving_catch_up(&m);
    assert_int_equal(migrate_says(&m, "connection to the source lost"), 0);
    finish(&m);
    moving_expect_plain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_the_source_tells, reset),
        cmocka_unit_test_setup(test_times_are_set, reset),
        cmocka_unit_test_setup(test_sample, reset),
        cmocka_unit_test_setup(test_what_remains, reset),
        cmocka_unit_test_setup(test_source_is_drained, reset),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
