/* Each slot has a tag, and a key with that tag lies in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "cluster/keyslot.h"
#include "cluster/slot_tag.h"

static void test_every_slot(void **state)
{
    struct slot_tags *tags = slot_tags_new();
    (void)state;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        char key[32];
        const char *tag = slot_tag(tags, (uint16_t)slot);
        assert_in_range(strlen(tag), 1, SLOT_TAG_LEN);
        assert_null(strpbrk(tag, "{}"));
        int n = snprintf(key, sizeof(key), "{%s}behind{it}", tag);
        assert_int_equal(keyslot_of((struct span){ key, (size_t)n }), slot);
    }
    slot_tags_free(tags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
