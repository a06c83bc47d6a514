/*
 * options.h: the rows of slotgate's options, and what a single value may be.
 *
 * They are for config.c, which reads them into struct config and checks how they go together. All
 * that tells of options is made from them: --help, docs/configuration.md, CONFIG GET and SET.
 */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

#include <stddef.h>

#include "base/check.h"
#include "base/endpoint.h"
#include "base/option.h"

extern const struct option options_rows[];
extern const size_t options_count;

/* "host:port" or "[IPv6]:port". False: *out is untouched. */
MUST_USE bool options_parse_address(const char *text, struct endpoint *out);

#endif
