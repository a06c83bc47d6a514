/*
 * sweep.h: removes from the target what belongs to this source, but is in no full copy of it any
 * more.
 *
 *   SCAN of each shard -> keys that are ours and not in the set -> UNLINK
 *
 * To be called between a full copy and the stream behind it: then everything that the source has is
 * in the set. Whether a key is ours is told by its name alone: filters, owner and databases. Keys
 * of this program itself are nobody's. When the slots change hands, or a connection was lost, it
 * begins anew; what it does may be done twice.
 */
#ifndef MIGRATE_SWEEP_H
#define MIGRATE_SWEEP_H

#include "migrate/copy.h"
#include "migrate/scan_reply.h"

enum sweep_result { SWEEP_BAD = -1, SWEEP_MORE, SWEEP_DONE };

struct sweep {
    const struct copy_options *options;
    struct target *target;
    struct key_set *keys;
    uint64_t looked_at, removed;
    char error[TARGET_ERROR_SHOWN]; /* why it is bad */
    /* Private from here on. */
    char cursor[SCAN_CURSOR_MAX];
    struct writer scanned; /* the reply to SCAN */
    uint32_t shard, epoch, pending;
    bool scanning, ready, over, one;
    uint64_t db; /* with one */
};

/* Borrows all. */
void sweep_open(struct sweep *s, const struct copy_options *options, struct target *target,
                struct key_set *keys);
/* Of the names that --db prefix gives only those of that database; before sweep_begin. */
void sweep_only(struct sweep *s, uint64_t db);
/* From the beginning; also when the target has dropped everything under way. */
void sweep_begin(struct sweep *s);
/* In each turn; never inside an answer. */
enum sweep_result sweep_step(struct sweep *s);
/* The target is closed before. */
void sweep_close(struct sweep *s);

/* Whether a key of the target is of this source, whatever it has now. */
bool sweep_is_ours(const struct copy_options *options, struct span key);

#endif
