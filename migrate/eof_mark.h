/*
 * eof_mark.h: finds the end of a payload that ends with a mark ("$EOF:" of a diskless source).
 *
 * Keeps back as many bytes as could be the mark's beginning. Pure.
 */
#ifndef MIGRATE_EOF_MARK_H
#define MIGRATE_EOF_MARK_H

#include <stdbool.h>

#include "resp/span.h"

enum { EOF_MARK_LEN = 40 };

struct eof_mark {
    char mark[EOF_MARK_LEN];
    char held[EOF_MARK_LEN]; /* bytes of the payload, or of the mark */
    uint32_t held_len;       /* below EOF_MARK_LEN */
};

typedef void eof_mark_fn(void *context, struct span bytes);

/* Hands the payload's bytes to out. True: the mark is there, and *used bytes of the piece are
   payload or mark. */
bool eof_mark_find(struct eof_mark *m, struct span piece, eof_mark_fn *out, void *context,
                   size_t *used);

#endif
