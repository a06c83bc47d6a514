/*
 * gather_keys.h: the keys of a command that is run on copies in one slot, and the names of these
 * copies. What gather.c and gather_script.c have in common; knows nothing of their steps.
 *
 * Home is the slot in which the command runs. A key that is named twice is there once.
 */
#ifndef PROXY_GATHER_KEYS_H
#define PROXY_GATHER_KEYS_H

#include "base/text.h"
#include "proxy/op.h"

struct copied_key {
    struct span name; /* in the op's copy of the request */
    uint16_t slot;
    bool there; /* it existed when it was copied */
};

struct gather {
    struct op op;
    uint16_t home;
    uint32_t count;
    struct copied_key *keys;
    uint32_t *key_of_arg; /* per argument: which of the keys it names, or none */
    op_step *otherwise;   /* goes on when the short way of gather_set.c does not do */
};

static inline struct gather *gather_of(struct op *op)
{
    return CONTAINER_OF(op, struct gather, op);
}

/* Begins the op; g is zeroed memory. Those at home are copied, too, if `all`. */
void gather_open(struct gather *g, struct client *c, const struct command *cmd,
                 const struct argv *argv, op_step *first, op_step *free_it, bool all);
/* Frees what gather_open made, but not g. */
void gather_close(struct gather *g);

/* The temporary name of a key's copy, and how long copies live, in ms as text. */
struct span gather_name(struct gather *g, uint32_t key, char out[OP_TEMP_NAME_MAX]);
struct span gather_ttl(const struct gather *g, char out[TEXT_NUMBER_MAX]);

/* Sends the command with the temporary names. */
void gather_send(struct gather *g);
/* Sends UNLINK of the first `count` temporary names. */
void gather_unlink(struct gather *g, uint32_t count);
/* The n-th reply of the step is the client's, with the true names of the keys. */
void gather_answer(struct gather *g, uint32_t n);

/* gather_set.c: the first step of SINTER, SUNION, SDIFF and SINTERCARD. */
op_step gather_set_look;

#endif
