/* migrate/spool.h: what a later program finds of what an earlier one has written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/spool.h"

static char folder[64];
static int syncs;

/* In place of the system's, for the spool, too. */
int fdatasync(int file)
{
    syncs++;
    return fsync(file);
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/slotgate-unit-spool-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    spool_remove_all(folder);
    return rmdir(folder);
}

static void write_bytes(struct spool *s, size_t len, char byte)
{
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, byte, len);
    assert_int_equal(spool_write(s, (struct span){ bytes, len }), 0);
    free(bytes);
}

static void open_new(struct spool *s)
{
    spool_open(s, folder, true, UINT64_MAX);
}

static void test_goes_on(void **state)
{
    struct spool s;
    char byte;
    (void)state;
    open_new(&s);
    write_bytes(&s, SPOOL_SEGMENT, 'a');
    write_bytes(&s, 10, 'b');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 5, UINT64_MAX), 0);
    assert_int_equal(s.end, SPOOL_SEGMENT + 10);
    assert_true(s.written > 0 && s.written <= (int64_t)(time(NULL) + 1) * 1000);
    spool_seek(&s, SPOOL_SEGMENT);
    assert_int_equal(spool_read(&s, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    spool_close(&s);
}

/* All that was written has been released, up to the very end of a segment. */
static void test_ends_with_a_segment(void **state)
{
    struct spool s;
    (void)state;
    open_new(&s);
    write_bytes(&s, SPOOL_SEGMENT, 'a');
    spool_release(&s, SPOOL_SEGMENT);
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, SPOOL_SEGMENT, UINT64_MAX), 0);
    assert_int_equal(s.end, SPOOL_SEGMENT);
    assert_int_equal(s.written, 0);
    write_bytes(&s, 1, 'b');
    assert_int_equal(s.end, SPOOL_SEGMENT + 1);
    spool_close(&s);
}

/* The machine went down: what was not waited for does not count, and what lies behind it never
   comes back, whatever the next program writes of it. */
static void test_nothing_of_before_comes_back(void **state)
{
    struct spool s;
    char byte;
    (void)state;
    open_new(&s);
    write_bytes(&s, SPOOL_SEGMENT + 1000, 'a');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 0, SPOOL_SEGMENT - 5), 0);
    assert_int_equal(s.end, SPOOL_SEGMENT - 5);
    write_bytes(&s, 15, 'b');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 0, UINT64_MAX), 0);
    assert_int_equal(s.end, SPOOL_SEGMENT + 10);
    spool_seek(&s, SPOOL_SEGMENT + 9);
    assert_int_equal(spool_read(&s, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    spool_close(&s);
}

/* ... nor when the next one ends exactly where an old file begins. */
static void test_nothing_behind_a_segment_comes_back(void **state)
{
    struct spool s;
    (void)state;
    open_new(&s);
    write_bytes(&s, SPOOL_SEGMENT + 1000, 'a');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 0, SPOOL_SEGMENT - 5), 0);
    write_bytes(&s, 5, 'b');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 0, UINT64_MAX), 0);
    assert_int_equal(s.end, SPOOL_SEGMENT);
    spool_close(&s);
}

/* An earlier program that was killed has not waited for its last bytes. */
static void test_waits_for_earlier_bytes(void **state)
{
    struct spool s;
    (void)state;
    open_new(&s);
    write_bytes(&s, SPOOL_SEGMENT + 10, 'a');
    spool_close(&s);
    open_new(&s);
    assert_int_equal(spool_reopen(&s, 0, UINT64_MAX), 0);
    syncs = 0;
    assert_int_equal(spool_sync(&s, SPOOL_SEGMENT), 0);
    assert_int_equal(syncs, 1);
    assert_int_equal(spool_sync(&s, 0), 0);
    assert_int_equal(spool_sync(&s, 0), 0);
    assert_int_equal(syncs, 2);
    spool_close(&s);
}

/* The file that the beginning lies in is gone. */
static void test_beginning_is_gone(void **state)
{
    struct spool s;
    char path[128];
    (void)state;
    open_new(&s);
    write_bytes(&s, 100, 'a');
    spool_close(&s);
    snprintf(path, sizeof(path), "%s/spool.0", folder);
    assert_int_equal(truncate(path, 4), 0);
    open_new(&s);
    assert_int_not_equal(spool_reopen(&s, 5, UINT64_MAX), 0);
    spool_close(&s);
    assert_int_equal(unlink(path), 0);
    open_new(&s);
    assert_int_not_equal(spool_reopen(&s, 5, UINT64_MAX), 0);
    spool_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_goes_on, begin, end),
        cmocka_unit_test_setup_teardown(test_ends_with_a_segment, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_of_before_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_behind_a_segment_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(test_waits_for_earlier_bytes, begin, end),
        cmocka_unit_test_setup_teardown(test_beginning_is_gone, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
