/*
 * target_databases.h: the databases of a target that has several.
 */
#ifndef MIGRATE_TARGET_DATABASES_H
#define MIGRATE_TARGET_DATABASES_H

#include "migrate/target.h"

/* What is sent from now on is about keys of that database, over connections of its own, so it has
   no order with what is sent to others. To be set back to 0 behind it. */
void target_use(struct target *t, uint16_t database);

/* For target.c. Each master executes a transaction that selects the database and 0 again, just as
   commands of the stream do. False: not now, or never; target_probe_again or target_fail comes. */
bool target_has_databases(struct target *t);

/* Of target.c. */
void target_fail(struct target *t, const char *why);
void target_probe_again(struct target *t);
const char *target_shard_tag(const struct target *t, uint32_t shard);

#endif
