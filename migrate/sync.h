/* sync.h: the command `sync`: a full copy of a source, then its stream, until told to stop. */
#ifndef MIGRATE_SYNC_H
#define MIGRATE_SYNC_H

#include "migrate/config.h"

/* Gives the exit code. */
int sync_run(const struct config *config);

#endif
