/*
 * How EXEC is executed.
 *
 * All in one slot: one block, one request; nothing of the reply is looked at.
 *
 * Otherwise in phases. A phase is what stands between two steps (QUEUED_STEP): for each slot in it
 * one block, all side by side as the parts of one group, and what the proxy answers itself. The
 * group's rule takes the blocks' replies apart and puts their elements in the caller's order. A
 * step is executed as if it had been sent by itself, and its reply is simply the next element.
 * Each phase begins when the one before has been answered: dispatch says "not now" of the EXEC, and
 * so it comes again when the client is owed nothing. So EXEC's reply is the header, with which the
 * first of several phases begins, and then what the phases send.
 *
 * A block that fails executes nothing, or nobody knows; each of its commands gets its error. Where
 * every block failed and there is nothing else, the error is the whole reply.
 */
#include "proxy/transaction.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/text.h"
#include "cluster/block.h"
#include "proxy/merge.h"
#include "proxy/subscriber.h"
#include "proxy/worker.h"

/* --- blocks ------------------------------------------------------------------------------------
 */

static bool calls_script(const struct command *cmd)
{
    return strncmp(cmd->name, "evalsha", 7) == 0 || strncmp(cmd->name, "fcall", 5) == 0;
}

static void submit_block(struct router *rt, struct request *r, struct span bytes,
                         struct chunk *chunk)
{
    if (r->scripted)
        router_submit_later(rt, r, bytes, chunk);
    else
        router_submit(rt, r, bytes, chunk);
}

static void append(struct chunk *to, const char *text)
{
    size_t len = strlen(text);
    REQUIRE(chunk_room(to) >= len);
    memcpy(to->bytes + to->used, text, len);
    to->used += (uint32_t)len;
}

struct span transaction_block(struct client *c)
{
    struct chunk *bytes = c->transaction->bytes;
    append(bytes, BLOCK_END);
    return (struct span){ bytes->bytes, bytes->used };
}

void transaction_send_block(struct client *c)
{
    struct transaction *t = c->transaction;
    struct router *rt = &c->worker->router;
    uint16_t slot = t->slot >= 0 ? (uint16_t)t->slot : SLOT_ANY;
    struct request *r = router_request(rt, &c->flow, c->last_command, slot);
    block_of(r, t->count);
    r->safe = !t->writes;
    r->silent = c->reply_mode != REPLY_ON;
    for (uint32_t i = 0; i < t->count && !r->scripted; i++)
        r->scripted = calls_script(t->commands[i].cmd);
    submit_block(rt, r, transaction_block(c), t->bytes);
}

uint32_t transaction_write_block(const struct client *c, uint16_t slot, struct writer *w)
{
    const struct transaction *t = c->transaction;
    uint32_t count = 0;
    write_raw(w, SPAN(BLOCK_BEGIN));
    for (uint32_t i = 0; i < t->count; i++) {
        const struct queued *q = &t->commands[i];
        if (q->kind != QUEUED_KEYED || q->slot != slot)
            continue;
        write_raw(w, (struct span){ t->bytes->bytes + q->at, q->len });
        count++;
    }
    write_raw(w, SPAN(BLOCK_END));
    return count;
}

void transaction_carried(struct client *c, uint16_t slot, struct span reply)
{
    struct transaction *t = c->transaction;
    t->carried_slot = slot;
    writer_init(&t->carried, c->flow.protocol);
    write_raw(&t->carried, reply);
}

/* --- the reply of a phase ----------------------------------------------------------------------
 */

/* A place of the group whose element the proxy has made itself. */
static const uint32_t here = UINT32_MAX;

/* What the group's note says beside the length of those elements. */
static const uint64_t whole_reply = UINT64_C(1) << 63; /* the phase is all of EXEC's reply */
static const uint64_t has_carried = UINT64_C(1) << 62; /* among them is what was executed before */
static const uint64_t length_bits = (UINT64_C(1) << 62) - 1;

/* Those elements, which lie behind the places. */
static struct part_reply made_here(const struct group *g)
{
    const char *at = (const char *)&g->part_of_key[g->keys];
    return (struct part_reply){ .at = { at, at + (g->note & length_bits) } };
}

/* Enters the arrays that the blocks have answered; false: they have not one element for each of the
   commands. */
static bool enter_blocks(const struct group *g, struct replies *all)
{
    struct value v;
    uint64_t got = 0, due = 0;
    for (uint32_t part = 0; part < all->count; part++) {
        struct part_reply *p = &all->part[part];
        if (p->failed)
            continue;
        if (!value_next(&p->at, &v) || v.kind != VALUE_LIST)
            return false;
        got += v.count;
    }
    for (uint32_t i = 0; i < g->keys; i++) {
        uint32_t part = g->part_of_key[i];
        due += part != here && !all->part[part].failed;
    }
    return got == due;
}

/* The error that is the whole reply; NULL: there is more to say. */
static const struct part_reply *whole_error(const struct group *g, const struct replies *all)
{
    bool only_blocks = (g->note & length_bits) == 0 || all->count == 1;
    if ((g->note & whole_reply) == 0 || (g->note & has_carried) != 0 || !only_blocks)
        return NULL;
    for (uint32_t part = 0; part < all->count; part++)
        if (!all->part[part].failed)
            return NULL;
    return &all->part[0];
}

static void send_array_header(struct client *c, uint32_t count)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, count);
    stream_send(&c->stream, writer_span(w));
}

static void send_phase(struct client *c, const struct group *g, struct replies *all)
{
    REQUIRE(all->count > 0 && all->part != NULL);
    bool whole = (g->note & whole_reply) != 0;
    const struct part_reply *error = whole_error(g, all);
    if (error != NULL) {
        merge_send_part(c, error);
        return;
    }
    if (!enter_blocks(g, all)) {
        if (whole)
            merge_odd_reply(c);
        else
            stream_close(&c->stream, ERR_REPLY);
        return;
    }
    if (whole)
        send_array_header(c, g->keys);
    struct part_reply made = made_here(g);
    for (uint32_t i = 0; i < g->keys; i++) {
        uint32_t part = g->part_of_key[i];
        struct part_reply *from = part == here ? &made : &all->part[part];
        if (from->failed) {
            merge_send_part(c, from);
            continue;
        }
        struct span element = merge_take(from);
        if (element.at == NULL) { /* the blocks' sizes add up, but not one by one */
            stream_close(&c->stream, ERR_REPLY);
            return;
        }
        merge_send(c, from, element);
    }
}

static const struct merge_rule phase_rule = { .send = send_phase, .takes_failures = true };

/* --- a phase -----------------------------------------------------------------------------------
 */

/* Its blocks: the commands of each form a chain. */
struct phase {
    struct client *client;
    struct transaction *t;
    uint32_t from, count; /* commands */
    uint32_t *next;       /* per command: the next one of its block, or none */
    uint32_t *part;       /* per command: its block, or `here` */
    uint32_t *first, *last, *size;
    uint16_t *slot; /* per block */
    uint32_t blocks;
    struct writer made;        /* elements that the proxy makes itself, or has already */
    struct part_reply carried; /* of those, what is left of t->carried */
};

static const uint32_t none = UINT32_MAX;

static void phase_open(struct phase *p, struct client *c, uint32_t from, uint32_t count)
{
    *p = (struct phase){ .client = c, .t = c->transaction, .from = from, .count = count };
    uint32_t *at = malloc((size_t)count * (5 * sizeof(uint32_t) + sizeof(uint16_t)));
    REQUIRE(at != NULL);
    p->next = at;
    p->part = at + count;
    p->first = at + 2 * (size_t)count;
    p->last = at + 3 * (size_t)count;
    p->size = at + 4 * (size_t)count;
    p->slot = (uint16_t *)(void *)(at + 5 * (size_t)count);
    writer_init(&p->made, c->flow.protocol);
    if (p->t->carried_slot >= 0) {
        struct span reply = writer_span(&p->t->carried);
        struct value list;
        p->carried.at = (struct value_cursor){ reply.at, reply.at + reply.len };
        REQUIRE(value_next(&p->carried.at, &list)); /* it has been looked at before */
    }
}

static void phase_close(struct phase *p)
{
    writer_close(&p->made);
    free(p->next);
}

static struct queued *command_of(const struct phase *p, uint32_t i)
{
    return &p->t->commands[p->from + i];
}

static struct span bytes_of(const struct transaction *t, const struct queued *q)
{
    return (struct span){ t->bytes->bytes + q->at, q->len };
}

static uint32_t block_of_slot(struct phase *p, uint16_t slot)
{
    struct router *rt = &p->client->worker->router;
    struct split_mark *m = &rt->split_marks[slot];
    if (m->walk != rt->walk) {
        m->walk = rt->walk;
        m->part = p->blocks++;
        p->slot[m->part] = slot;
        p->first[m->part] = none;
        p->size[m->part] = 0;
    }
    return m->part;
}

/* Commands without a key before the first one that has some go with that one. */
static uint16_t first_slot(const struct phase *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (command_of(p, i)->kind == QUEUED_KEYED)
            return command_of(p, i)->slot;
    return SLOT_ANY;
}

static void join(struct phase *p, uint32_t i, uint32_t block)
{
    p->part[i] = block;
    p->next[i] = none;
    if (p->first[block] == none)
        p->first[block] = i;
    else
        p->next[p->last[block]] = i;
    p->last[block] = i;
    p->size[block]++;
}

static void answer_here(struct phase *p, const struct queued *q)
{
    struct client *c = p->client;
    struct arg_room room = { 0 };
    size_t used;
    struct argv argv = request_again(bytes_of(p->t, q), &room, &used);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    c->last_command = q->cmd;
    bool done = c->worker->locals[q->cmd->index](c, &argv, w);
    if (!done || w->len == 0) /* cannot be: nothing is owed to the client */
        write_error(w, "ERR slotgate: the command cannot be executed inside MULTI");
    write_raw(&p->made, writer_span(w));
    arg_room_close(&room);
}

static void assign(struct phase *p)
{
    uint16_t slot = first_slot(p);
    p->client->worker->router.walk++;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct queued *q = command_of(p, i);
        bool carried = q->kind == QUEUED_KEYED && q->slot == p->t->carried_slot;
        if (carried || q->kind == QUEUED_HERE) {
            p->part[i] = here;
            if (carried)
                write_raw(&p->made, merge_take(&p->carried));
            else
                answer_here(p, q);
            continue;
        }
        slot = q->kind == QUEUED_KEYED ? q->slot : slot;
        join(p, i, block_of_slot(p, slot));
    }
}

static void submit_one(struct phase *p, struct group *g, uint32_t block)
{
    struct client *c = p->client;
    struct router *rt = &c->worker->router;
    struct request *r = group_add(rt, &c->flow, g, p->slot[block], c->reply_mode != REPLY_ON);
    struct writer *w = worker_writer(c->worker, 2);
    r->safe = true;
    write_raw(w, SPAN(BLOCK_BEGIN));
    for (uint32_t i = p->first[block]; i != none; i = p->next[i]) {
        const struct queued *q = command_of(p, i);
        write_raw(w, bytes_of(p->t, q));
        r->scripted = r->scripted || calls_script(q->cmd);
        r->safe = r->safe && !q->writes;
    }
    write_raw(w, SPAN(BLOCK_END));
    block_of(r, p->size[block]);
    submit_block(rt, r, writer_span(w), NULL);
}

static void reply_without_blocks(struct phase *p, bool whole)
{
    struct writer *w = worker_writer(p->client->worker, p->client->flow.protocol);
    if (whole)
        write_array(w, p->count);
    write_raw(w, writer_span(&p->made));
    client_reply(p->client, writer_span(w));
}

static void run_phase(struct client *c, uint32_t from, uint32_t count, bool whole)
{
    struct phase p;
    phase_open(&p, c, from, count);
    assign(&p);
    const struct command *exec = command_find(c->worker->commands, SPAN("exec"));
    c->last_command = exec;
    if (p.blocks == 0) {
        reply_without_blocks(&p, whole);
        phase_close(&p);
        return;
    }
    struct group *g = group_new(exec, count, p.made.len);
    g->rule = &phase_rule;
    g->note = p.made.len | (whole ? whole_reply : 0) | (p.t->carried_slot >= 0 ? has_carried : 0);
    memcpy(g->part_of_key, p.part, count * sizeof(g->part_of_key[0]));
    if (p.made.len > 0)
        memcpy(&g->part_of_key[count], p.made.at, p.made.len);
    for (uint32_t block = 0; block < p.blocks; block++)
        submit_one(&p, g, block);
    phase_close(&p);
} /* NOLINT(clang-analyzer-unix.Malloc): the parts own the group */

/* --- all of them -------------------------------------------------------------------------------
 */

static bool run_step(struct client *c, const struct queued *q)
{
    struct arg_room room = { 0 };
    size_t used;
    struct span bytes = bytes_of(c->transaction, q);
    struct argv argv = request_again(bytes, &room, &used);
    bool done = dispatch_queued(c, q->cmd, &argv, bytes);
    arg_room_close(&room);
    return done;
}

static uint32_t end_of_phase(const struct transaction *t, uint32_t from)
{
    uint32_t i = from;
    while (i < t->count && t->commands[i].kind != QUEUED_STEP)
        i++;
    return i;
}

static void begin(struct client *c, struct transaction *t)
{
    t->running = t->begun = true;
    if (end_of_phase(t, 0) == t->count)
        return;
    subscriber_exec_begins(c);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, t->count);
    client_reply(c, writer_span(w));
}

bool transaction_run(struct client *c)
{
    struct transaction *t = c->transaction;
    if (!t->running && c->flow.count == 0)
        begin(c, t);
    while (t->next < t->count && c->flow.count == 0 && !c->stream.closing) {
        uint32_t end = end_of_phase(t, t->next);
        bool step = end == t->next;
        if (step && !run_step(c, &t->commands[t->next]))
            return false;
        if (!step)
            run_phase(c, t->next, end - t->next, t->next == 0 && end == t->count);
        t->next = step ? end + 1 : end;
    }
    return t->next == t->count || c->stream.closing;
}
