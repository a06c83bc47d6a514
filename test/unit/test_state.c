/* migrate/state.h: the file is whole on the disk before it has its name; a disk that refuses leaves
   the one of before. This program's own fsync and rename tell in which order they are called. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/state.h"

static char folder[64], calls[256];
static long long file_bytes; /* of the file that was brought to the disk last */
static bool refuses;

/* In place of the C library's. */
int fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (refuses) {
        errno = EIO;
        return -1;
    }
    if (!S_ISDIR(st.st_mode))
        file_bytes = st.st_size;
    strcat(calls, S_ISDIR(st.st_mode) ? "folder " : "file ");
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *old, const char *new)
{
    strcat(calls, "rename ");
    return (int)syscall(SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0);
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/slotgate-unit-state-XXXXXX");
    calls[0] = '\0';
    refuses = false;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
    char path[128];
    (void)state;
    state_remove(folder);
    snprintf(path, sizeof(path), "%s/state.new", folder);
    unlink(path);
    return rmdir(folder);
}

static void expect_applied(uint64_t applied)
{
    struct state s;
    assert_int_equal(state_read(&s, folder), 0);
    assert_string_equal(s.name, "one");
    assert_true(s.applied == applied);
}

static void test_order(void **state)
{
    struct state s = { .name = "one", .applied = 7 };
    struct stat st;
    char path[128];
    (void)state;
    assert_int_equal(state_read(&(struct state){ 0 }, folder), ENOENT);
    assert_int_equal(state_write(&s, folder), 0);
    assert_string_equal(calls, "file rename folder ");
    snprintf(path, sizeof(path), "%s/state", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_true(file_bytes == st.st_size); /* nothing was written behind it */
    expect_applied(7);
}

static void test_disk_refuses(void **state)
{
    struct state s = { .name = "one", .applied = 7 };
    (void)state;
    assert_int_equal(state_write(&s, folder), 0);
    refuses = true;
    s.applied = 8;
    assert_int_equal(state_write(&s, folder), EIO);
    expect_applied(7);
}

/* Whatever part of it is there. */
static void test_cut_off(void **state)
{
    struct state s = { .name = "one", .applied = 7 };
    char path[128];
    (void)state;
    assert_int_equal(state_write(&s, folder), 0);
    snprintf(path, sizeof(path), "%s/state", folder);
    for (long long len = file_bytes - 1; len >= 0; len--) {
        assert_int_equal(truncate(path, len), 0);
        assert_int_equal(state_read(&s, folder), EINVAL);
    }
}

static void test_one_holder(void **state)
{
    (void)state;
    int fd = state_lock(folder);
    assert_true(fd >= 0);
    assert_int_equal(state_lock(folder), -EWOULDBLOCK);
    close(fd);
    fd = state_lock(folder);
    assert_true(fd >= 0);
    close(fd);
    char path[128];
    snprintf(path, sizeof(path), "%s/lock", folder);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, begin, end),
        cmocka_unit_test_setup_teardown(test_disk_refuses, begin, end),
        cmocka_unit_test_setup_teardown(test_cut_off, begin, end),
        cmocka_unit_test_setup_teardown(test_one_holder, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
