/*
 * expiry_table.h: keys and the moments at which they shall expire: what deferred expiry (expiry.h)
 * has to remember of all keys that it has given more time.
 *
 * 16 bytes for each key in a hash table, by a hash of 64 bits, and a log on disk of all that was
 * put and forgotten, with the key itself and the point of the stream where that was. The table,
 * too, lies in a mapped file: where memory is scarce the system can write it out. A key that is
 * forgotten keeps its place.
 *
 * From the log the table can be made again as it was at any point. So whoever goes back in the
 * stream, or takes up a log that has a name after another program, finds the very times of that
 * point; what lies behind it is cut off, since it comes once more. The points therefore never
 * decrease in the log.
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
    char *path;         /* of the log; NULL: it has no name, and ends with the program */
    uint64_t point;     /* what comes now belongs to this one; the user's */
    uint64_t seed;
    struct expiry_entry *entries; /* NULL while there are none */
    uint64_t room, used;          /* places, a power of two; those that are not free */
    uint64_t held;                /* those that are not forgotten */
    int log;                      /* file; -1: none */
    uint64_t written, taken;      /* bytes of it: all, and those that the walk has read */
    struct writer unwritten;      /* on its way into the file */
    struct writer chunk;          /* out of the file */
    size_t chunk_at;
    bool dirty; /* some of it may not be on the disk */
    int failed; /* errno: the log lacks something */
};

void expiry_table_open(struct expiry_table *t, const char *folder);
/* Before anything is put: the log is that file, and stays there. */
void expiry_table_keep(struct expiry_table *t, const char *folder, const char *name);
/* Forgets everything, and removes the log; the table may be used again. */
void expiry_table_clear(struct expiry_table *t);
/* The log stays if it has a name. */
void expiry_table_close(struct expiry_table *t);
/* The table as it was at that point; also from the log of an earlier program. 0 or an errno. */
MUST_USE int expiry_table_go_back(struct expiry_table *t, uint64_t point);
/* All of the log is on the disk. 0 or an errno. */
MUST_USE int expiry_table_sync(struct expiry_table *t);
/* at: not 0. Gives 0 or an errno; then the key is not held. */
MUST_USE int expiry_table_put(struct expiry_table *t, struct span key, int64_t at);
/* 0: it is not held. */
int64_t expiry_table_get(const struct expiry_table *t, struct span key);
void expiry_table_forget(struct expiry_table *t, struct span key);
/* Its time has been sent. The log does not say so: whoever goes back sends it again. */
void expiry_table_settle(struct expiry_table *t, struct span key);
/* The walk over the log's keys: each that is held at least once, and others. The key is lent until
   the next call. 1, 0 at the end, or minus an errno. */
MUST_USE int expiry_table_next(struct expiry_table *t, struct span *key);
void expiry_table_rewind(struct expiry_table *t);

#endif
