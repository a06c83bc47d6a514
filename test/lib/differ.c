#include "test/lib/differ.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "resp/span.h"
#include "test/lib/client.h"

/* What a reply is turned into before it is compared. */
struct text {
    char *at;
    size_t len, room;
};

static void put(struct text *t, const char *bytes, size_t len)
{
    if (t->len + len > t->room) {
        t->room = 2 * (t->len + len);
        t->at = realloc(t->at, t->room);
        REQUIRE(t->at != NULL);
    }
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
}

static bool is_aggregate(char first)
{
    return strchr("*%~>", first) != NULL;
}

static size_t header_length(struct span s)
{
    const char *end = memchr(s.at, '\n', s.len);
    REQUIRE(end != NULL);
    return (size_t)(end - s.at) + 1;
}

/* As the header says; 0 for a null. */
static size_t element_count(struct span s)
{
    size_t n = 0;
    for (const char *p = s.at + 1; *p >= '0' && *p <= '9'; p++)
        n = 10 * n + (size_t)(*p - '0');
    return n;
}

/* Takes the next whole element, or `unit` of them as one, off the front. */
static struct span take(struct span *rest, int unit)
{
    struct span one = { rest->at, 0 };
    for (; unit > 0; unit--) {
        long len = reply_length(rest->at, rest->len);
        REQUIRE(len > 0);
        one.len += (size_t)len;
        rest->at += len;
        rest->len -= (size_t)len;
    }
    return one;
}

static int by_bytes(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);
    if (order != 0)
        return order;
    return x->len < y->len ? -1 : x->len > y->len;
}

static void put_canonical(struct text *t, enum differ_rule rule, struct span s);

/* The elements sorted by their bytes, each of them in its canonical form when the rule goes deep.
 */
static void put_sorted(struct text *t, enum differ_rule rule, struct span s)
{
    size_t header = header_length(s), count = 0, at = 0;
    struct span rest = { s.at + header, s.len - header };
    size_t elements = element_count(s);
    bool flat_map = rule == DIFFER_PAIRS && s.at[0] == '*' && elements % 2 == 0;
    int unit = s.at[0] == '%' || flat_map ? 2 : 1;
    struct span *each = calloc(elements + 1, sizeof(each[0]));
    size_t *from = calloc(elements + 1, sizeof(from[0]));
    struct text parts = { 0 };

    REQUIRE(each != NULL && from != NULL);
    for (; rest.len > 0; count++) {
        struct span one = take(&rest, unit);
        from[count] = parts.len;
        while (rule == DIFFER_DEEP && one.len > 0)
            put_canonical(&parts, rule, take(&one, 1));
        put(&parts, one.at, one.len);
        each[count].len = parts.len - from[count];
    }
    for (size_t i = 0; i < count; i++)
        each[i].at = parts.at + from[i];
    qsort(each, count, sizeof(each[0]), by_bytes);
    put(t, s.at, header);
    for (at = 0; at < count; at++)
        put(t, each[at].at, each[at].len);
    free(parts.at);
    free(each);
    free(from);
}

static void put_shape(struct text *t, struct span s)
{
    bool is_null = s.len > 1 && s.at[1] == '-' && strchr("$*", s.at[0]) != NULL;
    if (is_null || !is_aggregate(s.at[0])) {
        put(t, s.at, is_null ? s.len : 1);
        return;
    }
    size_t header = header_length(s);
    struct span rest = { s.at + header, s.len - header };
    put(t, s.at, header);
    while (rest.len > 0)
        put_shape(t, take(&rest, 1));
}

static void put_canonical(struct text *t, enum differ_rule rule, struct span s)
{
    if (s.at[0] == '-' || s.at[0] == '!')
        rule = DIFFER_SAME;
    switch (rule) {
    case DIFFER_SHAPE:
        put_shape(t, s);
        return;
    case DIFFER_KIND:
        put(t, s.at, 1);
        return;
    case DIFFER_SET:
    case DIFFER_PAIRS:
    case DIFFER_DEEP:
        if (is_aggregate(s.at[0])) {
            put_sorted(t, rule, s);
            return;
        }
        break;
    default:
        break;
    }
    put(t, s.at, s.len);
}

static bool near(const char *a, const char *b)
{
    long long x = strtoll(a + 1, NULL, 10), y = strtoll(b + 1, NULL, 10);
    long long apart = x > y ? x - y : y - x;
    return apart == 0 || (x > 0 && y > 0 && apart <= x / 100);
}

bool differ_agree(enum differ_rule rule, const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (rule == DIFFER_NEAR && a[0] == ':' && b[0] == ':')
        return near(a, b);
    struct text x = { 0 }, y = { 0 };
    put_canonical(&x, rule, (struct span){ a, a_len });
    put_canonical(&y, rule, (struct span){ b, b_len });
    bool agree = x.len == y.len && memcmp(x.at, y.at, x.len) == 0;
    free(x.at);
    free(y.at);
    return agree;
}

static size_t put_word(char *out, size_t room, const char *word, size_t len, const char *tag)
{
    bool is_key = len > 1 && word[0] == '@';
    size_t skip = is_key ? 1 : 0, tag_len = is_key ? strlen(tag) : 0;
    size_t at =
        (size_t)snprintf(out, room, "$%zu\r\n%.*s", tag_len + len - skip, (int)tag_len, tag);
    for (size_t i = skip; i < len; i++)
        out[at++] = word[i] == '^' ? ' ' : word[i];
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}

char *differ_request(const char *words, size_t words_len, const char *tag, size_t *len)
{
    size_t count = 1, room = 64 + 32 * words_len;
    char *out = malloc(room);

    REQUIRE(out != NULL);
    for (size_t i = 0; i < words_len; i++)
        count += words[i] == ' ';
    size_t at = (size_t)snprintf(out, room, "*%zu\r\n", count);
    for (size_t from = 0; from <= words_len;) {
        const char *end = memchr(words + from, ' ', words_len - from);
        size_t n = end != NULL ? (size_t)(end - words) - from : words_len - from;
        at += put_word(out + at, room - at, words + from, n, tag);
        from += n + 1;
    }
    *len = at;
    return out;
}
