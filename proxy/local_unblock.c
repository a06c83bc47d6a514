/*
 * CLIENT UNBLOCK for clients of all workers; texts as in Redis 7.0, networking.c.
 *
 * A client that waits at a node is unblocked by that node, which knows whether an element has just
 * been taken for it. All others are answered by their worker.
 */
#include <stdlib.h>

#include "base/text.h"
#include "proxy/blocked.h"
#include "proxy/local.h"
#include "proxy/op.h"
#include "proxy/survey_rows.h"
#include "proxy/worker.h"

struct unblock {
    struct op op;
    uint64_t client, there; /* ids, with us and at the node */
    enum blocked_wish wish;
    uint16_t slot;
    struct talk_letter letter; /* of the worker that asks, if it is another one; without its body */
};

static void free_unblock(struct op *op)
{
    free(CONTAINER_OF(op, struct unblock, op));
}

static void answer_letter(struct worker *w, const struct talk_letter *letter, uint64_t unblocked)
{
    struct writer out;
    writer_init(&out, 2);
    survey_write_number(&out, unblocked);
    talk_answer(&w->talk, letter, writer_span(&out));
    writer_close(&out);
}

static void on_told(struct op *op)
{
    struct unblock *u = CONTAINER_OF(op, struct unblock, op);
    struct blocked *b = NULL;
    if (op_reply_failed(op, 0)) /* the nodes' user may not */
        b = blocked_find(&op->worker->blocked, u->client);
    op_answer(op, op_reply_failed(op, 0) ? SPAN(":0\r\n") : op_reply(op, 0));
    if (b != NULL)
        op_answer(op, SPAN(":1\r\n"));
    if (u->letter.ask != 0)
        answer_letter(op->worker, &u->letter,
                      span_equal(writer_span(&op->answer), SPAN(":1\r\n")) ? 1 : 0);
    if (b != NULL)
        blocked_end(b, u->wish);
    op_end(op);
}

static void tell_node(struct op *op)
{
    struct unblock *u = CONTAINER_OF(op, struct unblock, op);
    char id[24];
    int n = snprintf(id, sizeof(id), "%llu", (unsigned long long)u->there);
    OP_SEND(op, u->slot, SPAN("client"), SPAN("unblock"), { id, (size_t)n },
            u->wish == BLOCKED_ERROR ? SPAN("error") : SPAN("timeout"));
    op_tolerate(op);
    op_then(op, on_told);
}

struct order {
    int64_t id;
    enum blocked_wish wish;
};

/* False: an error has been written. */
static bool read_order(struct order *o, const struct argv *argv, struct writer *w)
{
    struct span text = argv_get(argv, 2);
    struct span mode = argv->count > 3 ? argv_get(argv, 3) : SPAN("timeout");
    bool error = span_is(mode, "error");
    if (argv->count > 4 || (!error && !span_is(mode, "timeout"))) {
        write_error(w, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return false;
    }
    if (!text_to_i64(text.at, text.len, &o->id)) {
        write_error(w, "ERR value is not an integer or out of range");
        return false;
    }
    o->wish = error ? BLOCKED_ERROR : BLOCKED_TIMEOUT;
    return true;
}

/* The op that asks the node; NULL: the client does not wait at one. */
static struct unblock *at_node(struct blocked *b, const struct order *o)
{
    uint64_t there;
    uint16_t slot;
    if (b->way->where == NULL || !b->way->where(b, &slot, &there))
        return NULL;
    struct unblock *u = calloc(1, sizeof(*u));
    REQUIRE(u != NULL);
    *u = (struct unblock){
        .client = (uint64_t)o->id, .there = there, .slot = slot, .wish = o->wish
    };
    return u;
}

static void on_asked(struct worker *w, const struct argv *argv, const struct talk_letter *letter)
{
    struct order o;
    struct writer none;
    writer_init(&none, 2);
    struct blocked *b = NULL;
    if (argv->count > 2 && read_order(&o, argv, &none))
        b = blocked_find(&w->blocked, (uint64_t)o.id);
    writer_close(&none);
    struct unblock *u = b != NULL ? at_node(b, &o) : NULL;
    if (u != NULL) {
        u->letter = (struct talk_letter){ .from = letter->from, .ask = letter->ask };
        op_start_alone(&u->op, w, tell_node, free_unblock);
        return;
    }
    if (b != NULL)
        blocked_end(b, o.wish);
    answer_letter(w, letter, b != NULL ? 1 : 0);
}

/* This worker has been looked at before the others were asked. */
static void not_here(struct worker *w, struct client *c, const struct argv *argv,
                     struct writer *out)
{
    (void)w;
    (void)c;
    (void)argv;
    (void)out;
}

const struct survey_row survey_client_unblock = {
    .command = "client|unblock", .part = not_here, .asked = on_asked, .merge = survey_merge_sum
};

bool local_client_unblock(struct client *c, const struct argv *argv, struct writer *w)
{
    struct order o;
    if (!read_order(&o, argv, w))
        return true;
    struct blocked *b = blocked_find(&c->worker->blocked, (uint64_t)o.id);
    if (b == NULL)
        return survey_run(c, argv, w, &survey_client_unblock);
    if (!op_may_start(c))
        return false;
    struct unblock *u = at_node(b, &o);
    if (u != NULL) {
        op_start(&u->op, c, c->last_command, argv, tell_node, free_unblock);
        return true;
    }
    blocked_end(b, o.wish);
    write_integer(w, 1);
    return true;
}
