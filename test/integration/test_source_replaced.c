/*
 * slotgate-migrate sync whose source is another one all of a sudden, with other data, while it is
 * paused and in a cutover; and a cutover that cannot compare anything.
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

/* --- another source ------------------------------------------------------------------------ */

static bool answers(void *unused)
{
    (void)unused;
    redisContext *r = redisConnect("127.0.0.1", source.port);
    bool yes = r != NULL && r->err == 0;
    redisFree(r);
    return yes;
}

/* The server ends, and another one with other data is there. */
static void replace_source(void)
{
    char port[8];
    process_kill(&source.process);
    snprintf(port, sizeof(port), "%d", source.port);
    assert_true(process_start(&source.process, "oracle",
                              (const char *const[]){ "redis-server", "--port", port, "--bind",
                                                     "127.0.0.1", "--save", "", "--dir",
                                                     testenv_dir(), "--enable-debug-command", "yes",
                                                     "--repl-diskless-sync-delay", "0", NULL },
                              NULL));
    assert_true(wait_until(answers, NULL, scaled_ms(TIMEOUT)));
    assert_int_equal(redisReconnect(from), REDIS_OK);
    redis_do(from, "SET other:data 1");
    redis_do(from, "SET common new");
}

static void begin_with_data(struct migrate *m)
{
    named_begin();
    redis_do(from, "SET common old");
    redis_do(from, "SET vanishes 1");
    named_sync(m, NULL);
    migrate_await(m, "full copy done", 1);
}

static bool has_no_lag(void *unused)
{
    (void)unused;
    return migrate_status(named_socket, "lag, milliseconds") == 0;
}

static void test_replaced_in_a_pause(void **state)
{
    struct migrate m;
    (void)state;
    begin_with_data(&m);
    named_count_up(COUNTS); /* the old offset is larger than any of the new ones */
    moving_catch_up(&m);
    migrate_expect_good("pause", named_socket);
    named_count_up(COUNTS);
    replace_source();
    migrate_await(&m, "a new full copy follows", 1);
    assert_int_equal(moving_keys(from), 2);
    migrate_expect_good("resume", named_socket);
    migrate_await(&m, "full copy done", 2);
    assert_true(wait_until(has_no_lag, NULL, scaled_ms(5000)));
    named_finish(&m);
}

static void expect_refused(struct migrate *m, const char *why)
{
    migrate_wait(m, TIMEOUT);
    if (m->code != 1 || strstr(m->err, why) == NULL)
        fail_msg("exit code %d: %s%s", m->code, m->err, m->out);
    migrate_free(m);
}

/* It waits for an offset that will never be reached, or means nothing any more. */
static void test_replaced_in_a_cutover(void **state)
{
    struct migrate m, asker;
    (void)state;
    begin_with_data(&m);
    process_signal(&target.process, SIGSTOP);
    named_count_up(COUNTS);
    migrate_start(&asker, (const char *const[]){ "cutover", named_socket, NULL });
    migrate_await(&m, "waiting until the target has all of it", 1);
    replace_source();
    migrate_await(&m, "a new full copy follows", 1);
    process_signal(&target.process, SIGCONT);
    expect_refused(&asker, "the source begins with a new full copy");
    migrate_await(&m, "full copy done", 2);
    migrate_expect_good("cutover", named_socket);
    named_finish(&m);
}

/* As it looks before the stream's connection has learned of it. */
static void test_another_history(void **state)
{
    struct migrate m, asker;
    (void)state;
    begin_with_data(&m);
    redis_do(from, "DEBUG CHANGE-REPL-ID");
    migrate_run(&asker, "cutover", named_socket, NULL);
    assert_int_equal(asker.code, 1);
    assert_non_null(strstr(asker.err, "the source has begun a new history"));
    migrate_free(&asker);
    redis_do(from, "CLIENT KILL TYPE replica");
    migrate_await(&m, "full copy done", 2);
    migrate_expect_good("cutover", named_socket);
    named_finish(&m);
}

/* What could not be compared is not good. */
static void test_nothing_compared(void **state)
{
    struct migrate m, asker;
    char url[80];
    (void)state;
    named_begin();
    redis_do(from, "SET key x");
    redis_do(from, "ACL SETUSER nodump on >secret ~* &* +@all -dump");
    snprintf(url, sizeof(url), "redis://nodump:secret@%s", source_at);
    migrate_start(&m, (const char *const[]){ "sync", url, target_at, "--name", "one", "--state-dir",
                                             named_state, NULL });
    migrate_await(&m, "full copy done", 1);
    migrate_run(&asker, "cutover", named_socket, NULL);
    assert_int_equal(asker.code, 1);
    assert_non_null(strstr(asker.err, "not all could be compared or repaired"));
    migrate_free(&asker);
    migrate_expect_good("cutover", named_socket, "--sample", "0");
    named_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replaced_in_a_pause),
        cmocka_unit_test(test_replaced_in_a_cutover),
        cmocka_unit_test(test_another_history),
        cmocka_unit_test(test_nothing_compared),
    };
    return testenv_finish(cmocka_run_group_tests(tests, named_start, moving_end));
}
