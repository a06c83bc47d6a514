/*
 * slot_tag.h: a short hash tag for each slot.
 *
 * A key "{tag}..." with such a tag lies in that slot. Whoever has to put something into a given
 * slot (a temporary copy of a key beside another key) names it so. Pure; found by trying.
 */
#ifndef CLUSTER_SLOT_TAG_H
#define CLUSTER_SLOT_TAG_H

#include <stdint.h>

enum { SLOT_TAG_LEN = 3 };

struct slot_tags;

/* Takes a few milliseconds; 64 KiB. */
struct slot_tags *slot_tags_new(void);
void slot_tags_free(struct slot_tags *t);
/* NUL-terminated, at most SLOT_TAG_LEN letters and digits. */
const char *slot_tag(const struct slot_tags *t, uint16_t slot);

#endif
