/*
 * expiry_table.h: keys and the moments at which they shall expire: what deferred expiry (expiry.h)
 * has to remember of all keys that it has given more time.
 *
 * 16 bytes for each key in a hash table, by a hash of 64 bits, and the key itself in a file. The
 * table, too, lies in a mapped file: where memory is scarce the system can write it out. Neither
 * file has a name. A key that is forgotten keeps its place, so each key is written once.
 */
#ifndef MIGRATE_EXPIRY_TABLE_H
#define MIGRATE_EXPIRY_TABLE_H

#include "base/check.h"
#include "resp/writer.h"

struct expiry_entry {
    uint64_t hash; /* 0: free */
    int64_t at;    /* ms since 1970; 0: forgotten */
};

struct expiry_table {
    const char *folder; /* borrowed */
    uint64_t seed;
    struct expiry_entry *entries; /* NULL while there are none */
    uint64_t room, used;          /* places, a power of two; those that are not free */
    uint64_t held;                /* those that are not forgotten */
    int keys;                     /* file of the keys; -1: none */
    uint64_t written, taken;      /* bytes of it: all, and those that the walk has read */
    struct writer unwritten;      /* keys on their way into the file */
    struct writer chunk;          /* keys out of the file */
    size_t chunk_at;
};

void expiry_table_open(struct expiry_table *t, const char *folder);
/* Forgets everything; may be called twice, and the table be used again. */
void expiry_table_clear(struct expiry_table *t);
/* at: not 0. Gives 0 or an errno; then the key is not held. */
MUST_USE int expiry_table_put(struct expiry_table *t, struct span key, int64_t at);
/* 0: it is not held. */
int64_t expiry_table_get(const struct expiry_table *t, struct span key);
void expiry_table_forget(struct expiry_table *t, struct span key);
/* The walk over all keys ever put, also those forgotten meanwhile. The key is lent until the next
   call. 1, 0 at the end, or minus an errno. */
MUST_USE int expiry_table_next(struct expiry_table *t, struct span *key);
void expiry_table_rewind(struct expiry_table *t);

#endif
