/* expiry_fields.h: the walk shows what is held of the hashes that are still there, each field once.
 */
#include "migrate/expiry_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/check.h"

static void put(struct expiry_fields *f, struct span key, struct span field, int64_t at)
{
    assert_int_equal(expiry_fields_put(f, key, field, at), 0);
}

/* Sum and number of the moments that the walk shows. */
static int64_t walk(struct expiry_fields *f, int *count)
{
    struct expiry_field field;
    int64_t sum = 0;
    *count = 0;
    while (expiry_fields_next(f, &field) > 0) {
        sum += field.at;
        (*count)++;
    }
    return sum;
}

static void test_what_is_held(void **state)
{
    struct expiry_fields f;
    int count;
    (void)state;
    expiry_fields_open(&f, "/tmp");
    put(&f, SPAN("key"), SPAN("a"), 1);
    put(&f, SPAN("key"), SPAN("b"), 2);
    put(&f, SPAN("keya"), SPAN(""), 4); /* not "key" and "a" */
    put(&f, SPAN("key"), SPAN("a"), 8);
    put(&f, SPAN("gone"), SPAN("a"), 16);
    expiry_fields_forget(&f, SPAN("key"), SPAN("b"));
    expiry_fields_forget(&f, SPAN("key"), SPAN("c"));
    expiry_fields_forget(&f, SPAN("unheard-of"), SPAN("a"));
    assert_true(expiry_fields_replace(&f, SPAN("gone")));
    assert_false(expiry_fields_replace(&f, SPAN("unheard-of")));
    put(&f, SPAN("gone"), SPAN("b"), 32);
    assert_int_equal(walk(&f, &count), 4 + 8 + 32);
    assert_int_equal(count, 3);
    assert_int_equal(f.fields.held, 0);
    assert_int_equal(walk(&f, &count), 0);
    expiry_fields_clear(&f);
    put(&f, SPAN("key"), SPAN("a"), 64);
    assert_int_equal(walk(&f, &count), 64);
    expiry_fields_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
