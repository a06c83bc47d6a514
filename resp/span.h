/*
 * span.h: bytes that somebody else owns.
 *
 * A span borrows: it is valid as long as the owner says, as a rule until the callback that handed
 * it over returns. Nothing here is NUL-terminated.
 */
#ifndef RESP_SPAN_H
#define RESP_SPAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *at;
    size_t len;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

/* One argument of a request: where it lies, counted from the request's first byte. */
struct arg {
    uint32_t off;
    uint32_t len;
};

/* The arguments of one complete request. Borrows both the bytes and the positions. */
struct argv {
    const char *base; /* the request's first byte ('*') */
    const struct arg *v;
    uint32_t count;
};

static inline struct span argv_get(const struct argv *a, uint32_t i)
{
    return (struct span){ a->base + a->v[i].off, a->v[i].len };
}

static inline int span_equal(struct span a, struct span b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

/* Equal when ASCII case is ignored; `lower` is already in lower case. */
static inline int span_is(struct span a, const char *lower)
{
    for (size_t i = 0; i < a.len; i++) {
        unsigned char c = (unsigned char)a.at[i];
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c | 0x20);
        if (lower[i] == '\0' || c != (unsigned char)lower[i])
            return 0;
    }
    return lower[a.len] == '\0';
}

#endif
