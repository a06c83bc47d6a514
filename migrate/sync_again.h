/*
 * sync_again.h: a full copy behind an earlier one: what has come so far is dropped, and what the
 * source has no more is swept away. Private to sync*.c.
 */
#ifndef MIGRATE_SYNC_AGAIN_H
#define MIGRATE_SYNC_AGAIN_H

#include "migrate/sync_private.h"

/* As on_again in source.h. */
void sync_again(struct sync *s);
/* Takes up the copy that sync_again has announced; nothing is under way at the target. */
void sync_copy_again(struct sync *s);
/* A full copy begins to be read: whether its keys' names are to be kept. */
void sync_note_keys(struct sync *s);
/* All of the copy is answered. True: nothing has to be swept, or not any more. */
bool sync_is_swept(struct sync *s);
/* In each turn of SWEEPING. */
void sync_sweep(struct sync *s);
void sync_again_free(struct sync *s);

#endif
