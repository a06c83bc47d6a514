#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

/* The text in an allocation of exactly its size, so that the sanitizer sees any byte read too many.
 */
static char *exact(const char *s, size_t len)
{
    char *p = malloc(len > 0 ? len : 1);
    assert_non_null(p);
    memcpy(p, s, len);
    return p;
}

static bool to_i64(const char *s, int64_t *out)
{
    char *p = exact(s, strlen(s));
    bool ok = text_to_i64(p, strlen(s), out);
    free(p);
    return ok;
}

static bool to_u64(const char *s, uint64_t *out)
{
    char *p = exact(s, strlen(s));
    bool ok = text_to_u64(p, strlen(s), out);
    free(p);
    return ok;
}

static const char *const never_numbers[] = {
    "",
    "-",
    "+1",
    " 1",
    "1 ",
    "01",
    "00",
    "-0",
    "-01",
    "1.0",
    "1e3",
    "0x10",
    "abc",
    "1a",
    "--1",
    "\n1",
    "18446744073709551616",
    "99999999999999999999",
    "184467440737095516150",
};

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t n;
    } good[] = {
        { "0", 0 },
        { "1", 1 },
        { "-1", -1 },
        { "1234567890", 1234567890 },
        { "9223372036854775807", INT64_MAX },
        { "-9223372036854775808", INT64_MIN },
        { "-9223372036854775807", -INT64_MAX },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t n = 42;
        assert_true(to_i64(good[i].text, &n));
        assert_int_equal(n, good[i].n);
    }
    for (size_t i = 0; i < ARRAY_LEN(never_numbers); i++) {
        int64_t n = 42;
        uint64_t u = 42;
        assert_false(to_i64(never_numbers[i], &n));
        assert_false(to_u64(never_numbers[i], &u));
        assert_int_equal(n, 42);
        assert_int_equal(u, 42);
    }
    int64_t n;
    assert_false(to_i64("9223372036854775808", &n));
    assert_false(to_i64("-9223372036854775809", &n));
    assert_false(to_i64("18446744073709551615", &n));
    uint64_t u;
    assert_true(to_u64("18446744073709551615", &u));
    assert_true(u == UINT64_MAX);
    assert_false(to_u64("-1", &u));
    assert_false(text_to_u64("1\0", 2, &u));
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t n;
    } good[] = {
        { "0", 0 },          { "100", 100 },          { "7b", 7 },
        { "64k", 64000 },    { "64kb", 65536 },       { "64KB", 65536 },
        { "1m", 1000000 },   { "1mB", 1048576 },      { "1g", 1000000000 },
        { "1gb", 1u << 30 }, { "512mb", 512u << 20 }, { "17179869183gb", 17179869183u << 30 },
    };
    for (size_t i = 0; i < ARRAY_LEN(good) - 1; i++) {
        uint64_t n = 1;
        assert_true(text_to_size(good[i].text, strlen(good[i].text), &n));
        assert_true(n == good[i].n);
    }
    uint64_t n = 42;
    assert_true(text_to_size("17179869183gb", 13, &n));
    assert_true(n == UINT64_C(17179869183) << 30);
    n = 42;
    static const char *const bad[] = {
        "", "kb", "-1", "1 kb", "1t", "1kbb", "1.5mb", "mb1", "17179869184gb", "1kk", "01kb",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *p = exact(bad[i], strlen(bad[i]));
        assert_false(text_to_size(p, strlen(bad[i]), &n));
        free(p);
        assert_int_equal(n, 42);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bare, ms;
    } good[] = {
        { "0", 0, 0 },       { "0", 1000, 0 },   { "0s", 0, 0 },       { "500ms", 0, 500 },
        { "5s", 0, 5000 },   { "1m", 0, 60000 }, { "2h", 0, 7200000 }, { "1d", 0, 86400000 },
        { "5", 1000, 5000 }, { "5", 1, 5 },      { "5MS", 1000, 5 },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t ms = 1;
        assert_true(text_to_ms(good[i].text, strlen(good[i].text), good[i].bare, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {
        "", "5", "s", "-5s", "5 s", "5sec", "1m30s", "1.5s", "00s", "18446744073709551615s",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t ms = 42;
        assert_false(text_to_ms(bad[i], strlen(bad[i]), 0, &ms));
        assert_int_equal(ms, 42);
    }
    static const struct {
        uint64_t ms;
        const char *text;
    } shown[] = {
        { 0, "0ms" },        { 1, "1ms" },
        { 1000, "1s" },      { 1500, "1500ms" },
        { 90000, "90s" },    { 60000, "1m" },
        { 3600000, "1h" },   { 86400000, "1d" },
        { 172800000, "2d" }, { UINT64_MAX, "18446744073709551615ms" },
    };
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        char buf[TEXT_DURATION_MAX];
        size_t len = text_from_ms(buf, shown[i].ms);
        assert_int_equal(len, strlen(shown[i].text));
        assert_memory_equal(buf, shown[i].text, len);
    }
}

static void formatting(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (int i = 0; i < 20000; i++) {
        char mine[TEXT_NUMBER_MAX], theirs[32];
        size_t len = text_from_u64(mine, n);
        assert_int_equal(len, snprintf(theirs, sizeof(theirs), "%llu", (unsigned long long)n));
        assert_memory_equal(mine, theirs, len);
        len = text_from_i64(mine, (int64_t)n);
        assert_int_equal(len, snprintf(theirs, sizeof(theirs), "%lld", (long long)n));
        assert_memory_equal(mine, theirs, len);
        n = n < 10100 ? n + 1 : n * 7 + (n >> 13);
    }
    char buf[TEXT_NUMBER_MAX];
    assert_int_equal(text_from_u64(buf, UINT64_MAX), 20);
    assert_memory_equal(buf, "18446744073709551615", 20);
    assert_int_equal(text_from_i64(buf, INT64_MIN), 20);
    assert_memory_equal(buf, "-9223372036854775808", 20);
}

static bool glob(const char *pattern, const char *s, bool nocase)
{
    char *p = exact(pattern, strlen(pattern)), *q = exact(s, strlen(s));
    bool yes = text_glob(p, strlen(pattern), q, strlen(s), nocase);
    free(p);
    free(q);
    return yes;
}

static void globs(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "*", "anything", true },
        { "**", "", true },
        { "a", "", false },
        { "?", "", false },
        { "?", "x", true },
        { "?", "xy", false },
        { "h?llo", "hello", true },
        { "h?llo", "hllo", false },
        { "h*llo", "heeeello", true },
        { "h*llo", "hllo", true },
        { "h*llo", "hllox", false },
        { "*llo", "hello", true },
        { "*l*o*", "hello", true },
        { "a*b*c", "axxbxxbxxc", true },
        { "a*b*c", "axxcxxb", false },
        { "*a", "aaaa", true },
        { "*ab", "aab", true },
        { "h[ae]llo", "hello", true },
        { "h[ae]llo", "hillo", false },
        { "h[^e]llo", "hallo", true },
        { "h[^e]llo", "hello", false },
        { "h[a-c]llo", "hbllo", true },
        { "h[c-a]llo", "hbllo", true },
        { "h[a-c]llo", "hdllo", false },
        { "[a-]", "-", false }, /* the range from "a" to "]", as in Redis */
        { "[a-]", "^", true },
        { "[-a]", "-", true },
        { "[]", "]", false },
        { "[]a", "a", false },
        { "[^]", "x", true },
        { "[abc", "c", true },
        { "[abc", "d", false },
        { "[", "[", false },
        { "[^", "x", true },
        { "[\\]]", "]", true },
        { "[\\a-z]", "-", true },
        { "[\\", "\\", true },
        { "\\*", "*", true },
        { "\\*", "x", false },
        { "\\?x", "?x", true },
        { "\\", "\\", true },
        { "a\\", "a\\", true },
        { "\\a", "a", true },
        { "user:*:name", "user:100:name", true },
        { "user:*:name", "user:100:names", false },
        { "Hello", "hello", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (glob(cases[i].pattern, cases[i].text, false) != cases[i].match)
            fail_msg("glob %s on %s", cases[i].pattern, cases[i].text);
    }
    assert_true(glob("HeL[L]*", "hello", true));
    assert_true(glob("[A-C]", "b", true));
    assert_true(glob("[a-c]", "B", true));
    assert_false(glob("[a-c]", "D", true));
    assert_true(text_glob("a\0*", 3, "a\0b", 3, false));
}

static void glob_is_never_slow(void **state)
{
    (void)state;
    char pattern[1024], s[8192];
    for (size_t i = 0; i < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 2);
    memset(s, 'a', sizeof(s));
    assert_true(text_glob(pattern, sizeof(pattern), s, sizeof(s), false));
    pattern[sizeof(pattern) - 1] = 'b';
    assert_false(text_glob(pattern, sizeof(pattern), s, sizeof(s), false));
}

static void quoting(void **state)
{
    (void)state;
    char buf[64];
    assert_int_equal(text_quote(buf, sizeof(buf), "a\"\\\n\r\t\0\x7f\xff b", 11), 27);
    assert_string_equal(buf, "\"a\\\"\\\\\\n\\r\\t\\x00\\x7f\\xff b\"");
    assert_int_equal(text_quote(buf, sizeof(buf), "", 0), 2);
    assert_string_equal(buf, "\"\"");
    assert_int_equal(text_quote_if_needed(buf, sizeof(buf), "127.0.0.1:7000", 14), 14);
    assert_string_equal(buf, "127.0.0.1:7000");
    static const char *const quoted[] = { "", "a b", "a=b", "a\"", "\\", "\xc3\xa4", "\n" };
    for (size_t i = 0; i < ARRAY_LEN(quoted); i++) {
        text_quote_if_needed(buf, sizeof(buf), quoted[i], strlen(quoted[i]));
        assert_int_equal(buf[0], '"');
    }
}

static void quoting_is_cut(void **state)
{
    (void)state;
    const char *s = "abc\ndefghijklmnopq\x01rstuvw\"xyz";
    for (size_t cap = 8; cap < 60; cap++) {
        for (size_t len = 0; len <= strlen(s); len++) {
            char *buf = malloc(cap);
            assert_non_null(buf);
            size_t n = text_quote(buf, cap, s, len);
            assert_true(n < cap);
            assert_int_equal(buf[n], '\0');
            assert_int_equal(strlen(buf), n);
            bool cut = n > 5 && strcmp(buf + n - 5, "(...)") == 0;
            char whole[200];
            size_t whole_len = text_quote(whole, sizeof(whole), s, len);
            assert_true(cut == (whole_len >= cap));
            if (!cut)
                assert_string_equal(buf, whole);
            text_quote_if_needed(buf, cap, s, len);
            free(buf);
        }
    }
}

static void nocase(void **state)
{
    (void)state;
    assert_true(text_equal_nocase("GeT", 3, "gEt", 3));
    assert_false(text_equal_nocase("get", 3, "gets", 4));
    assert_false(text_equal_nocase("[", 1, "{", 1)); /* differ by the case bit, are no letters */
    assert_true(text_equal_nocase("", 0, "", 0));
}

static void errors_have_texts(void **state)
{
    (void)state;
    for (int code = ERR_CLOSED_BY_PEER; code >= ERR_LAST; code--) {
        assert_true(strlen(error_name(code)) > 0);
        assert_true(strlen(error_text(code)) > 0);
        for (int other = ERR_CLOSED_BY_PEER; other > code; other--)
            assert_string_not_equal(error_name(code), error_name(other));
    }
    assert_string_equal(error_name(ERR_LIMIT), "limit");
    assert_string_equal(error_name(0), "none");
    static const int unknown[] = { 1, -1, -104, -4095, ERR_CLOSED_BY_PEER + 1, ERR_LAST - 1 };
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        assert_string_equal(error_name(unknown[i]), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),   cmocka_unit_test(sizes),
        cmocka_unit_test(durations), cmocka_unit_test(formatting),
        cmocka_unit_test(globs),     cmocka_unit_test(glob_is_never_slow),
        cmocka_unit_test(quoting),   cmocka_unit_test(quoting_is_cut),
        cmocka_unit_test(nocase),    cmocka_unit_test(errors_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
