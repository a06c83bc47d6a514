/*
 * plan.h: --dry-run: asks source and target whether `sync` or `scan` would work, changes nothing,
 * and prints what it found and what would be done.
 */
#ifndef MIGRATE_PLAN_H
#define MIGRATE_PLAN_H

#include "migrate/config.h"

/* Gives the exit code: 1 if something will not work. */
int plan_run(const struct config *config);

#endif
