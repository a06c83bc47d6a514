/* migrate/receipts.h: when which part of the stream was received. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "migrate/receipts.h"

static void test_times(void **state)
{
    struct receipts r = { 0 };
    (void)state;
    assert_int_equal(receipts_time(&r, 10, 0), 0);
    receipts_add(&r, 100, 5000);
    receipts_add(&r, 200, 5005); /* as good as the same moment */
    receipts_add(&r, 300, 6000);
    assert_int_equal(receipts_time(&r, 1, 0), 5000);
    assert_int_equal(receipts_time(&r, 200, 100), 5000);
    assert_int_equal(receipts_time(&r, 201, 200), 6000);
    receipts_close(&r);
}

/* Somebody sets the clock back; what comes from then on has the new time. */
static void test_clock_set_back(void **state)
{
    struct receipts r = { 0 };
    (void)state;
    receipts_add(&r, 100, 900000);
    receipts_add(&r, 200, 5000);
    receipts_add(&r, 300, 6000);
    assert_int_equal(receipts_time(&r, 100, 0), 900000);
    assert_int_equal(receipts_time(&r, 200, 0), 5000);
    assert_int_equal(receipts_time(&r, 300, 0), 6000);
    receipts_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_clock_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
