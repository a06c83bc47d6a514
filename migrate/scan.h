/* scan.h: the command `scan`: the keys of a source that lets nobody replicate, by SCAN and DUMP. */
#ifndef MIGRATE_SCAN_H
#define MIGRATE_SCAN_H

#include "migrate/config.h"

/* Gives the exit code. */
int scan_run(const struct config *config);

#endif
