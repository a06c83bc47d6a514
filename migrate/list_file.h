/*
 * list_file.h: a file that the operator has asked for, with a line for each key (--failed-file,
 * --diff-file). What cannot be written is said once, at its end, and makes the exit code 1.
 */
#ifndef MIGRATE_LIST_FILE_H
#define MIGRATE_LIST_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/check.h"

/* path NULL: none is asked for, and *file is NULL. False: it cannot be opened, which is logged. */
MUST_USE bool list_file_open(FILE **file, const char *path);
/* file may be NULL. False: it lacks something, which is logged. */
MUST_USE bool list_file_close(FILE *file, const char *path);

#endif
