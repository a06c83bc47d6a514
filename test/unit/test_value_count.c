/* Which command counts the elements of a dumped value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "proxy/value_count.h"

/* The first bytes of DUMP as Redis 7.0 and its forerunners write them, and some of no type of data.
 */
static void test_types(void **state)
{
    static const struct {
        unsigned char type;
        const char *command;
    } types[] = {
        { 0, "strlen" }, { 18, "llen" }, { 14, "llen" },  { 2, "scard" }, { 11, "scard" },
        { 20, "scard" }, { 5, "zcard" }, { 17, "zcard" }, { 4, "hlen" },  { 16, "hlen" },
        { 19, "xlen" },  { 7, "" },      { 6, "" },       { 255, "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct span got = value_count_command((char)types[i].type);
        if (got.len != strlen(types[i].command) ||
            (got.len > 0 && memcmp(got.at, types[i].command, got.len) != 0))
            fail_msg("type %d", types[i].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
