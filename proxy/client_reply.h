/*
 * client_reply.h: replies go to the client in the order of its requests (promise 1).
 *
 * What belongs to the oldest request is written at once; what comes earlier than its turn is copied
 * and waits in its request. A reply of the oldest request that is still growing is held back until it
 * is complete or larger than REPLY_HOLD_MAX: so a node that dies inside a small reply costs no client
 * its connection.
 */
#ifndef PROXY_CLIENT_REPLY_H
#define PROXY_CLIENT_REPLY_H

#include "proxy/client.h"

enum { REPLY_HOLD_MAX = 64 * 1024 };

/* What a client wants to hear from the router. */
extern const struct flow_user client_flow_user;

/* Closes a client that is finishing and owed nothing any more. */
void client_finish_if_quiet(struct client *c);
/* The client may take more requests than a moment ago: looked at when the turn ends. */
void client_wake(struct client *c);

#endif
