/*
 * argv_copy.h: the arguments of a request in memory of their own, for what outlives the client's
 * input.
 */
#ifndef PROXY_ARGV_COPY_H
#define PROXY_ARGV_COPY_H

#include "resp/span.h"

/* *memory is malloc'd and holds what the copy borrows; the caller frees it. argv has an argument.
 */
struct argv argv_copy(const struct argv *argv, char **memory);

#endif
