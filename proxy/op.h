/*
 * op.h: a small program that is run for one command of a client, in steps.
 *
 * Each step sends requests side by side and waits for all of their replies, whole; then the next
 * step looks at them. Knows nothing of what the steps mean.
 *
 *   op_start: alone in its client's flow, where a placeholder stands for the answer
 *     -> at the end of the turn the first step runs: op_send ..., op_then(next)
 *     -> all answered: next runs, and so on -> op_answer, op_end -> freed
 *   a reply is an error (and the step is not tolerant): it is the answer, `clean` runs, then the
 * end the client leaves: the op goes on to its end, the answer is dropped shutdown: the worker
 * waits for its ops, until shutdown-timeout
 *
 * While an op runs, its client reads no further request, so that order is kept on every slot. The
 * requests are a flow of their own: those on one slot take effect in the order sent. Steps run from
 * the worker's turn end, never from inside a callback of the router.
 */
#ifndef PROXY_OP_H
#define PROXY_OP_H

#include "proxy/client.h"
#include "resp/value.h"
#include "resp/writer.h"

struct op;
typedef void op_step(struct op *op);
struct op_reply { /* where it lies in op->in */
    size_t at, len;
};

struct op {
    struct worker *worker;
    struct client *client; /* NULL once it has left or has its answer */
    struct request *place; /* in the client's flow */
    const struct command *cmd;
    struct argv argv; /* in our own copy */
    char *copy;
    struct chunk *stash; /* where small pieces of replies are copied */
    struct flow flow;
    struct list_node in_worker, in_ready;
    op_step *next;
    op_step *clean;    /* after a failure: takes back what it can; NULL: nothing to do */
    op_step *free;     /* frees the op and what is around it */
    struct writer out; /* the request that is being written */
    struct writer in;  /* the replies of the last step */
    struct writer answer;
    struct op_reply *replies;
    uint32_t count, room; /* replies */
    uint32_t open;        /* requests without a reply */
    uint64_t limit;       /* bytes of replies in this step */
    uint32_t began;       /* us of net_clock, its low bits */
    bool tolerant;        /* this step looks at errors itself */
    bool measures;        /* the limit is cross-slot-max-bytes */
    bool bounded;         /* past the limit is no failure */
    bool overflowed;      /* the step before was bounded, and it was too much */
    bool over_limit, ended, failed;
    bool waiting;   /* in a list of op_wait, by in_ready */
    char token[33]; /* of its temporary keys */
};

enum { OP_TEMP_NAME_MAX = 80 };

/* Whether an op may begin now: every earlier reply is out. Also for a client that waits in a
   blocking command, whose way gets the answer then (op_done in blocked.h). */
bool op_may_start(const struct client *c);
/* Begins; copies the request. op is zeroed memory that free gives back. */
void op_start(struct op *op, struct client *c, const struct command *cmd, const struct argv *argv,
              op_step *first, op_step *free);
/* For no client. */
void op_start_alone(struct op *op, struct worker *w, op_step *first, op_step *free);

/* --- for the steps ---------------------------------------------------------------------------- */

/* Sends the request in op->out. */
void op_send_out(struct op *op, const struct command *cmd, uint16_t slot);
/* Writes and sends a request of these words; the first is a command of the table, in lower case. */
void op_send_words(struct op *op, uint16_t slot, const struct span *words, size_t count);
#define OP_SEND(op, slot, ...)                                                                     \
    op_send_words(op, slot, (const struct span[]){ __VA_ARGS__ },                                  \
                  sizeof((const struct span[]){ __VA_ARGS__ }) / sizeof(struct span))

void op_then(struct op *op, op_step *next);
/* Sends nothing: next runs when the op has been moved from that list to worker->ops_ready. */
void op_wait(struct op *op, struct list_node *list, op_step *next);
/* The replies to come are copies of values: together at most cross-slot-max-bytes. */
void op_measure(struct op *op);
/* The replies to come are of no use if they are longer together: then the next step finds
   op->overflowed set and none of them whole. */
void op_bound(struct op *op, uint64_t bytes);
/* Errors among the replies to come are for the next step to look at. */
void op_tolerate(struct op *op);
/* The n-th reply of the step before, raw. Lent until this step returns. */
struct span op_reply(const struct op *op, uint32_t n);
bool op_reply_failed(const struct op *op, uint32_t n);
/* Its first element; an odd reply counts as VALUE_ERROR. */
struct value op_value(const struct op *op, uint32_t n);
/* An integer; -3 for anything else. */
int64_t op_integer(const struct op *op, uint32_t n);

/* What the client will get; the last one counts. Copied. */
void op_answer(struct op *op, struct span reply);
/* Answers with this, and ends after cleaning up. */
void op_fail(struct op *op, struct span error);
/* Nothing more to do; the answer is sent when this step returns. */
void op_end(struct op *op);

/* "{tag}slotgate:tmp:RANDOM:n" in that slot; the same again for the same n and slot. */
struct span op_temp_name(struct op *op, uint16_t slot, uint32_t n, char out[OP_TEMP_NAME_MAX]);

/* --- for the worker and the client ------------------------------------------------------------ */

/* Runs the steps of ops whose replies are all there. */
void op_run_ready(struct worker *w);
void op_forget_client(struct op *op); /* it leaves */
/* Also drops what is under way, and cleans up. Not from inside a step. */
void op_give_up(struct op *op);
/* Ends every op where it is. */
void op_abort_all(struct worker *w);

#endif
