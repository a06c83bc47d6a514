/*
 * sync_keep.h: what a sync keeps for a later start, and the way back after something broke. Private
 * to sync*.c.
 */
#ifndef MIGRATE_SYNC_KEEP_H
#define MIGRATE_SYNC_KEEP_H

#include "migrate/sync_private.h"

/* False: it cannot begin, the reason is logged. */
bool sync_keep_open(struct sync *s);
void sync_keep_close(struct sync *s);
void sync_keep_free(struct sync *s);
/* The target is ready. */
void sync_claim(struct sync *s);
/* A connection was lost, or a command's fate is unknown. */
void sync_mend(struct sync *s);
/* In each turn of LIVE. */
void sync_watch(struct sync *s);
/* The payload is whole; or all of it is at the target. Saves that. */
void sync_payload_whole(struct sync *s);
bool sync_payload_copied(struct sync *s);
/* Brings the state to the disk, if there is something to go on with. False: it gave up. */
bool sync_save(struct sync *s);
/* Only the state, if there is a directory for it. False: it gave up. */
bool sync_put_down(struct sync *s);
/* How much of the payload an earlier run has brought to these masters. */
uint64_t sync_copied_before(const struct sync *s);
void sync_border(void *context);
/* All has been applied; closes when our keys at the target are in order. */
void sync_clean(struct sync *s);
/* As on_peer in target.h. */
void sync_peer(struct sync *s);
/* Gives back what the spool holds for nothing. */
void sync_release(struct sync *s);
/* Where in the spool the byte behind that offset lies. */
uint64_t sync_position(const struct sync *s, uint64_t offset);

#endif
