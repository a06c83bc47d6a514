/*
 * length.h: the numbers in RESP headers ("$64\r\n", "*3\r\n"). Private to resp/.
 */
#ifndef RESP_LENGTH_H
#define RESP_LENGTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* The rest of length_read, for three to nine digits; n is what the first two said. */
static inline const char *length_read_long(const char *p, const char *end, uint32_t n,
                                           uint32_t *out)
{
    for (const char *last = p + 10; p + 1 < end && p < last; p++) {
        uint32_t digit = (uint32_t)(unsigned char)*p - '0';
        if (digit > 9) {
            *out = n;
            return *p == '\r' ? p + 2 : NULL;
        }
        if (n > 99999999)
            return NULL;
        n = n * 10 + digit;
    }
    return NULL;
}

/*
 * The plain case of a header: a type byte, one to nine digits without a leading zero, and two bytes
 * of which the first is '\r', all before `end`. Gives the byte behind the header; the caller looks
 * at the type and, if it cares, at the '\n'. NULL means "look closer": the header is longer,
 * incomplete, negative or wrong. One and two digits are most of all there are; with five bytes at
 * hand they need no further look at `end`.
 */
static inline const char *length_read(const char *p, const char *end, uint32_t *out)
{
    if (UNLIKELY(end - p < 5))
        return NULL;
    uint32_t n = (uint32_t)(unsigned char)p[1] - '0';
    if (UNLIKELY(n > 9))
        return NULL;
    if (p[2] == '\r') {
        *out = n;
        return p + 4;
    }
    uint32_t digit = (uint32_t)(unsigned char)p[2] - '0';
    if (UNLIKELY(digit > 9 || n == 0))
        return NULL;
    n = n * 10 + digit;
    if (p[3] == '\r') {
        *out = n;
        return p + 5;
    }
    return length_read_long(p + 3, end, n, out);
}

/* A whole bulk "$n\r\n" n bytes "\r\n" before `end`: gives its first byte. NULL: look closer. */
static inline const char *bulk_read(const char *p, const char *end, uint32_t *n)
{
    const char *body = length_read(p, end, n);
    if (UNLIKELY(body == NULL || body[-1] != '\n' || (size_t)(end - body) < (size_t)*n + 2))
        return NULL;
    return LIKELY(body[*n] == '\r' && body[*n + 1] == '\n') ? body : NULL;
}

/* As strict as Redis's string2ll: an optional '-', no '+', no blank, no leading zero, no "-0". */
static inline MUST_USE bool length_parse(const char *at, size_t len, int64_t *out)
{
    bool negative = len > 0 && at[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == len || (at[i] == '0' && len > 1))
        return false;
    uint64_t n = 0;
    const uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; i < len; i++) {
        uint64_t digit = (uint64_t)(unsigned char)at[i] - '0';
        if (digit > 9 || n > most / 10 || n * 10 > most - digit)
            return false;
        n = n * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

#endif
