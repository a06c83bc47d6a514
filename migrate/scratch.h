/* scratch.h: files without a name, which end with the program. */
#ifndef MIGRATE_SCRATCH_H
#define MIGRATE_SCRATCH_H

#include <stddef.h>

/* A descriptor to read and write, or -1 with errno. */
int scratch_file(const char *folder);
/* Memory of that size, all zero, that the system can write out into such a file; NULL with errno.
   Given back by munmap. */
void *scratch_map(const char *folder, size_t size);

#endif
