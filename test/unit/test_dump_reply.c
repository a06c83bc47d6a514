/* A reply to DUMP in any pieces: the same facts whole, at every split, and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/dump_reply.h"

struct told {
    char value[64];
    size_t len;
    unsigned types, ends, absent, bad;
    uint8_t type;
    uint16_t stamp;
    uint64_t size;
};

static void feed(struct dump_reply *d, struct told *t, const char *at, size_t len)
{
    while (len > 0 && t->bad == 0) {
        struct span value = { NULL, 0 };
        size_t used;
        enum dump_fact fact = dump_reply_read(d, (struct span){ at, len }, &used, &value);
        assert_true(used <= len);
        assert_true(used > 0 || fact != DUMP_MORE);
        memcpy(t->value + t->len, value.at != NULL ? value.at : "", value.len);
        t->len += value.len;
        t->types += fact == DUMP_TYPE;
        t->ends += fact == DUMP_END;
        t->absent += fact == DUMP_ABSENT;
        t->bad += fact == DUMP_BAD;
        at += used;
        len -= used;
    }
    t->type = d->type;
    t->stamp = d->stamp;
    t->size = d->size;
}

/* In three pieces, of which some may be empty. */
static struct told read_split(const char *reply, size_t len, size_t a, size_t b)
{
    struct dump_reply d = { 0 };
    struct told t = { .len = 0 };
    feed(&d, &t, reply, a);
    feed(&d, &t, reply + a, b - a);
    feed(&d, &t, reply + b, len - b);
    return t;
}

static struct told read_bytewise(const char *reply, size_t len)
{
    struct dump_reply d = { 0 };
    struct told t = { .len = 0 };
    for (size_t i = 0; i < len; i++)
        feed(&d, &t, reply + i, 1);
    return t;
}

static void expect_told(struct told t, const char *value)
{
    assert_int_equal(t.bad, 0);
    assert_int_equal(t.types, 1);
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.type, 4);
    assert_int_equal(t.stamp, 0x0b0a);
    assert_int_equal(t.size, strlen(value));
    assert_int_equal(t.len, strlen(value));
    assert_memory_equal(t.value, value, t.len);
}

static void test_value(void **state)
{
    static const char reply[] = "$16\r\n\x04hello\x0a\x0b"
                                "checksum\r\n";
    static const char none[] = "$11\r\n\x04\x0a\x0b"
                               "checksum\r\n";
    size_t len = sizeof(reply) - 1;
    (void)state;
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++)
            expect_told(read_split(reply, len, a, b), "hello");
    expect_told(read_bytewise(reply, len), "hello");
    expect_told(read_bytewise(none, sizeof(none) - 1), "");
}

static void test_absent(void **state)
{
    static const char *const replies[] = { "$-1\r\n", "_\r\n" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct told t = read_bytewise(replies[i], strlen(replies[i]));
        assert_int_equal(t.absent, 1);
        assert_int_equal(t.types + t.bad, 0);
    }
}

static void test_bad(void **state)
{
    static const char *const replies[] = {
        "-ERR no\r\n",
        "$10\r\n",
        "$x\r\n",
        "$\r\n",
        "+OK\r\n",
        ":11\r\n",
        "$99999999999999999999999999999999\r\n",
        "$11\r\n\x04\x0a\x0b"
        "checksum\rx",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct told t = read_bytewise(replies[i], strlen(replies[i]));
        assert_int_equal(t.bad, 1);
        assert_int_equal(t.ends, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
