/* The slot of a key: against known values, the plain definition of the CRC, and the tag rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "cluster/keyslot.h"

/* The definition, bit by bit. */
static uint16_t slow_crc(const unsigned char *p, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)p[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000) != 0 ? (crc << 1 ^ 0x1021) & 0xFFFF : crc << 1;
    }
    return (uint16_t)crc;
}

static uint16_t slot(const char *text)
{
    return keyslot_of((struct span){ text, strlen(text) });
}

static void test_check_value(void **state)
{
    (void)state;
    assert_int_equal(keyslot_crc16("123456789", 9), 0x31C3);
    assert_int_equal(keyslot_crc16("", 0), 0);
    assert_int_equal(keyslot_crc16(NULL, 0), 0);
}

static void test_every_length_and_byte(void **state)
{
    (void)state;
    unsigned char bytes[300];
    uint32_t seed = 1;
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (unsigned char)(seed >> 24);
        }
        assert_int_equal(keyslot_crc16((const char *)bytes, len), slow_crc(bytes, len));
    }
    for (unsigned b = 0; b < 256; b++) {
        for (size_t at = 0; at < 8; at++) {
            unsigned char eight[8] = { 0 };
            eight[at] = (unsigned char)b;
            assert_int_equal(keyslot_crc16((const char *)eight, 8), slow_crc(eight, 8));
        }
    }
}

/* Numbers that CLUSTER KEYSLOT of a real server gave. */
static void test_known_slots(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint16_t slot;
    } known[] = {
        { "foo", 12182 },
        { "bar", 5061 },
        { "hello", 866 },
        { "a", 15495 },
        { "ab", 13567 },
        { "abc", 7638 },
        { "abcd", 10294 },
        { "abcde", 16097 },
        { "user:1000", 1649 },
        { "somekey", 11058 },
        { "{user1000}.following", 3443 },
        { "foo{}{bar}", 8363 },
        { "foo{{bar}}zap", 4015 },
        { "foo{bar}{zap}", 5061 },
        { "{", 4092 },
        { "key with space", 15749 },
        { "0123456789abcdef0123456789abcdef", 1829 },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        assert_int_equal(slot(known[i].key), known[i].slot);
}

static void test_tags(void **state)
{
    (void)state;
    assert_int_equal(slot("{user1000}.following"), slot("user1000"));
    assert_int_equal(slot("x{a}y{b}"), slot("a"));
    assert_int_equal(slot("foo{{bar}}zap"), slot("{bar"));
    assert_int_equal(slot("{a}{b}"), slot("a"));
    assert_int_equal(slot("}{a}"), slot("a"));

    /* No tag: the whole key counts. */
    static const char *const whole[] = {
        "{}", "{}x", "foo{}{bar}", "{abc", "abc{", "}{", "a}b", "{"
    };
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        size_t len = strlen(whole[i]);
        assert_int_equal(slot(whole[i]),
                         slow_crc((const unsigned char *)whole[i], len) % SLOT_COUNT);
    }
    assert_int_equal(slot(""), 0);
    assert_int_equal(keyslot_of((struct span){ NULL, 0 }), 0);
}

static void test_any_byte_may_be_in_a_key(void **state)
{
    (void)state;
    struct span zero = SPAN("a\0{b\0c}\xff");
    assert_int_equal(keyslot_of(zero), slow_crc((const unsigned char *)"b\0c", 3) % SLOT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_value),
        cmocka_unit_test(test_every_length_and_byte),
        cmocka_unit_test(test_known_slots),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_any_byte_may_be_in_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
