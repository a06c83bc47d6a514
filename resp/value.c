#include "resp/value.h"

#include "resp/length.h"

/* Past this many children nothing real follows; it keeps the sums below far from overflow. */
#define MAX_CHILDREN (INT64_C(1) << 40)

/* An element as it stands on the wire: its type byte, its header line and, of a bulk, its bytes. */
struct element {
    char type;
    bool null;        /* "$-1" or "*-1" */
    uint64_t length;  /* of a bulk or an aggregate */
    struct span text; /* the line of a line type, the bytes of a bulk */
};

static bool has_length(char type)
{
    return type != '\0' && strchr("$=!*~>%|", type) != NULL;
}

static bool is_bulk(char type)
{
    return type == '$' || type == '=' || type == '!';
}

/* The line behind the type byte, without its CR LF. A '\r' alone belongs to the line. */
static MUST_USE bool read_line(struct value_cursor *c, struct span *out)
{
    const char *p = c->at + 1;
    while (p < c->end) {
        const char *cr = memchr(p, '\r', (size_t)(c->end - p));
        if (cr == NULL || c->end - cr < 2)
            return false;
        if (cr[1] == '\n') {
            *out = (struct span){ c->at + 1, (size_t)(cr - c->at - 1) };
            c->at = cr + 2;
            return true;
        }
        p = cr + 1;
    }
    return false;
}

/* Reads "<type><n>\r\n" of e->type. */
static MUST_USE bool read_length(struct value_cursor *c, struct element *e)
{
    uint32_t plain;
    const char *next = length_read(c->at, c->end, &plain);
    if (LIKELY(next != NULL && next[-1] == '\n')) {
        e->length = plain;
        c->at = next;
        return true;
    }
    struct span line;
    int64_t n;
    if (!read_line(c, &line) || !length_parse(line.at, line.len, &n) || n > MAX_CHILDREN)
        return false;
    e->null = n < 0;
    e->length = n < 0 ? 0 : (uint64_t)n;
    return n >= 0 || (n == -1 && (e->type == '$' || e->type == '*'));
}

static MUST_USE bool read_element(struct value_cursor *c, struct element *e)
{
    if (c->at >= c->end)
        return false;
    *e = (struct element){ .type = *c->at };
    if (!has_length(e->type))
        return read_line(c, &e->text);
    if (!read_length(c, e))
        return false;
    if (!is_bulk(e->type) || e->null)
        return true;
    size_t there = (size_t)(c->end - c->at);
    if (there < 2 || there - 2 < e->length || memcmp(c->at + e->length, "\r\n", 2) != 0)
        return false;
    e->text = (struct span){ c->at, (size_t)e->length };
    c->at += e->length + 2;
    return true;
}

static MUST_USE bool set_line(const struct element *e, struct value *v)
{
    v->text = e->text;
    switch (e->type) {
    case '+':
    case ',':
    case '(':
        v->kind = VALUE_STRING;
        return true;
    case '-':
        v->kind = VALUE_ERROR;
        return true;
    case ':':
        v->kind = VALUE_INTEGER;
        return length_parse(e->text.at, e->text.len, &v->number);
    case '#':
        v->kind = VALUE_INTEGER;
        v->number = e->text.len == 1 && e->text.at[0] == 't';
        return v->number == 1 || (e->text.len == 1 && e->text.at[0] == 'f');
    case '_':
        v->kind = VALUE_NULL;
        return e->text.len == 0;
    default:
        return false;
    }
}

/* Says what the element means; an attribute means nothing by itself and does not come here. */
static MUST_USE bool set_value(const struct element *e, struct value *v)
{
    *v = (struct value){ .kind = VALUE_NULL };
    if (e->null)
        return true;
    switch (e->type) {
    case '$':
    case '!':
        v->kind = e->type == '$' ? VALUE_STRING : VALUE_ERROR;
        v->text = e->text;
        return true;
    case '=': /* "txt:" or "mkd:" before the text */
        if (e->text.len < 4 || e->text.at[3] != ':')
            return false;
        v->kind = VALUE_STRING;
        v->text = (struct span){ e->text.at + 4, e->text.len - 4 };
        return true;
    case '*':
    case '~':
    case '>':
        v->kind = VALUE_LIST;
        v->count = e->length;
        return true;
    case '%':
        v->kind = VALUE_MAP;
        v->count = e->length;
        return true;
    default:
        return set_line(e, v);
    }
}

static uint64_t children(const struct value *v)
{
    return v->kind == VALUE_LIST ? v->count : v->kind == VALUE_MAP ? 2 * v->count : 0;
}

/*
 * `drop` counts the elements that belong to attributes and still have to be passed over. The value
 * behind an attribute is not one of them, unless the attribute itself is inside another one; then
 * it was counted already.
 */
bool value_next(struct value_cursor *c, struct value *out)
{
    struct value_cursor at = *c;
    uint64_t drop = 0;
    uint32_t plain;
    if (LIKELY(at.at < at.end && *at.at == '$')) {
        const char *body = bulk_read(at.at, at.end, &plain);
        if (LIKELY(body != NULL)) {
            *out = (struct value){ .kind = VALUE_STRING, .text = { body, plain } };
            c->at = body + plain + 2;
            return true;
        }
    }
    for (;;) {
        struct element e;
        struct value v;
        if (!read_element(&at, &e))
            return false;
        if (UNLIKELY(e.type == '|')) {
            drop += 2 * e.length;
        } else if (!set_value(&e, &v)) {
            return false;
        } else if (LIKELY(drop == 0)) {
            *out = v;
            *c = at;
            return true;
        } else {
            drop += children(&v) - 1;
        }
        if (drop > MAX_CHILDREN)
            return false;
    }
}

bool value_skip_children(struct value_cursor *c, const struct value *v)
{
    struct value_cursor at = *c;
    uint64_t drop = children(v);
    while (drop > 0) {
        struct value child;
        if (!value_next(&at, &child))
            return false;
        drop += children(&child) - 1;
        if (drop > MAX_CHILDREN)
            return false;
    }
    *c = at;
    return true;
}
