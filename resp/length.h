/*
 * length.h: the numbers in RESP headers ("$64\r\n", "*3\r\n"). Private to resp/.
 */
#ifndef RESP_LENGTH_H
#define RESP_LENGTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/*
 * The plain case of a header: a type byte, one to nine digits without a leading zero, and two bytes
 * of which the first is '\r', all before `end`. Gives the byte behind the header; the caller looks
 * at the type and, if it cares, at the '\n'. NULL means "look closer": the header is longer,
 * incomplete, negative or wrong.
 */
static inline const char *length_read(const char *p, const char *end, uint32_t *out)
{
    if (UNLIKELY(end - p < 4))
        return NULL;
    uint32_t n = (uint32_t)(unsigned char)p[1] - '0';
    if (UNLIKELY(n > 9))
        return NULL;
    p += 2;
    for (;;) {
        uint32_t digit = (uint32_t)(unsigned char)*p - '0';
        if (digit > 9)
            break;
        /* One comparison for both a leading zero and a tenth digit. */
        if (UNLIKELY(n - 1 >= 99999999))
            return NULL;
        n = n * 10 + digit;
        if (UNLIKELY(++p == end))
            return NULL;
    }
    if (UNLIKELY(*p != '\r' || end - p < 2))
        return NULL;
    *out = n;
    return p + 2;
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
