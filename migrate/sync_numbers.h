/*
 * sync_numbers.h: what a running sync tells of itself: the same numbers for `status` and for
 * Prometheus. Private to sync*.c.
 */
#ifndef MIGRATE_SYNC_NUMBERS_H
#define MIGRATE_SYNC_NUMBERS_H

#include "migrate/admin.h"
#include "migrate/sync_private.h"

/* One word. */
const char *sync_phase_text(const struct sync *s);
/* A line for each. */
void sync_numbers_say(const struct sync *s, struct admin_client *client);
/* Prometheus's text format 0.0.4; context: the sync. */
void sync_numbers_write(void *context, struct writer *out);

#endif
