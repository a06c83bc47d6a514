/*
 * What is expected here was compared by hand with redis-server 7.0.15 (ECHO and EVAL of the same
 * lines). Only a NUL cannot be compared: Redis never finds the end of a line behind one.
 */
#include "resp/inline.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(struct span line, int result, const char *const *args, size_t count)
{
    struct writer out, want;
    writer_init(&out, 2);
    writer_init(&want, 2);
    write_raw(&out, SPAN("before"));
    write_raw(&want, SPAN("before"));
    if (result == INLINE_OK)
        write_request(&want, args, count);
    assert_int_equal(inline_to_request(line, &out), result);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.at, want.at, want.len);
    writer_close(&out);
    writer_close(&want);
}

#define EXPECT(line, ...)                                                                          \
    expect(SPAN(line), INLINE_OK, (const char *const[]){ __VA_ARGS__ },                            \
           ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))
#define EXPECT_RESULT(line, result) expect(SPAN(line), result, NULL, 0)

static void test_plain(void **state)
{
    (void)state;
    EXPECT("PING\r\n", "PING");
    EXPECT("PING\n", "PING");
    EXPECT("PING", "PING");
    EXPECT("  set  k\tv \r\n", "set", "k", "v");
    EXPECT("\v\fget k\r\n", "get", "k");
    /* Vertical tab and form feed stand inside an argument, not between two. */
    EXPECT("get a\vb\r\n", "get", "a\vb");
    EXPECT("a\rb\r\r\n", "a", "b");
}

static void test_quotes(void **state)
{
    (void)state;
    EXPECT("set k \"a b\"\r\n", "set", "k", "a b");
    EXPECT("set k ''\r\n", "set", "k", "");
    EXPECT("set k \"\" x\r\n", "set", "k", "", "x");
    EXPECT("set k 'a \"b\" \\n \\' c'\r\n", "set", "k", "a \"b\" \\n ' c");
    EXPECT("set k \"\\n\\r\\t\\b\\a\\\\\\\"\\q\"\r\n", "set", "k", "\n\r\t\b\a\\\"q");
    EXPECT("set k \"\\x41\\x7a\\xZZ\\x4\"\r\n", "set", "k", "AzxZZx4");
    EXPECT("a\"b c\"\r\n", "ab c");
    EXPECT("\"a\"\vb\r\n", "a", "b");
    EXPECT("a\\n\r\n", "a\\n");
}

static void test_unbalanced(void **state)
{
    (void)state;
    EXPECT_RESULT("get \"a\r\n", INLINE_UNBALANCED);
    EXPECT_RESULT("get 'a\r\n", INLINE_UNBALANCED);
    EXPECT_RESULT("get 'a\\'\r\n", INLINE_UNBALANCED);
    EXPECT_RESULT("get \"a\"b\r\n", INLINE_UNBALANCED);
    EXPECT_RESULT("get 'a'b\r\n", INLINE_UNBALANCED);
    EXPECT_RESULT("get \"a\\", INLINE_UNBALANCED);
    EXPECT_RESULT("get \"a\\x4", INLINE_UNBALANCED);
    EXPECT_RESULT("\"", INLINE_UNBALANCED);
    EXPECT_RESULT("ok \"a\"'b'\r\n", INLINE_UNBALANCED);
}

static void test_empty(void **state)
{
    (void)state;
    EXPECT_RESULT("", INLINE_EMPTY);
    EXPECT_RESULT("\n", INLINE_EMPTY);
    EXPECT_RESULT("\r\n", INLINE_EMPTY);
    EXPECT_RESULT(" \t \v\f\r\n", INLINE_EMPTY);
}

/* To Redis the line is a C string: a NUL ends it. */
static void test_nul(void **state)
{
    (void)state;
    EXPECT("get a\0b c\r\n", "get", "a");
    EXPECT("get \0b\r\n", "get");
    EXPECT_RESULT("\0get k\r\n", INLINE_EMPTY);
    EXPECT_RESULT("get \"a\0b\"\r\n", INLINE_UNBALANCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),      cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_unbalanced), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
