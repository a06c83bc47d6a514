/*
 * option_doc.h: what people read about options, written from the rows.
 */
#ifndef BASE_OPTION_DOC_H
#define BASE_OPTION_DOC_H

#include <stddef.h>
#include <stdio.h>

#include "base/option.h"

/* The options part of --help. */
void option_write_help(const struct option *rows, size_t count, FILE *out);
/* The rules of the sources, then one table per group, in Markdown. */
void option_write_doc(const struct option *rows, size_t count, const char *env_prefix, FILE *out);

#endif
