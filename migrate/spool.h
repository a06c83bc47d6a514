/*
 * spool.h: what a source has sent: a queue of bytes on disk, of which a part can be read again.
 *
 * A source drops a replica that reads too slowly, so its bytes must go somewhere while the target
 * is busy. Bytes are named by their position, counted from the first one ever written. Three
 * positions move on: `begin` (what lies before has been released), `at` (what is read next; may go
 * back as far as begin) and `end`.
 *
 * Without a name to keep them by, the files have none any more once they are open: nothing is left
 * behind, whatever ends the program. With one they stay, so that a later program can go on. They
 * are read back through the page cache, so a target that keeps up costs no disk read; writes wait
 * for the disk only when the cache is full.
 */
#ifndef MIGRATE_SPOOL_H
#define MIGRATE_SPOOL_H

#include "base/check.h"
#include "base/list.h"
#include "resp/span.h"

enum { SPOOL_SEGMENT = 32 * 1024 * 1024 };

struct spool {
    const char *folder; /* borrowed */
    bool named;         /* the files are FOLDER/spool.NUMBER */
    uint64_t max;       /* unread bytes; past it spool_is_full is true */
    uint64_t begin, at, end;
    uint64_t peak;   /* of unread bytes */
    int64_t written; /* ms since 1970: when an earlier program wrote the last byte; 0: none did */
    struct list_node segments;
};

void spool_open(struct spool *s, const char *folder, bool named, uint64_t max);
/* Takes up the named files of an earlier program, from begin on. end: what is there, at most this;
   there may be less. Files behind it are removed. 0 or an errno; afterwards spool_close may be
   called in any case. */
MUST_USE int spool_reopen(struct spool *s, uint64_t begin, uint64_t end);
/* Named files stay. */
void spool_close(struct spool *s);
/* Removes every named file of that folder. */
void spool_remove_all(const char *folder);
/* 0 or an errno. */
MUST_USE int spool_write(struct spool *s, struct span bytes);
/* What has been written from that position on is on the disk afterwards. 0 or an errno. */
MUST_USE int spool_sync(struct spool *s, uint64_t from);
/* Reads up to `room` bytes at `at`; gives how many, or minus an errno. */
MUST_USE long spool_read(struct spool *s, char *to, size_t room);
/* What lies before is not read again. */
void spool_release(struct spool *s, uint64_t position);
/* Between begin and end. */
void spool_seek(struct spool *s, uint64_t position);

static inline uint64_t spool_unread(const struct spool *s)
{
    return s->end - s->at;
}

static inline bool spool_is_full(const struct spool *s)
{
    return spool_unread(s) >= s->max;
}

#endif
