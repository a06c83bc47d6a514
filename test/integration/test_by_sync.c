/*
 * slotgate-migrate sync from a source that knows no PSYNC and is asked by SYNC: the copy and the
 * stream come over; what needs the source's offset is refused by name, for SYNC tells none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { BEFORE = 200, BEHIND = 500, TIMEOUT = 20000 };

static char socket_at[200], repair_file[200];

static int start(void **state)
{
    static const char *const words[] = { "--rename-command", "PSYNC", "", NULL };
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source = words });
    snprintf(socket_at, sizeof(socket_at), "%s/by-sync.sock", testenv_dir());
    snprintf(repair_file, sizeof(repair_file), "%s/by-sync.repair", testenv_dir());
    return 0;
}

/* Its offset is then another one than that of a replica which counts from the copy on. */
static void move_offset(void)
{
    char file[200];
    snprintf(file, sizeof(file), "%s/by-sync.rdb", testenv_dir());
    migrate_expect_good("dump", source_at, file); /* the backlog begins with the first replica */
    for (int i = 0; i < BEFORE; i++)
        redis_do(from, "INCR before");
}

static void begin(struct migrate *m, const char *repair)
{
    moving_empty();
    move_offset();
    redis_do(from, "SET typed text");
    migrate_start(m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--admin-socket", socket_at,
                                            "--repair-file", repair_file, "--repair", repair,
                                            "--repair-every", "10ms", "--ttl-exact", NULL });
    migrate_await(m, "full copy done", 1);
}

static bool has_last(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(to, "EXISTS the-last-one");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

static void await_all(void)
{
    redis_do(from, "SET the-last-one yes");
    assert_true(wait_until(has_last, NULL, scaled_ms(TIMEOUT)));
}

static void test_cutover_is_refused(void **state)
{
    struct migrate m, cutover;
    (void)state;
    begin(&m, "no");
    for (int i = 0; i < BEHIND; i++)
        redis_do(from, "INCR counter");
    migrate_run(&cutover, "cutover", socket_at, NULL);
    assert_int_equal(cutover.code, 1);
    assert_non_null(strstr(cutover.err, "SYNC, which tells no offset; stop the writers"));
    migrate_free(&cutover);
    await_all();
    migrate_expect_good("finish", socket_at);
    migrate_wait(&m, scaled_ms(TIMEOUT));
    assert_int_equal(m.code, 0);
    assert_non_null(strstr(m.err, "the source knows no PSYNC; trying SYNC"));
    migrate_free(&m);
    moving_expect_plain();
    migrate_expect_good("verify", source_at, target_at);
}

/* A command fails, so its key waits for a repair; the value that the source tells now lies at a
   point of the stream that nobody knows. */
static void test_nothing_is_repaired(void **state)
{
    struct migrate m;
    (void)state;
    begin(&m, "yes");
    redis_do(to, "DEL typed");
    redis_do(to, "RPUSH typed 1");
    redis_do(from, "APPEND typed .");
    migrate_await(&m, "a repair is given up", 1);
    for (int i = 0; i < BEHIND; i++)
        redis_do(from, "INCR counter");
    await_all();
    migrate_stop(&m, 1);
    assert_non_null(strstr(m.err, "reason=\"the source was asked by SYNC"));
    assert_int_equal(migrate_count(&m, "keys repaired"), 0);
    assert_int_equal(migrate_count(&m, "keys to repair"), 1);
    migrate_free(&m);
    redisReply *reply = redis_ask(to, "GET counter");
    assert_int_equal(atoi(reply->str), BEHIND);
    freeReplyObject(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cutover_is_refused),
        cmocka_unit_test(test_nothing_is_repaired),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
