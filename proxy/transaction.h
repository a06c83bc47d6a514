/*
 * transaction.h: MULTI, what is queued behind it, and EXEC.
 *
 *   MULTI --> queueing: each command is looked at as Redis does, and its bytes are kept
 *     DISCARD, RESET, the client leaves --> gone
 *     an error while queueing           --> spoiled: EXEC answers EXECABORT
 *   EXEC: all in one slot               --> one block (cluster/block.h); its reply passes unchanged
 *         anything else                 --> running, phase by phase (transaction_run.c)
 *
 * The bytes lie one behind the other, behind a MULTI, so that a block is what has been queued.
 */
#ifndef PROXY_TRANSACTION_H
#define PROXY_TRANSACTION_H

#include "proxy/client.h"
#include "resp/writer.h"

/* How a queued command is executed at EXEC. */
enum queued_kind {
    QUEUED_KEYED, /* in the block of its slot */
    QUEUED_FREE,  /* any node answers it: in the block of the command before it */
    QUEUED_HERE,  /* the proxy answers it */
    QUEUED_STEP,  /* by itself, between two phases: many nodes, or keys in several slots */
};

struct queued {
    const struct command *cmd;
    uint32_t at, len; /* its bytes */
    uint16_t slot;    /* QUEUED_KEYED */
    uint8_t kind;     /* enum queued_kind */
    bool writes;      /* may change data */
    bool in_front;    /* running: its block has been sent, and its element is kept */
};

struct transaction {
    struct chunk *bytes; /* BLOCK_BEGIN and the commands; NULL before the first one */
    struct queued *commands;
    uint32_t count, room;  /* commands */
    uint32_t next;         /* running: the first one of the next phase */
    int slot;              /* of all keys so far, KEYS_NONE or KEYS_CROSS */
    struct writer carried; /* EXEC's reply of the block of carried_slot, which has been executed */
    int carried_slot;      /* KEYS_NONE: none has */
    struct writer front;   /* running, halfway: elements of the commands in front, in their order */
    bool spoiled;
    bool has_steps;  /* QUEUED_STEP is among them */
    bool in_phases;  /* something has been queued that is no part of a block */
    bool writes;     /* something has been queued that may change data */
    bool publishes;  /* PUBLISH or SPUBLISH has been queued */
    bool subscribes; /* SUBSCRIBE or one of its like has been queued */
    bool running;    /* in phases */
    bool halfway;    /* running: of this phase only the last block has not been sent */
    bool executed;   /* running: something has been executed, or may have been in a step */
    bool failed;     /* running: what has been sent has failed, and all that was; no more begins */
    bool begun;      /* something of EXEC is on its way */
};

/* Whether a command with the right number of arguments is executed inside MULTI at once. */
bool transaction_passes(const struct command *cmd);
/* Queues a command; writes what the client is told: QUEUED, or why not. Copies the bytes. */
void transaction_queue(struct client *c, const struct command *cmd, const struct argv *argv,
                       struct span bytes, struct writer *w);
/* A command could not be queued: EXEC will execute nothing. */
void transaction_spoil(struct client *c);
/* Ends the client's transaction, if it has one. Requests under way go on. */
void transaction_drop(struct client *c);
/* Commands queued; -1: the client has no transaction. */
int64_t transaction_count(const struct client *c);

/* transaction_run.c, transaction_phase.c */

/* The whole transaction as one block, lent until its end; to be called once. */
struct span transaction_block(struct client *c);
/* The block of one slot of several, written to w; gives how many commands it has. */
uint32_t transaction_write_block(const struct client *c, uint16_t slot, struct writer *w);
/* That block has been executed, and this is EXEC's reply: transaction_run puts it in its places. */
void transaction_carried(struct client *c, uint16_t slot, struct span reply);
/* Sends the whole on the shared connection. */
void transaction_send_block(struct client *c);
/* Starts as many phases as can be started now; false: not all, the client must first have got every
   reply that it is owed. */
MUST_USE bool transaction_run(struct client *c);

/* Whether something of EXEC has been executed, or may have been, and its reply is not all out. */
static inline bool transaction_has_begun(const struct client *c)
{
    return c->transaction != NULL && c->transaction->begun;
}

#endif
