/* Histograms: where a value goes, what is below an end, quantiles, sums and differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/histogram.h"

/* Every bucket begins where the one before ends, and is no wider than a quarter of its values. */
static void buckets_follow_each_other(void **state)
{
    uint64_t begin = 0;
    (void)state;
    for (uint32_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        uint64_t end = histogram_end(i);
        assert_true(end > begin);
        assert_int_equal(histogram_place((uint32_t)begin), i);
        assert_int_equal(histogram_place((uint32_t)end - 1), i);
        assert_true(end - begin == 1 || (end - begin) * 4 <= begin);
        begin = end;
    }
    assert_int_equal(histogram_place((uint32_t)begin), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_place(UINT32_MAX), HISTOGRAM_BUCKETS - 1);
    assert_true(histogram_end(HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
}

static void powers_of_two_are_ends(void **state)
{
    (void)state;
    for (uint32_t bit = 0; bit < HISTOGRAM_BITS; bit++) {
        uint32_t value = 1u << bit;
        struct histogram h = { 0 };
        histogram_add(&h, value - 1);
        histogram_add(&h, value);
        assert_int_equal(histogram_below(&h, value), 1);
    }
}

static void counts_and_sums(void **state)
{
    struct histogram h = { 0 };
    (void)state;
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    for (uint32_t v = 1; v <= 1000; v++)
        histogram_add(&h, v);
    assert_int_equal(histogram_count(&h), 1000);
    assert_int_equal(h.sum, 500500);
    assert_in_range(histogram_quantile(&h, 0.5), 500, 625);
    assert_in_range(histogram_quantile(&h, 0.99), 990, 1250);
    assert_int_equal(histogram_quantile(&h, 0), 1);
    histogram_add(&h, UINT32_MAX);
    assert_int_equal(histogram_quantile(&h, 1), (1u << HISTOGRAM_BITS) - 1);
    assert_int_equal(histogram_below(&h, UINT64_MAX), 1001);
}

static void merged_and_taken_away(void **state)
{
    struct histogram a = { 0 }, b = { 0 }, before;
    (void)state;
    histogram_add(&a, 5);
    histogram_add(&b, 5);
    histogram_add(&b, 700);
    before = a;
    histogram_merge(&a, &b);
    assert_int_equal(histogram_count(&a), 3);
    assert_int_equal(a.sum, 710);
    histogram_subtract(&a, &before);
    assert_memory_equal(&a, &b, sizeof(a));
    histogram_subtract(&before, &b); /* more than there is */
    assert_int_equal(histogram_count(&before), 0);
    assert_int_equal(before.sum, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_follow_each_other),
        cmocka_unit_test(powers_of_two_are_ends),
        cmocka_unit_test(counts_and_sums),
        cmocka_unit_test(merged_and_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
