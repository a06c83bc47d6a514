/* Names of temporary keys in a reply become the true ones, wherever they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/temp_names.h"

static const struct span truth[] = { { "one", 3 }, { "", 0 }, { "a\0b", 3 } };

static struct span name_of(const void *context, uint32_t n)
{
    return ((const struct span *)context)[n];
}

static bool replace(struct span reply, struct writer *w)
{
    const struct temp_names names = {
        .prefix = SPAN("{x}tmp:"), .name = name_of, .context = truth, .count = 3
    };
    writer_clear(w, 2);
    return temp_names_replace(&names, reply, w);
}

static const struct {
    struct span from, to;
} cases[] = {
    { { "+OK\r\n", 5 }, { "+OK\r\n", 5 } },
    { { "$-1\r\n", 5 }, { "$-1\r\n", 5 } },
    { { "$14\r\n{x}tmp:0000000\r\n", 21 }, { "$3\r\none\r\n", 9 } },
    { { "$14\r\n{x}tmp:0000001\r\n", 21 }, { "$0\r\n\r\n", 6 } },
    { { "$14\r\n{x}tmp:0000002\r\n", 21 }, { "$3\r\na\0b\r\n", 9 } },
    { { "$16\r\n<{x}tmp:0000000>\r\n", 23 }, { "$5\r\n<one>\r\n", 11 } },
    { { "$15\r\n{x}tmp:00000007\r\n", 22 }, { "$4\r\none7\r\n", 10 } },
    /* No number of ours behind the prefix. */
    { { "$14\r\n{x}tmp:0000003\r\n", 21 }, { "$14\r\n{x}tmp:0000003\r\n", 21 } },
    { { "$9\r\n{x}tmp:00\r\n", 15 }, { "$9\r\n{x}tmp:00\r\n", 15 } },
    { { "$21\r\n{x}tmp:{x}tmp:0000000\r\n", 28 }, { "$10\r\n{x}tmp:one\r\n", 17 } },
    { { "-ERR no {x}tmp:0000000 here\r\n", 29 }, { "-ERR no one here\r\n", 18 } },
    { { "*2\r\n$14\r\n{x}tmp:0000000\r\n:5\r\n", 29 }, { "*2\r\n$3\r\none\r\n:5\r\n", 17 } },
    { { "%1\r\n+{x}tmp:0000000\r\n_\r\n", 24 }, { "%1\r\n+one\r\n_\r\n", 13 } },
    { { "=18\r\ntxt:{x}tmp:0000000\r\n", 25 }, { "=7\r\ntxt:one\r\n", 13 } },
};

static void test_replace(void **state)
{
    struct writer w;
    (void)state;
    writer_init(&w, 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_true(replace(cases[i].from, &w));
        assert_int_equal(w.len, cases[i].to.len);
        assert_memory_equal(w.at, cases[i].to.at, w.len);
    }
    writer_close(&w);
}

/* Cut off anywhere inside a line or a bulk string, it is no reply. */
static void test_cut_off(void **state)
{
    static const struct span whole = { "$14\r\n{x}tmp:0000000\r\n", 21 };
    struct writer w;
    (void)state;
    writer_init(&w, 2);
    for (size_t len = 1; len < whole.len; len++)
        assert_false(replace((struct span){ whole.at, len }, &w));
    writer_close(&w);
}

static void test_names_of_any_proxy(void **state)
{
#define TOKEN "0123456789abcdef0123456789abcdef"
    static const struct {
        const char *name;
        bool temporary;
    } names[] = {
        { "{0a9}slotgate:tmp:" TOKEN ":0000000", true },
        { "{zZ0}slotgate:tmp:" TOKEN ":9999999", true },
        { "{0a9}slotgate:tmp:" TOKEN ":000000", false },
        { "{0a9}slotgate:tmp:" TOKEN ":00000000", false },
        { "{0a9}slotgate:tmp:" TOKEN ":000000x", false },
        { "{0a9}slotgate:tmp:" TOKEN "a0000000", false },
        { "{0a9}slotgate:tmp:X123456789abcdef0123456789abcdef:0000000", false },
        { "{0a}slotgate:tmp:" TOKEN ":00000000", false },
        { "x0a9}slotgate:tmp:" TOKEN ":0000000", false },
        { "{0a9}slotgate:tmp:", false },
        { "slotgate:tmp", false },
        { "", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct span name = { names[i].name, strlen(names[i].name) };
        if (temp_names_has(name) != names[i].temporary)
            fail_msg("%s", names[i].name);
        if (names[i].temporary)
            assert_true(temp_names_in(name));
    }
    assert_false(temp_names_in(SPAN("*1\r\n$12\r\nslotgate:tmp\r\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_names_of_any_proxy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
