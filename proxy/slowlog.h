/*
 * slowlog.h: the last requests of this worker's clients that took long, as SLOWLOG of one Redis
 * keeps them. SLOWLOG shows those of all workers; their ids come from the board.
 *
 * The time of a request is that from its last byte to the last byte of its reply, with whatever
 * retries and redirects lay between. It is told by the loop's clock, so in whole milliseconds.
 * What the proxy answers itself takes no time and is not in it.
 */
#ifndef PROXY_SLOWLOG_H
#define PROXY_SLOWLOG_H

#include "cluster/router.h"
#include "resp/writer.h"

struct client;
struct worker;
struct op;

struct slowlog {
    struct list_node entries; /* youngest first */
    uint32_t count;
    int64_t least_ms; /* a request that takes so long gets in; INT64_MAX: none does */
    uint32_t max;
};

/* Opens an empty one; w->router is open. */
void slowlog_open(struct worker *w);
/* Takes over the worker's options. */
void slowlog_set_options(struct worker *w);
/* Drops all entries; the ids go on. */
void slowlog_reset(struct slowlog *s);

/* An op has its answer; it is looked at whether it took long. Its client is still there. */
void slowlog_see_op(const struct op *op);

/* The youngest entries, one behind the other. */
void slowlog_write(const struct slowlog *s, uint32_t count, struct writer *w);

#endif
