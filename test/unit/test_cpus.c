#include "base/cpus.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_quota(void **state)
{
    (void)state;
    assert_int_equal(cpu_count_of_quota("max 100000\n"), UINT32_MAX);
    assert_int_equal(cpu_count_of_quota("-1\n 100000\n"), UINT32_MAX); /* cgroup v1 */
    assert_int_equal(cpu_count_of_quota("200000 100000\n"), 2);
    assert_int_equal(cpu_count_of_quota("150000 100000\n"), 2);
    assert_int_equal(cpu_count_of_quota("10000 100000\n"), 1);
    assert_int_equal(cpu_count_of_quota("100000 0"), UINT32_MAX);
    assert_int_equal(cpu_count_of_quota(""), UINT32_MAX);
}

static void test_affinity(void **state)
{
    cpu_set_t all, one;
    size_t cpu = 0;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    assert_in_range(cpu_count(), 1, CPU_COUNT(&all));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_affinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
