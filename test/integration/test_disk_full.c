/*
 * slotgate-migrate on a disk that is full: its spool, its state, its repair set, the times that it
 * holds back, a dump, a list. It says so and what to do, and ends or waits; once there is room the
 * next start goes on, and nothing is lost or doubled.
 *
 * The disk is a small tmpfs in a mount namespace of this program's own.
 */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/namespace.h"
#include "test/lib/testenv.h"

enum { MB = 1024 * 1024, DISK = 16 * MB, TIMEOUT = 20000 };

static char disk[200], filler[220], state_dir[220], socket_at[260];

/* --- the disk ------------------------------------------------------------------------------ */

static void new_disk(void)
{
    char size[32];
    snprintf(size, sizeof(size), "size=%d", DISK);
    assert_int_equal(mount("none", disk, "tmpfs", 0, size), 0);
}

/* Leaves so many bytes. */
static void fill(unsigned long long left)
{
    struct statvfs st;
    int fd = open(filler, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(statvfs(disk, &st), 0);
    unsigned long long there = st.f_bavail * st.f_bsize;
    assert_true(there > left);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(there - left)), 0);
    close(fd);
}

static void make_room(void)
{
    assert_int_equal(unlink(filler), 0);
}

static int start(void **state)
{
    static const char *const words[] = { "--repl-backlog-size", "64mb", "--rdbcompression", "no",
                                         NULL };
    (void)state;
    namespace_enter(CLONE_NEWNS);
    assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source = words });
    snprintf(disk, sizeof(disk), "%s/disk", testenv_dir());
    snprintf(filler, sizeof(filler), "%s/filler", disk);
    assert_int_equal(mkdir(disk, 0700), 0);
    new_disk();
    return 0;
}

static int end(void **state)
{
    assert_int_equal(umount(disk), 0);
    return moving_end(state);
}

/* --- one sync ------------------------------------------------------------------------------ */

/* With its state on the disk, or beside it. */
static void begin(bool on_disk)
{
    static int number;
    moving_empty();
    assert_int_equal(umount(disk), 0);
    new_disk();
    snprintf(state_dir, sizeof(state_dir), "%s/state-of-%d", on_disk ? disk : testenv_dir(),
             number++);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    snprintf(socket_at, sizeof(socket_at), "%s/one.sock", state_dir);
}

static void start_sync(struct migrate *m, const char *more, const char *value)
{
    migrate_start(m, (const char *const[]){ "sync", source_at, target_at, "--name", "one",
                                            "--state-dir", state_dir, "--spool-dir", disk,
                                            "--ttl-calm", "100ms", more, value, NULL });
}

/* One line says what, why, and what to do; and it is the end. */
static void expect_full(struct migrate *m, const char *what, const char *why)
{
    migrate_wait(m, scaled_ms(TIMEOUT));
    const char *at = strstr(m->err, "level=error");
    if (m->code != 1 || at == NULL || strstr(at, what) == NULL || strstr(at, why) == NULL ||
        strstr(at, "action=\"make room") == NULL)
        fail_msg("exit code %d: %.4000s", m->code, m->err);
    migrate_free(m);
}

static const char no_space[] = "No space left on device";

static void count_up(int times)
{
    for (int i = 0; i < times; i++) {
        redis_do(from, "INCR counter");
        redis_do(from, "RPUSH list %d", i);
    }
}

static void finish(struct migrate *m)
{
    moving_finish(m);
    migrate_free(m);
    moving_expect_but_markers(true);
}

/* --- sync ---------------------------------------------------------------------------------- */

static void test_in_the_copy(void **state)
{
    struct migrate m;
    (void)state;
    begin(true);
    redis_do(from, "DEBUG POPULATE 2000 filler 5000");
    fill(4 * MB);
    start_sync(&m, NULL, NULL);
    expect_full(&m, "the spool in", no_space);
    start_sync(&m, NULL, NULL); /* no harm in that */
    expect_full(&m, "the spool in", no_space);
    make_room();
    count_up(10);
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "full copy done", 1);
    finish(&m);
}

/* Whatever does not find room first. */
static void test_in_the_stream(void **state)
{
    static char text[32 * 1024];
    struct migrate m;
    (void)state;
    begin(true);
    memset(text, 'x', sizeof(text));
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "full copy done", 1);
    count_up(50);
    fill(2 * MB);
    for (int i = 0; i < 200; i++) {
        redis_do(from, "SET large:%d %b", i % 10, text, sizeof(text));
        count_up(1);
    }
    expect_full(&m, "the s", no_space);
    count_up(50);
    start_sync(&m, NULL, NULL);
    expect_full(&m, "the s", no_space);
    make_room();
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "the stream goes on", 1);
    finish(&m);
}

/* The state cannot be written, though the stream stands still. */
static void test_state(void **state)
{
    struct migrate m;
    (void)state;
    begin(true);
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "full copy done", 1);
    count_up(50);
    moving_catch_up(&m);
    fill(0);
    expect_full(&m, "the state in", no_space);
    make_room();
    count_up(50);
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "the stream goes on", 1);
    finish(&m);
}

static long long time_left(redisContext *r, const char *key)
{
    redisReply *reply = redis_ask(r, "PTTL %s", key);
    long long ms = reply->integer;
    freeReplyObject(reply);
    return ms;
}

/* A key whose time cannot be held back must not get it: it may be renewed in the stream. */
static void test_times(void **state)
{
    enum { HOUR = 3600 * 1000 };
    struct migrate m;
    (void)state;
    begin(false);
    redis_do(from, "SET short x PX %d", 60000);
    fill(0);
    start_sync(&m, NULL, NULL);
    expect_full(&m, "the times held back in", no_space);
    long long left = time_left(to, "short");
    assert_true(left == -2 || left > HOUR);
    make_room();
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "full copy done", 1);
    moving_finish(&m);
    migrate_free(&m);
    assert_in_range(time_left(to, "short"), 1, 120000);
}

/* It goes on; what could not be written waits, and stands in the file once there is room. */
static void test_repair_set(void **state)
{
    enum { FAILING = 200 };
    struct migrate m;
    char file[260];
    (void)state;
    begin(false);
    snprintf(file, sizeof(file), "%s/repair", disk);
    start_sync(&m, "--repair-file", file);
    migrate_await(&m, "full copy done", 1);
    for (int i = 0; i < FAILING; i++)
        redis_do(to, "SADD wrong:%d x", i);
    redis_do(from, "APPEND wrong:0 x");
    migrate_await(&m, "command not applied", 1);
    fill(0);
    for (int i = 1; i < FAILING; i++)
        redis_do(from, "APPEND wrong:%d x", i);
    migrate_await(&m, "the repair set cannot be written", 1);
    count_up(10);
    moving_catch_up(&m);
    assert_int_equal(migrate_status(socket_at, "repair set"), FAILING);
    make_room();
    migrate_await(&m, "the repair set is written again", 1);
    process_kill(&m.process);
    start_sync(&m, "--repair-file", file);
    migrate_await(&m, "the stream goes on", 1);
    assert_int_equal(migrate_status(socket_at, "repair set"), FAILING);
    migrate_expect_good("cutover", socket_at);
    finish(&m);
    assert_int_equal(access(file, F_OK), -1);
}

/* --- other commands ------------------------------------------------------------------------ */

/* An older file stays as it is, and no half of a new one. */
static void test_dump(void **state)
{
    struct migrate m;
    char file[260], partial[280];
    (void)state;
    begin(false);
    snprintf(file, sizeof(file), "%s/dump.rdb", disk);
    snprintf(partial, sizeof(partial), "%s.partial", file);
    redis_do(from, "DEBUG POPULATE 2000 filler 5000");
    assert_true(file_put(file, "the older one"));
    fill(4 * MB);
    migrate_start(&m, (const char *const[]){ "dump", source_at, file, NULL });
    expect_full(&m, "the file cannot be written", no_space);
    char *text = file_text(file);
    assert_string_equal(text, "the older one");
    free(text);
    assert_int_equal(access(partial, F_OK), -1);
    make_room();
    migrate_expect_good("dump", source_at, file);
    migrate_expect_good("restore", file, target_at);
    moving_expect_plain();
    assert_int_equal(unlink(file), 0);
}

static void test_list(void **state)
{
    struct migrate m;
    char file[260];
    (void)state;
    begin(false);
    snprintf(file, sizeof(file), "%s/differing", disk);
    redis_do(from, "SET only:here x");
    assert_true(file_put(file, ""));
    fill(0);
    migrate_start(&m, (const char *const[]){ "verify", source_at, target_at, "--rounds", "1",
                                             "--diff-file", file, NULL });
    expect_full(&m, "cannot write", no_space);
    make_room();
}

/* A limit on the size of files is told like a full disk, and no signal ends the program. */
static void test_file_size(void **state)
{
    struct migrate m;
    struct rlimit usual, low;
    (void)state;
    begin(false);
    redis_do(from, "DEBUG POPULATE 1000 filler 5000");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    low = (struct rlimit){ MB, usual.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    start_sync(&m, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    expect_full(&m, "the spool in", "File too large");
    start_sync(&m, NULL, NULL);
    migrate_await(&m, "full copy done", 1);
    finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_the_copy), cmocka_unit_test(test_in_the_stream),
        cmocka_unit_test(test_state),       cmocka_unit_test(test_times),
        cmocka_unit_test(test_repair_set),  cmocka_unit_test(test_dump),
        cmocka_unit_test(test_list),        cmocka_unit_test(test_file_size),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, end));
}
