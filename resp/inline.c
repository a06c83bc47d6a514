#include "resp/inline.h"

/*
 * Redis's sdssplitargs, character for character; two of its habits surprise. It skips every
 * isspace() between arguments, but only blank, tab, CR, LF and NUL end an unquoted one. And a NUL
 * is the end of the line, because to Redis the line is a C string.
 */

struct line {
    const char *at, *end;
};

/* The byte `ahead` places on; '\0' at the end and behind it, as in a C string. */
static char peek(const struct line *l, size_t ahead)
{
    return ahead < (size_t)(l->end - l->at) ? l->at[ahead] : '\0';
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static char escaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

static void put(struct writer *w, char c)
{
    write_raw(w, (struct span){ &c, 1 });
}

/* A closing quote has to be followed by a space or by nothing. Goes past it. */
static int close_quote(struct line *l)
{
    char behind = peek(l, 1);
    if (behind != '\0' && !is_space(behind))
        return INLINE_UNBALANCED;
    l->at++;
    return INLINE_OK;
}

/* From behind the opening '"' to behind the closing one. */
static int double_quoted(struct line *l, struct writer *out)
{
    for (;;) {
        char c = peek(l, 0);
        if (c == '\0')
            return INLINE_UNBALANCED;
        if (c == '"')
            return close_quote(l);
        int high = hex_digit(peek(l, 2)), low = hex_digit(peek(l, 3));
        if (c == '\\' && peek(l, 1) == 'x' && high >= 0 && low >= 0) {
            put(out, (char)(high * 16 + low));
            l->at += 4;
        } else if (c == '\\' && peek(l, 1) != '\0') {
            put(out, escaped(peek(l, 1)));
            l->at += 2;
        } else {
            put(out, c);
            l->at++;
        }
    }
}

/* From behind the opening '\'' to behind the closing one; only "\'" is special. */
static int single_quoted(struct line *l, struct writer *out)
{
    for (;;) {
        char c = peek(l, 0);
        if (c == '\0')
            return INLINE_UNBALANCED;
        if (c == '\'')
            return close_quote(l);
        if (c == '\\' && peek(l, 1) == '\'')
            l->at++;
        put(out, *l->at++);
    }
}

/* One argument, and the byte that ended it; a quoted part ends the argument. */
static int argument(struct line *l, struct writer *out)
{
    for (;;) {
        char c = peek(l, 0);
        if (c == '\0')
            return INLINE_OK;
        l->at++;
        switch (c) {
        case ' ':
        case '\n':
        case '\r':
        case '\t':
            return INLINE_OK;
        case '"':
            return double_quoted(l, out);
        case '\'':
            return single_quoted(l, out);
        default:
            put(out, c);
        }
    }
}

static bool skip_blanks(struct line *l)
{
    while (is_space(peek(l, 0)))
        l->at++;
    return peek(l, 0) != '\0';
}

int inline_to_request(struct span line, struct writer *out)
{
    if (line.len > 0 && line.at[line.len - 1] == '\n')
        line.len--;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    struct line l = { line.at, line.at + line.len };
    struct writer bulks, text;
    writer_init(&bulks, 2);
    writer_init(&text, 2);
    size_t count = 0;
    int result = INLINE_EMPTY;
    while (skip_blanks(&l)) {
        writer_clear(&text, 2);
        result = argument(&l, &text);
        if (result != INLINE_OK)
            break;
        write_bulk(&bulks, writer_span(&text));
        count++;
    }
    if (result == INLINE_OK) {
        write_array(out, count);
        write_raw(out, writer_span(&bulks));
    }
    writer_close(&text);
    writer_close(&bulks);
    return result;
}
