/*
 * block.h: a transaction as one request: MULTI, the commands, EXEC, in one piece on a shared link.
 *
 * Its bytes lie together in one connection, so nothing of another client gets in between. The node
 * answers each part: +OK, +QUEUED for each command (these are call.lead replies), and then EXEC's
 * reply, which alone is the request's. A command that the node refuses to queue (MOVED, TRYAGAIN,
 * LOADING ...) makes EXEC execute nothing; then the block is tried again as a whole, as the first
 * refusal says. A connection that ends before the last byte has left takes the open MULTI with it,
 * so what holds of single requests holds of a block: not all written, not executed.
 */
#ifndef CLUSTER_BLOCK_H
#define CLUSTER_BLOCK_H

#include "cluster/redirect.h"
#include "cluster/request.h"

enum block_refused {
    BLOCK_NOT_REFUSED = 0,
    BLOCK_COMMAND_REFUSED, /* EXEC will execute nothing */
    BLOCK_NEVER_BEGAN,     /* MULTI itself was refused: each command went for itself */
};

#define BLOCK_BEGIN "*1\r\n$5\r\nMULTI\r\n"
#define BLOCK_ASKING "*1\r\n$6\r\nASKING\r\n" /* before BLOCK_BEGIN; holds until EXEC */
#define BLOCK_END "*1\r\n$4\r\nEXEC\r\n"

/* A NEW request becomes a block of so many commands. */
static inline void block_of(struct request *r, uint32_t commands)
{
    r->call.lead = commands + 1;
}

/* What to do about EXEC's error. first: the first error of a part before it, if one was refused. */
struct redirect block_verdict(enum block_refused refused, struct span first, struct span error);
/* The same for a request; r->reply holds the first error. */
struct redirect block_judge(const struct request *r, struct span error);

#endif
