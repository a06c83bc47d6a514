/*
 * settle.h: how requests end: replies, redirects, lost links, deadlines. The router's other half.
 */
#ifndef CLUSTER_SETTLE_H
#define CLUSTER_SETTLE_H

#include "cluster/redirect.h"
#include "cluster/router.h"

/* What the router wants to hear from its links. */
extern const struct link_user settle_link_user;

/* Answers every request whose deadline has passed and closes links that have fallen silent. */
void settle_sweep(struct router *rt);

/* Ends a request of the program's own. */
void settle_own(struct router *rt, struct request *r, int status);

/* Believes a MOVED, or an ASK, that `from` gave: takes it over into the map. Fills in an empty
   host. Gives the node that it names; NULL: too many have been named. */
struct node *settle_heed(struct router *rt, struct redirect *to, const struct endpoint *from);

#endif
