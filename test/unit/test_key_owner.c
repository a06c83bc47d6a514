/* key_owner.h: known values of the hashes, Codis's formula, wrong texts. What Twemproxy itself does
   is held against it in test/integration/test_key_owner.c. */
#include "migrate/key_owner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "migrate/key_hash.h"
#include "migrate/md5.h"

static void expect_md5(const char *text, const char *want)
{
    uint32_t digest[MD5_WORDS];
    char got[33];
    md5_of((struct span){ text, strlen(text) }, digest);
    for (int i = 0; i < 16; i++)
        snprintf(got + (size_t)2 * (size_t)i, 3, "%02x", digest[i / 4] >> (8 * (i % 4)) & 0xff);
    assert_string_equal(got, want);
}

static void test_md5(void **state)
{
    (void)state;
    expect_md5("", "d41d8cd98f00b204e9800998ecf8427e");
    expect_md5("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    expect_md5("1234567890123456789012345678901234567890123456789012345678901234567890123456789"
               "0",
               "57edf4a22be3c955ac49da2e2107b67a");
    expect_md5("12345678901234567890123456789012345678901234567890123456",
               "49f193adce178490e34d1b3a4ec0064c");
}

static void test_hashes(void **state)
{
    static const struct {
        const char *name;
        uint32_t value; /* of "123456789", by the definition */
    } rows[] = {
        { "crc32a", 0xcbf43926 },
        { "crc32", 0xcbf43926 >> 16 & 0x7fff },
        { "fnv1a_32", 0xbb86b11c },
        { "fnv1_32", 0x24148816 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(key_hash_find(rows[i].name)(SPAN("123456789")), rows[i].value);
    assert_int_equal(key_hash_find("crc16")(SPAN("123456789")) & 0xffff, 0x31c3);
    assert_null(key_hash_find("sha1"));
}

/* Codis: the CRC-32 of the key, or of what stands in its first braces, modulo 1024. */
static void test_codis(void **state)
{
    static const struct {
        const char *key, *hashed;
    } rows[] = {
        { "a", "a" },    { "{a}b", "a" },    { "b{a}c{d}", "a" },
        { "{a", "{a" },  { "a}b{", "a}b{" }, { "{}x", "" },
        { "}{a}", "a" }, { "{{a}}", "{a" },  { "user:1000", "user:1000" },
    };
    char text[64], err[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t slot =
            key_hash_crc32((struct span){ rows[i].hashed, strlen(rows[i].hashed) }) % 1024;
        struct span key = { rows[i].key, strlen(rows[i].key) };
        snprintf(text, sizeof(text), "codis:slots=%u-%u", slot, slot);
        struct key_owner *o = key_owner_new(text, err, sizeof(err));
        assert_non_null(o);
        assert_true(key_owner_is_me(o, key));
        key_owner_free(o);
        snprintf(text, sizeof(text), "codis:slots=%u|%u-1023", (slot + 1) % 1024,
                 slot < 1023 ? slot + 1 : 1023);
        o = key_owner_new(text, err, sizeof(err));
        assert_non_null(o);
        assert_int_equal(key_owner_is_me(o, key), slot == 1023);
        key_owner_free(o);
    }
}

static void test_random(void **state)
{
    char err[200];
    (void)state;
    struct key_owner *o =
        key_owner_new("twemproxy:distribution=random,servers=a:1:1|b:1:1,me=b:1", err, sizeof(err));
    assert_non_null(o);
    assert_true(key_owner_is_me(o, SPAN("x")));
    assert_int_equal(key_owner_server(o, SPAN("x")), -1);
    key_owner_free(o);
}

static void test_wrong(void **state)
{
    static const char *const texts[] = {
        "",
        "codis",
        "codis:",
        "codis:slots=1024",
        "codis:slots=5-4",
        "codis:slots=a",
        "codis:slots=1-",
        "twemproxy:",
        "twemproxy:servers=a:1:1",
        "twemproxy:me=a:1",
        "twemproxy:servers=a:1,me=a:1",
        "twemproxy:servers=a:1:0,me=a:1",
        "twemproxy:servers=a:x:1,me=a:1",
        "twemproxy:servers=a:1:1,me=b",
        "twemproxy:hash=sha1,servers=a:1:1,me=a:1",
        "twemproxy:distribution=ring,servers=a:1:1,me=a:1",
        "twemproxy:hash_tag={,servers=a:1:1,me=a:1",
        "twemproxy:port=1,servers=a:1:1,me=a:1",
        "twemproxy:nothing,servers=a:1:1,me=a:1",
        "other:slots=1",
    };
    char err[200];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        err[0] = '\0';
        if (key_owner_new(texts[i], err, sizeof(err)) != NULL)
            fail_msg("%s is taken", texts[i]);
        assert_true(err[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md5),    cmocka_unit_test(test_hashes), cmocka_unit_test(test_codis),
        cmocka_unit_test(test_random), cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
