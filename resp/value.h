/*
 * value.h: walks the elements of one complete reply, for the few replies that we have to look into
 * (CLUSTER SLOTS, COMMAND, merged replies).
 *
 * A cursor borrows the bytes of a reply that reply_scan has delimited. No tree is built: each call
 * reads one element's header; an aggregate's children follow as the next elements.
 */
#ifndef RESP_VALUE_H
#define RESP_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

enum value_kind {
    VALUE_STRING, /* simple, bulk, verbatim (without its "txt:"), double, big number: text is set */
    VALUE_ERROR,  /* text is the line without '-' */
    VALUE_INTEGER, /* number; a boolean is 1 or 0 */
    VALUE_NULL,
    VALUE_LIST, /* array, set, push: count elements follow */
    VALUE_MAP,  /* count pairs, 2 * count elements follow */
};

struct value {
    enum value_kind kind;
    struct span text;
    int64_t number;
    uint64_t count;
};

struct value_cursor {
    const char *at, *end;
};

/* False at the end of the bytes or when they are no RESP. Attributes are skipped. */
MUST_USE bool value_next(struct value_cursor *c, struct value *out);
/* Skips what follows `v` as its children (none for a scalar). False when the bytes end before. */
MUST_USE bool value_skip_children(struct value_cursor *c, const struct value *v);

#endif
