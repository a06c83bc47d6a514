/* The letters of notify-keyspace-events; what Redis 7.0.15 prints was asked of a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/keyspace_events.h"

static void test_as_redis_prints_them(void **state)
{
    static const struct {
        const char *given, *printed;
    } cases[] = {
        { "", "" },       { "AKEmn", "AKEm" }, { "KEA", "AKE" },     { "g$lshzxetd", "A" },
        { "n", "n" },     { "nmKx", "xnKm" },  { "gE$nK", "g$nKE" }, { "KKK", "K" },
        { "ldh", "lhd" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t flags;
        char text[KEYSPACE_EVENTS_MAX];
        struct span given = { cases[i].given, strlen(cases[i].given) };
        assert_true(keyspace_events_parse(given, &flags));
        keyspace_events_text(flags, text);
        assert_string_equal(text, cases[i].printed);
    }
}

static void test_no_such_letter(void **state)
{
    uint32_t flags = 7;
    (void)state;
    assert_false(keyspace_events_parse(SPAN("Kq"), &flags));
    assert_false(keyspace_events_parse(SPAN("k"), &flags));
    assert_false(keyspace_events_parse(SPAN("K\0"), &flags));
    assert_int_equal(flags, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_redis_prints_them),
        cmocka_unit_test(test_no_such_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
