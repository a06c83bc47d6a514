/*
 * build.h: one key under construction at the target.
 *
 *   BUILDING (commands on a temporary key) --the value's end, all answered--> DATING (its time to
 *   live) -> RENAMING -> gone;  a step fails --> REMOVING (the temporary key) -> gone, told,
 * counted
 *
 * The temporary key carries the slot's tag, so that RENAME stays within the slot, and a time to
 * live from its first command on, so that a crash leaves nothing for ever.
 */
#ifndef MIGRATE_BUILD_H
#define MIGRATE_BUILD_H

#include "migrate/copy.h"

enum { BUILD_TEMPORARY_MS = 24 * 60 * 60 * 1000 };

struct build;

/* Joins copy->builds. expire_at: as in the reader. */
struct build *build_new(struct copy *c, const struct rdb_type *type, struct span key,
                        int64_t expire_at);
/* Instead of the copy's counters and its repair set, fn hears how it ends, once: NULL, or why it
   failed. */
void build_watch(struct build *b, void (*fn)(void *context, const char *error), void *context);
void build_take(struct build *b, struct span bytes);
/* The value is whole. b ends by itself from now on. */
void build_end(struct build *b);
/* Takes the next step if the last one is answered. May free b. */
void build_progress(struct build *b);
void build_free(struct build *b);

#endif
