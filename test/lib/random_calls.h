/*
 * random_calls.h: random commands over all types, from a seed.
 *
 * The same seed gives the same calls. Keys come from a small pool in many slots, so that calls
 * meet; most calls use a key of the type they are for, some any other. What is random in Redis
 * itself, or tells the time, is not among the calls; nor is XREADGROUP of several streams, of which
 * a part may be done when another fails (docs/architecture.md).
 */
#ifndef TEST_LIB_RANDOM_CALLS_H
#define TEST_LIB_RANDOM_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "resp/span.h"
#include "test/lib/differ.h"

enum { RANDOM_ARGS_MAX = 64, RANDOM_BYTES_MAX = 128 * 1024, RANDOM_KEYS = 45 };

struct random_calls {
    uint64_t state;
    uint64_t stream_id; /* of the youngest entry */
};

struct random_call {
    enum differ_rule rule;
    uint32_t argc;
    struct span argv[RANDOM_ARGS_MAX]; /* in bytes */
    char bytes[RANDOM_BYTES_MAX];
    size_t used;
};

void random_calls_start(struct random_calls *r, uint64_t seed);
void random_calls_next(struct random_calls *r, struct random_call *out);
/* The name of each key that a call may have. */
struct span random_calls_key(uint32_t number);

#endif
