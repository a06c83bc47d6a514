/*
 * text.h: numbers, sizes and durations to and from text, glob patterns, quoting.
 *
 * Knows only (pointer, length) and buffers of the caller; only text_copy allocates. A text_to_*
 * function accepts the whole text or nothing: no blanks, no '+', no leading zeros, no overflow. It
 * writes its output only when it returns true.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum {
    TEXT_NUMBER_MAX = 20,   /* the longest int64 or uint64 in decimal, without NUL */
    TEXT_DURATION_MAX = 22, /* the longest duration that text_from_ms writes, without NUL */
};

MUST_USE bool text_to_i64(const char *p, size_t len, int64_t *out);
MUST_USE bool text_to_u64(const char *p, size_t len, uint64_t *out);

/* Bytes as redis.conf writes them: "100", "100b", "64k" (1000), "64kb" (1024), m, mb, g, gb, any
   case. */
MUST_USE bool text_to_size(const char *p, size_t len, uint64_t *out);

/* Milliseconds from "500ms", "5s", "1m", "2h", "1d". A number without a unit counts units of
   bare_ms; with bare_ms 0 only "0" may lack its unit. */
MUST_USE bool text_to_ms(const char *p, size_t len, uint64_t bare_ms, uint64_t *out);

/* A NUL-terminated copy for the caller to free. Aborts without memory. */
char *text_copy(const char *p, size_t len);

/* Write decimal digits, no NUL; buf has room for TEXT_NUMBER_MAX. They return the length. */
size_t text_from_u64(char *buf, uint64_t n);
size_t text_from_i64(char *buf, int64_t n);

/* Writes the duration in its largest whole unit ("90s", "1m", "1500ms"), no NUL; buf has room for
   TEXT_DURATION_MAX. Returns the length. */
size_t text_from_ms(char *buf, uint64_t ms);

/* ASCII letters count as equal in both cases, as command and option names do in Redis. */
bool text_equal_nocase(const char *a, size_t a_len, const char *b, size_t b_len);

/* Redis's glob (stringmatchlen): * ? [abc] [^a-z] and \ before a special character. Takes time
   proportional to pattern times text at most, whatever the pattern. */
bool text_glob(const char *pattern, size_t pattern_len, const char *s, size_t len, bool nocase);

/*
 * Writes "..." with escapes for whatever is not printable ASCII, and a NUL, never more than cap
 * bytes; what does not fit is cut and marked (...) behind the closing quote. cap is at least 8.
 * Returns the length without the NUL.
 */
size_t text_quote(char *buf, size_t cap, const char *p, size_t len);

/* The same, but leaves text alone that reads as one plain word. */
size_t text_quote_if_needed(char *buf, size_t cap, const char *p, size_t len);

#endif
