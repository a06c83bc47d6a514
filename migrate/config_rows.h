/*
 * config_rows.h: one row for each option of slotgate-migrate. What they add up to: config.c.
 */
#ifndef MIGRATE_CONFIG_ROWS_H
#define MIGRATE_CONFIG_ROWS_H

#include <stddef.h>

#include "base/option.h"

enum { EXACTLY_MARKERS, EXACTLY_OFF };
enum { OWNER_DROP, OWNER_REPORT };

extern const struct option config_rows[]; /* their fields are those of struct config */
extern const size_t config_row_count;

#endif
