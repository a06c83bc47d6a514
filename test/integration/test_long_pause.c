/*
 * slotgate-migrate sync that is paused for longer than the source waits for its replicas, in the
 * stream and in the full copy; and a repair set of very many keys.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/named_case.h"
#include "test/lib/testenv.h"

enum { TIMEOUT = 20000, COUNTS = 50 };

/* --- a long pause -------------------------------------------------------------------------- */

static void be_impatient(int seconds)
{
    redis_do(from, "CONFIG SET repl-ping-replica-period 1");
    redis_do(from, "CONFIG SET repl-timeout %d", seconds);
}

static void write_much(int times)
{
    static char text[64 * 1024];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < times; i++)
        redis_do(from, "SET large:%d %b", i, text, sizeof(text));
}

/* Also while the spool is full, so that nothing is read. */
static void test_long_pause(void **state)
{
    struct migrate m;
    (void)state;
    named_begin();
    be_impatient(3);
    named_sync(&m, (const char *const[]){ "--spool-max", "1mb", NULL });
    migrate_await(&m, "full copy done", 1);
    migrate_expect_good("pause", named_socket);
    named_count_up(COUNTS);
    write_much(40);
    migrate_await(&m, "the spool is full", 1);
    rest_us(4500000); /* longer than it waits for replicas, which is what is tested */
    redisReply *reply = redis_ask(from, "INFO replication");
    if (strstr(reply->str, "state=online") == NULL)
        fail_msg("nobody follows: %s", reply->str);
    freeReplyObject(reply);
    migrate_expect_good("resume", named_socket);
    moving_catch_up(&m);
    assert_int_equal(migrate_says(&m, "connection to the source lost"), 0);
    named_finish(&m);
}

/* A source that sends its snapshot straight to us does not wait; that is said. */
static void test_pause_in_the_copy(void **state)
{
    struct migrate m;
    (void)state;
    named_begin();
    be_impatient(1);
    redis_do(from, "CONFIG SET repl-diskless-sync yes");
    redis_do(from, "DEBUG POPULATE 4000 filler 5000");
    migrate_start(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                             testenv_dir(), "--admin-socket", named_socket,
                                             "--spool-max", "1mb", "--rate-limit", "1mb", NULL });
    migrate_await(&m, "the spool is full", 1);
    migrate_expect_good("pause", named_socket);
    migrate_wait(&m, TIMEOUT);
    assert_int_equal(m.code, 1);
    if (strstr(m.err, "was lost while the spool was full") == NULL ||
        strstr(m.err, "raise --spool-max, or repl-timeout") == NULL)
        fail_msg("%s", m.err);
    migrate_free(&m);
    be_impatient(60);
}

/* --- many repairs -------------------------------------------------------------------------- */

static void test_many_repairs(void **state)
{
    enum { KEYS = 10000 };
    struct migrate m, asker;
    char file[260];
    (void)state;
    named_begin();
    redis_do(from, "DEBUG POPULATE %d key 20", KEYS);
    snprintf(file, sizeof(file), "%s/planted", testenv_dir());
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    for (int i = 0; i < KEYS; i++)
        fprintf(f, "\"key:%d\" planted\n", i);
    assert_int_equal(fclose(f), 0);
    named_sync(&m, NULL);
    migrate_await(&m, "full copy done", 1);
    redis_do(to, "FLUSHALL");
    named_count_up(COUNTS);
    migrate_run(&asker, "cutover", named_socket, "--repair-from", file, "--sample", "0", NULL);
    if (asker.code != 0 || migrate_count(&asker, "keys repaired") != KEYS)
        fail_msg("exit code %d: %s%s", asker.code, asker.err, asker.out);
    migrate_free(&asker);
    named_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_pause),
        cmocka_unit_test(test_pause_in_the_copy),
        cmocka_unit_test(test_many_repairs),
    };
    return testenv_finish(cmocka_run_group_tests(tests, named_start, moving_end));
}
