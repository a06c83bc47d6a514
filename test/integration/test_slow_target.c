/*
 * slotgate-migrate sync into a target that takes less than the source sends: what waits does so in
 * the spool and not in memory, and whoever ends the program there ends it behind the last command.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

/* What is read of the spool at once is about 2000 commands; so the last time it is half of that. */
enum { KEYS = 30000, VALUE = 100, HELD_MAX = 1024 * 1024 };

static char admin[256];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    snprintf(admin, sizeof(admin), "%s/slow.sock", testenv_dir());
    return 0;
}

/* One command for each key, so that each counts for the limit. */
static void write_much(void)
{
    static char value[VALUE + 1];
    memset(value, 'v', VALUE);
    for (int i = 0; i < KEYS; i++)
        redisAppendCommand(from, "SET key:%05d %s", i, value);
    for (int i = 0; i < KEYS; i++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

static bool has_begun(void *unused)
{
    (void)unused;
    return migrate_status(admin, "commands sent") > KEYS / 10;
}

static void test_waits_in_the_spool(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--admin-socket", admin,
                                            "--rate-limit-commands", "5000", NULL });
    write_much(); /* which takes a busy machine a part of the six seconds */
    assert_true(wait_until(has_begun, NULL, scaled_ms(20000)));
    migrate_expect_good("pause", admin);
    long long spool = migrate_status(admin, "spool, bytes");
    long long lag = migrate_status(admin, "lag, bytes");
    migrate_expect_good("resume", admin);
    assert_true(lag > HELD_MAX);
    assert_true(lag - spool < HELD_MAX);
    migrate_expect_good("finish", admin);
    migrate_wait(&m, scaled_ms(30000));
    assert_int_equal(m.code, 0);
    migrate_free(&m);
    migrate_expect_good("verify", source_at, target_at, "--rounds", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_waits_in_the_spool) };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
