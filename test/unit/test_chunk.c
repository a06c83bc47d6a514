#include "resp/chunk.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* malloc fails here as it does without a sanitizer, instead of ending the program. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void test_reference(void **state)
{
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool);
    struct chunk *c = chunk_take(&pool, CHUNK_SMALL);
    assert_int_equal(chunk_room(c), CHUNK_SMALL);
    memset(c->bytes, 'x', CHUNK_SMALL);
    c->used = 10;
    assert_int_equal(chunk_room(c), CHUNK_SMALL - 10);
    assert_int_equal(pool.live, 1);
    assert_int_equal(pool.live_bytes, CHUNK_SMALL);
    assert_ptr_equal(chunk_ref(c), c);
    chunk_unref(c);
    assert_int_equal(pool.live, 1);
    chunk_unref(c);
    assert_int_equal(pool.live, 0);
    assert_int_equal(pool.live_bytes, 0);
    assert_int_equal(pool.small_free, 1);
    chunk_pool_close(&pool);
    assert_null(pool.small);
}

static void test_reuse(void **state)
{
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool);
    for (int i = 0; i < 1000; i++) {
        struct chunk *a = chunk_take(&pool, CHUNK_SMALL), *b = chunk_take(&pool, CHUNK_READ);
        assert_int_equal(a->size, CHUNK_SMALL);
        assert_int_equal(b->size, CHUNK_READ);
        assert_int_equal(a->used, 0);
        a->used = b->used = 5;
        chunk_unref(b);
        chunk_unref(a);
    }
    assert_int_equal(pool.mallocs, 2);
    chunk_pool_close(&pool);
}

static void test_other_sizes(void **state)
{
    (void)state;
    struct chunk_pool pool;
    chunk_pool_init(&pool);
    struct chunk *c = chunk_try_take(&pool, 1000 * 1000);
    assert_non_null(c);
    assert_int_equal(chunk_room(c), 1000 * 1000);
    chunk_unref(c);
    assert_int_equal(pool.small_free + pool.read_free, 0);
    struct chunk *read = chunk_try_take(&pool, CHUNK_READ);
    assert_non_null(read);
    chunk_unref(read);
    assert_int_equal(pool.read_free, 1);
    assert_null(chunk_try_take(&pool, UINT64_MAX));
    assert_null(chunk_try_take(&pool, UINT64_MAX / 4));
    assert_int_equal(pool.live, 0);
    chunk_pool_close(&pool);
}

/* After a burst the pool keeps some megabytes, not all that was ever needed. */
static void test_burst(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static struct chunk *small[MANY], *read[MANY];
    struct chunk_pool pool;
    chunk_pool_init(&pool);
    for (int i = 0; i < MANY; i++) {
        small[i] = chunk_take(&pool, CHUNK_SMALL);
        read[i] = chunk_take(&pool, CHUNK_READ);
    }
    assert_int_equal(pool.live, 2 * MANY);
    assert_int_equal(pool.live_bytes, (uint64_t)MANY * (CHUNK_SMALL + CHUNK_READ));
    for (int i = 0; i < MANY; i++) {
        chunk_unref(small[i]);
        chunk_unref(read[i]);
    }
    assert_int_equal(pool.live, 0);
    assert_true(pool.small_free > 0 && pool.small_free * CHUNK_SMALL <= 4 * 1024 * 1024);
    assert_true(pool.read_free > 0 && pool.read_free * CHUNK_READ <= 4 * 1024 * 1024);
    chunk_pool_close(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_other_sizes),
        cmocka_unit_test(test_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
