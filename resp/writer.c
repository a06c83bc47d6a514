#include "resp/writer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 256,
    NUMBER_ROOM = 24, /* a type byte, 20 characters of a number, CR LF */
};

void writer_init(struct writer *w, int protocol)
{
    *w = (struct writer){ .protocol = protocol };
}

void writer_clear(struct writer *w, int protocol)
{
    w->len = 0;
    w->protocol = protocol;
}

void writer_close(struct writer *w)
{
    free(w->at);
    writer_init(w, w->protocol);
}

struct span writer_span(const struct writer *w)
{
    return (struct span){ w->at, w->len };
}

static void grow(struct writer *w, size_t more)
{
    REQUIRE(more <= SIZE_MAX / 2 - w->len);
    size_t capacity = w->capacity > 0 ? w->capacity : FIRST_CAPACITY;
    while (capacity <= w->len + more)
        capacity *= 2;
    char *at = realloc(w->at, capacity);
    REQUIRE(at != NULL);
    w->at = at;
    w->capacity = capacity;
}

/* Room for `more` bytes, and one over, behind what is written, so that even for none there is a
   place; whoever fills it moves w->len. */
static inline char *room(struct writer *w, size_t more)
{
    if (UNLIKELY(w->capacity - w->len <= more))
        grow(w, more);
    return w->at + w->len;
}

static inline char *put(char *to, const void *bytes, size_t len)
{
    if (len > 0) /* an empty span may point nowhere */
        memcpy(to, bytes, len);
    return to + len;
}

/* "<type><n>\r\n"; needs NUMBER_ROOM. */
static char *put_header(char *to, char type, bool negative, uint64_t n)
{
    char digits[20];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    *to++ = type;
    if (negative)
        *to++ = '-';
    to = put(to, digits + first, sizeof(digits) - first);
    *to++ = '\r';
    *to++ = '\n';
    return to;
}

static void write_header(struct writer *w, char type, uint64_t n)
{
    w->len = (size_t)(put_header(room(w, NUMBER_ROOM), type, false, n) - w->at);
}

void write_raw(struct writer *w, struct span bytes)
{
    put(room(w, bytes.len), bytes.at, bytes.len);
    w->len += bytes.len;
}

static void write_line(struct writer *w, char type, struct span text)
{
    char *to = room(w, text.len + 3);
    *to++ = type;
    to = put(to, text.at, text.len);
    put(to, "\r\n", 2);
    w->len += text.len + 3;
}

/* Formats to the end of the buffer without making it longer; gives what was written. */
static struct span format_behind(struct writer *w, size_t behind, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    REQUIRE(len >= 0);
    char *to = room(w, behind + (size_t)len + 1) + behind;
    vsnprintf(to, (size_t)len + 1, fmt, args);
    return (struct span){ to, (size_t)len };
}

void write_simple(struct writer *w, const char *text)
{
    write_line(w, '+', (struct span){ text, strlen(text) });
}

void write_error(struct writer *w, const char *fmt, ...)
{
    *room(w, 1) = '-';
    va_list args;
    va_start(args, fmt);
    struct span text = format_behind(w, 1, fmt, args);
    va_end(args);
    char *at = w->at + w->len + 1;
    for (size_t i = 0; i < text.len; i++)
        if (at[i] == '\r' || at[i] == '\n')
            at[i] = ' ';
    w->len += 1 + text.len;
    write_raw(w, SPAN("\r\n"));
}

void write_integer(struct writer *w, long long n)
{
    uint64_t size = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    w->len = (size_t)(put_header(room(w, NUMBER_ROOM), ':', n < 0, size) - w->at);
}

void write_bulk(struct writer *w, struct span bytes)
{
    REQUIRE(bytes.len < SIZE_MAX / 4);
    char *to = put_header(room(w, NUMBER_ROOM + bytes.len + 2), '$', false, bytes.len);
    to = put(to, bytes.at, bytes.len);
    *to++ = '\r';
    *to++ = '\n';
    w->len = (size_t)(to - w->at);
}

void write_bulk_text(struct writer *w, const char *text)
{
    write_bulk(w, (struct span){ text, strlen(text) });
}

/* The length stands before the text but is known after it: format first, then move it up. */
void write_bulk_format(struct writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    struct span text = format_behind(w, NUMBER_ROOM, fmt, args);
    va_end(args);
    char *to = put_header(w->at + w->len, '$', false, text.len);
    memmove(to, text.at, text.len);
    w->len = (size_t)(to + text.len - w->at);
    write_raw(w, SPAN("\r\n"));
}

void write_null(struct writer *w)
{
    write_raw(w, w->protocol >= 3 ? SPAN("_\r\n") : SPAN("$-1\r\n"));
}

void write_null_array(struct writer *w)
{
    write_raw(w, w->protocol >= 3 ? SPAN("_\r\n") : SPAN("*-1\r\n"));
}

void write_bool(struct writer *w, bool yes)
{
    if (w->protocol >= 3)
        write_raw(w, yes ? SPAN("#t\r\n") : SPAN("#f\r\n"));
    else
        write_integer(w, yes);
}

/* The fewest digits that read back as the same number, as newer servers write it. */
void write_double(struct writer *w, double d)
{
    char text[40];
    if (isnan(d))
        strcpy(text, "nan");
    else if (isinf(d))
        strcpy(text, d > 0 ? "inf" : "-inf");
    else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, d);
            if (strtod(text, NULL) == d)
                break;
        }
    }
    struct span s = { text, strlen(text) };
    if (w->protocol >= 3)
        write_line(w, ',', s);
    else
        write_bulk(w, s);
}

void write_verbatim(struct writer *w, const char *format, struct span text)
{
    if (w->protocol < 3) {
        write_bulk(w, text);
        return;
    }
    REQUIRE(strlen(format) == 3);
    write_header(w, '=', text.len + 4);
    write_raw(w, (struct span){ format, 3 });
    write_raw(w, SPAN(":"));
    write_raw(w, text);
    write_raw(w, SPAN("\r\n"));
}

void write_array(struct writer *w, size_t elements)
{
    write_header(w, '*', elements);
}

void write_map(struct writer *w, size_t pairs)
{
    if (w->protocol >= 3)
        write_header(w, '%', pairs);
    else
        write_header(w, '*', pairs * 2);
}

void write_set(struct writer *w, size_t elements)
{
    write_header(w, w->protocol >= 3 ? '~' : '*', elements);
}

void write_push(struct writer *w, size_t elements)
{
    write_header(w, w->protocol >= 3 ? '>' : '*', elements);
}

void write_request(struct writer *w, const char *const *args, size_t count)
{
    write_array(w, count);
    for (size_t i = 0; i < count; i++)
        write_bulk_text(w, args[i]);
}
