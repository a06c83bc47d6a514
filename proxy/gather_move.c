/*
 * Commands that carry a value from one key to another, which lies in another slot. The value is
 * written in its new place before it is taken away from the old one, so that it is always in one of
 * the two; for a moment, or after a crash, it is in both.
 */
#include <stdlib.h>

#include "base/text.h"
#include "cluster/keyslot.h"
#include "proxy/gather.h"
#include "proxy/op.h"
#include "proxy/worker.h"

enum { BUSY_TRIES = 8 };

struct move {
    struct op op;
    struct span from, to;
    uint16_t from_slot, to_slot;
    bool replace; /* what is there */
    uint32_t tries;
};

static struct move *move_of(struct op *op)
{
    return CONTAINER_OF(op, struct move, op);
}

static void free_move(struct op *op)
{
    free(move_of(op));
}

/* From the key at argument 1 to the one at argument 2. */
static struct move *start(struct client *c, const struct command *cmd, const struct argv *argv,
                          op_step *first)
{
    struct move *m = calloc(1, sizeof(*m));
    REQUIRE(m != NULL);
    op_start(&m->op, c, cmd, argv, first, free_move);
    m->from = argv_get(&m->op.argv, 1);
    m->to = argv_get(&m->op.argv, 2);
    m->from_slot = keyslot_of(m->from);
    m->to_slot = keyslot_of(m->to);
    return m;
}

static void answer(struct op *op, struct span reply)
{
    op_answer(op, reply);
    op_end(op);
}

/* --- RENAME, RENAMENX, COPY ------------------------------------------------------------------- */

static void fetch_value(struct op *op, op_step *next)
{
    struct move *m = move_of(op);
    op_measure(op);
    OP_SEND(op, m->from_slot, SPAN("dump"), m->from);
    OP_SEND(op, m->from_slot, SPAN("pexpiretime"), m->from);
    op_then(op, next);
}

/* Writes what fetch_value brought. False: there was nothing. */
static bool write_value(struct op *op)
{
    struct move *m = move_of(op);
    char number[TEXT_NUMBER_MAX];
    struct value dump = op_value(op, 0);
    int64_t expires = op_integer(op, 1);
    if (dump.kind != VALUE_STRING || expires == -2)
        return false;
    struct span ttl = { number, text_from_i64(number, expires < 0 ? 0 : expires) };
    if (m->replace)
        OP_SEND(op, m->to_slot, SPAN("restore"), m->to, ttl, dump.text, SPAN("ABSTTL"),
                SPAN("REPLACE"));
    else
        OP_SEND(op, m->to_slot, SPAN("restore"), m->to, ttl, dump.text, SPAN("ABSTTL"));
    return true;
}

static void rename_done(struct op *op)
{
    answer(op, move_of(op)->replace ? SPAN("+OK\r\n") : SPAN(":1\r\n"));
}

static void rename_leave(struct op *op)
{
    struct move *m = move_of(op);
    OP_SEND(op, m->from_slot, SPAN("unlink"), m->from);
    op_then(op, rename_done);
}

static void rename_write(struct op *op)
{
    if (write_value(op))
        op_then(op, rename_leave);
    else
        answer(op, SPAN("-ERR no such key\r\n"));
}

static void rename_fetch(struct op *op)
{
    fetch_value(op, rename_write);
}

void move_rename(struct client *c, const struct command *cmd, const struct argv *argv)
{
    start(c, cmd, argv, rename_fetch)->replace = true;
}
