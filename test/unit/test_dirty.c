/*
 * The repair set: names of any bytes, once each, across restarts and passes.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "migrate/dirty.h"
#include "test/unit/file_limit.h"

static char path[64];

static int make_folder(void **state)
{
    static char folder[] = "/tmp/slotgate-dirty-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/set", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    *strrchr(path, '/') = '\0';
    return rmdir(path);
}

/* All bytes, and different for each n. */
static struct span name_of(unsigned n, char out[256])
{
    size_t len = 1 + n % 255;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(n + i);
    return (struct span){ out, len };
}

static void expect_in_order(struct dirty *d, unsigned first, unsigned last)
{
    struct writer key;
    char name[256];
    writer_init(&key, 2);
    for (unsigned n = first; n < last; n++) {
        assert_true(dirty_take(d, &key));
        assert_true(span_equal(writer_span(&key), name_of(n, name)));
    }
    writer_close(&key);
}

static void add(struct dirty *d, unsigned first, unsigned last)
{
    char name[256];
    for (unsigned n = first; n < last; n++)
        dirty_add(d, name_of(n, name), "a reason \"with\" quotes");
}

static void test_any_bytes_once(void **state)
{
    struct dirty d;
    struct writer key;
    (void)state;
    writer_init(&key, 2);
    dirty_open(&d, path, true);
    assert_int_equal(dirty_begin(&d), 0);
    assert_false(dirty_take(&d, &key));
    add(&d, 0, 2000);
    add(&d, 0, 2000);
    dirty_add(&d, SPAN(""), "no bytes at all");
    assert_int_equal(dirty_count(&d), 2001);
    assert_int_equal(dirty_begin(&d), 0);
    assert_int_equal(dirty_count(&d), 2001);
    expect_in_order(&d, 0, 2000);
    assert_true(dirty_take(&d, &key));
    assert_int_equal(key.len, 0);
    assert_false(dirty_take(&d, &key));
    dirty_end(&d);
    assert_int_equal(dirty_count(&d), 0);
    dirty_close(&d);
    assert_int_equal(access(path, F_OK), -1);
    writer_close(&key);
}

static void test_kept(void **state)
{
    struct dirty d;
    (void)state;
    dirty_open(&d, path, true);
    add(&d, 0, 10);
    assert_int_equal(dirty_begin(&d), 0);
    expect_in_order(&d, 0, 4);
    add(&d, 1, 3);
    dirty_end(&d); /* early: what was not taken stays */
    assert_int_equal(dirty_count(&d), 8);
    dirty_close(&d);
    assert_int_equal(access(path, F_OK), 0);
    dirty_open(&d, path, true);
    assert_int_equal(dirty_count(&d), 8);
    add(&d, 1, 10);
    assert_int_equal(dirty_count(&d), 9);
    dirty_close(&d);
    dirty_open(&d, path, false);
    assert_int_equal(dirty_count(&d), 0);
    dirty_close(&d);
}

/* A program that dies inside a pass leaves both files. */
static void test_dies_inside_a_pass(void **state)
{
    struct dirty d, next;
    (void)state;
    dirty_open(&d, path, true);
    add(&d, 0, 10);
    assert_int_equal(dirty_begin(&d), 0);
    expect_in_order(&d, 0, 7);
    add(&d, 20, 25);
    dirty_open(&next, path, true); /* as the next program finds it */
    assert_int_equal(dirty_count(&next), 15);
    assert_int_equal(dirty_begin(&next), 0);
    dirty_end(&next);
    assert_int_equal(dirty_count(&next), 15);
    fclose(d.pass);
    close(d.file);
    free(d.seen);
    writer_close(&d.waiting);
    dirty_close(&next);
    dirty_open(&next, path, false);
    dirty_close(&next);
}

/* A line that is written in part is ended later; a pass does not begin without what is missing. */
static void test_no_room(void **state)
{
    struct dirty d, next;
    (void)state;
    dirty_open(&d, path, true);
    add(&d, 0, 10);
    assert_int_equal(dirty_sync(&d), 0);
    file_limit_set(3000);
    add(&d, 10, 100);
    assert_int_equal(dirty_sync(&d), EFBIG);
    assert_int_equal(dirty_begin(&d), EFBIG);
    assert_int_equal(dirty_count(&d), 100);
    file_limit_set(0);
    assert_int_equal(dirty_sync(&d), 0);
    dirty_open(&next, path, true); /* as if that one had died */
    assert_int_equal(dirty_count(&next), 100);
    assert_int_equal(dirty_begin(&next), 0);
    expect_in_order(&next, 0, 100);
    dirty_close(&next);
    dirty_forget(&d);
    dirty_close(&d);
}

/* The rest of a pass finds no room when it is put back; no key is forgotten by whoever comes. */
static void test_no_room_behind_a_pass(void **state)
{
    struct dirty d, next;
    (void)state;
    dirty_open(&d, path, true);
    add(&d, 0, 100);
    assert_int_equal(dirty_begin(&d), 0);
    expect_in_order(&d, 0, 20);
    file_limit_set(1000);
    dirty_end(&d);
    assert_int_equal(dirty_count(&d), 80);
    file_limit_set(0);
    dirty_open(&next, path, true);
    assert_true(dirty_count(&next) >= 80);
    dirty_forget(&next);
    dirty_close(&next);
    dirty_forget(&d);
    dirty_close(&d);
}

/* verify's file has the same form; other lines are passed over. */
static void test_loaded(void **state)
{
    struct dirty d;
    char other[80];
    (void)state;
    snprintf(other, sizeof(other), "%s.diff", path);
    FILE *f = fopen(other, "w");
    assert_non_null(f);
    fputs("\"a b\" the content differs\nno key\n\"\\x00\\n\" x\n\"open\n\"a b\" again\n\"end\\", f);
    fclose(f);
    dirty_open(&d, path, true);
    assert_int_equal(dirty_load(&d, other), 3);
    assert_int_equal(dirty_count(&d), 2);
    assert_true(dirty_load(&d, "/nowhere/at/all") < 0);
    assert_int_equal(dirty_begin(&d), 0);
    struct writer key;
    writer_init(&key, 2);
    assert_true(dirty_take(&d, &key) && span_equal(writer_span(&key), SPAN("a b")));
    assert_true(dirty_take(&d, &key) &&
                span_equal(writer_span(&key), ((struct span){ "\0\n", 2 })));
    writer_close(&key);
    dirty_end(&d);
    dirty_close(&d);
    unlink(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_bytes_once),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_dies_inside_a_pass),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_no_room_behind_a_pass),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
