/* expiry_table.h: what was put is there, what was forgotten is not, and the walk shows each key,
   while the table grows and keys are added; and any earlier point can be gone back to. */
#include "migrate/expiry_table.h"
#include "test/unit/file_limit.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { KEYS = 50000 };

static int syncs;

/* In place of the system's, for the log, too. */
int fdatasync(int file)
{
    syncs++;
    return fsync(file);
}

static struct span key_of(unsigned i, char text[64])
{
    int n = snprintf(text, 64, "key:%0*u", 1 + (int)(i % 40), i);
    return (struct span){ text, (size_t)n };
}

static void put(struct expiry_table *t, unsigned i, int64_t at)
{
    char text[64];
    assert_int_equal(expiry_table_put(t, key_of(i, text), at), 0);
}

static int64_t get(const struct expiry_table *t, unsigned i)
{
    char text[64];
    return expiry_table_get(t, key_of(i, text));
}

static void forget(struct expiry_table *t, unsigned i)
{
    char text[64];
    expiry_table_forget(t, key_of(i, text));
}

static void test_put_get_forget(void **state)
{
    struct expiry_table t;
    (void)state;
    expiry_table_open(&t, "/tmp");
    assert_int_equal(get(&t, 1), 0);
    forget(&t, 1);
    for (unsigned i = 0; i < KEYS; i++)
        put(&t, i, i + 1);
    assert_int_equal(t.held, KEYS);
    for (unsigned i = 0; i < KEYS; i += 2)
        forget(&t, i);
    for (unsigned i = 1; i < KEYS; i += 4)
        put(&t, i, 7);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(get(&t, i), i % 2 == 0 ? 0 : i % 4 == 1 ? 7 : i + 1);
    assert_int_equal(get(&t, KEYS), 0);
    assert_int_equal(t.held, KEYS / 2);
    expiry_table_clear(&t);
    assert_int_equal(get(&t, 1), 0);
    put(&t, 1, 1);
    assert_int_equal(get(&t, 1), 1);
    expiry_table_clear(&t);
}

static void test_walk(void **state)
{
    struct expiry_table t;
    struct span key;
    unsigned seen = 0;
    char text[64], large[100000] = "";
    (void)state;
    expiry_table_open(&t, "/tmp");
    assert_int_equal(expiry_table_next(&t, &key), 0);
    for (unsigned i = 0; i < KEYS; i++)
        put(&t, i, i + 1);
    for (unsigned i = 0; i < KEYS; i++) /* the same once more: not shown once more */
        put(&t, i, i + 1);
    assert_int_equal(expiry_table_put(&t, (struct span){ large, sizeof(large) }, 5), 0);
    while (seen < KEYS && expiry_table_next(&t, &key) == 1) {
        struct span want = key_of(seen, text);
        assert_int_equal(key.len, want.len);
        assert_memory_equal(key.at, want.at, want.len);
        seen++;
    }
    assert_int_equal(seen, KEYS);
    assert_int_equal(expiry_table_next(&t, &key), 1);
    assert_int_equal(key.len, sizeof(large));
    assert_int_equal(expiry_table_next(&t, &key), 0);
    put(&t, KEYS, 1); /* behind the end */
    assert_int_equal(expiry_table_next(&t, &key), 1);
    assert_int_equal(expiry_table_next(&t, &key), 0);
    expiry_table_rewind(&t);
    assert_int_equal(expiry_table_next(&t, &key), 1);
    assert_int_equal(key.len, key_of(0, text).len);
    expiry_table_clear(&t);
}

/* Points 0 to 9: key i gets i + 10 * point at each point that it is a multiple of, or is forgotten
   at point 7. What it has at a point. */
static int64_t value_at(unsigned i, unsigned point)
{
    int64_t value = i + 1;
    for (unsigned p = 1; p <= point; p++)
        if (i % p == 0)
            value = p == 7 ? 0 : (int64_t)i + 1 + 10 * p;
    return value;
}

static void write_points(struct expiry_table *t, unsigned from, unsigned keys)
{
    for (unsigned p = from; p < 10; p++) {
        t->point = p;
        for (unsigned i = 0; i < keys; i++) {
            if (p == 7 && i % p == 0)
                forget(t, i);
            else if (p == 0 || i % p == 0)
                put(t, i, value_at(i, p));
        }
    }
}

static void expect_point(const struct expiry_table *t, unsigned point, unsigned keys)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < keys; i++) {
        assert_int_equal(get(t, i), value_at(i, point));
        held += value_at(i, point) != 0;
    }
    assert_int_equal(t->held, held);
}

static void test_back(void **state)
{
    enum { SOME = 3000 };
    char folder[] = "/tmp/slotgate-expiry-XXXXXX", path[64];
    struct expiry_table t;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    for (int named = 0; named < 2; named++) {
        expiry_table_open(&t, "/tmp");
        if (named)
            expiry_table_keep(&t, folder, "log");
        assert_int_equal(expiry_table_go_back(&t, 5), 0); /* nothing yet */
        write_points(&t, 0, SOME);
        for (unsigned i = 0; i < SOME; i++) { /* settled: the log does not know */
            char text[64];
            expiry_table_settle(&t, key_of(i, text));
        }
        assert_int_equal(t.held, 0);
        assert_int_equal(expiry_table_go_back(&t, 8), 0);
        expect_point(&t, 8, SOME);
        assert_int_equal(expiry_table_go_back(&t, 3), 0);
        expect_point(&t, 3, SOME);
        assert_int_equal(expiry_table_go_back(&t, 9), 0); /* what lay behind is cut off */
        expect_point(&t, 3, SOME);
        write_points(&t, 4, SOME);
        expect_point(&t, 9, SOME);
        assert_int_equal(expiry_table_sync(&t), 0);
        if (!named)
            expiry_table_clear(&t);
        expiry_table_close(&t);
    }
    expiry_table_open(&t, "/tmp"); /* another program */
    expiry_table_keep(&t, folder, "log");
    assert_int_equal(truncate(path, 1), 0);
    assert_int_equal(expiry_table_go_back(&t, 9), 0); /* less than a record */
    assert_int_equal(t.held, 0);
    write_points(&t, 0, SOME);
    assert_int_equal(expiry_table_sync(&t), 0);
    expiry_table_close(&t);
    expiry_table_open(&t, "/tmp");
    expiry_table_keep(&t, folder, "log");
    assert_int_equal(expiry_table_go_back(&t, 9), 0);
    syncs = 0; /* the earlier program need not have waited */
    assert_int_equal(expiry_table_sync(&t), 0);
    assert_int_equal(syncs, 1);
    assert_int_equal(expiry_table_go_back(&t, 6), 0);
    expect_point(&t, 6, SOME);
    expiry_table_clear(&t);
    assert_int_not_equal(access(path, F_OK), 0);
    expiry_table_close(&t);
    rmdir(folder);
}

/* Of what was to be written only a part finds room; the rest comes behind that, and not all again.
 */
static void test_no_room(void **state)
{
    enum { SOME = 1000 };
    struct expiry_table t;
    (void)state;
    expiry_table_open(&t, "/tmp");
    for (unsigned i = 0; i < SOME; i++)
        put(&t, i, i + 1);
    file_limit_set(10001);
    assert_int_equal(expiry_table_sync(&t), EFBIG);
    assert_int_equal(t.written, 10001);
    assert_int_equal(expiry_table_sync(&t), EFBIG);
    file_limit_set(0);
    assert_int_equal(expiry_table_sync(&t), 0);
    assert_int_equal(expiry_table_go_back(&t, 0), 0);
    assert_int_equal(t.held, SOME);
    for (unsigned i = 0; i < SOME; i++)
        assert_int_equal(get(&t, i), i + 1);
    expiry_table_close(&t);
}

static void test_no_folder(void **state)
{
    struct expiry_table t;
    (void)state;
    expiry_table_open(&t, "/nowhere");
    assert_true(expiry_table_put(&t, SPAN("key"), 1) > 0);
    assert_int_equal(expiry_table_get(&t, SPAN("key")), 0);
    assert_int_equal(t.held, 0);
    expiry_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_get_forget), cmocka_unit_test(test_walk),
        cmocka_unit_test(test_back),           cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
