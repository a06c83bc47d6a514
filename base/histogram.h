/*
 * histogram.h: how many times something took how long, in buckets of fixed bounds.
 *
 * Four buckets to each power of two, so a time is known to a quarter of itself at worst. Numbers
 * are microseconds as a rule; any other unit will do. A histogram is plain memory: zeroed it is
 * empty, and one that lies in shared memory may be read while its one writer adds to it.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#include "base/statistics.h"

enum {
    HISTOGRAM_BITS = 27, /* what needs more bits counts as the largest: 134 s in microseconds */
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - 1) * 4,
};

struct histogram {
    uint64_t sum; /* of all values, also of those that count as the largest */
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* The bucket of a value. Those of 0 to 7 have their own; from there each power of two has four. */
static inline uint32_t histogram_place(uint32_t value)
{
    const uint32_t largest = (1u << HISTOGRAM_BITS) - 1;
    uint32_t v = value < largest ? value : largest;
    uint32_t above = 29u - (uint32_t)__builtin_clz(v | 4u); /* the power of two, less 2 */
    return above * 4 + (v >> above);
}

static inline void histogram_add(struct histogram *h, uint32_t value)
{
    if (!STATISTICS)
        return;
    h->sum += value;
    h->bucket[histogram_place(value)]++;
}

/* The least value that is beyond that bucket; for the last one UINT64_MAX. */
uint64_t histogram_end(uint32_t place);
uint64_t histogram_count(const struct histogram *h);
/* How many values were below `end`, which is one that histogram_end gives; others count as the
   next lower one. */
uint64_t histogram_below(const struct histogram *h, uint64_t end);
/* A value that the given share (0 to 1) of all values does not exceed; 0 when there is none. It is
   the last one of its bucket. */
uint64_t histogram_quantile(const struct histogram *h, double share);
/* Adds what is in `from`, which another process may be writing. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* Takes away what was there before; a bucket does not fall below 0. */
void histogram_subtract(struct histogram *h, const struct histogram *before);

#endif
