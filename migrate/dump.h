/* dump.h: the command `dump`: a full copy of the source into an RDB file. */
#ifndef MIGRATE_DUMP_H
#define MIGRATE_DUMP_H

#include "migrate/config.h"

/* Gives the exit code. The file appears under its name only once it is whole and its checksum is
   right; until then it is called FILE.partial. */
int dump_run(const struct config *config);

#endif
