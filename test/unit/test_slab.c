#include "base/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Objects overlap nothing, whatever their size, and fit any type. */
static void test_distinct(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static unsigned char *objects[MANY];
    for (size_t size = 1; size < 200; size = size * 3 + 1) {
        struct slab s;
        slab_init(&s, size);
        for (size_t i = 0; i < MANY; i++) {
            objects[i] = slab_take(&s);
            assert_int_equal((uintptr_t)objects[i] % 16, 0);
            memset(objects[i], (int)(i % 251), size);
        }
        assert_int_equal(s.live, MANY);
        assert_true(s.total >= MANY);
        for (size_t i = 0; i < MANY; i++) {
            assert_int_equal(objects[i][0], i % 251);
            assert_int_equal(objects[i][size - 1], i % 251);
            slab_give(&s, objects[i]);
        }
        assert_int_equal(s.live, 0);
        slab_close(&s);
    }
}

static void test_reuse(void **state)
{
    (void)state;
    struct slab s;
    slab_init(&s, 40);
    void *first = slab_take(&s);
    slab_give(&s, first);
    assert_ptr_equal(slab_take(&s), first);
    slab_give(&s, first);
    for (int i = 0; i < 10000; i++)
        slab_give(&s, slab_take(&s));
    assert_int_equal(s.total, 64);
    slab_close(&s);
    assert_int_equal(s.total, 0);
    /* A closed slab is an empty one. */
    slab_give(&s, slab_take(&s));
    slab_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distinct),
        cmocka_unit_test(test_reuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
