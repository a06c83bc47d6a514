/*
 * client_reply.h: replies go to the client in the order of its requests (promise 1).
 *
 * What belongs to the oldest request is written at once; what comes earlier than its turn is copied
 * and waits in its request. A reply of the oldest request that is still growing is held back until
 * it is complete or larger than REPLY_HOLD_MAX: so a node that dies inside a small reply costs no
 * client its connection.
 *
 * A client that sends faster than it reads must not make the proxy hold a flood of large replies.
 * How many requests it may have under way is its window: it starts at 64, grows by one with each
 * reply up to max-pipeline, and falls to 4 while more than a megabyte is owed to the client.
 */
#ifndef PROXY_CLIENT_REPLY_H
#define PROXY_CLIENT_REPLY_H

#include "cluster/group.h"
#include "proxy/client.h"

enum {
    REPLY_HOLD_MAX = 64 * 1024,
    CLIENT_WINDOW_START = 64,
    CLIENT_WINDOW_MIN = 4,
    CLIENT_BACKLOG_MAX = 1024 * 1024, /* bytes owed to a client that make its window small */
};

/* What a client wants to hear from the router. */
extern const struct flow_user client_flow_user;

/* Closes a client that is finishing and owed nothing any more. */
void client_finish_if_quiet(struct client *c);
/* Releases the head of the client's flow, whose reply has been sent. */
void client_take_off(struct client *c, struct request *r);
/* A group of this client is held no more; it may be complete. */
void client_group_go_on(struct client *c, struct group *g);
/* Closes a client that owes us too much reading. */
void client_check_output(struct client *c);
void client_close_slow_reader(struct client *c);
/* The client may take more requests than a moment ago: looked at when the turn ends. */
void client_wake(struct client *c);

/* One of its commands took so long, from its last byte to the last one of its reply. */
static inline void client_took(struct client *c, uint32_t us)
{
    c->took_us += us;
    c->slowest_us = us > c->slowest_us ? us : c->slowest_us;
}

#endif
