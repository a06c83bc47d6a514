/*
 * transaction_phase.h: a phase of EXEC, the commands between two steps; for transaction_run.c only.
 */
#ifndef PROXY_TRANSACTION_PHASE_H
#define PROXY_TRANSACTION_PHASE_H

#include "proxy/transaction.h"

/* Sends what can be sent of `count` commands, of which there is one at least; the client is owed
   nothing. False: the rest has to wait for its replies, and then the same call must come again. */
MUST_USE bool transaction_run_phase(struct client *c, uint32_t from, uint32_t count);

/* The bytes of one queued command, lent. */
static inline struct span transaction_bytes(const struct transaction *t, const struct queued *q)
{
    return (struct span){ t->bytes->bytes + q->at, q->len };
}

/* What a command is answered that was not executed, because all before it had failed. */
void transaction_write_held_back(struct writer *w);

/* Sends a block; scripts it needs go out before it. Takes what router_submit takes. */
void transaction_submit(struct router *rt, struct request *r, struct span bytes,
                        struct chunk *chunk);
bool transaction_calls_script(const struct command *cmd);

#endif
