/* What becomes one entry of ACL LOG, by time and by what it is about; and how many are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/acl_log.h"

enum { MAX = 20 };

static void keep(struct acl_log *log, int64_t at, struct span user, struct span object)
{
    acl_log_keep(log,
                 &(struct acl_refusal){ .count = 1,
                                        .at = at * 1000,
                                        .reason = ACL_LOG_KEY,
                                        .user = user,
                                        .object = object,
                                        .client = SPAN("id=1") },
                 MAX);
}

static const struct acl_refusal *youngest(const struct acl_log *log)
{
    return &LIST_ENTRY(log->entries.next, struct acl_log_entry, link)->what;
}

static void test_a_minute(void **state)
{
    struct acl_log log;
    (void)state;
    acl_log_open(&log);
    keep(&log, 1000, SPAN("bob"), SPAN("k"));
    keep(&log, 61000, SPAN("bob"), SPAN("k"));
    assert_int_equal(log.count, 1);
    assert_int_equal(youngest(&log)->count, 2);
    keep(&log, 121000, SPAN("bob"), SPAN("k")); /* a minute after the last one */
    assert_int_equal(log.count, 1);
    keep(&log, 181001, SPAN("bob"), SPAN("k"));
    assert_int_equal(log.count, 2);
    assert_int_equal(youngest(&log)->count, 1);
    acl_log_reset(&log);
    assert_int_equal(log.count, 0);
}

static void test_what_is_the_same(void **state)
{
    struct acl_log log;
    (void)state;
    acl_log_open(&log);
    keep(&log, 0, SPAN("bob"), SPAN("k"));
    keep(&log, 1, SPAN("alice"), SPAN("k"));
    keep(&log, 2, SPAN("bob"), SPAN("key"));
    struct acl_refusal other = { .count = 1,
                                 .at = 3,
                                 .reason = ACL_LOG_COMMAND,
                                 .user = SPAN("bob"),
                                 .object = SPAN("k"),
                                 .client = SPAN("id=2") };
    acl_log_keep(&log, &other, MAX);
    other.inside = 1;
    acl_log_keep(&log, &other, MAX);
    assert_int_equal(log.count, 5);
    keep(&log, 4, SPAN("bob"), SPAN("k")); /* the oldest one, which becomes the youngest */
    assert_int_equal(log.count, 5);
    assert_int_equal(youngest(&log)->reason, ACL_LOG_KEY);
    assert_int_equal(youngest(&log)->count, 2);
    assert_true(span_equal(youngest(&log)->client, SPAN("id=1")));
    acl_log_reset(&log);
}

static void test_how_many(void **state)
{
    struct acl_log log;
    (void)state;
    acl_log_open(&log);
    for (char name = 'a'; name <= 'z'; name++)
        keep(&log, name, SPAN("bob"), (struct span){ &name, 1 });
    assert_int_equal(log.count, MAX);
    assert_int_equal(*youngest(&log)->object.at, 'z');
    acl_log_keep(&log, youngest(&log), 0);
    assert_int_equal(log.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_minute),
        cmocka_unit_test(test_what_is_the_same),
        cmocka_unit_test(test_how_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
