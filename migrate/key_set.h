/*
 * key_set.h: which keys a full copy has: 8 bytes for each in a table half full at most, by a hash
 * of 64 bits. Of two sets of a hundred million keys it takes a key for another one in one of two
 * thousand runs; it then says that a key is there which is not.
 *
 * The table lies in a mapped file without a name, and its pages are given back again and again, so
 * that the process stays small however many keys there are.
 */
#ifndef MIGRATE_KEY_SET_H
#define MIGRATE_KEY_SET_H

#include <stdbool.h>

#include "base/check.h"
#include "resp/span.h"

struct key_set {
    const char *folder; /* borrowed */
    uint64_t seed;
    uint64_t *prints; /* 0: free; NULL while there are none */
    uint64_t room, used;
    uint32_t touched; /* since its pages were given back */
};

void key_set_open(struct key_set *s, const char *folder);
/* Forgets everything; may be called twice, and the set be used again. */
void key_set_clear(struct key_set *s);
/* 0 or an errno. */
MUST_USE int key_set_add(struct key_set *s, struct span key);
bool key_set_has(struct key_set *s, struct span key);

#endif
