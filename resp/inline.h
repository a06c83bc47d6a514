/*
 * inline.h: inline commands ("SET key \"a value\"") in Redis's quoting rules (sds.c, sdssplitargs).
 *
 * An inline command is rewritten once into an array of bulk strings, so that nothing behind the
 * parser has to know that inline commands exist.
 */
#ifndef RESP_INLINE_H
#define RESP_INLINE_H

#include "base/check.h"
#include "resp/span.h"
#include "resp/writer.h"

enum {
    INLINE_OK = 0,
    INLINE_EMPTY = 1,       /* only white space */
    INLINE_UNBALANCED = -1, /* "ERR Protocol error: unbalanced quotes in request" */
};

/* line: with or without its "\r\n" or "\n". Appends "*N\r\n$..." to out. */
MUST_USE int inline_to_request(struct span line, struct writer *out);

#endif
