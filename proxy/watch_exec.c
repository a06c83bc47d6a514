/*
 * EXEC of a client that watches keys.
 *
 * Exact is what one connection does: a block that goes over the very connection that watches. So
 * the block of one slot goes over the connection to that slot's master, if there is one. What this
 * connection cannot know is asked right before, as far as it can be: each other connection is sent
 * an empty MULTI and EXEC, which answers null if one of its keys was touched; and of each slot but
 * the block's own a node is asked for a key, which it refuses when the slot has gone elsewhere.
 * Between these answers and the block a watched key of another node may be touched unseen.
 *
 * Of a transaction in several blocks one that is about a watched slot goes first, over the
 * connection that watches; only when it has been executed the others go their usual way.
 */
#include "proxy/watch.h"

#include <stdio.h>

#include "base/error.h"
#include "cluster/group.h"
#include "cluster/keys.h"
#include "proxy/scripts.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"
#include "resp/value.h"

static struct watch_hold *hold_entry(struct list_node *n)
{
    return LIST_ENTRY(n, struct watch_hold, in_watch);
}

static struct watched *key_entry(struct list_node *n)
{
    return LIST_ENTRY(n, struct watched, in_watch);
}

static void finish(struct watch *wt, enum watch_outcome outcome)
{
    wt->outcome = (uint8_t)outcome;
    watch_finish(wt, WATCH_DONE);
}

/* --- answers ------------------------------------------------------------------------------- */

static void answer_null(struct watch *wt)
{
    writer_clear(&wt->result, wt->client->flow.protocol);
    write_null_array(&wt->result);
    watch_release(wt);
    finish(wt, WATCH_ANSWERED);
}

static void answer_unknown_fate(struct watch *wt, const struct node *node, int why)
{
    char to[ENDPOINT_TEXT_MAX];
    wt->client->worker->router.counters.uncertain++;
    writer_clear(&wt->result, wt->client->flow.protocol);
    write_error(&wt->result,
                "ERR slotgate: %s while waiting for node %s; the command may have been executed",
                error_text(why), endpoint_text(&node->endpoint, to));
    watch_release(wt);
    finish(wt, WATCH_ANSWERED);
}

void watch_exec_lost(struct watch *wt, bool was_carrier, bool wrote, const struct node *node,
                     int why)
{
    bool sent = wt->state == WATCH_EXECUTING && was_carrier;
    if (wt->state == WATCH_EXECUTING && !was_carrier)
        return;
    if (sent && wrote && wt->client->transaction->writes)
        answer_unknown_fate(wt, node, why);
    else
        answer_null(wt);
}

void watch_exec_timeout(struct watch *wt)
{
    if (wt->state == WATCH_EXECUTING && wt->client->transaction->writes)
        answer_unknown_fate(wt, lease_node(wt->carrier->lease), ERR_TIMEOUT);
    else
        answer_null(wt);
}

/* --- the block ----------------------------------------------------------------------------- */

static bool slot_needs_asking(const struct watch *wt, const struct watch_hold *h, int slot)
{
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next) {
        const struct watched *k = key_entry(n);
        if (k->hold == h && k->slot == slot && k->asking)
            return true;
    }
    return false;
}

/* The slot that the block is about; KEYS_NONE: it has no key. */
static int slot_of_block(const struct watch *wt)
{
    return wt->part ? wt->slot : wt->client->transaction->slot;
}

static void send_block(struct watch *wt)
{
    struct client *c = wt->client;
    struct watch_hold *h = wt->carrier;
    struct writer block, *w = worker_writer(c->worker, 2);
    writer_init(&block, 2);
    wt->commands = c->transaction->count;
    if (wt->part)
        wt->commands = transaction_write_block(c, wt->slot, &block);
    struct span bytes = wt->part ? writer_span(&block) : transaction_block(c);
    h->skip = scripts_write_loads(&c->worker->scripts, bytes, w);
    if (slot_needs_asking(wt, h, slot_of_block(wt))) {
        write_raw(w, SPAN(BLOCK_ASKING));
        h->skip++;
    }
    h->lead = wt->commands + 1;
    write_raw(w, bytes);
    writer_close(&block);
    wt->refused = BLOCK_NOT_REFUSED;
    writer_clear(&wt->refusal, 2);
    writer_clear(&wt->result, c->flow.protocol);
    lease_send(h->lease, writer_span(w), h->skip + h->lead + 1);
    watch_wait(wt, WATCH_EXECUTING);
}

static void on_lead(struct watch_hold *h, struct span bytes, bool is_error)
{
    struct watch *wt = h->watch;
    if (is_error && wt->refused == BLOCK_NOT_REFUSED) {
        wt->refused = h->lead == wt->commands + 1 ? BLOCK_NEVER_BEGAN : BLOCK_COMMAND_REFUSED;
        write_raw(&wt->refusal, bytes);
    }
    h->lead--;
}

/* Of a block that is one of several: null or an error speaks for the whole transaction. */
static enum watch_outcome outcome_of_part(struct watch *wt)
{
    struct value_cursor at = { wt->result.at, wt->result.at + wt->result.len };
    struct value v;
    bool known = value_next(&at, &v);
    if (known && v.kind == VALUE_LIST && v.count == wt->commands)
        return WATCH_CARRIED;
    if (!known || (v.kind != VALUE_NULL && v.kind != VALUE_ERROR)) {
        writer_clear(&wt->result, wt->client->flow.protocol);
        write_error(&wt->result, "ERR slotgate: a node gave a reply of an unexpected kind");
    }
    return WATCH_ANSWERED;
}

static void end_block(struct watch *wt)
{
    if (wt->over_limit) {
        writer_clear(&wt->result, wt->client->flow.protocol);
        write_error(&wt->result, "ERR slotgate: the reply is larger than client-output-limit; what "
                                 "it answers has been executed");
    }
    struct watch_hold *carrier = wt->carrier;
    wt->carrier = NULL;
    watch_give_back(carrier); /* EXEC has ended what it watched */
    finish(wt, wt->part ? outcome_of_part(wt) : WATCH_ANSWERED);
}

static void on_exec(struct watch_hold *h, struct span bytes, bool is_error, bool done)
{
    struct watch *wt = h->watch;
    uint64_t limit = wt->client->worker->config.client_output_limit;
    if (is_error &&
        block_verdict((enum block_refused)wt->refused, writer_span(&wt->refusal), bytes).verdict !=
            VERDICT_PASS) {
        answer_null(wt); /* the slot, or the master, is another one: so is what was watched */
        return;
    }
    wt->over_limit = wt->over_limit || wt->result.len + bytes.len > limit;
    if (!wt->over_limit)
        write_raw(&wt->result, bytes);
    if (done)
        end_block(wt);
}

/* --- the checks ---------------------------------------------------------------------------- */

static void after_checks(struct watch *wt)
{
    if (wt->touched) {
        answer_null(wt);
    } else if (wt->carrier != NULL) {
        send_block(wt);
    } else {
        finish(wt, WATCH_UNHINDERED);
    }
}

/* *-1 and _ are how EXEC says that something was touched. */
static bool says_null(const struct watch_hold *h)
{
    return h->begin[0] == '_' || (h->begin[0] == '*' && h->begin[1] == '-');
}

static void on_check(struct watch_hold *h, struct span bytes, bool is_error, bool done)
{
    struct watch *wt = h->watch;
    for (size_t i = 0; i < bytes.len && h->got < sizeof(h->begin); i++)
        h->begin[h->got++] = bytes.at[i];
    if (!done)
        return;
    wt->touched = wt->touched || is_error || says_null(h);
    h->got = 0;
    if (--h->checks > 0)
        return;
    wt->checking--;
    if (h != wt->carrier && !is_error)
        watch_give_back(h); /* its EXEC has ended what it watched */
    if (wt->checking == 0)
        after_checks(wt);
}

void watch_exec_reply(struct watch_hold *h, struct span bytes, char first, bool done)
{
    bool is_error = first == '-' || first == '!';
    if (h->watch->state == WATCH_CHECKING) {
        on_check(h, bytes, is_error, done);
    } else if (h->skip > 0) {
        h->skip -= done;
    } else if (h->lead > 0) {
        if (done)
            on_lead(h, bytes, is_error);
    } else {
        on_exec(h, bytes, is_error, done);
    }
}

static void ask_for_key(const struct watched *k)
{
    struct watch_hold *h = k->hold;
    if (k->asking) {
        lease_send(h->lease, SPAN(BLOCK_ASKING), 1);
        h->checks++;
    }
    lease_send(h->lease, writer_span(&k->check), 1);
    h->checks++;
}

static void send_checks(struct watch *wt)
{
    wt->checking = 0;
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next) {
        const struct watched *k = key_entry(n);
        if (k->hold != wt->carrier || k->slot != slot_of_block(wt))
            ask_for_key(k);
    }
    for (struct list_node *n = wt->holds.next; n != &wt->holds; n = n->next) {
        struct watch_hold *h = hold_entry(n);
        if (h != wt->carrier) {
            lease_send(h->lease, SPAN(BLOCK_BEGIN BLOCK_END), 2);
            h->checks += 2;
        }
        wt->checking += h->checks > 0;
    }
}

/* --- the way in ---------------------------------------------------------------------------- */

/* A slot that has another master now: its old one may not know yet what has been written. */
static bool is_where_it_was(const struct watch *wt)
{
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next) {
        const struct watched *k = key_entry(n);
        const struct node *at = k->hold != NULL ? lease_node(k->hold->lease) : NULL;
        if (at == NULL || (!k->asking && watch_owner(wt, k->slot) != at))
            return false;
    }
    return true;
}

/* The slot of the last command that may write; its block is to be the last one. */
static int last_written_slot(const struct transaction *t)
{
    for (uint32_t i = t->count; i-- > 0;)
        if (t->commands[i].kind == QUEUED_KEYED && t->commands[i].writes)
            return t->commands[i].slot;
    return KEYS_NONE;
}

/* Its connection speaks as the client does now, and of the database that is selected now. */
static bool may_carry(const struct watch_hold *h, const struct client *c)
{
    return h->protocol == c->flow.protocol && h->database == c->flow.database;
}

/* A transaction of several blocks: the first of a watched slot goes before the others. That of the
   last command does so only if there is no other. */
static struct watch_hold *find_carrier_of_part(struct watch *wt)
{
    const struct client *c = wt->client;
    const struct transaction *t = c->transaction;
    struct router *rt = &c->worker->router;
    struct watch_hold *found = NULL;
    int last = last_written_slot(t);
    rt->walk++;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->commands[i].kind == QUEUED_KEYED)
            rt->split_marks[t->commands[i].slot].walk = rt->walk;
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next) {
        const struct watched *k = key_entry(n);
        if (!may_carry(k->hold, c) || rt->split_marks[k->slot].walk != rt->walk)
            continue;
        wt->part = true;
        if (found == NULL || wt->slot == last) {
            found = k->hold;
            wt->slot = k->slot;
        }
    }
    return found;
}

/* The connection that the block goes over; NULL: it goes its usual way. */
static struct watch_hold *find_carrier(struct watch *wt)
{
    const struct client *c = wt->client;
    const struct transaction *t = c->transaction;
    if (t->has_steps || t->count == 0)
        return NULL;
    if (t->in_phases || t->slot == KEYS_CROSS)
        return find_carrier_of_part(wt);
    for (struct list_node *n = wt->holds.next; n != &wt->holds; n = n->next) {
        struct watch_hold *h = hold_entry(n);
        bool any = t->slot < 0;
        bool here = any || slot_needs_asking(wt, h, t->slot) ||
                    watch_owner(wt, (uint16_t)t->slot) == lease_node(h->lease);
        if (here && may_carry(h, c))
            return h;
    }
    return NULL;
}

static void begin(struct watch *wt)
{
    if (wt->broken || !is_where_it_was(wt)) {
        answer_null(wt);
        return;
    }
    wt->touched = wt->over_limit = wt->part = false;
    wt->carrier = find_carrier(wt);
    watch_wait(wt, WATCH_CHECKING);
    send_checks(wt);
    if (wt->checking == 0)
        after_checks(wt);
}

enum watch_outcome watch_exec(struct client *c, struct writer *w)
{
    struct watch *wt = c->watch;
    if (wt->state == WATCH_HELD && c->flow.count > 0)
        return WATCH_PENDING;
    if (wt->state == WATCH_HELD) {
        c->transaction->begun = true;
        begin(wt);
    }
    writer_clear(w, c->flow.protocol); /* the block was written there */
    if (wt->state != WATCH_DONE)
        return WATCH_PENDING;
    if (wt->outcome == WATCH_ANSWERED)
        write_raw(w, writer_span(&wt->result));
    return (enum watch_outcome)wt->outcome;
}
