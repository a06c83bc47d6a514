/*
 * options.h: one row for each option of slotgate-migrate. What they add up to: config.c.
 */
#ifndef MIGRATE_OPTIONS_H
#define MIGRATE_OPTIONS_H

#include <stddef.h>

#include "base/option.h"

enum { EXACTLY_MARKERS, EXACTLY_OFF };
enum { OWNER_DROP, OWNER_REPORT };

extern const struct option options_rows[]; /* their fields are those of struct config */
extern const size_t options_count;

#endif
