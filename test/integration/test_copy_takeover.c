/*
 * slotgate-migrate sync while a replica of the target takes over in the middle of the full copy,
 * and lacks keys of it that its master had answered.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/exact_case.h"
#include "test/lib/testenv.h"

enum { KEYS = 40000 };

static bool copies(void *m)
{
    return migrate_says(m, "full copy begins") > 0;
}

static void fill(void)
{
    exact_empty();
    redis_do(from, "DEBUG POPULATE %d key 200", KEYS);
    redis_do(from, "RPUSH list a b c");
}

static void take_over_in_the_copy(struct migrate *m, const char *option, const char *value)
{
    fill();
    migrate_start(m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--rate-limit-commands", "10000", "--spool-dir",
                                            testenv_dir(), option, value, NULL });
    assert_true(wait_until(copies, m, scaled_ms(20000)));
    exact_replace_master();
    assert_int_equal(migrate_says(m, "full copy done"), 0); /* that comes four seconds later */
    cluster_await_settled(&cluster, 20000);
    assert_true(wait_until(moving_copied, m, scaled_ms(60000)));
}

/* It is brought to the target once more, out of the spool. */
static void test_comes_again(void **state)
{
    struct migrate m;
    (void)state;
    take_over_in_the_copy(&m, "--spool-max", "10mb");
    assert_int_equal(migrate_says(&m, "the full copy is brought to the target again"), 1);
    exact_finish(&m);
}

/* The spool has no room for all of it: that keys are missing is said, and makes the exit code 1. */
static void test_cannot_come_again(void **state)
{
    struct migrate m;
    (void)state;
    take_over_in_the_copy(&m, "--spool-max", "1mb");
    assert_int_equal(migrate_says(&m, "keys of the full copy may be missing"), 1);
    process_signal(&m.process, SIGTERM);
    migrate_wait(&m, scaled_ms(30000));
    assert_int_equal(m.code, 1);
    migrate_free(&m);
}

/* The spool has let the copy go, but the stream behind it may have to come once more. */
static void test_stream_comes_again(void **state)
{
    struct migrate m;
    int replica = cluster_replica_of(&cluster, exact_master(-1));
    (void)state;
    fill();
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                             "--rate-limit-commands", "40000", "--spool-dir",
                                             testenv_dir(), "--spool-max", "1mb", NULL });
    assert_true(wait_until(copies, &m, scaled_ms(20000)));
    redis_do(from, "RPUSH list d");
    assert_true(wait_until(moving_copied, &m, scaled_ms(60000)));
    moving_catch_up(&m);
    cluster_do(&cluster, replica, "CLUSTER FAILOVER");
    migrate_await(&m, "sending the stream again", 1);
    exact_finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_again),
        cmocka_unit_test(test_cannot_come_again),
        cmocka_unit_test(test_stream_comes_again),
    };
    int failed = cmocka_run_group_tests(tests, exact_start, moving_end);
    return testenv_finish(failed);
}
