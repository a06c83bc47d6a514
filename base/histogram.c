#include "base/histogram.h"

uint64_t histogram_end(uint32_t place)
{
    if (place >= HISTOGRAM_BUCKETS - 1)
        return UINT64_MAX;
    if (place < 8)
        return place + 1;
    uint32_t above = place / 4 - 1;
    return (uint64_t)(place - above * 4 + 1) << above;
}

uint64_t histogram_count(const struct histogram *h)
{
    return histogram_below(h, UINT64_MAX);
}

uint64_t histogram_below(const struct histogram *h, uint64_t end)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && histogram_end(i) <= end; i++)
        n += h->bucket[i];
    return n;
}

uint64_t histogram_quantile(const struct histogram *h, double share)
{
    uint64_t all = histogram_count(h), seen = 0;
    double wanted = share * (double)all;
    if (all == 0)
        return 0;
    for (uint32_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && (double)seen >= wanted)
            return histogram_end(i) - 1;
    }
    return (1u << HISTOGRAM_BITS) - 1;
}

static uint64_t load(const uint64_t *at)
{
    return __atomic_load_n(at, __ATOMIC_RELAXED);
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    to->sum += load(&from->sum);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        to->bucket[i] += load(&from->bucket[i]);
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void histogram_subtract(struct histogram *h, const struct histogram *before)
{
    h->sum = less(h->sum, before->sum);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->bucket[i] = less(h->bucket[i], before->bucket[i]);
}
