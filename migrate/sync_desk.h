/*
 * sync_desk.h: where the operator meets a running sync: the socket's commands, the progress line,
 * the repair set, the cutover. Private to sync*.c.
 */
#ifndef MIGRATE_SYNC_DESK_H
#define MIGRATE_SYNC_DESK_H

#include "migrate/progress.h"
#include "migrate/sync_private.h"

struct repair;
struct sync_desk;

/* False: it cannot begin, the reason is logged. sync_desk_free must follow in any case. */
bool sync_desk_open(struct sync *s);
/* In each turn, before the stream is applied; and at its end. */
void sync_desk_turn(struct sync *s);
void sync_desk_turn_end(struct sync *s);
/* The stream goes back; calls to the target are lost. */
void sync_desk_mend(struct sync *s);
/* A new full copy brings all keys anew; the stream is closed. */
void sync_desk_again(struct sync *s);
/* For sync_numbers.c; lent. */
const struct progress *sync_desk_progress(const struct sync *s);
const struct repair *sync_desk_repair(const struct sync *s);
/* Nothing of it is under way that the stream has to wait for. */
bool sync_desk_is_idle(const struct sync *s);
void sync_desk_close(struct sync *s);
/* Nothing remains to be repaired. */
bool sync_desk_is_good(const struct sync *s);
void sync_desk_summary(const struct sync *s, FILE *out);
void sync_desk_free(struct sync *s);

#endif
