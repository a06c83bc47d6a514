/*
 * settle_inner.h: what settle.c does for settle_time.c.
 */
#ifndef CLUSTER_SETTLE_INNER_H
#define CLUSTER_SETTLE_INNER_H

#include "cluster/router.h"

/* The request leaves the hands of the router; its flow's user gets the last piece next. by: who
   answered, NULL: nobody. */
void settle_complete(struct router *rt, struct request *r, const struct node *by);
/* Ends it with a reply of our own. */
void settle_answer(struct router *rt, struct request *r, struct span text);
/* ... that says that it may have been executed. */
void settle_unknown_fate(struct router *rt, struct request *r, const struct link *l, int why);

#endif
