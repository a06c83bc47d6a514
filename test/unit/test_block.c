/* What an error of EXEC means: the first refusal of a part decides, or the reason that EXEC gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/block.h"

#define DISCARDED "-EXECABORT Transaction discarded because of previous errors.\r\n"

static struct redirect verdict(enum block_refused refused, const char *first, const char *error)
{
    return block_verdict(refused, (struct span){ first, strlen(first) },
                         (struct span){ error, strlen(error) });
}

static void test_a_part_was_refused(void **state)
{
    (void)state;
    struct redirect to = verdict(BLOCK_COMMAND_REFUSED, "-MOVED 5 h:1\r\n", DISCARDED);
    assert_int_equal(to.verdict, VERDICT_MOVED);
    assert_int_equal(to.slot, 5);
    assert_int_equal(to.to.port, 1);
    to = verdict(BLOCK_COMMAND_REFUSED, "-ASK 7 h:2\r\n", DISCARDED);
    assert_int_equal(to.verdict, VERDICT_ASK);
    to = verdict(BLOCK_COMMAND_REFUSED, "-NOPERM this user\r\n", DISCARDED);
    assert_int_equal(to.verdict, VERDICT_PASS);
    to = verdict(BLOCK_COMMAND_REFUSED, "-OOM command not allowed\r\n", DISCARDED);
    assert_int_equal(to.verdict, VERDICT_PASS);
}

static void test_exec_itself_was_refused(void **state)
{
    static const struct {
        const char *error;
        enum verdict verdict;
    } cases[] = {
        { "-MOVED 5 h:1\r\n", VERDICT_MOVED },
        { "-TRYAGAIN Multiple keys request during rehashing of slot\r\n", VERDICT_TRY_AGAIN },
        { "-EXECABORT Transaction discarded because of: LOADING Redis is loading\r\n",
          VERDICT_WAIT },
        { "-EXECABORT Transaction discarded because of: READONLY You can't write\r\n",
          VERDICT_READ_ONLY },
        { "-EXECABORT Transaction discarded because of: OOM command not allowed\r\n",
          VERDICT_PASS },
        { "-EXECABORT Transaction discarded because of: \r\n", VERDICT_PASS },
        { "-EXECABORT Transaction discarded because of:", VERDICT_PASS },
        { DISCARDED, VERDICT_PASS },
        { "-ERR EXEC without MULTI\r\n", VERDICT_PASS },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(verdict(BLOCK_NOT_REFUSED, "", cases[i].error).verdict, cases[i].verdict);
}

/* The commands have gone for themselves: to send them again would execute them twice. */
static void test_multi_was_refused(void **state)
{
    (void)state;
    struct redirect to = verdict(BLOCK_NEVER_BEGAN, "-LOADING\r\n", "-MOVED 5 h:1\r\n");
    assert_int_equal(to.verdict, VERDICT_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_was_refused),
        cmocka_unit_test(test_exec_itself_was_refused),
        cmocka_unit_test(test_multi_was_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
