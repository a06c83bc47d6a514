/* advice.h: what a reason begins with decides, else what has happened. That no reason of ours lacks
   its row, and that no row hides another one, is checked by test/structure.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/advice.h"

static void expect_in(const char *advice, const char *text)
{
    if (strstr(advice, text) == NULL)
        fail_msg("no \"%s\" in: %s", text, advice);
}

static void test_reasons(void **state)
{
    (void)state;
    expect_in(advice_on(ADVICE_KEY, "BUSYKEY Target key name already exists."), "--replace yes");
    expect_in(advice_on(ADVICE_KEY, "OOM command not allowed when used memory"), "maxmemory");
    expect_in(advice_on(ADVICE_COMMAND, "its keys lie in several slots and in other databases"),
              "write through slotgate");
    expect_in(advice_on(ADVICE_ADMIN, "unknown command: there are status, ..."), "--help");
    expect_in(advice_on(ADVICE_START, "unknown opcode 233 at offset 9"),
              "a newer slotgate-migrate");
    expect_in(advice_on(ADVICE_START, "interrupted before the end of the full copy"),
              "new full copy");
    expect_in(advice_on(ADVICE_START, "interrupted in the full copy; ..."), "to go on");
}

static void test_what_has_happened(void **state)
{
    (void)state;
    for (int about = 0; about < ADVICES; about++) {
        const char *usual = advice_on((enum advice)about, NULL);
        assert_non_null(usual);
        assert_in_range(strlen(usual), 20, ADVICE_MAX);
        assert_ptr_equal(advice_on((enum advice)about, "a reason that nobody knows"), usual);
        assert_ptr_equal(advice_on((enum advice)about, ""), usual);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_what_has_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
