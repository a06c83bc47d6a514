/*
 * How EXEC is executed.
 *
 * All in one slot: one block, one request; nothing of the reply is looked at, but for the number of
 * those who hear what it publishes.
 *
 * Otherwise in phases. A phase is what stands between two steps (QUEUED_STEP); transaction_phase.c
 * runs it. A step is executed as if it had been sent by itself, and its reply is simply the next
 * element. Each phase begins when the one before has been answered: dispatch says "not now" of the
 * EXEC, and so it comes again when the client is owed nothing. So EXEC's reply is the header, with
 * which the first of several phases begins, and then what the phases send.
 *
 * When all that was sent first has failed, nothing more begins, and what has not begun gets an
 * error of ours; where there is nothing else, the error is the whole reply. But once something has
 * been executed all the rest is: half of a move must not be the half that takes away.
 */
#include "proxy/transaction.h"

#include <string.h>

#include "base/error.h"
#include "cluster/block.h"
#include "proxy/dispatch.h"
#include "proxy/merge.h"
#include "proxy/publish.h"
#include "proxy/subscriber.h"
#include "proxy/transaction_phase.h"
#include "proxy/worker.h"

/* --- blocks -------------------------------------------------------------------------------- */

bool transaction_calls_script(const struct command *cmd)
{
    return strncmp(cmd->name, "evalsha", 7) == 0 || strncmp(cmd->name, "fcall", 5) == 0;
}

void transaction_submit(struct router *rt, struct request *r, struct span bytes,
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

static void submit_block(struct client *c, struct request *r)
{
    struct transaction *t = c->transaction;
    block_of(r, t->count);
    r->safe = !t->writes;
    for (uint32_t i = 0; i < t->count && !r->scripted; i++)
        r->scripted = transaction_calls_script(t->commands[i].cmd);
    transaction_submit(&c->worker->router, r, transaction_block(c), t->bytes);
}

static void send_elements(struct client *c, struct part_reply *p, uint64_t count,
                          struct publish_counts *counts)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, count);
    stream_send(&c->stream, writer_span(w));
    for (uint32_t i = 0; i < count; i++) {
        struct span element = merge_take(p);
        if (element.at == NULL) { /* cannot be: the reply has been delimited */
            stream_close(&c->stream, ERR_REPLY);
            return;
        }
        merge_send(c, p, publish_element(counts, i, element, p->node));
    }
}

static void send_counted(struct client *c, const struct group *g, struct replies *all)
{
    struct part_reply *p = &all->part[0];
    struct value_cursor inside = p->at;
    struct publish_counts counts;
    struct value list;
    publish_open(&counts, g);
    if (!p->failed && value_next(&inside, &list) && list.kind == VALUE_LIST) {
        p->at = inside;
        send_elements(c, p, list.count, &counts);
    } else {
        merge_send_part(c, p);
    }
    publish_close(&counts);
}

/* The same, and who hears what it publishes is counted. */
static void send_counted_block(struct client *c, uint16_t slot)
{
    static const struct merge_rule rule = { .send = send_counted, .takes_failures = true };
    struct transaction *t = c->transaction;
    struct group *g = group_new(c->last_command, 0, 0);
    struct writer notes;
    g->rule = &rule;
    writer_init(&notes, 2);
    for (uint32_t i = 0; i < t->count; i++)
        publish_note(&notes, i, t->commands[i].cmd, transaction_bytes(t, &t->commands[i]));
    submit_block(c, group_add(&c->worker->router, &c->flow, g, slot, false));
    publish_count(c, g, writer_span(&notes));
    writer_close(&notes);
}

void transaction_send_block(struct client *c)
{
    struct transaction *t = c->transaction;
    uint16_t slot = t->slot >= 0 ? (uint16_t)t->slot : SLOT_ANY;
    if (t->publishes && c->reply_mode == REPLY_ON && publish_may_be_heard(c->worker)) {
        send_counted_block(c, slot);
        return;
    }
    struct request *r = router_request(&c->worker->router, &c->flow, c->last_command, slot);
    r->silent = c->reply_mode != REPLY_ON;
    submit_block(c, r);
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

/* --- all of them --------------------------------------------------------------------------- */

static bool run_step(struct client *c, const struct queued *q)
{
    struct arg_room room = { 0 };
    size_t used;
    struct span bytes = transaction_bytes(c->transaction, q);
    struct argv argv = request_again(bytes, &room, &used);
    c->last_command = q->cmd;
    bool done = dispatch_queued(c, q->cmd, &argv, bytes);
    arg_room_close(&room);
    c->transaction->executed = true;
    subscriber_exec_begins(c); /* it may have become one */
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
    t->executed = t->carried_slot >= 0;
    if (end_of_phase(t, 0) == t->count)
        return;
    subscriber_exec_begins(c);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, t->count);
    client_reply(c, writer_span(w));
}

void transaction_write_held_back(struct writer *w)
{
    write_error(w, "ERR slotgate: not executed, because the beginning of the transaction failed");
}

static void hold_back_rest(struct client *c, struct transaction *t)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    for (; t->next < t->count; t->next++)
        transaction_write_held_back(w);
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
        if (t->failed && !t->halfway) {
            hold_back_rest(c, t);
            break;
        }
        if (step ? !run_step(c, &t->commands[t->next])
                 : !transaction_run_phase(c, t->next, end - t->next))
            return false;
        t->next = step ? end + 1 : end;
    }
    return t->next == t->count || c->stream.closing;
}
