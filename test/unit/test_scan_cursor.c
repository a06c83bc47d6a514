/* The cursor of SCAN: what is packed comes out again, and what does not fit is told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/scan_cursor.h"

static void test_round_trip(void **state)
{
    static const uint32_t shards[] = { 0, 1, 2, 17, 4095 };
    static const uint64_t places[] = { 0, 1, 5, (1u << 26) - 1, 1u << 26, UINT32_MAX };
    static const uint32_t checks[] = { SCAN_CHECK_NONE, 0, 1, UINT32_MAX, 0x12345678 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shards); i++)
        for (size_t j = 0; j < ARRAY_LEN(places); j++)
            for (size_t k = 0; k < ARRAY_LEN(checks); k++) {
                uint64_t number = scan_cursor_pack(shards[i], checks[k], places[j]);
                struct scan_cursor c;
                assert_true(number < UINT64_C(1) << 53);
                if (shards[i] == 0 && places[j] == 0 && checks[k] == 0)
                    continue; /* the one number that stands for something else */
                assert_true(scan_cursor_unpack(number, &c));
                assert_int_equal(c.shard, shards[i]);
                assert_true(c.at == places[j]);
                assert_true(scan_cursor_fits(&c, checks[k]));
                assert_false(scan_cursor_fits(&c, checks[k] ^ 1));
            }
}

static void test_no_cursor_of_ours(void **state)
{
    static const uint64_t numbers[] = {
        0, UINT64_C(1) << 53, UINT64_MAX, UINT64_C(1) << 40 | 5, /* wide without need */
    };
    struct scan_cursor c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_false(scan_cursor_unpack(numbers[i], &c));
    assert_true(scan_cursor_pack(1, 2, UINT64_C(1) << 32) == 0);
    /* The beginning, when it is not the client that begins. */
    assert_true(scan_cursor_pack(0, SCAN_CHECK_NONE, 0) != 0);
}

static void test_check_sees_every_node_and_their_order(void **state)
{
    uint32_t a = scan_check_add(SCAN_CHECK_NONE, 1), b = scan_check_add(SCAN_CHECK_NONE, 2);
    (void)state;
    assert_int_not_equal(a, b);
    assert_int_not_equal(scan_check_add(a, 2), scan_check_add(b, 1));
    assert_int_not_equal(scan_check_add(a, 2), a);
    /* Of many pairs of nodes few look alike in 14 bits. */
    unsigned alike = 0;
    for (uint32_t n = 0; n < 100000; n++) {
        struct scan_cursor c;
        assert_true(scan_cursor_unpack(scan_cursor_pack(1, scan_check_add(a, n), 1), &c));
        alike += scan_cursor_fits(&c, scan_check_add(a, n + 1));
    }
    assert_in_range(alike, 0, 30);
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t number;
    } cases[] = {
        { "0", true, 0 },
        { "9007199254740991", true, 9007199254740991 },
        { "18446744073709551615", true, UINT64_MAX },
        { "007", true, 7 },
        { "-1", true, UINT64_MAX },
        { "", true, 0 },
        { "18446744073709551616", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "x", false, 0 },
        { "1x", false, 0 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t number = 0;
        struct span text = { cases[i].text, strlen(cases[i].text) };
        assert_int_equal(scan_cursor_parse(text, &number), cases[i].ok);
        assert_true(number == cases[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_cursor_of_ours),
        cmocka_unit_test(test_check_sees_every_node_and_their_order),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
