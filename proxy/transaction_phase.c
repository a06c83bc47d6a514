/*
 * A phase of EXEC: what stands between two steps (transaction_run.c).
 *
 * For each slot in it one block, and what the proxy answers itself. The blocks are the parts of
 * groups; a group's rule takes their replies apart and puts the elements in the caller's order.
 *
 *   one block that may write, at most: all side by side
 *   more: all but one side by side --> front: their elements are kept
 *         the one with the last command that may write, when they have been executed --> the reply
 *
 * So whoever sees what the last command did sees what all others did; rows that point to others,
 * entries of queues first of all, are written behind them. A block that fails executes nothing, or
 * nobody knows; each of its commands gets its error. When all in front fail, nothing more begins.
 */
#include "proxy/transaction_phase.h"

#include <stdlib.h>

#include "base/error.h"
#include "cluster/block.h"
#include "proxy/merge.h"
#include "proxy/publish.h"
#include "proxy/worker.h"

/* --- the reply of a phase ------------------------------------------------------------------ */

/* A place of the group whose element the proxy has made itself. */
static const uint32_t here = UINT32_MAX;

/* What the group's note says beside the length of those elements. */
static const uint64_t whole_reply = UINT64_C(1) << 63;  /* the phase is all of EXEC's reply */
static const uint64_t has_executed = UINT64_C(1) << 62; /* among them is what was executed before */
static const uint64_t more_follows = UINT64_C(1) << 61; /* the transaction is still there */
static const uint64_t is_unheard = UINT64_C(1) << 60;   /* the client wants no reply */
static const uint64_t length_bits = (UINT64_C(1) << 60) - 1;

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

static uint32_t failures(const struct replies *all)
{
    uint32_t n = 0;
    for (uint32_t part = 0; part < all->count; part++)
        n += all->part[part].failed;
    return n;
}

/* The error that is the whole reply; NULL: there is more to say. */
static const struct part_reply *whole_error(const struct group *g, const struct replies *all)
{
    bool only_blocks = (g->note & length_bits) == 0 || all->count == 1;
    if ((g->note & whole_reply) == 0 || (g->note & has_executed) != 0 || !only_blocks)
        return NULL;
    return failures(all) == all->count ? &all->part[0] : NULL;
}

static void send_array_header(struct client *c, uint32_t count)
{
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    write_array(w, count);
    stream_send(&c->stream, writer_span(w));
}

/* As long as nothing has been executed nothing need be: the error speaks for all. */
static void take_note(struct transaction *t, bool all_failed)
{
    t->executed = t->executed || !all_failed;
    t->failed = !t->executed;
}

static void send_elements(struct client *c, const struct group *g, struct replies *all,
                          struct publish_counts *counts)
{
    REQUIRE(all->count > 0 && all->part != NULL);
    bool whole = (g->note & whole_reply) != 0;
    if ((g->note & more_follows) != 0)
        take_note(c->transaction, failures(all) == all->count);
    if ((g->note & is_unheard) != 0)
        return;
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
        if (part != here)
            element = publish_element(counts, i, element, from->node);
        merge_send(c, from, element);
    }
}

static void send_phase(struct client *c, const struct group *g, struct replies *all)
{
    struct publish_counts counts;
    publish_open(&counts, g);
    send_elements(c, g, all, &counts);
    publish_close(&counts);
}

static const struct merge_rule phase_rule = { .send = send_phase, .takes_failures = true };

/* The element of one command in front; at NULL: there is none. */
static struct span element_in_front(struct part_reply *from, bool odd)
{
    if (from->failed)
        return merge_rest(from);
    return odd ? merge_odd_text() : merge_take(from);
}

/* Keeps the elements of all blocks but the last one for the reply. */
static void keep_front(struct client *c, const struct group *g, struct replies *all)
{
    struct transaction *t = c->transaction;
    struct publish_counts counts;
    bool odd = !enter_blocks(g, all);
    publish_open(&counts, g);
    take_note(t, odd || failures(all) == all->count);
    for (uint32_t i = 0; i < g->keys; i++) {
        if (g->part_of_key[i] == here)
            continue;
        struct part_reply *from = &all->part[g->part_of_key[i]];
        struct span element = element_in_front(from, odd);
        if (element.at == NULL) { /* the blocks' sizes add up, but not one by one */
            stream_close(&c->stream, ERR_REPLY);
            break;
        }
        write_raw(&t->front, publish_element(&counts, i, element, from->node));
    }
    publish_close(&counts);
}

static const struct merge_rule front_rule = { .send = keep_front, .takes_failures = true };

/* --- a phase ------------------------------------------------------------------------------- */

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
    struct writer made;               /* elements that the proxy makes itself, or has already */
    struct part_reply carried, front; /* of those, what is left of t->carried and t->front */
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
    struct argv argv = request_again(transaction_bytes(p->t, q), &room, &used);
    struct writer *w = worker_writer(c->worker, c->flow.protocol);
    c->last_command = q->cmd;
    bool done = c->worker->locals[q->cmd->index](c, &argv, w);
    if (!done || w->len == 0) /* cannot be: nothing is owed to the client */
        write_error(w, "ERR slotgate: the command cannot be executed inside MULTI");
    write_raw(&p->made, writer_span(w));
    arg_room_close(&room);
}

/* Has been executed before the others, with WATCH; see watch_exec.c. */
static bool is_carried(const struct phase *p, const struct queued *q)
{
    return q->kind == QUEUED_KEYED && q->slot == p->t->carried_slot;
}

static void assign(struct phase *p)
{
    uint16_t slot = first_slot(p);
    p->client->worker->router.walk++;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct queued *q = command_of(p, i);
        if (q->kind == QUEUED_HERE || q->in_front || is_carried(p, q)) {
            p->part[i] = here;
            continue;
        }
        slot = q->kind == QUEUED_KEYED ? q->slot : slot;
        join(p, i, block_of_slot(p, slot));
    }
}

/* The block that has to wait until all others have been executed; none: they may go side by side.
 */
static uint32_t find_last_block(const struct phase *p)
{
    uint32_t last = none;
    for (uint32_t i = p->count; i-- > 0;) {
        if (p->part[i] == here || !command_of(p, i)->writes)
            continue;
        if (last == none)
            last = p->part[i];
        else if (p->part[i] != last)
            return last;
    }
    return none;
}

static void submit_one(struct phase *p, struct group *g, uint32_t block)
{
    struct client *c = p->client;
    struct router *rt = &c->worker->router;
    struct request *r = group_add(rt, &c->flow, g, p->slot[block], false);
    struct writer *w = worker_writer(c->worker, 2);
    r->safe = true;
    write_raw(w, SPAN(BLOCK_BEGIN));
    for (uint32_t i = p->first[block]; i != none; i = p->next[i]) {
        const struct queued *q = command_of(p, i);
        write_raw(w, transaction_bytes(p->t, q));
        r->scripted = r->scripted || transaction_calls_script(q->cmd);
        r->safe = r->safe && !q->writes;
    }
    write_raw(w, SPAN(BLOCK_END));
    block_of(r, p->size[block]);
    transaction_submit(rt, r, writer_span(w), NULL);
}

/* Who hears what the blocks of the group publish is counted. */
static void count_hearers(const struct phase *p, struct group *g)
{
    struct client *c = p->client;
    struct writer notes;
    if (!p->t->publishes || c->reply_mode != REPLY_ON || !publish_may_be_heard(c->worker))
        return;
    writer_init(&notes, 2);
    for (uint32_t i = 0; i < p->count; i++)
        if (g->part_of_key[i] != here)
            publish_note(&notes, i, command_of(p, i)->cmd,
                         transaction_bytes(p->t, command_of(p, i)));
    publish_count(c, g, writer_span(&notes));
    writer_close(&notes);
}

/* The blocks but one, side by side. */
static void submit_front(struct phase *p, const struct command *exec, uint32_t last)
{
    struct transaction *t = p->t;
    struct group *g = group_new(exec, p->count, 0);
    g->rule = &front_rule;
    for (uint32_t i = 0; i < p->count; i++) {
        uint32_t block = p->part[i];
        command_of(p, i)->in_front = block != here && block != last;
        g->part_of_key[i] = block == here || block == last ? here : block - (block > last);
    }
    for (uint32_t block = 0; block < p->blocks; block++)
        if (block != last)
            submit_one(p, g, block);
    count_hearers(p, g);
    writer_init(&t->front, p->client->flow.protocol);
    t->halfway = true;
} /* NOLINT(clang-analyzer-unix.Malloc): the parts own the group */

/* The elements that no block will bring any more; also those of a block that must not begin. */
static void make(struct phase *p)
{
    struct span front = writer_span(&p->t->front);
    p->front.at = (struct value_cursor){ front.at, front.at + front.len };
    for (uint32_t i = 0; i < p->count; i++) {
        const struct queued *q = command_of(p, i);
        if (p->part[i] != here && !p->t->failed)
            continue;
        if (p->part[i] != here)
            transaction_write_held_back(&p->made);
        else if (q->in_front)
            write_raw(&p->made, merge_take(&p->front));
        else if (is_carried(p, q))
            write_raw(&p->made, merge_take(&p->carried));
        else
            answer_here(p, q);
    }
}

static void reply_without_blocks(struct phase *p, bool whole)
{
    struct writer *w = worker_writer(p->client->worker, p->client->flow.protocol);
    if (whole)
        write_array(w, p->count);
    write_raw(w, writer_span(&p->made));
    client_reply(p->client, writer_span(w));
}

/* The first of the errors is the whole reply, as if it had been one block. */
static bool has_only_errors(const struct phase *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (command_of(p, i)->kind == QUEUED_HERE)
            return false;
    return true;
}

static void reply_error(struct phase *p)
{
    struct span front = writer_span(&p->t->front);
    struct part_reply all = { .at = { front.at, front.at + front.len } };
    client_reply(p->client, merge_take(&all));
}

static void submit_blocks(struct phase *p, const struct command *exec, uint64_t note)
{
    struct client *c = p->client;
    struct group *g = group_new(exec, p->count, p->made.len);
    g->rule = &phase_rule;
    g->note = note | p->made.len;
    if (p->t->carried_slot >= 0 || p->t->halfway)
        g->note |= has_executed;
    if (c->reply_mode != REPLY_ON)
        g->note |= is_unheard;
    memcpy(g->part_of_key, p->part, p->count * sizeof(g->part_of_key[0]));
    if (p->made.len > 0)
        memcpy(&g->part_of_key[p->count], p->made.at, p->made.len);
    for (uint32_t block = 0; block < p->blocks; block++)
        submit_one(p, g, block);
    count_hearers(p, g);
} /* NOLINT(clang-analyzer-unix.Malloc): the parts own the group */

static void leave_halfway(struct transaction *t)
{
    writer_close(&t->front);
    t->halfway = false;
}

static bool run(struct phase *p)
{
    struct transaction *t = p->t;
    const struct command *exec = command_find(p->client->worker->commands, SPAN("exec"));
    bool whole = p->count == t->count, more = p->from + p->count < t->count;
    uint32_t last = t->halfway ? none : find_last_block(p);
    if (last != none) {
        submit_front(p, exec, last);
        return false;
    }
    make(p);
    p->client->last_command = exec; /* what is answered here has changed it */
    if (t->failed && whole && has_only_errors(p))
        reply_error(p);
    else if (t->failed || p->blocks == 0)
        reply_without_blocks(p, whole);
    else
        submit_blocks(p, exec, (whole ? whole_reply : 0) | (more ? more_follows : 0));
    leave_halfway(t);
    return true;
}

bool transaction_run_phase(struct client *c, uint32_t from, uint32_t count)
{
    struct phase p;
    phase_open(&p, c, from, count);
    assign(&p);
    bool done = run(&p);
    phase_close(&p);
    return done;
}
