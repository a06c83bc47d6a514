/*
 * dirty.h: the keys that could not be brought over exactly, in a file: the repair set.
 *
 * A line for each: the key as text_quote writes it, a blank, why. That is also what verify writes
 * to its --diff-file, so one can be fed to the other. Each key stands in it once, as far as a
 * bounded table of fingerprints can tell. The file outlives the program; a set that is empty has
 * none.
 *
 * What cannot be written (a full disk) waits in memory, is tried again by dirty_sync, and said so
 * once. Past DIRTY_WAITING_MAX it is only counted. Whoever puts down how far the stream has been
 * applied calls dirty_sync before, and does not if that fails.
 *
 * A pass takes every key out, one after the other; what is added meanwhile, and what the user adds
 * back, is the set behind the pass. If the program dies in a pass, nothing of it is forgotten.
 */
#ifndef MIGRATE_DIRTY_H
#define MIGRATE_DIRTY_H

#include <stdio.h>

#include "base/check.h"
#include "resp/writer.h"

enum {
    DIRTY_SEEN_MAX = 1 << 20,
    DIRTY_PATH_MAX = 1024,
    DIRTY_WAITING_MAX = 4 * 1024 * 1024, /* bytes of lines */
};

struct dirty {
    char path[DIRTY_PATH_MAX];
    int file;       /* gets what is added; -1: nothing yet */
    FILE *pass;     /* what is taken out now; NULL: no pass */
    uint64_t count; /* keys in `file` */
    uint64_t left;  /* keys in `pass` that have not been taken */
    uint64_t *seen; /* fingerprints of keys in `file`; 0: free */
    uint32_t seen_count, seen_room;
    uint64_t unlisted;     /* failures without a key that could be repaired */
    struct writer waiting; /* lines that are not in the file yet */
    bool unsynced;         /* the file may not be on the disk */
    bool broken;           /* it cannot be written; told once */
};

/* keep: takes up what an earlier program has left; else that is thrown away. */
void dirty_open(struct dirty *d, const char *path, bool keep);
void dirty_close(struct dirty *d);
/* The set is empty, and all that was put down is thrown away. */
void dirty_forget(struct dirty *d);
void dirty_add(struct dirty *d, struct span key, const char *why);
/* All of it is in the file, and on the disk. 0 or an errno. */
MUST_USE int dirty_sync(struct dirty *d);
/* Adds the keys of another file. Gives how many lines it has, or minus an errno. */
MUST_USE long dirty_load(struct dirty *d, const char *path);

/* A pass over all keys. 0 or an errno. */
MUST_USE int dirty_begin(struct dirty *d);
/* Takes one out. False: there is none left; dirty_end closes the pass. */
bool dirty_take(struct dirty *d, struct writer *key);
/* Ends a pass early: what has not been taken stays in the set. */
void dirty_end(struct dirty *d);

/* Prints up to so many keys and why. */
void dirty_print(struct dirty *d, unsigned most, void (*line)(void *context, const char *text),
                 void *context);

static inline uint64_t dirty_count(const struct dirty *d)
{
    return d->count + d->left;
}

#endif
