#include "migrate/rdb_packed.h"

enum { LIST_END = 0xff, LONG_LENGTH = 0xfe };
enum { ZIPLIST_HEAD = 10, LISTPACK_HEAD = 6, INTSET_HEAD = 8 };

static uint64_t little_endian(const unsigned char *at, size_t len)
{
    uint64_t n = 0;
    while (len-- > 0)
        n = n << 8 | at[len];
    return n;
}

static uint64_t big_endian(const unsigned char *at, size_t len)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n = n << 8 | at[i];
    return n;
}

/* A signed number of len bytes. */
static int64_t signed_number(const unsigned char *at, size_t len)
{
    REQUIRE(len > 0 && len <= 8);
    uint64_t n = little_endian(at, len);
    uint64_t sign = (uint64_t)1 << (len * 8 - 1);
    return (int64_t)((n ^ sign) - sign);
}

static size_t left(const struct rdb_packed *p)
{
    return (size_t)(p->end - p->at);
}

bool rdb_packed_open(struct rdb_packed *p, enum rdb_packing packing, struct span bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.at;
    static const uint8_t heads[] = { ZIPLIST_HEAD, LISTPACK_HEAD, INTSET_HEAD, 1 };
    if (bytes.len < heads[packing])
        return false;
    *p = (struct rdb_packed){ .at = at + heads[packing],
                              .end = at + bytes.len,
                              .packing = (uint8_t)packing };
    if (packing == RDB_INTSET) {
        p->width = (uint8_t)little_endian(at, 4);
        bool known = p->width == 2 || p->width == 4 || p->width == 8;
        return known && left(p) == little_endian(at + 4, 4) * p->width;
    }
    return packing == RDB_ZIPMAP || little_endian(at, 4) == bytes.len;
}

/* --- one element --------------------------------------------------------------------------- */

/* True: so many bytes are there; they are taken. */
static bool take(struct rdb_packed *p, uint64_t len, const unsigned char **at)
{
    if (left(p) < len)
        return false;
    *at = p->at;
    p->at += len;
    return true;
}

static int give_text(struct rdb_packed *p, uint64_t len, struct span *out)
{
    const unsigned char *at;
    if (!take(p, len, &at))
        return -1;
    *out = (struct span){ (const char *)at, (size_t)len };
    return 1;
}

static int give_number(struct rdb_packed *p, int64_t n, struct span *out)
{
    *out = (struct span){ p->digits, text_from_i64(p->digits, n) };
    return 1;
}

static int give_signed(struct rdb_packed *p, size_t len, struct span *out)
{
    const unsigned char *at;
    return take(p, len, &at) ? give_number(p, signed_number(at, len), out) : -1;
}

static int next_of_ziplist(struct rdb_packed *p, struct span *out)
{
    const unsigned char *at;
    if (!take(p, *p->at < LONG_LENGTH ? 1 : 5, &at) || !take(p, 1, &at)) /* the one before it */
        return -1;
    unsigned char head = *at;
    switch (head >> 6) {
    case 0:
        return give_text(p, head & 0x3f, out);
    case 1:
        return take(p, 1, &at) ? give_text(p, (uint64_t)(head & 0x3f) << 8 | *at, out) : -1;
    case 2:
        return take(p, 4, &at) ? give_text(p, big_endian(at, 4), out) : -1;
    default:
        break;
    }
    static const uint8_t widths[] = { 2, 4, 8, 3 };
    if ((head & 0x0f) == 0)
        return give_signed(p, widths[head >> 4 & 3], out);
    return head == 0xfe   ? give_signed(p, 1, out)
           : head == 0xff ? -1
                          : give_number(p, (head & 0x0f) - 1, out);
}

/* The length of the entry stands behind it once more, so that it can be walked backwards. */
static int skip_back_length(struct rdb_packed *p, const unsigned char *begin)
{
    const unsigned char *at;
    uint64_t len = (uint64_t)(p->at - begin);
    uint64_t bytes = len <= 127 ? 1 : len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
    return take(p, bytes, &at) ? 1 : -1;
}

static int listpack_element(struct rdb_packed *p, struct span *out)
{
    const unsigned char *at;
    if (!take(p, 1, &at))
        return -1;
    unsigned char head = *at;
    if (head < 0x80)
        return give_number(p, head, out);
    if (head < 0xc0)
        return give_text(p, head & 0x3f, out);
    if (head < 0xe0) {
        if (!take(p, 1, &at))
            return -1;
        int64_t n = (int64_t)(head & 0x1f) << 8 | *at;
        return give_number(p, n >= 1 << 12 ? n - (1 << 13) : n, out);
    }
    if (head < 0xf0)
        return take(p, 1, &at) ? give_text(p, (uint64_t)(head & 0x0f) << 8 | *at, out) : -1;
    if (head == 0xf0)
        return take(p, 4, &at) ? give_text(p, little_endian(at, 4), out) : -1;
    static const uint8_t widths[] = { 2, 3, 4, 8 };
    return head <= 0xf4 ? give_signed(p, widths[head - 0xf1], out) : -1;
}

static int next_of_listpack(struct rdb_packed *p, struct span *out)
{
    const unsigned char *begin = p->at;
    int rc = listpack_element(p, out);
    return rc == 1 ? skip_back_length(p, begin) : rc;
}

static int next_of_zipmap(struct rdb_packed *p, struct span *out)
{
    const unsigned char *at, *unused;
    if (!take(p, 1, &at))
        return -1;
    uint64_t len = *at;
    if (len == LONG_LENGTH) {
        if (!take(p, 4, &at))
            return -1;
        len = little_endian(at, 4);
    }
    uint64_t spare = 0;
    if (p->in_value) {
        if (!take(p, 1, &at))
            return -1;
        spare = *at;
    }
    p->in_value = !p->in_value;
    int rc = give_text(p, len, out);
    return rc == 1 && take(p, spare, &unused) ? 1 : -1;
}

int rdb_packed_next(struct rdb_packed *p, struct span *out)
{
    if (p->packing == RDB_INTSET)
        return left(p) == 0 ? 0 : give_signed(p, p->width, out);
    if (left(p) == 0)
        return -1; /* the mark of the end is missing */
    if (*p->at == LIST_END)
        return left(p) == 1 && !p->in_value ? 0 : -1;
    if (p->packing == RDB_ZIPLIST)
        return next_of_ziplist(p, out);
    return p->packing == RDB_LISTPACK ? next_of_listpack(p, out) : next_of_zipmap(p, out);
}
