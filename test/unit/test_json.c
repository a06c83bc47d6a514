#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "proxy/json.h"

static void expect(struct json *j, const char *text)
{
    struct span out = writer_span(&j->out);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.at, text, out.len);
    json_close(j);
}

static void structure(void **state)
{
    struct json j;
    (void)state;
    json_init(&j);
    json_object(&j, NULL);
    json_u64(&j, "a", UINT64_MAX);
    json_array(&j, "b");
    json_array(&j, NULL);
    json_array_end(&j);
    json_i64(&j, NULL, -1);
    json_object(&j, NULL);
    json_object_end(&j);
    json_bool(&j, NULL, true);
    json_null(&j, NULL);
    json_array_end(&j);
    json_real(&j, "c", 0.25);
    json_real(&j, "d", NAN);
    json_raw(&j, "e", SPAN("[1,2]"));
    json_object_end(&j);
    expect(&j, "{\"a\":18446744073709551615,\"b\":[[],-1,{},true,null],\"c\":0.25,\"d\":null,"
               "\"e\":[1,2]}");
}

static void string(const char *bytes, size_t len, const char *expected)
{
    struct json j;
    json_init(&j);
    json_bytes(&j, NULL, (struct span){ bytes, len });
    expect(&j, expected);
}

#define STRING(bytes, expected) string(bytes, sizeof(bytes) - 1, expected)

static void strings(void **state)
{
    (void)state;
    STRING("", "\"\"");
    STRING("a\"b\\c/", "\"a\\\"b\\\\c/\"");
    STRING("\0\n\t\x1f\x7f", "\"\\u0000\\u000a\\u0009\\u001f\\u007f\"");
    STRING("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

/* What is no UTF-8 (RFC 3629) becomes code points of the same numbers. */
static void no_utf8(void **state)
{
    (void)state;
    STRING("\xff", "\"\\u00ff\"");
    STRING("a\x80z", "\"a\\u0080z\"");
    STRING("\xc3", "\"\\u00c3\"");
    STRING("\xc3(", "\"\\u00c3(\"");
    STRING("\xc0\xaf", "\"\\u00c0\\u00af\"");                       /* too long for a slash */
    STRING("\xe0\x80\xaf", "\"\\u00e0\\u0080\\u00af\"");            /* the same */
    STRING("\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"");            /* half a surrogate pair */
    STRING("\xf4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\""); /* beyond U+10FFFF */
    STRING("\xf0\x9f\x98", "\"\\u00f0\\u009f\\u0098\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure),
        cmocka_unit_test(strings),
        cmocka_unit_test(no_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
