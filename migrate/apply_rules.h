/* apply_rules.h: what becomes of each command of a replication stream. Private to apply.c. */
#ifndef MIGRATE_APPLY_RULES_H
#define MIGRATE_APPLY_RULES_H

#include "migrate/apply.h"

/* Sends, drops, or tells that it cannot be applied. */
void apply_rules_take(struct apply *a, const struct argv *argv);
/* Whether there is a rule for commands of that name; all others go by the command table. */
bool apply_rules_know(struct span name);
/* Whether it moves something between keys in different slots, and goes to the target as it is. */
bool apply_rules_cross(const struct apply *a, const struct argv *argv);

#endif
