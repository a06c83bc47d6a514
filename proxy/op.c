#include "proxy/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "proxy/argv_copy.h"
#include "proxy/client_reply.h"
#include "proxy/slowlog.h"
#include "proxy/temp_names.h"
#include "proxy/worker.h"

/* --- replies that come ------------------------------------------------------------------------ */

static struct op *op_of(struct flow *f)
{
    return CONTAINER_OF(f, struct op, flow);
}

static void make_ready(struct op *op)
{
    if (op->open == 0 && !list_is_linked(&op->in_ready))
        list_append(&op->worker->ops_ready, &op->in_ready);
}

static void keep(struct op *op, struct request *r, struct span bytes, struct chunk *chunk)
{
    struct rope_store *store = &op->worker->net.store;
    if (op->over_limit || op->flow.held + bytes.len > op->limit) {
        op->over_limit = true; /* what comes is of no use any more */
        return;
    }
    op->flow.held += bytes.len;
    if (bytes.len >= ROPE_SHARE_MIN && chunk != NULL)
        rope_share(&r->reply, store, chunk, bytes);
    else
        rope_copy(&r->reply, store, &op->stash, bytes);
}

static void on_reply(struct flow *f, struct request *r, struct span bytes, struct chunk *chunk,
                     bool done)
{
    struct op *op = op_of(f);
    keep(op, r, bytes, chunk);
    if (!done)
        return;
    op->open--;
    make_ready(op);
}

static void on_walked(struct flow *f)
{
    (void)f;
}

/* Cannot come: no piece of a reply has left for good before the reply is whole. */
static void on_broken(struct flow *f, struct request *r, int why)
{
    (void)f;
    (void)r;
    (void)why;
    check_fail("an op's reply cannot break off", __FILE__, __LINE__);
}

static const struct flow_user op_flow_user = {
    .on_reply = on_reply,
    .on_walked = on_walked,
    .on_broken = on_broken,
};

/* --- steps ------------------------------------------------------------------------------------ */

static void note_reply(struct op *op, size_t at)
{
    if (op->count == op->room) {
        op->room = op->room > 0 ? op->room * 2 : 16;
        op->replies = realloc(op->replies, op->room * sizeof(op->replies[0]));
        REQUIRE(op->replies != NULL);
    }
    op->replies[op->count++] = (struct op_reply){ at, op->in.len - at };
}

/* The replies in the order of the requests, each in one piece. */
static void collect(struct op *op)
{
    writer_clear(&op->in, op->flow.protocol);
    op->count = 0;
    while (op->flow.count > 0) {
        struct request *r = flow_head(&op->flow);
        size_t at = op->in.len;
        for (const struct piece *p = r->reply.head; p != NULL; p = p->next)
            write_raw(&op->in, (struct span){ p->at, p->len });
        note_reply(op, at);
        router_release(&op->worker->router, r);
    }
    op->flow.held = 0;
    if (op->stash != NULL)
        chunk_unref(op->stash);
    op->stash = NULL;
}

static void fail_over_limit(struct op *op)
{
    struct writer *w = worker_writer(op->worker, op->flow.protocol);
    if (op->measures)
        write_error(w, "ERR slotgate: the keys of this command lie in several slots and are larger "
                       "than cross-slot-max-bytes together");
    else
        write_error(w, "ERR slotgate: the reply is larger than client-output-limit");
    op_fail(op, writer_span(w));
}

/* The first error speaks for the step. */
static void look_for_errors(struct op *op)
{
    op->overflowed = op->bounded && op->over_limit;
    if (op->over_limit && !op->bounded) {
        fail_over_limit(op);
        return;
    }
    for (uint32_t i = 0; i < op->count && !op->tolerant && !op->overflowed; i++) {
        if (op_reply_failed(op, i)) {
            op_fail(op, op_reply(op, i));
            return;
        }
    }
}

static void free_op(struct op *op)
{
    struct worker *w = op->worker;
    flow_abandon(&w->router, &op->flow);
    list_remove(&op->in_worker);
    list_remove(&op->in_ready);
    if (op->stash != NULL)
        chunk_unref(op->stash);
    writer_close(&op->out);
    writer_close(&op->in);
    writer_close(&op->answer);
    free(op->replies);
    free(op->copy);
    op->free(op);
    worker_client_left(w);
}

/* Of an op for a client that waits in a blocking command, blocked.c counts. */
static void count_answer(const struct op *op)
{
    struct worker *w = op->worker;
    struct span answer = writer_span(&op->answer);
    const struct command *cmd = op->cmd != NULL ? op->cmd : op->client->last_command;
    uint32_t us = (uint32_t)net_clock(&w->net) - op->began;
    stats_latency(&w->stats, cmd, us);
    client_took(op->client, us);
    if (answer.len > 0 && *answer.at == '-') {
        stats_error(&w->stats, cmd, answer);
        op->client->errors++;
    }
}

/* Fills the placeholder: the client has its answer and goes on. */
static void deliver(struct op *op)
{
    struct client *c = op->client;
    if (c == NULL)
        return;
    slowlog_see_op(op);
    if (op->place != NULL)
        count_answer(op);
    op->client = NULL;
    c->op = NULL;
    if (op->place == NULL) {
        c->blocked->way->op_done(c->blocked, writer_span(&op->answer));
        return;
    }
    op->place->state = REQUEST_DONE;
    client_flow_user.on_reply(&c->flow, op->place, writer_span(&op->answer), NULL, true);
}

static void run_steps(struct op *op)
{
    op->waiting = false;
    collect(op);
    look_for_errors(op);
    while (!op->ended && !op->waiting && op->open == 0) {
        op_step *step = op->next;
        op->next = NULL;
        op->tolerant = op->measures = op->bounded = op->over_limit = false;
        op->limit = op->worker->config.client_output_limit;
        REQUIRE(step != NULL);
        step(op);
    }
    if (op->failed)
        deliver(op); /* cleaning up may take long when a node is away */
    if (!op->ended)
        return;
    deliver(op);
    free_op(op);
}

void op_run_ready(struct worker *w)
{
    while (!list_is_empty(&w->ops_ready)) { /* one that ends may wake others */
        struct op *op = LIST_ENTRY(w->ops_ready.next, struct op, in_ready);
        list_remove(&op->in_ready);
        run_steps(op);
    }
}

/* --- for the steps ---------------------------------------------------------------------------- */

void op_send_out(struct op *op, const struct command *cmd, uint16_t slot)
{
    struct router *rt = &op->worker->router;
    struct request *r = router_request(rt, &op->flow, cmd, slot);
    op->open++;
    router_submit(rt, r, writer_span(&op->out), NULL);
}

void op_send_words(struct op *op, uint16_t slot, const struct span *words, size_t count)
{
    const struct command *cmd = command_find(op->worker->commands, words[0]);
    REQUIRE(cmd != NULL);
    writer_clear(&op->out, 2);
    write_array(&op->out, count);
    for (size_t i = 0; i < count; i++)
        write_bulk(&op->out, words[i]);
    op_send_out(op, cmd, slot);
}

void op_then(struct op *op, op_step *next)
{
    op->next = next;
}

void op_wait(struct op *op, struct list_node *list, op_step *next)
{
    op->waiting = true;
    op->next = next;
    list_append(list, &op->in_ready);
}

void op_measure(struct op *op)
{
    op->measures = true;
    op->limit = op->worker->config.cross_slot_max_bytes;
}

void op_bound(struct op *op, uint64_t bytes)
{
    op->bounded = true;
    op->limit = bytes;
}

void op_tolerate(struct op *op)
{
    op->tolerant = true;
}

struct span op_reply(const struct op *op, uint32_t n)
{
    REQUIRE(n < op->count);
    return (struct span){ op->in.at + op->replies[n].at, op->replies[n].len };
}

bool op_reply_failed(const struct op *op, uint32_t n)
{
    struct span s = op_reply(op, n);
    return s.len == 0 || *s.at == '-' || *s.at == '!';
}

struct value op_value(const struct op *op, uint32_t n)
{
    struct span s = op_reply(op, n);
    struct value_cursor c = { s.at, s.at + s.len };
    struct value v;
    if (!value_next(&c, &v))
        v = (struct value){ .kind = VALUE_ERROR };
    return v;
}

int64_t op_integer(const struct op *op, uint32_t n)
{
    struct value v = op_value(op, n);
    return v.kind == VALUE_INTEGER ? v.number : -3;
}

void op_answer(struct op *op, struct span reply)
{
    writer_clear(&op->answer, op->flow.protocol);
    write_raw(&op->answer, reply);
}

void op_fail(struct op *op, struct span error)
{
    op_answer(op, error);
    op->failed = true;
    op->next = op->clean != NULL ? op->clean : op_end;
    op->clean = NULL;
}

void op_end(struct op *op)
{
    op->ended = true;
}

struct span op_temp_name(struct op *op, uint16_t slot, uint32_t n, char out[OP_TEMP_NAME_MAX])
{
    struct worker *w = op->worker;
    if (w->slot_tags == NULL)
        w->slot_tags = slot_tags_new();
    if (op->token[0] == '\0') {
        unsigned char random[16];
        REQUIRE(getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random));
        for (size_t i = 0; i < sizeof(random); i++)
            snprintf(op->token + 2 * i, 3, "%02x", random[i]);
    }
    int len = snprintf(out, OP_TEMP_NAME_MAX, "{%s}slotgate:tmp:%s:%0*u",
                       slot_tag(w->slot_tags, slot), op->token, TEMP_NUMBER_LEN, n);
    return (struct span){ out, (size_t)len };
}

/* --- life ------------------------------------------------------------------------------------- */

bool op_may_start(const struct client *c)
{
    return c->flow.count == 0 || c->blocked != NULL;
}

static void begin(struct op *op, struct worker *w, uint32_t home, op_step *first, op_step *free_it)
{
    op->worker = w;
    op->next = first;
    op->free = free_it;
    op->limit = w->config.client_output_limit;
    op->began = (uint32_t)net_clock(&w->net);
    flow_init(&op->flow, &op_flow_user, home);
    writer_init(&op->out, 2);
    writer_init(&op->in, 2);
    writer_init(&op->answer, 2);
    list_init(&op->in_ready);
    list_append(&w->ops, &op->in_worker);
    make_ready(op);
}

void op_start_alone(struct op *op, struct worker *w, op_step *first, op_step *free_it)
{
    begin(op, w, 0, first, free_it);
    net_hurry(&w->net);
}

void op_start(struct op *op, struct client *c, const struct command *cmd, const struct argv *argv,
              op_step *first, op_step *free_it)
{
    struct worker *w = c->worker;
    REQUIRE(op_may_start(c) && c->op == NULL);
    begin(op, w, (uint32_t)c->id, first, free_it);
    w->stats.own.ops += cmd != NULL; /* else it asks other workers, see survey.h */
    op->client = c;
    op->cmd = cmd;
    op->flow.protocol = c->flow.protocol;
    op->flow.database = c->flow.database;
    op->argv = argv_copy(argv, &op->copy);
    if (c->blocked == NULL) {
        op->place = router_request(&w->router, &c->flow, NULL, SLOT_ANY);
        op->place->silent = c->reply_mode != REPLY_ON;
    }
    c->op = op;
    c->flow.wrote = true;
}

void op_forget_client(struct op *op)
{
    op->client->op = NULL;
    op->client = NULL;
    op->place = NULL;
}

void op_give_up(struct op *op)
{
    struct worker *w = op->worker;
    if (op->client != NULL)
        op_forget_client(op);
    flow_abandon(&w->router, &op->flow);
    op->open = 0;
    op_fail(op, SPAN("-ERR slotgate: given up\r\n"));
    list_remove(&op->in_ready);
    list_append(&w->ops_ready, &op->in_ready);
    net_hurry(&w->net);
}

void op_abort_all(struct worker *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->ops, n, safe) {
        struct op *op = LIST_ENTRY(n, struct op, in_worker);
        if (op->client != NULL)
            op_forget_client(op);
        free_op(op);
    }
}
