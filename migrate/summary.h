/* summary.h: what a copy has done, in words for people, at its end. */
#ifndef MIGRATE_SUMMARY_H
#define MIGRATE_SUMMARY_H

#include <stdio.h>

#include "migrate/copy.h"

/* ms: how long it took. */
void summary_write(const struct copy *c, uint64_t ms, FILE *out);
/* Whether nothing failed. */
bool summary_is_good(const struct copy *c);

#endif
