/*
 * stats_errors.h: error replies by kind: their first word, if it is one that is known. Pure.
 */
#ifndef PROXY_STATS_ERRORS_H
#define PROXY_STATS_ERRORS_H

#include <stdint.h>

#include "resp/span.h"

/* Below STATS_ERRORS. error: a reply that begins with '-' or '!'. */
uint32_t stats_error_of(struct span error);
/* The label of that kind; NULL: there is no such. */
const char *stats_error_name(uint32_t kind);

#endif
