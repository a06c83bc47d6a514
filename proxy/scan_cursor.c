#include "proxy/scan_cursor.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

enum {
    SHARD_SHIFT = 41,
    WIDE_SHIFT = 40,
    AT_NARROW = 26,
    AT_WIDE = 32,
    CHECK_NARROW = 14,
    CHECK_WIDE = 8,
    TEXT_MAX = 64,
};

static uint64_t low_bits(uint64_t n, unsigned bits)
{
    return n & ((UINT64_C(1) << bits) - 1);
}

uint32_t scan_check_add(uint32_t check, uint32_t node)
{
    uint32_t h = (check ^ node) * 0x85ebca6bu;
    h ^= h >> 15;
    h *= 0xc2b2ae35u;
    return h ^ h >> 13;
}

uint64_t scan_cursor_pack(uint32_t shard, uint32_t check, uint64_t at)
{
    BUILD_ASSERT((SCAN_CHECK_NONE & ((1u << CHECK_NARROW) - 1)) != 0, "the start is not 0");
    REQUIRE(shard < SCAN_SHARDS_MAX);
    if (at >> AT_WIDE != 0)
        return 0;
    bool wide = at >> AT_NARROW != 0;
    unsigned at_bits = wide ? AT_WIDE : AT_NARROW;
    uint64_t cut = low_bits(check, wide ? CHECK_WIDE : CHECK_NARROW);
    return (uint64_t)shard << SHARD_SHIFT | (uint64_t)wide << WIDE_SHIFT | cut << at_bits | at;
}

bool scan_cursor_unpack(uint64_t number, struct scan_cursor *out)
{
    if (number == 0 || number >> 53 != 0)
        return false;
    bool wide = (number >> WIDE_SHIFT & 1) != 0;
    unsigned at_bits = wide ? AT_WIDE : AT_NARROW;
    uint64_t at = low_bits(number, at_bits);
    if (wide && at >> AT_NARROW == 0)
        return false;
    *out = (struct scan_cursor){
        .shard = (uint32_t)(number >> SHARD_SHIFT),
        .check = (uint32_t)low_bits(number >> at_bits, wide ? CHECK_WIDE : CHECK_NARROW),
        .at = at,
        .wide = wide,
    };
    return true;
}

bool scan_cursor_fits(const struct scan_cursor *c, uint32_t check)
{
    return c->check == low_bits(check, c->wide ? CHECK_WIDE : CHECK_NARROW);
}

/* strtoul's view of a number, signs and leading zeros included, because Redis uses it. */
bool scan_cursor_parse(struct span text, uint64_t *out)
{
    char copy[TEXT_MAX + 1], *end;
    if (text.len > TEXT_MAX)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    errno = 0;
    unsigned long long n = strtoull(copy, &end, 10);
    if (isspace((unsigned char)copy[0]) || *end != '\0' || errno == ERANGE)
        return false;
    *out = n;
    return true;
}
