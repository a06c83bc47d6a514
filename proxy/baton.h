/*
 * baton.h: what is handed over when a new program takes the place of a running one: descriptors and
 * processes, one item each.
 *
 * Over an exec the items go in a memfd whose number stands in the environment, and the descriptors
 * are simply inherited. Over a socket (baton_send) each item brings its descriptor along.
 */
#ifndef PROXY_BATON_H
#define PROXY_BATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum baton_kind {
    BATON_ROLE,     /* number: enum baton_role; generation: of the crew that serves */
    BATON_CREW,     /* of `generation`: number of members, index: addresses of each */
    BATON_BOARD,    /* fd */
    BATON_LIFELINE, /* fd; index 0: reading end, 1: writing end */
    BATON_WIRE,     /* fd: where the launcher sends what it has made */
    BATON_MEMBER,   /* pid, number */
    BATON_INBOX,    /* fd, number, index: which end of which inbox, see crew.h */
    BATON_LISTENER, /* fd, number, index: which address */
    BATON_LEAVER,   /* pid of an earlier generation; number: a signal that it is due, or 0 */
    BATON_END,
    BATON_ADMIN, /* fd, index: which address of the admin server */
    BATON_ELDER, /* fd, generation, number: the way into the inbox of a worker that drains */
};

enum baton_role { BATON_LAUNCH = 1, BATON_ADOPT };

struct baton_item {
    uint32_t kind; /* enum baton_kind */
    uint32_t generation, number, index;
    int32_t pid, fd; /* fd -1: none */
};

struct baton {
    struct baton_item *items;
    size_t count;
};

void baton_add(struct baton *b, struct baton_item item);
void baton_free(struct baton *b);
/* The first item of that kind, generation, number and index; NULL: none. */
const struct baton_item *baton_find(const struct baton *b, enum baton_kind kind,
                                    uint32_t generation, uint32_t number, uint32_t index);

/* Lets the descriptors pass an exec, or no longer. */
void baton_keep_over_exec(const struct baton *b, bool keep);
/* Writes the items into a memfd and its number into the environment; gives it, or -1. */
MUST_USE int baton_to_environment(const struct baton *b);
/* 1: there was one, 0: none, -1: one that this program cannot read. The environment no longer shows
   it, and the descriptors are close-on-exec again. */
MUST_USE int baton_from_environment(struct baton *b);
void baton_forget_environment(void);

/* One item over a socket, blocking. */
MUST_USE bool baton_send(int to, const struct baton_item *item);
/* The same, not blocking. 1: an item, whose descriptor is the caller's; 0: none yet; -1: the end.
 */
MUST_USE int baton_receive(int from, struct baton_item *item);

#endif
