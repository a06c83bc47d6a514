/*
 * spool.h: what a source has sent and the target has not taken yet: a queue of bytes on disk.
 *
 * A source drops a replica that reads too slowly, so its bytes must go somewhere while the target
 * is busy. The files have no name any more once they are open: nothing is left behind, whatever
 * ends the program. They are read back through the page cache, so a target that keeps up costs no
 * disk read; writes wait for the disk only when the cache is full.
 */
#ifndef MIGRATE_SPOOL_H
#define MIGRATE_SPOOL_H

#include "base/check.h"
#include "base/list.h"
#include "resp/span.h"

enum { SPOOL_SEGMENT = 32 * 1024 * 1024 };

struct spool {
    const char *folder; /* borrowed */
    uint64_t max;       /* bytes; past it spool_is_full is true */
    uint64_t used;      /* written and not read yet */
    uint64_t peak;
    struct list_node segments;
};

void spool_open(struct spool *s, const char *folder, uint64_t max);
void spool_close(struct spool *s);
/* 0 or an errno. */
MUST_USE int spool_write(struct spool *s, struct span bytes);
/* Takes up to `room` bytes from the front; gives how many, or minus an errno. */
MUST_USE long spool_read(struct spool *s, char *to, size_t room);

static inline bool spool_is_full(const struct spool *s)
{
    return s->used >= s->max;
}

#endif
