/* limit.h: over a long time neither more nor much less than allowed; a large command runs into
   debt and is paid for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "migrate/limit.h"

/* Sends whenever it may, and sleeps as long as it is told. Gives how many commands went out. */
static uint64_t send_for(struct limit *l, uint64_t from, uint64_t to, uint64_t bytes)
{
    uint64_t sent = 0, now = from;
    while (now < to) {
        uint64_t wait = limit_wait(l, now);
        if (wait == 0) {
            limit_spend(l, bytes, 1);
            sent++;
        }
        now += wait;
    }
    return sent;
}

static void test_commands(void **state)
{
    struct limit l;
    (void)state;
    limit_init(&l, 0, 500, 1000);
    assert_in_range(send_for(&l, 1000, 11000, 100), 4900, 5051);
}

static void test_bytes(void **state)
{
    struct limit l;
    (void)state;
    limit_init(&l, 1000000, 0, 0);
    assert_in_range(send_for(&l, 0, 10000, 1000), 9900, 10101);
}

/* The stricter one counts. */
static void test_both(void **state)
{
    struct limit l;
    (void)state;
    limit_init(&l, 1000, 1000000, 0);
    assert_in_range(send_for(&l, 0, 10000, 100), 98, 102);
}

static void test_debt(void **state)
{
    struct limit l;
    (void)state;
    limit_init(&l, 1000, 0, 0);
    assert_int_equal(limit_wait(&l, 0), 0);
    limit_spend(&l, 5100, 1);
    assert_in_range(limit_wait(&l, 0), 5000, 5001);
    assert_in_range(limit_wait(&l, 2000), 3000, 3001);
    assert_int_equal(limit_wait(&l, 5002), 0);
    assert_int_equal(limit_wait(&l, 1000000), 0);
    limit_spend(&l, 101, 1); /* a rest saves up a tenth of a second, not more */
    assert_true(limit_wait(&l, 1000000) > 0);
}

static void test_none(void **state)
{
    struct limit l;
    (void)state;
    limit_init(&l, 0, 0, 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(limit_wait(&l, 0), 0);
        limit_spend(&l, 1000000, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands), cmocka_unit_test(test_bytes), cmocka_unit_test(test_both),
        cmocka_unit_test(test_debt),     cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
