/* restore.h: the command `restore`: an RDB file into the target. */
#ifndef MIGRATE_RESTORE_H
#define MIGRATE_RESTORE_H

#include "migrate/config.h"

/* Gives the exit code. */
int restore_run(const struct config *config);

#endif
