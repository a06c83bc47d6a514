#include "resp/reply.h"

#include "resp/length.h"

/*
 * Nesting needs no stack: what counts is only how many elements are still to come before the reply
 * is over. Each element takes one away, an aggregate adds its children, and an attribute adds its
 * children and leaves its own place for the value behind it.
 *
 * Two ways through the same grammar: whole_element reads what is there as a whole, step reads
 * whatever is there, if need be byte by byte. The first leaves all that is unusual to the second,
 * so only the second knows what is wrong.
 */

enum state {
    AT_TYPE,   /* the next byte is an element's type */
    IN_LENGTH, /* in the digits of a header */
    LENGTH_LF, /* the header's '\r' was read */
    IN_BULK,   /* `skip` bytes of a bulk and of its CR LF are to come */
    IN_LINE,   /* in a line, `number` bytes of it were read */
    LINE_LF,   /* the same, and the last one was '\r' */
};

enum {
    MAX_DIGITS = 10,
    MAX_LINE = 1024 * 1024,
};

#define MAX_BULK (UINT64_C(1) << 32)
/* Far more than any server has, and far from what would overflow. */
#define MAX_MISSING (UINT64_C(1) << 48)

enum class {
    WRONG,
    LINE,    /* anything up to CR LF */
    NUMERIC, /* the same of few bytes, see line_byte_ok */
    BULK,
    AGGREGATE, /* n children */
    PAIRS,     /* 2n children */
    ATTRIBUTE, /* 2n children, and then the element itself */
};

static const uint8_t class_of[256] = {
    ['+'] = LINE,      ['-'] = LINE,      [':'] = NUMERIC,   ['_'] = NUMERIC, [','] = NUMERIC,
    ['#'] = NUMERIC,   ['('] = NUMERIC,   ['$'] = BULK,      ['='] = BULK,    ['!'] = BULK,
    ['*'] = AGGREGATE, ['~'] = AGGREGATE, ['>'] = AGGREGATE, ['%'] = PAIRS,   ['|'] = ATTRIBUTE,
};

static bool line_byte_ok(uint8_t type, char c)
{
    bool number = (c >= '0' && c <= '9') || c == '-' || c == '+';
    switch (type) {
    case ':':
    case '(':
        return number;
    case ',': /* 1.5e-7, inf, nan */
        return number || (c != '\0' && strchr(".eEinfaINFA", c) != NULL);
    case '#':
        return c == 't' || c == 'f';
    default: /* '_' has nothing */
        return false;
    }
}

static bool line_length_ok(uint8_t type, uint64_t len)
{
    switch (type) {
    case '_':
        return len == 0;
    case '#':
        return len == 1;
    case ':':
    case '(':
    case ',':
        return len > 0;
    default:
        return true;
    }
}

/* Elements that are to come once an element of this type and length was read; false: too many. */
static bool count_children(struct reply_scanner *s, uint8_t class, uint64_t n)
{
    s->missing += class == AGGREGATE ? n - 1 : class == PAIRS ? 2 * n - 1 : 2 * n;
    return s->missing <= MAX_MISSING;
}

/* The first byte of the reply proper: of the value behind an attribute, not of the attribute. The
   value is the only element that begins when one is missing and `first` still says '|'. */
static inline void note_type(struct reply_scanner *s, uint8_t type)
{
    if (s->missing == 1 && (s->first == 0 || s->first == '|'))
        s->first = type;
}

/* A short "+..." or ":..." that is there as a whole. NULL: take steps. */
static inline const char *whole_line(const char *p, const char *end)
{
    enum { SHORT = 24 };
    const char *q = p + 1, *stop = end - p > SHORT ? p + SHORT : end;
    if (*p == '+') {
        while (q < stop && *q != '\r')
            q++;
    } else if (*p == ':') {
        while (q < stop && ((*q >= '0' && *q <= '9') || *q == '-'))
            q++;
        if (q == p + 1)
            return NULL;
    }
    return end - q >= 2 && q[0] == '\r' && q[1] == '\n' ? q + 2 : NULL;
}

/*
 * Reads an element that is there as a whole, or an aggregate's header; of a bulk without its end
 * the header. NULL: take steps; then nothing was counted, or too much and step will say so.
 */
static inline const char *whole_element(struct reply_scanner *s, const char *p, const char *end)
{
    uint8_t type = (uint8_t)*p, class = class_of[type];
    uint32_t n;
    if (class <= NUMERIC) {
        const char *next = type == '+' || type == ':' ? whole_line(p, end) : NULL;
        if (next != NULL) {
            note_type(s, type);
            s->missing--;
        }
        return next;
    }
    const char *body = class == BULK ? bulk_read(p, end, &n) : NULL;
    if (LIKELY(body != NULL)) {
        note_type(s, type);
        s->missing--;
        return body + n + 2;
    }
    body = length_read(p, end, &n);
    if (UNLIKELY(body == NULL || body[-1] != '\n'))
        return NULL;
    note_type(s, type);
    if (class != BULK)
        return count_children(s, class, n) ? body : NULL;
    s->skip = (uint64_t)n + 2;
    s->state = IN_BULK;
    return body;
}

static const char *begin_element(struct reply_scanner *s, const char *p)
{
    s->type = (uint8_t)*p;
    note_type(s, s->type);
    s->number = 0;
    s->digits = 0;
    s->negative = false;
    if (class_of[s->type] == WRONG)
        return NULL;
    s->state = class_of[s->type] < BULK ? IN_LINE : IN_LENGTH;
    return p + 1;
}

static const char *read_digits(struct reply_scanner *s, const char *p, const char *end)
{
    for (; p < end; p++) {
        unsigned digit = (unsigned)(unsigned char)*p - '0';
        bool leading_zero = s->digits > 0 && s->number == 0;
        if (digit <= 9 && s->digits < MAX_DIGITS && !leading_zero) {
            s->number = s->number * 10 + digit;
            s->digits++;
        } else if (*p == '-' && s->digits == 0 && !s->negative) {
            s->negative = true;
        } else if (*p == '\r' && s->digits > 0) {
            s->state = LENGTH_LF;
            return p + 1;
        } else {
            return NULL;
        }
    }
    return p;
}

/* The header ends at p, whose byte has to be '\n'. */
static const char *end_length(struct reply_scanner *s, const char *p)
{
    if (*p != '\n')
        return NULL;
    s->state = AT_TYPE;
    uint8_t class = class_of[s->type];
    if (s->negative) { /* "$-1" and "*-1" are null, other negative lengths are nothing */
        if (s->number != 1 || s->digits != 1 || (s->type != '$' && s->type != '*'))
            return NULL;
        s->missing--;
    } else if (class == BULK) {
        if (s->number > MAX_BULK)
            return NULL;
        s->skip = s->number + 2;
        s->state = IN_BULK;
    } else if (!count_children(s, class, s->number)) {
        return NULL;
    }
    return p + 1;
}

static const char *skip_bulk(struct reply_scanner *s, const char *p, const char *end)
{
    if (s->skip > 2) {
        uint64_t there = (uint64_t)(end - p), want = s->skip - 2;
        uint64_t n = there < want ? there : want;
        s->skip -= n;
        return p + n;
    }
    if (*p != (s->skip == 2 ? '\r' : '\n'))
        return NULL;
    if (--s->skip == 0) {
        s->state = AT_TYPE;
        s->missing--;
    }
    return p + 1;
}

static const char *read_line(struct reply_scanner *s, const char *p, const char *end)
{
    size_t there = (size_t)(end - p);
    const char *cr = memchr(p, '\r', there);
    size_t n = cr != NULL ? (size_t)(cr - p) : there;
    s->number += n;
    if (s->number > MAX_LINE)
        return NULL;
    if (class_of[s->type] == NUMERIC) {
        for (size_t i = 0; i < n; i++)
            if (!line_byte_ok(s->type, p[i]))
                return NULL;
    }
    if (cr == NULL)
        return end;
    s->state = LINE_LF;
    return cr + 1;
}

/* A '\r' alone belongs to the line, as for every client; in a number it is wrong. */
static const char *end_line(struct reply_scanner *s, const char *p)
{
    if (*p == '\n') {
        s->state = AT_TYPE;
        s->missing--;
        return line_length_ok(s->type, s->number) ? p + 1 : NULL;
    }
    if (class_of[s->type] == NUMERIC)
        return NULL;
    s->number++;
    s->state = IN_LINE;
    return p;
}

/* Reads at least one byte, or goes from LINE_LF back to IN_LINE. NULL: no RESP. */
static const char *step(struct reply_scanner *s, const char *p, const char *end)
{
    switch ((enum state)s->state) {
    case AT_TYPE:
        return begin_element(s, p);
    case IN_LENGTH:
        return read_digits(s, p, end);
    case LENGTH_LF:
        return end_length(s, p);
    case IN_BULK:
        return skip_bulk(s, p, end);
    case IN_LINE:
        return read_line(s, p, end);
    case LINE_LF:
        return end_line(s, p);
    }
    return NULL;
}

/* Not inline: its registers would have to be saved for the replies that do not come here too. */
static __attribute__((noinline)) enum reply_result
scan_on(struct reply_scanner *s, const char *bytes, size_t len, size_t *used)
{
    const char *p = bytes, *end = bytes + len;
    while (p < end) {
        const char *next = s->state == AT_TYPE ? whole_element(s, p, end) : NULL;
        if (UNLIKELY(next == NULL))
            next = step(s, p, end);
        if (UNLIKELY(next == NULL))
            return REPLY_BAD;
        p = next;
        if (s->missing == 0) {
            *used = (size_t)(p - bytes);
            return REPLY_DONE;
        }
    }
    *used = len;
    return REPLY_MORE;
}

enum reply_result reply_scan(struct reply_scanner *s, const char *bytes, size_t len, size_t *used)
{
    if (s->missing == 0) {
        /* The most frequent replies of all, a whole bulk and a short line, need no state. */
        uint32_t n;
        const char *end = bytes + len, *next = NULL;
        if (bytes[0] == '$') {
            const char *body = bulk_read(bytes, end, &n);
            next = body != NULL ? body + n + 2 : NULL;
        } else if (bytes[0] == '+' || bytes[0] == ':') {
            next = whole_line(bytes, end);
        }
        if (LIKELY(next != NULL)) {
            s->first = (uint8_t)bytes[0];
            *used = (size_t)(next - bytes);
            return REPLY_DONE;
        }
        s->missing = 1;
        s->first = 0;
    }
    return scan_on(s, bytes, len, used);
}
