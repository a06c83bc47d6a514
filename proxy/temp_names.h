/*
 * temp_names.h: a reply in which temporary keys are named becomes one with the names they stand
 * for.
 *
 * A script that returns KEYS[2], or puts it into an error, shall not show what we called it. Nor
 * shall SCAN and its like show temporary keys at all.
 */
#ifndef PROXY_TEMP_NAMES_H
#define PROXY_TEMP_NAMES_H

#include "base/check.h"
#include "resp/span.h"
#include "resp/writer.h"

enum { TEMP_TOKEN_LEN = 32, TEMP_NUMBER_LEN = 7 };

struct temp_names {
    struct span prefix; /* of all of them; TEMP_NUMBER_LEN digits follow */
    struct span (*name)(const void *context, uint32_t n);
    const void *context;
    uint32_t count;
};

/* Writes the reply (one whole, RESP2 or RESP3) with the true names. False: it is no RESP. */
MUST_USE bool temp_names_replace(const struct temp_names *t, struct span reply, struct writer *w);

/* Whether this is the name of a temporary key, of any proxy. */
bool temp_names_has(struct span name);
/* Whether there may be such a name among these bytes: cheap. */
bool temp_names_in(struct span bytes);

#endif
