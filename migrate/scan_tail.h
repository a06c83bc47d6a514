/*
 * scan_tail.h: the keys that a source's keyspace notifications name, as a queue.
 *
 * A key that waits is named once, however often it changes meanwhile, as far as a table of the last
 * ones tells. Life: scan_tail_open -> on_ready once the source has confirmed -> on_key, whenever
 * there is something to take -> scan_tail_close -> the loop runs empty -> scan_tail_free.
 */
#ifndef MIGRATE_SCAN_TAIL_H
#define MIGRATE_SCAN_TAIL_H

#include "cluster/feed.h"

enum { SCAN_TAIL_SEEN = 64 * 1024, SCAN_TAIL_MAX = 256 * 1024 * 1024 };

struct scan_tail_user {
    void (*on_ready)(void *context);
    void (*on_key)(void *context);
    void (*on_failed)(void *context, const char *why); /* notifications may have been lost */
};

struct scan_tail {
    const struct scan_tail_user *user;
    void *context;
    struct feed *feed;
    struct link_options options;
    struct writer queue; /* lengths in 4 bytes, and keys; taken up to `at` */
    size_t at;
    uint64_t events; /* notifications received */
    uint32_t waiting;
    bool ready, closing;
    uint64_t seen[SCAN_TAIL_SEEN]; /* by hash: a key that waits, or 0 */
};

void scan_tail_open(struct scan_tail *t, struct net *net, const struct endpoint *source,
                    const struct link_options *options, const struct scan_tail_user *user,
                    void *context);
/* The next key, lent until the next call of any of these. False: none waits. */
bool scan_tail_next(struct scan_tail *t, struct span *key);
void scan_tail_close(struct scan_tail *t);
void scan_tail_free(struct scan_tail *t);

#endif
