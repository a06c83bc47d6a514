/*
 * databases.h: which databases of the source go over, and where to (--db). Pure.
 *
 * A label names a key among those of all databases, in the repair set and where times are held:
 * "dbN:key" for a key of database N, and for one of 0 the key. With `prefix` that is what the
 * target calls it, too; with `map` the target has the key itself in another database.
 */
#ifndef MIGRATE_DATABASES_H
#define MIGRATE_DATABASES_H

#include "migrate/copy.h"

/* text: "only:N", "N", "prefix" or "map:0=0,3=1". NULL, or what is wrong. */
const char *databases_read(struct copy_options *o, const char *text);
/* Whether the source's keys of that database go over. */
bool databases_take(const struct copy_options *o, uint64_t db);
/* The target's database for them. */
uint16_t databases_at_target(const struct copy_options *o, uint64_t db);
/* The source's one of which a sample is taken. */
uint64_t databases_first(const struct copy_options *o);
/* Whether a key of that database has a label that is not what the target calls it. */
bool databases_renames(const struct copy_options *o, uint64_t db);
/* "dbN:KEY", lent by room, an open writer. */
struct span databases_prefixed(uint64_t db, struct span key, struct writer *room);
/* Lent by room, an open writer, or the key itself. */
struct span databases_label(const struct copy_options *o, uint64_t db, struct span key,
                            struct writer *room);
/* The same of a key at the target, and that database there. */
struct span databases_label_of(const struct copy_options *o, uint16_t db, struct span key,
                               struct writer *room);
/* The key at the source and its database there. */
struct span databases_split(const struct copy_options *o, struct span label, uint64_t *db);
/* ... and what the target calls it, in databases_at_target. */
struct span databases_name(const struct copy_options *o, struct span label, uint64_t *db);

void databases_select(struct writer *w, uint64_t db);
/* Appends the command as it has to be within a transaction on a connection with database 0: gives
   how many commands that are, 1 if it can go alone. */
uint32_t databases_write(struct writer *w, uint16_t db, const struct span *words, size_t count);

#endif
