/* key_set.h: what was added is there, nothing else is, in any number and order. */
#include "migrate/key_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { KEYS = 100000 };

static struct span key_of(unsigned i, char text[64])
{
    int n = snprintf(text, 64, "key:%0*u", 1 + (int)(i % 40), i);
    return (struct span){ text, (size_t)n };
}

static void sort(struct key_set *s)
{
    int rc;
    while ((rc = key_set_sort(s)) > 0)
        continue;
    assert_int_equal(rc, 0);
}

static void test_add_and_ask(void **state)
{
    struct key_set s;
    char text[64];
    (void)state;
    key_set_open(&s, "/tmp");
    assert_false(key_set_has(&s, SPAN("")));
    for (int twice = 0; twice < 2; twice++)
        for (unsigned i = 0; i < KEYS; i += 2)
            assert_int_equal(key_set_add(&s, key_of(i, text)), 0);
    assert_int_equal(key_set_add(&s, SPAN("")), 0);
    assert_int_equal(s.count, KEYS + 1);
    sort(&s);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(key_set_has(&s, key_of(i, text)), i % 2 == 0);
    assert_true(key_set_has(&s, SPAN("")));
    key_set_clear(&s);
    assert_false(key_set_has(&s, key_of(0, text)));
    assert_int_equal(key_set_add(&s, key_of(1, text)), 0);
    sort(&s);
    assert_true(key_set_has(&s, key_of(1, text)));
    assert_false(key_set_has(&s, key_of(0, text)));
    key_set_clear(&s);
}

static void test_no_folder(void **state)
{
    struct key_set s;
    (void)state;
    key_set_open(&s, "/nowhere");
    assert_true(key_set_add(&s, SPAN("key")) > 0);
    assert_false(key_set_has(&s, SPAN("key")));
    key_set_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_ask),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
