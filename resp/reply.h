/*
 * reply.h: finds the end of one reply after the other in a node's bytes, RESP2 and RESP3 alike.
 *
 * Delimits, builds nothing: constant memory at any nesting depth, no allocation, no recursion.
 * Takes the bytes in any pieces; nothing has to be kept between two calls. A RESP3 attribute ("|")
 * counts as the beginning of the reply that it stands before. Streamed types ("$?") are not RESP
 * that any server sends and are BAD.
 */
#ifndef RESP_REPLY_H
#define RESP_REPLY_H

#include <stdbool.h>

#include "resp/span.h"

enum reply_result {
    REPLY_BAD = -1, /* no RESP: the connection cannot be used any more */
    REPLY_MORE = 0, /* all bytes taken, the reply goes on */
    REPLY_DONE = 1, /* the reply ends after *used bytes */
};

struct reply_scanner {
    uint64_t missing; /* elements that are still to come, this one included; 0: fresh */
    uint64_t skip;    /* bytes of a bulk (with its CR LF) still to be skipped */
    uint64_t number;  /* the length that is being read */
    uint8_t state;    /* private */
    uint8_t type;     /* of the element that is being read */
    uint8_t first;    /* the reply's type: its first byte, valid from there to its end; behind an
                         attribute ('|' until then) the first byte of the value */
    uint8_t digits;
    bool negative;
};

/* Zero is fresh. len > 0. On MORE *used is len. */
enum reply_result reply_scan(struct reply_scanner *s, const char *bytes, size_t len, size_t *used);

static inline bool reply_is_error(const struct reply_scanner *s)
{
    return s->first == '-' || s->first == '!';
}

#endif
