/*
 * dispatch.h: what becomes of one complete request of a client: routed, answered here, or refused.
 */
#ifndef PROXY_DISPATCH_H
#define PROXY_DISPATCH_H

#include "proxy/client.h"

/*
 * bytes: the whole request, lying in chunk (NULL: somewhere else); borrowed, as argv is.
 * False: not now, the client must first have got every reply that it is owed; nothing was done.
 */
MUST_USE bool dispatch(struct client *c, const struct argv *argv, struct span bytes,
                       struct chunk *chunk);

/* Runs one command of a transaction, whose row and arguments have been looked at before. */
MUST_USE bool dispatch_queued(struct client *c, const struct command *cmd, const struct argv *argv,
                              struct span bytes);

/* A command that the proxy answers itself. The same result as dispatch; answers through w, which
   has the client's protocol and is sent as the reply if anything was written. */
typedef bool local_command(struct client *c, const struct argv *argv, struct writer *w);

/* Finds the handler of each row that is HOW_LOCAL; aborts when one is missing (a bug). Gives an
   array by row index that the caller frees. */
local_command **dispatch_find_locals(const struct command_table *commands);

#endif
