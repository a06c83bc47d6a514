#include "cluster/echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int one, two; /* sources */

static bool repeat(struct echo *e, const char *text, const void *source, uint64_t now)
{
    return echo_is_repeat(e, (struct span){ text, strlen(text) }, source, now);
}

static void test_after_a_change(void **state)
{
    struct echo e = { 0 };
    (void)state;
    assert_false(repeat(&e, "a", &one, 1000));
    assert_false(repeat(&e, "b", &one, 1010));
    echo_change(&e, 1020);
    assert_true(repeat(&e, "a", &two, 1030));
    assert_false(repeat(&e, "a", &two, 1031)); /* each is matched once */
    assert_false(repeat(&e, "c", &two, 1032));
    assert_false(repeat(&e, "c", &two, 1033)); /* one source may say the same again */
    assert_true(repeat(&e, "b", &two, 1034));
    echo_free(&e);
}

static void test_without_a_change(void **state)
{
    struct echo e = { 0 };
    (void)state;
    assert_false(repeat(&e, "a", &one, 1000));
    assert_false(repeat(&e, "a", &two, 1001));
    echo_change(&e, 1002);
    echo_change(&e, 2000);
    assert_false(repeat(&e, "a", &two, 2001)); /* too old */
    assert_false(repeat(&e, "b", &one, 2002));
    assert_false(repeat(&e, "b", &two, 2000 + ECHO_MS + 1)); /* the change is too long ago */
    echo_free(&e);
}

/* More than are kept: the oldest are forgotten, nothing is found that is not there. */
static void test_many_and_large(void **state)
{
    static char large[3][4 * ECHO_HASH_MAX];
    struct echo e = { 0 };
    char text[16];
    (void)state;
    for (int i = 0; i < ECHO_KEPT + 10; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_false(repeat(&e, text, &one, 1000));
    }
    echo_change(&e, 1000);
    assert_false(repeat(&e, "9", &two, 1001));
    assert_true(repeat(&e, "500", &two, 1001));
    for (size_t i = 0; i < 3; i++)
        memset(large[i], 'x', sizeof(large[i]));
    large[1][0] = large[2][sizeof(large[2]) - 1] = 'y';
    struct span first = { large[0], sizeof(large[0]) }, begin = { large[1], sizeof(large[1]) },
                end = { large[2], sizeof(large[2]) }, shorter = { large[0], sizeof(large[0]) - 1 };
    assert_false(echo_is_repeat(&e, first, &one, 1002));
    assert_false(echo_is_repeat(&e, begin, &two, 1002));
    assert_false(echo_is_repeat(&e, end, &two, 1002));
    assert_false(echo_is_repeat(&e, shorter, &two, 1002));
    assert_true(echo_is_repeat(&e, first, &two, 1002));
    echo_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_a_change),
        cmocka_unit_test(test_without_a_change),
        cmocka_unit_test(test_many_and_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
