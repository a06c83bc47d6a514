/*
 * mend.h: finds out how far each slot of the target has come, after something broke or a restart.
 *
 *   FENCE (fence.h) -> MARKERS (a GET of each slot's marker) -> done
 *     ^                    |
 *     +---- PAUSE <--------+-- whatever fails begins again: a cluster may take its time
 *
 * What was sent before is not executed any more once the fence stands, so what the markers say
 * then stays true.
 */
#ifndef MIGRATE_MEND_H
#define MIGRATE_MEND_H

#include "migrate/fence.h"
#include "migrate/lane.h"

/* skip: for each slot the offset in its marker; 0: none of this history. Lent. */
typedef void mend_done(void *context, const uint64_t *skip);

struct marker_reply;

struct mend {
    struct target *target;
    struct fence fence;
    const char *marker, *history; /* as in lane.h */
    mend_done *done;
    void *context;
    uint64_t *skip;
    struct marker_reply *replies; /* one for each slot, while MARKERS */
    uv_timer_t timer;
    uint32_t awaited, tries;
    bool running, failed, closing;
};

/* Borrows all. history: the first 8 letters count. */
void mend_open(struct mend *m, struct net *net, struct target *target, const char *marker,
               const char *history);
/* Everything under way at the target is dropped. done comes later, once. */
void mend_start(struct mend *m, mend_done *done, void *context);
void mend_close(struct mend *m);
/* When the loop has run empty. */
void mend_free(struct mend *m);

#endif
