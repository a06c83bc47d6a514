/*
 * blocking_wide.h: blocking commands whose keys lie in several slots.
 *
 * No connection can wait at several nodes and take from only one. So the proxy looks, takes what is
 * there in the caller's order of keys, and otherwise waits until there is something to look for:
 *
 *   blocking_wide --> an attempt (an op) --> something: the answer
 *                        ^       |
 *                        |       v nothing
 *                        +---- waits: keywatch.h tells for lists and sorted sets; streams are tried
 *                              again every KEYWATCH_SLOWEST_MS
 *   own timeout: null. The client leaves during an attempt: what it has taken is put back.
 *
 * An attempt asks for all lengths side by side and then pops from the first key that has something,
 * as one command on one node each, so no element is lost or taken twice. Those that wait are told
 * in the order in which they came.
 */
#ifndef PROXY_BLOCKING_WIDE_H
#define PROXY_BLOCKING_WIDE_H

#include "proxy/blocked.h"
#include "proxy/blocking_ids.h"
#include "proxy/keywatch.h"

enum wide_kind { WIDE_POP, WIDE_MOVE, WIDE_STREAMS };

struct wide {
    struct blocked b;
    struct key_want *wants; /* WIDE_POP, WIDE_MOVE: one per key */
    uint32_t *keys;         /* arguments that are keys */
    uint32_t key_count;
    uint64_t order;        /* of its beginning, among all */
    struct stream_ids ids; /* WIDE_STREAMS */
    uint8_t kind;
    bool zset;
    bool waited; /* the first attempt is over */
};

/* Each begins an attempt as an op of the client, which waits already; its answer comes to the way's
   op_done, a null for "nothing there". */
typedef void wide_attempt(struct wide *w);
wide_attempt wide_pop;     /* blocking_pop.c */
wide_attempt wide_streams; /* blocking_streams.c */

/* The worker's keywatch has found something for this one. */
void wide_on_found(void *context);

#endif
