/*
 * key_set.h: which keys a full copy has, by a hash of 64 bits. Of two sets of a hundred million
 * keys it takes a key for another one in one of two thousand runs; it then says that a key is there
 * which is not.
 *
 * First all are added, then they are sorted, then one may ask. The hashes are appended to a file
 * without a name, 8 bytes each, and sorted in a mapped one, whose pages are given back now and
 * then; so the process stays small however many keys there are, and nothing is written at random.
 */
#ifndef MIGRATE_KEY_SET_H
#define MIGRATE_KEY_SET_H

#include <stdbool.h>

#include "base/check.h"
#include "resp/writer.h"

enum { KEY_SET_PARTS = 256 };

struct key_set {
    const char *folder; /* borrowed */
    uint64_t seed;
    int file;                           /* -1: none */
    uint64_t count;                     /* hashes; one for each key_set_add */
    struct writer unwritten;            /* on their way into the file */
    uint64_t *prints;                   /* sorted, or about to be; NULL: not yet */
    uint64_t begins[KEY_SET_PARTS + 1]; /* of each part; by the first byte of the hash */
    uint32_t sorted;                    /* parts */
    uint32_t touched;                   /* pages, since they were given back */
};

void key_set_open(struct key_set *s, const char *folder);
/* Forgets everything; may be called twice, and the set be used again. */
void key_set_clear(struct key_set *s);
/* 0 or an errno. */
MUST_USE int key_set_add(struct key_set *s, struct span key);
/* A part of the work, some ten milliseconds for a hundred million keys; behind it nothing can be
   added. 1: there is more, 0: done, or minus an errno. */
MUST_USE int key_set_sort(struct key_set *s);
/* An empty set need not be sorted. */
bool key_set_has(struct key_set *s, struct span key);

#endif
