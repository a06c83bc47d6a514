/*
 * slotgate-migrate dump: full copies taken as a replica does, over disk and socket, with PSYNC and
 * SYNC; the file is restored into another server and compared by content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static struct oracle other;
static char file[300];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    oracle_start_with(&other, (const char *const[]){ "--rename-command", "PSYNC", "xxPSYNC",
                                                     "--repl-diskless-sync-delay", "0", NULL });
    snprintf(file, sizeof(file), "%s/dumped.rdb", testenv_dir());
    every_type_fill(from, false);
    every_type_fill_large(from, 1000 * 1000);
    return 0;
}

static int stop(void **state)
{
    oracle_stop(&other);
    return moving_end(state);
}

static void expect_restorable(void)
{
    redis_do(to, "FLUSHALL");
    migrate_expect_good("restore", file, target_at);
    moving_expect_plain();
    unlink(file);
}

static void test_from_disk(void **state)
{
    (void)state;
    redis_do(from, "CONFIG SET repl-diskless-sync no");
    migrate_expect_good("dump", source_at, file);
    expect_restorable();
}

static void test_diskless(void **state)
{
    (void)state;
    redis_do(from, "CONFIG SET repl-diskless-sync yes");
    migrate_expect_good("dump", source_at, file);
    expect_restorable();
}

/* A source that does not know PSYNC is asked by SYNC; under its other name a server takes it for
   SYNC, too. */
static void test_old_sync(void **state)
{
    struct migrate m;
    char at[32];
    (void)state;
    snprintf(at, sizeof(at), "127.0.0.1:%d", other.port);
    migrate_run(&m, "dump", at, file, NULL);
    assert_int_equal(m.code, 0);
    assert_non_null(strstr(m.err, "the source knows no PSYNC; trying SYNC"));
    migrate_free(&m);
    migrate_run(&m, "dump", at, file, "--psync-command", "xxPSYNC", NULL);
    assert_int_equal(m.code, 0);
    assert_null(strstr(m.err, "trying SYNC"));
    migrate_free(&m);
    unlink(file);
}

static void test_login(void **state)
{
    struct migrate m;
    char url[128];
    (void)state;
    redis_do(from, "ACL SETUSER copier on >s3cret +psync +replconf +ping");
    redis_do(from, "CONFIG SET requirepass hunter2");
    redis_do(from, "AUTH hunter2");
    snprintf(url, sizeof(url), "redis://copier:s3cret@%s", source_at);
    migrate_expect_good("dump", url, file);
    migrate_expect_good("dump", source_at, file, "--source-auth", "hunter2");
    expect_restorable();
    snprintf(url, sizeof(url), "redis://copier:wrong@%s", source_at);
    migrate_run(&m, "dump", url, file, NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "does not accept the password or user: -WRONGPASS"));
    assert_null(strstr(m.err, ":wrong"));
    migrate_free(&m);
    redis_do(from, "CONFIG SET requirepass %s", "");
    assert_int_equal(access(file, F_OK), -1);
}

static void test_nobody_there(void **state)
{
    struct migrate m;
    char nobody[32];
    uint16_t port = port_take();
    (void)state;
    snprintf(nobody, sizeof(nobody), "127.0.0.1:%d", port);
    migrate_run(&m, "dump", nobody, file, NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the source cannot be reached: the connection was refused"));
    migrate_free(&m);
    assert_int_equal(access(file, F_OK), -1);
    port_give_back(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_disk),    cmocka_unit_test(test_diskless),
        cmocka_unit_test(test_old_sync),     cmocka_unit_test(test_login),
        cmocka_unit_test(test_nobody_there),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
