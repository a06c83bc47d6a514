/* The order that SORT brings elements into; sortCompare in sort.c of Redis 7.0. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "proxy/gather_sort_private.h"

struct span sort_text(const struct sort *s, struct kept_text p)
{
    return p.at == SIZE_MAX ? SPAN("") : (struct span){ s->room.at + p.at, p.len };
}

static int compare_bytes(struct span a, struct span b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter > 0 ? memcmp(a.at, b.at, shorter) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static size_t until_nul(struct span s)
{
    const char *nul = s.len > 0 ? memchr(s.at, '\0', s.len) : NULL;
    return nul != NULL ? (size_t)(nul - s.at) : s.len;
}

/* Without STORE Redis compares as strcoll does, which ends at a NUL; as in the C locale. */
static int compare_texts(const struct sort *s, struct kept_text x, struct kept_text y)
{
    struct span a = sort_text(s, x), b = sort_text(s, y);
    if (s->store.at == NULL) {
        a.len = until_nul(a);
        b.len = until_nul(b);
    }
    return compare_bytes(a, b);
}

static int compare_alpha(const struct sort *s, const struct item *a, const struct item *b)
{
    if (s->by.at == NULL)
        return compare_texts(s, a->element, b->element);
    bool has_a = a->weight.at != SIZE_MAX, has_b = b->weight.at != SIZE_MAX;
    if (!has_a || !has_b)
        return has_a - has_b;
    return compare_texts(s, a->weight, b->weight);
}

static int compare(const void *x, const void *y, void *context)
{
    const struct sort *s = context;
    const struct item *a = x, *b = y;
    int order;
    if (s->alpha)
        order = compare_alpha(s, a, b);
    else if (a->score != b->score)
        order = a->score > b->score ? 1 : -1;
    else
        order = compare_bytes(sort_text(s, a->element), sort_text(s, b->element));
    return s->desc ? -order : order;
}

/* The whole text as a number, as strtod reads it. */
static bool read_score(struct span text, double *out)
{
    char *copy = malloc(text.len + 1), *end;
    REQUIRE(copy != NULL);
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *out = strtod(copy, &end);
    bool ok = *end == '\0' && errno != ERANGE && !isnan(*out);
    free(copy);
    return ok;
}

bool sort_read_scores(struct sort *s)
{
    bool ok = true;
    for (uint64_t i = 0; i < s->count; i++) {
        struct item *item = &s->items[i];
        struct kept_text p = s->by.at != NULL ? item->weight : item->element;
        if (p.at != SIZE_MAX)
            ok = read_score(sort_text(s, p), &item->score) && ok;
    }
    return ok;
}

static void reverse(struct sort *s)
{
    for (uint64_t i = 0; i < s->count / 2; i++) {
        struct item other = s->items[i];
        s->items[i] = s->items[s->count - 1 - i];
        s->items[s->count - 1 - i] = other;
    }
}

static void limit(struct sort *s)
{
    int64_t n = (int64_t)s->count;
    int64_t start = s->limit_start < 0 ? 0 : s->limit_start > n ? n : s->limit_start;
    int64_t count = s->limit_count < -1 ? -1 : s->limit_count > n ? n : s->limit_count;
    int64_t end = count < 0 ? n - 1 : start + count - 1;
    if (start >= n) {
        start = n - 1;
        end = n - 2;
    }
    s->start = start;
    s->end = end >= n ? n - 1 : end;
}

void sort_items(struct sort *s)
{
    if (!s->as_it_is)
        qsort_r(s->items, s->count, sizeof(s->items[0]), compare, s);
    else if (s->desc && !s->is_set)
        reverse(s);
    limit(s);
}
