/*
 * sync_masters.h: which masters the target's slots have, and what one that gave way to a replica
 * may have lost. Private to sync*.c.
 *
 * A replica that takes over may lack what its master has answered. In the stream all of the last
 * minute is sent again. In the full copy nobody knows which keys are gone; so all of it is brought
 * over once more, out of the spool, before the stream begins.
 */
#ifndef MIGRATE_SYNC_MASTERS_H
#define MIGRATE_SYNC_MASTERS_H

#include "migrate/sync_private.h"

/* A fingerprint of the slot's master; 0: it has none. */
uint32_t sync_master_of(const struct sync *s, uint32_t slot);
/* One of all of them. */
uint64_t sync_masters_print(const struct sync *s);
/* From now on these are the ones that are known. */
void sync_look_at_masters(struct sync *s);
/* Whether what the slot has answered since then may be gone. */
bool sync_may_have_lost(const struct sync *s, uint32_t slot);

/* In each turn until all of the copy is at the target. */
void sync_copy_watch(struct sync *s);
/* The fence stands, and the copy is over: it is brought again, or settled. */
void sync_copy_mended(struct sync *s);

#endif
