/* copy_functions.h: what of a snapshot is no key and goes to every master. */
#ifndef MIGRATE_COPY_FUNCTIONS_H
#define MIGRATE_COPY_FUNCTIONS_H

#include "migrate/copy.h"

/* The library that the reader has just told. */
void copy_load_function(struct copy *c);
/* A script of an old source, which its stream names by its hash (EVALSHA). */
void copy_load_script(struct copy *c);

#endif
