#include "base/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* text is read to its last byte and no further, so it is handed over without a NUL behind it. */
static bool parse(const char *text, bool allow_no_host, struct endpoint *out)
{
    char copy[ENDPOINT_TEXT_MAX + 64];
    size_t len = strlen(text);
    memset(copy, '1', sizeof(copy));
    memcpy(copy, text, len);
    return endpoint_parse(copy, len, allow_no_host, out);
}

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *again;
        uint16_t port;
    } rows[] = {
        { "host:1", "host", "host:1", 1 },
        { "1.2.3.4:7000", "1.2.3.4", "1.2.3.4:7000", 7000 },
        { "[::1]:7000", "::1", "[::1]:7000", 7000 },
        { "::1:7000", "::1", "[::1]:7000", 7000 },
        { "[fe80::1%eth0]:65535", "fe80::1%eth0", "[fe80::1%eth0]:65535", 65535 },
        { "a-b.c_d:06379", "a-b.c_d", "a-b.c_d:6379", 6379 },
        { ":7000", "", ":7000", 7000 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct endpoint e;
        char text[ENDPOINT_TEXT_MAX];
        assert_true(parse(rows[i].text, true, &e));
        assert_string_equal(e.host, rows[i].host);
        assert_int_equal(e.port, rows[i].port);
        assert_string_equal(endpoint_text(&e, text), rows[i].again);
        struct endpoint back;
        assert_true(parse(text, true, &back));
        assert_true(endpoint_equal(&e, &back));
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",        "host",    ":",       "host:",   "host:0",  "host:65536", "host:123456",
        "host:-1", "host:+1", "host: 1", "ho st:1", "a,b:1",   "a/b:1",      "[::1:1",
        "::1]:1",  "a\"b:1",  "a@b:1",   "\r\n:1",  "host:1 ", "[]:1",       ":1",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct endpoint e = { "untouched", 7 };
        assert_false(parse(rows[i], false, &e));
        assert_string_equal(e.host, "untouched");
        assert_int_equal(e.port, 7);
    }
    struct endpoint e;
    assert_false(endpoint_parse("a\0b:1", 5, true, &e));
}

static void test_lengths(void **state)
{
    (void)state;
    char host[ENDPOINT_HOST_MAX + 2], text[ENDPOINT_TEXT_MAX + 8];
    memset(host, ':', sizeof(host));
    struct endpoint e;
    assert_true(endpoint_set(&e, host, ENDPOINT_HOST_MAX, 65535));
    assert_int_equal(strlen(endpoint_text(&e, text)), ENDPOINT_HOST_MAX + 8);
    assert_false(endpoint_set(&e, host, ENDPOINT_HOST_MAX + 1, 1));
    host[ENDPOINT_HOST_MAX + 1] = '\0';
    memset(host, 'a', ENDPOINT_HOST_MAX + 1);
    snprintf(text, sizeof(text), "%s:1", host);
    assert_false(parse(text, false, &e));
    assert_true(parse(text + 1, false, &e));
}

/* What a node calls itself ends up in errors and log lines: it must not be able to end one. */
static void test_set_is_clean(void **state)
{
    (void)state;
    struct endpoint e = { "untouched", 7 };
    assert_false(endpoint_set(&e, "a\r\n+OK", 6, 1));
    assert_false(endpoint_set(&e, "a b", 3, 1));
    assert_false(endpoint_set(&e, "a\0b", 3, 1));
    assert_string_equal(e.host, "untouched");
}

static void test_equal(void **state)
{
    (void)state;
    struct endpoint a, b;
    assert_true(parse("Host:1", false, &a) && parse("hOST:1", false, &b));
    assert_true(endpoint_equal(&a, &b));
    assert_true(parse("host:2", false, &b));
    assert_false(endpoint_equal(&a, &b));
    assert_true(parse("hosts:1", false, &b));
    assert_false(endpoint_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_bad),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_set_is_clean),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
