/*
 * verify.h: the command `verify`: whether source and target have the same keys with the same
 * content.
 *
 * Each key of the source is compared with the target's by a digest of its content and by its time
 * to live; then each key of the target is looked for at the source. What differs is looked at again
 * in later rounds, so that only what differs for good is told.
 */
#ifndef MIGRATE_VERIFY_H
#define MIGRATE_VERIFY_H

#include "migrate/config.h"

/* Gives the exit code: 0 when nothing differs. */
int verify_run(const struct config *config);

#endif
