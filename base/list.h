/*
 * list.h: an intrusive doubly linked list.
 *
 * The head is a list_node of its own that points to itself when the list is empty. An element
 * embeds one node per list it can be in; a node that is in no list points to itself, so
 * list_remove may be called twice. The list owns nothing and allocates nothing.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list_node {
    struct list_node *prev, *next;
};

static inline void list_init(struct list_node *n)
{
    n->prev = n->next = n;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* A node that is in a list; for a head, the same as "not empty". */
static inline bool list_is_linked(const struct list_node *n)
{
    return n->next != n;
}

static inline void list_insert_before(struct list_node *where, struct list_node *n)
{
    n->prev = where->prev;
    n->next = where;
    where->prev->next = n;
    where->prev = n;
}

static inline void list_append(struct list_node *head, struct list_node *n)
{
    list_insert_before(head, n);
}

static inline void list_prepend(struct list_node *head, struct list_node *n)
{
    list_insert_before(head->next, n);
}

static inline void list_remove(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

/* Moves all of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list_node *to, struct list_node *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

static inline size_t list_length(const struct list_node *head)
{
    size_t n = 0;
    for (const struct list_node *at = head->next; at != head; at = at->next)
        n++;
    return n;
}

/* The element around a node. */
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* `n` and `safe` are struct list_node *; the body may remove n, and only n. */
#define LIST_EACH(head, n, safe)                                                                   \
    for ((n) = (head)->next, (safe) = (n)->next; (n) != (head); (n) = (safe), (safe) = (n)->next)

#endif
