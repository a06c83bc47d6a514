/*
 * keywatch.h: asks again and again whether keys hold something, for all clients that wait for keys
 * in several slots.
 *
 * No node tells when a key gets an element to somebody who may not take it yet. So each key is
 * asked for its length (LLEN, ZCARD), once for all who want it, every KEYWATCH_SLOWEST_MS, or more
 * often right after something was found. Together never more than KEYWATCH_PER_MS questions a
 * millisecond: with more keys than that allows each is asked more rarely.
 *
 * When a key holds n elements, the first n clients that want it are told, oldest first; on_found
 * has to drop all wants of that client. What it then finds may be gone already.
 */
#ifndef PROXY_KEYWATCH_H
#define PROXY_KEYWATCH_H

#include "cluster/router.h"

enum { KEYWATCH_FASTEST_MS = 5, KEYWATCH_SLOWEST_MS = 25, KEYWATCH_PER_MS = 10 };

enum keywatch_kind { KEYWATCH_LIST, KEYWATCH_ZSET };

struct watched_key;

/* One client's interest in one key; embedded in what waits. All zero: not wanted. */
struct key_want {
    struct list_node in_key;
    struct watched_key *key;
    uint64_t order;
    void *context;
};

struct keywatch {
    struct router *router;
    const struct command *ask[2]; /* by kind */
    void (*on_found)(void *context);
    struct flow flow;
    struct list_node keys;     /* the one to be asked next first */
    struct list_node *buckets; /* made when first needed */
    uv_timer_t timer;
    uint64_t pace; /* ms */
    struct writer out;
    uint32_t count;
    bool ticking;
};

void keywatch_open(struct keywatch *k, struct router *rt, void (*on_found)(void *context));
/* Before router_close; no want is left. */
void keywatch_close(struct keywatch *k);
void keywatch_free(struct keywatch *k);

/* Key is copied. A lower order is told first. */
void keywatch_want(struct keywatch *k, struct key_want *want, enum keywatch_kind kind,
                   uint16_t database, struct span key, uint64_t order, void *context);
/* May be called for one that is not wanted. */
void keywatch_drop(struct keywatch *k, struct key_want *want);

#endif
