/* scratch.h: files for the time that the program runs. */
#ifndef MIGRATE_SCRATCH_H
#define MIGRATE_SCRATCH_H

/* A file without a name, so that nothing is left behind, whatever ends the program; -1 and errno.
 */
int scratch_file(const char *folder);

#endif
