/*
 * slowlog.h: the last requests of this worker's clients that took long, as SLOWLOG of one Redis
 * keeps them. SLOWLOG shows those of all workers; their ids come from the board.
 *
 * The time of a request is that from its last byte to the last byte of its reply, with whatever
 * retries and redirects lay between, by a clock that is read once per turn. What the proxy answers
 * itself takes no time and is not in it.
 *
 * SLOWLOG GET shows Redis's six fields and no more, because there are clients that take neither
 * five nor seven. PROXY SLOWLOG shows two more: how long the last try took at the node, and which
 * node that was. A command that was run in steps has neither.
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
    uint32_t least_us; /* a request that takes so long gets in; UINT32_MAX: none does */
    uint32_t max;
};

/* Opens an empty one; w->router and w->latency are open. */
void slowlog_open(struct worker *w);
/* Takes over the worker's options, and what w->latency wants to see. */
void slowlog_set_options(struct worker *w);
/* Drops all entries; the ids go on. */
void slowlog_reset(struct slowlog *s);

/* An op has its answer; it is looked at whether it took long, for w->latency, too. Its client is
 * still there. */
void slowlog_see_op(const struct op *op);

enum slowlog_form { SLOWLOG_AS_REDIS, SLOWLOG_LONG };

/* The youngest entries, one behind the other. */
void slowlog_write(const struct slowlog *s, uint32_t count, enum slowlog_form form,
                   struct writer *w);

#endif
