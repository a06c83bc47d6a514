#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool text_to_u64(const char *p, size_t len, uint64_t *out)
{
    if (len == 0 || len > TEXT_NUMBER_MAX || (p[0] == '0' && len > 1))
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(p[i]))
            return false;
        uint64_t digit = (uint64_t)(p[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool text_to_i64(const char *p, size_t len, int64_t *out)
{
    uint64_t n;
    bool negative = len > 0 && p[0] == '-';
    if (!text_to_u64(p + negative, len - negative, &n))
        return false;
    if (!negative) {
        if (n > INT64_MAX)
            return false;
        *out = (int64_t)n;
        return true;
    }
    if (n == 0 || n > (uint64_t)INT64_MAX + 1)
        return false;
    *out = -(int64_t)(n - 1) - 1; /* in two steps, because -INT64_MIN does not exist */
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    { "b", 1 },
    { "k", 1000 },
    { "kb", 1024 },
    { "m", 1000000 },
    { "mb", 1024 * 1024 },
    { "g", 1000000000 },
    { "gb", 1024 * 1024 * 1024 },
};

static const struct unit time_units[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
};

/* A number, then one of the units or, if bare is not 0, none. */
static bool number_with_unit(const char *p, size_t len, const struct unit *units, size_t count,
                             uint64_t bare, uint64_t *out)
{
    size_t digits = 0;
    while (digits < len && is_digit(p[digits]))
        digits++;
    uint64_t n;
    if (!text_to_u64(p, digits, &n))
        return false;
    uint64_t factor = digits == len ? bare : 0;
    for (size_t i = 0; i < count && digits < len; i++) {
        if (text_equal_nocase(p + digits, len - digits, units[i].name, strlen(units[i].name)))
            factor = units[i].factor;
    }
    if (factor == 0 || n > UINT64_MAX / factor)
        return false;
    *out = n * factor;
    return true;
}

bool text_to_size(const char *p, size_t len, uint64_t *out)
{
    return number_with_unit(p, len, size_units, ARRAY_LEN(size_units), 1, out);
}

bool text_to_ms(const char *p, size_t len, uint64_t bare_ms, uint64_t *out)
{
    if (len == 1 && p[0] == '0')
        bare_ms = 1; /* nothing is nothing in every unit */
    return number_with_unit(p, len, time_units, ARRAY_LEN(time_units), bare_ms, out);
}

char *text_copy(const char *p, size_t len)
{
    char *copy = malloc(len + 1);
    REQUIRE(copy != NULL);
    memcpy(copy, p, len);
    copy[len] = '\0';
    return copy;
}

size_t text_from_u64(char *buf, uint64_t n)
{
    /* Two digits per division: this runs for the length of every bulk string written. */
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char tmp[TEXT_NUMBER_MAX];
    size_t at = sizeof(tmp);
    while (n >= 100) {
        at -= 2;
        memcpy(tmp + at, pairs + n % 100 * 2, 2);
        n /= 100;
    }
    if (n >= 10) {
        at -= 2;
        memcpy(tmp + at, pairs + n * 2, 2);
    } else {
        tmp[--at] = (char)('0' + n);
    }
    memcpy(buf, tmp + at, sizeof(tmp) - at);
    return sizeof(tmp) - at;
}

size_t text_from_i64(char *buf, int64_t n)
{
    if (n >= 0)
        return text_from_u64(buf, (uint64_t)n);
    buf[0] = '-';
    return 1 + text_from_u64(buf + 1, 0 - (uint64_t)n);
}

size_t text_from_ms(char *buf, uint64_t ms)
{
    size_t best = 0;
    for (size_t i = 1; i < ARRAY_LEN(time_units) && ms != 0; i++) {
        if (ms % time_units[i].factor == 0)
            best = i;
    }
    size_t len = text_from_u64(buf, ms / time_units[best].factor);
    size_t name_len = strlen(time_units[best].name);
    memcpy(buf + len, time_units[best].name, name_len);
    return len + name_len;
}

bool text_equal_nocase(const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len != b_len)
        return false;
    for (size_t i = 0; i < a_len; i++) {
        if (lower(a[i]) != lower(b[i]))
            return false;
    }
    return true;
}

static bool same_char(char a, char b, bool nocase)
{
    return nocase ? lower(a) == lower(b) : a == b;
}

/*
 * Whether the class at pattern[*at] == '[' has c in it; moves *at behind the class. The oddities
 * are Redis's: a class that is not closed ends with the pattern, and an escaped character is
 * compared with its case even when case is ignored.
 */
static bool class_has(const char *pattern, size_t len, size_t *at, char c, bool nocase)
{
    size_t i = *at + 1;
    bool negated = i < len && pattern[i] == '^';
    bool found = false;
    i += negated;
    for (; i < len && pattern[i] != ']'; i++) {
        if (pattern[i] == '\\' && len - i >= 2) {
            i++;
            found = found || pattern[i] == c;
        } else if (len - i >= 3 && pattern[i + 1] == '-') {
            unsigned char low = (unsigned char)pattern[i];
            unsigned char high = (unsigned char)pattern[i + 2];
            unsigned char x = nocase ? lower(c) : (unsigned char)c;
            if (low > high) {
                unsigned char swap = low;
                low = high;
                high = swap;
            }
            if (nocase) {
                low = lower((char)low);
                high = lower((char)high);
            }
            found = found || (x >= low && x <= high);
            i += 2;
        } else {
            found = found || same_char(pattern[i], c, nocase);
        }
    }
    *at = i < len ? i + 1 : len;
    return found != negated;
}

/* Whether the one pattern element at *at (not a star) matches c; moves *at behind it. */
static bool element_matches(const char *pattern, size_t len, size_t *at, char c, bool nocase)
{
    if (pattern[*at] == '?') {
        *at += 1;
        return true;
    }
    if (pattern[*at] == '[')
        return class_has(pattern, len, at, c, nocase);
    if (pattern[*at] == '\\' && len - *at >= 2)
        *at += 1;
    char wanted = pattern[*at];
    *at += 1;
    return same_char(wanted, c, nocase);
}

bool text_glob(const char *pattern, size_t pattern_len, const char *s, size_t len, bool nocase)
{
    /* Only the last star seen ever needs another try: an earlier one that took more characters
       could not reach a match that this one cannot. So no recursion, and no exponential time. */
    size_t p = 0, i = 0;
    size_t star = SIZE_MAX, star_i = 0;
    while (i < len) {
        if (p < pattern_len && pattern[p] == '*') {
            star = ++p;
            star_i = i;
        } else if (p < pattern_len && element_matches(pattern, pattern_len, &p, s[i], nocase)) {
            i++;
        } else if (star != SIZE_MAX) {
            p = star;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '*')
        p++;
    return p == pattern_len;
}

/* Writes c as it stands between double quotes; out has room for 4. */
static size_t escape(char *out, char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\n\r\t", letter[] = "\"\\nrt";
    const char *found = c == '\0' ? NULL : strchr(plain, c);
    if (found != NULL) {
        out[0] = '\\';
        out[1] = letter[found - plain];
        return 2;
    }
    unsigned char byte = (unsigned char)c;
    if (byte >= 0x20 && byte < 0x7f) {
        out[0] = c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

size_t text_quote(char *buf, size_t cap, const char *p, size_t len)
{
    static const char cut[] = "\"(...)";
    REQUIRE(cap > sizeof(cut));
    size_t at = 0;
    size_t marked = 1; /* the length up to the last place where the mark would still fit */
    buf[at++] = '"';
    for (size_t i = 0; i < len; i++) {
        char piece[4];
        size_t n = escape(piece, p[i]);
        if (at + n + 2 > cap) {
            memcpy(buf + marked, cut, sizeof(cut));
            return marked + sizeof(cut) - 1;
        }
        memcpy(buf + at, piece, n);
        at += n;
        if (at + sizeof(cut) <= cap)
            marked = at;
    }
    buf[at++] = '"';
    buf[at] = '\0';
    return at;
}

size_t text_quote_if_needed(char *buf, size_t cap, const char *p, size_t len)
{
    bool plain = len > 0 && len < cap;
    for (size_t i = 0; i < len && plain; i++)
        plain = p[i] > ' ' && p[i] < 0x7f && p[i] != '"' && p[i] != '\\' && p[i] != '=';
    if (!plain)
        return text_quote(buf, cap, p, len);
    memcpy(buf, p, len);
    buf[len] = '\0';
    return len;
}
