#include "cluster/slot_tag.h"

#include <stdlib.h>

#include "base/check.h"
#include "cluster/keyslot.h"

struct slot_tags {
    char tag[SLOT_COUNT][SLOT_TAG_LEN + 1];
};

static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* The n-th text of three letters. */
static void nth(uint32_t n, char out[SLOT_TAG_LEN + 1])
{
    const uint32_t base = sizeof(letters) - 1;
    for (int i = 0; i < SLOT_TAG_LEN; i++, n /= base)
        out[i] = letters[n % base];
    out[SLOT_TAG_LEN] = '\0';
}

struct slot_tags *slot_tags_new(void)
{
    struct slot_tags *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    uint32_t found = 0;
    for (uint32_t n = 0; found < SLOT_COUNT; n++) {
        REQUIRE(n < 62 * 62 * 62);
        char tag[SLOT_TAG_LEN + 1];
        nth(n, tag);
        char *place = t->tag[keyslot_of((struct span){ tag, SLOT_TAG_LEN })];
        if (*place != '\0')
            continue;
        memcpy(place, tag, sizeof(tag));
        found++;
    }
    return t;
}

void slot_tags_free(struct slot_tags *t)
{
    free(t);
}

const char *slot_tag(const struct slot_tags *t, uint16_t slot)
{
    REQUIRE(slot < SLOT_COUNT);
    return t->tag[slot];
}
