/*
 * gather_sort_private.h: what gather_sort.c (asks and answers) and gather_sort_order.c (brings the
 * elements into order) share.
 */
#ifndef PROXY_GATHER_SORT_PRIVATE_H
#define PROXY_GATHER_SORT_PRIVATE_H

#include "proxy/op.h"

/* A text in sort->room; a missing one has at SIZE_MAX. */
struct kept_text {
    size_t at, len;
};

struct item {
    struct kept_text element, weight;
    double score;
};

struct sort {
    struct op op;
    struct span key, store, by; /* at NULL: not given */
    struct span *get;
    uint32_t gets;
    int64_t limit_start, limit_count;
    bool desc, alpha, as_it_is, is_set;
    uint16_t slot;
    struct writer room; /* the texts of all elements, weights and values */
    struct item *items;
    uint64_t count;
    int64_t start, end;       /* of the items, what LIMIT leaves; both included */
    struct kept_text *values; /* gets of them for each of these */
    uint64_t next, wanted;    /* of what is being fetched */
    uint64_t asked;           /* that the step under way has fetched up to */
    bool for_values;
};

struct span sort_text(const struct sort *s, struct kept_text p);
/* False: one of the texts to sort by is no number. */
MUST_USE bool sort_read_scores(struct sort *s);
/* Brings all items into their order and sets what LIMIT leaves of them. */
void sort_items(struct sort *s);

#endif
