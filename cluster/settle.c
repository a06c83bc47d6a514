#include "cluster/settle.h"

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "base/statistics.h"
#include "cluster/block.h"
#include "cluster/group.h"
#include "cluster/order.h"
#include "cluster/reads.h"
#include "cluster/router_inner.h"
#include "cluster/settle_inner.h"

/*
 * Every way in which a request ends:
 *
 *   reply                  handed on in pieces as it comes
 *   error reply            judged first: the client's own answer, or a reason to try again
 *   link lost, not written tried again
 *   link lost, written     a read is tried again; a write is answered "may have been executed"
 *   deadline, parked       the last error that a node gave, else ours
 *   deadline, sent         ours; the record stays behind as an orphan for the reply that may come
 *   overtaken              as deadline, parked
 */

enum { RESCUES_MAX = 2 };
enum { FREE_HOPS = 4, HOP_DELAY_MS = 10, HOP_DELAY_MAX_MS = 100, WAIT_MS = 50, TRY_AGAIN_MS = 5 };

static uint64_t now_of(const struct router *rt)
{
    return uv_now(rt->net->loop);
}

void settle_complete(struct router *rt, struct request *r, const struct node *by)
{
    struct flow *f = r->flow;
    bool was_sent = r->state == REQUEST_SENT;
    rt->outstanding--;
    r->state = REQUEST_DONE;
    f->bytes -= r->len;
    if (UNLIKELY(f->irregular > 0)) {
        if (was_sent && f->parked > 0)
            order_took_effect(r);
        if (r->irregular)
            f->irregular--;
        r->irregular = false;
        if (f->parked > 0 && !list_is_linked(&f->kicked))
            list_append(&rt->kicked, &f->kicked);
    }
    if (STATISTICS && UNLIKELY((uint32_t)rt->net->clock - r->began >= rt->watch.slow_after))
        rt->watch.on_slow(rt, r, by);
    if (r->chunk != NULL)
        chunk_unref(r->chunk);
    r->chunk = NULL;
}

/* Drops what waits in r->reply: the last error, or the beginning of a reply that broke off. */
static void drop_kept(struct router *rt, struct request *r)
{
    if (!r->has_error)
        r->flow->held -= r->reply.bytes;
    rope_clear(&r->reply, &rt->net->store);
    r->has_error = false;
}

static void free_orphan(struct router *rt, struct request *r)
{
    rt->outstanding--;
    router_release(rt, r);
}

/* --- replies ------------------------------------------------------------------------------- */

static void park_after(struct router *rt, struct request *r, uint64_t delay)
{
    if (r->hops < UINT8_MAX)
        r->hops++;
    r->refused = BLOCK_NOT_REFUSED;
    r->got = 0;
    rt->counters.retries++;
    router_park(rt, r, now_of(rt) + delay);
}

/* The first redirects are followed at once; a loop of them must not spin. */
static uint64_t hop_delay(const struct request *r)
{
    if (r->hops < FREE_HOPS)
        return 0;
    uint64_t ms = (uint64_t)(r->hops - FREE_HOPS + 1) * HOP_DELAY_MS;
    return ms < HOP_DELAY_MAX_MS ? ms : HOP_DELAY_MAX_MS;
}

/* A node that lies may name any number of others: past a bound, new ones are not believed in. */
static struct node *known_or_new(struct router *rt, const struct endpoint *e)
{
    bool room = rt->nodes.count < NODES_BY_REDIRECT_MAX;
    return room ? node_get(&rt->nodes, e) : node_find(&rt->nodes, e);
}

struct node *settle_heed(struct router *rt, struct redirect *to, const struct endpoint *from)
{
    if (to->to.host[0] == '\0')
        memcpy(to->to.host, from->host, sizeof(to->to.host));
    struct node *n = known_or_new(rt, &to->to);
    if (to->verdict == VERDICT_ASK) {
        rt->counters.ask++;
        return n;
    }
    rt->counters.moved++;
    uint16_t shard = rt->map->shard_of[to->slot];
    if (n != NULL && (shard == SLOTMAP_NO_SHARD || rt->masters[shard] != n))
        router_set_map(rt, slotmap_moved(rt->map, to->slot, &to->to));
    rt->on_doubt(rt->doubt_context);
    return n;
}

static void follow_ask(struct router *rt, struct request *r, struct redirect *to,
                       const struct endpoint *from)
{
    struct node *n = settle_heed(rt, to, from);
    if (n != NULL) {
        r->hint = n;
        r->asking = true;
        n->hinted++;
    }
    park_after(rt, r, hop_delay(r));
}

static void try_again(struct router *rt, struct request *r, struct link *l, struct redirect *to)
{
    switch (to->verdict) {
    case VERDICT_MOVED:
        settle_heed(rt, to, l->to);
        park_after(rt, r, hop_delay(r));
        return;
    case VERDICT_ASK:
        follow_ask(rt, r, to, l->to);
        return;
    case VERDICT_TRY_AGAIN:
        rt->counters.try_again++;
        park_after(rt, r, TRY_AGAIN_MS + hop_delay(r));
        return;
    case VERDICT_READ_ONLY:
        rt->counters.read_only++;
        break;
    default:
        rt->counters.cluster_down++;
        break;
    }
    rt->on_doubt(rt->doubt_context);
    park_after(rt, r, WAIT_MS);
}

static void keep_error(struct router *rt, struct request *r, struct span error)
{
    rope_copy(&r->reply, &rt->net->store, &rt->keep, error);
    r->has_error = true;
}

/* The node did not execute the request because it lacks something that it has been given by now.
   The request keeps its place: what the node gave is the answer if a younger one has overtaken it.
 */
static bool rescue(struct router *rt, struct link *l, struct request *r, struct span error)
{
    if (LIKELY(rt->rescue == NULL || r->cmd == NULL || r->rescues == RESCUES_MAX) ||
        !rt->rescue(rt->rescue_context, l, r, error))
        return false;
    r->rescues++;
    drop_kept(rt, r);
    keep_error(rt, r, error);
    link_forget(l, r);
    park_after(rt, r, 0);
    return true;
}

static void count_error(struct router *rt, struct request *r, struct span error,
                        enum router_error what)
{
    if (rt->watch.on_error != NULL)
        rt->watch.on_error(rt, r, error, what);
}

/* A replica did not execute the read: its master is asked instead. What the replica said is
   nobody's answer, and no slot map is corrected by it. False: it is the client's own answer. */
static bool leave_replica(struct router *rt, struct link *l, struct request *r,
                          enum verdict verdict)
{
    if (verdict == VERDICT_PASS)
        return false;
    reads_refused(rt, l, r, verdict);
    drop_kept(rt, r);
    link_forget(l, r);
    park_after(rt, r, 0);
    return true;
}

/* True when the error is the client's own answer. */
static bool judge(struct router *rt, struct link *l, struct request *r, struct span error)
{
    struct redirect to = LIKELY(r->call.lead == 0) ? redirect_read(error) : block_judge(r, error);
    if (UNLIKELY(l->kind >= LINK_READ2)) {
        l->node->stat->errors++;
        count_error(rt, r, error,
                    to.verdict == VERDICT_PASS ? ROUTER_ERROR_PASSED : ROUTER_ERROR_HEARD);
        return !leave_replica(rt, l, r, to.verdict);
    }
    bool passes = to.verdict == VERDICT_PASS && !rescue(rt, l, r, error);
    l->node->stat->errors++;
    count_error(rt, r, error, passes ? ROUTER_ERROR_PASSED : ROUTER_ERROR_HEARD);
    if (to.verdict == VERDICT_PASS)
        return passes;
    /* A redirect is meant for us, not for the client: it is never the answer, even at the deadline.
     */
    bool kept = r->refused != BLOCK_NOT_REFUSED; /* the first error of a block says more */
    r->redirected = to.verdict == VERDICT_MOVED || to.verdict == VERDICT_ASK;
    if (!kept || r->redirected)
        drop_kept(rt, r);
    if (!kept && !r->redirected)
        keep_error(rt, r, error);
    link_forget(l, r);
    try_again(rt, r, l, &to);
    return false;
}

/* Of what the commands of a block are answered before EXEC only the first error counts. */
static void on_lead(struct link *l, struct request *r, struct span bytes, char first)
{
    bool is_error = first == '-' || first == '!';
    if (!is_error || r->flow == NULL || r->refused != BLOCK_NOT_REFUSED)
        return;
    drop_kept(l->context, r);
    keep_error(l->context, r, bytes);
    r->refused = r->call.lead_left == r->call.lead ? BLOCK_NEVER_BEGAN : BLOCK_COMMAND_REFUSED;
}

static void on_own_reply(struct router *rt, struct link *l, struct request *r, struct span bytes,
                         bool done)
{
    if (r->kind == REQUEST_OWN && r->on_own != NULL)
        rope_copy(&r->reply, &rt->net->store, &rt->keep, bytes);
    if (!done)
        return;
    link_forget(l, r);
    settle_own(rt, r, 0);
}

void settle_own(struct router *rt, struct request *r, int status)
{
    if (r->on_own != NULL)
        r->on_own(r, status);
    free_orphan(rt, r);
}

static void on_reply(struct link *l, struct request *r, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct router *rt = l->context;
    if (UNLIKELY(r->kind != REQUEST_OF_FLOW)) {
        on_own_reply(rt, l, r, bytes, done);
        return;
    }
    struct flow *f = r->flow;
    if (UNLIKELY(f == NULL)) {
        if (done) {
            link_forget(l, r);
            free_orphan(rt, r);
        }
        return;
    }
    bool is_error = first == '-' || first == '!';
    if (UNLIKELY(is_error) && !judge(rt, l, r, bytes))
        return;
    if (UNLIKELY(r->has_error)) {
        if (is_error && f->user->on_refused != NULL)
            f->user->on_refused(f, r, (struct span){ r->reply.head->at, r->reply.head->len });
        drop_kept(rt, r);
    }
    r->got += (uint32_t)bytes.len;
    if (done) {
        if (STATISTICS && UNLIKELY(r->got >= rt->watch.big_after))
            rt->watch.on_big(rt, r, r->got, true);
        if (UNLIKELY(r->group != NULL))
            r->served_by = l->node->fingerprint;
        histogram_add(&l->node->stat->latency, (uint32_t)rt->net->clock - r->put);
        link_forget(l, r);
        settle_complete(rt, r, l->node);
    }
    f->user->on_reply(f, r, bytes, chunk, done);
}

/* --- errors of our own --------------------------------------------------------------------- */

void settle_answer(struct router *rt, struct request *r, struct span text)
{
    struct flow *f = r->flow;
    drop_kept(rt, r);
    count_error(rt, r, text, ROUTER_ERROR_MADE);
    settle_complete(rt, r, NULL);
    f->user->on_reply(f, r, text, NULL, true);
}

/* Hands the last error that a node gave to the client as its answer. judge copied it as a whole, so
   it is one piece. */
static void answer_last_error(struct router *rt, struct request *r)
{
    struct rope last = r->reply;
    r->reply = (struct rope){ 0 };
    settle_answer(rt, r, (struct span){ last.head->at, last.head->len });
    rope_clear(&last, &rt->net->store);
}

void settle_unknown_fate(struct router *rt, struct request *r, const struct link *l, int why)
{
    char to[ENDPOINT_TEXT_MAX], text[ENDPOINT_TEXT_MAX + 160];
    rt->counters.uncertain++;
    int n = snprintf(text, sizeof(text),
                     "-ERR slotgate: %s while waiting for node %s; the command may have been "
                     "executed\r\n",
                     error_text(why), endpoint_text(l->to, to));
    settle_answer(rt, r, (struct span){ text, (size_t)n });
}

static void answer_unservable(struct router *rt, struct request *r)
{
    static const struct span no_slot = { "-CLUSTERDOWN Hash slot not served\r\n", 35 };
    if (rt->map != NULL && r->slot != SLOT_ANY && rt->map->shard_of[r->slot] == SLOTMAP_NO_SHARD) {
        settle_answer(rt, r, no_slot);
        return;
    }
    char to[ENDPOINT_TEXT_MAX] = "any master", text[ENDPOINT_TEXT_MAX + 128];
    int why = ERR_TIMEOUT;
    if (rt->map != NULL && r->slot != SLOT_ANY) {
        struct node *n = rt->masters[rt->map->shard_of[r->slot]];
        endpoint_text(&n->endpoint, to);
        int last =
            node_links(n, r->database)[r->flow->protocol == 3 ? LINK_RESP3 : LINK_RESP2].last_error;
        why = last != 0 ? last : why;
    }
    const char *reason = r->redirected ? error_text(ERR_REDIRECTS) : error_text(why);
    int n =
        snprintf(text, sizeof(text), "-ERR slotgate: no answer from node %s: %s\r\n", to, reason);
    settle_answer(rt, r, (struct span){ text, (size_t)n });
}

static void unpark(struct request *r)
{
    struct flow *f = r->flow;
    if (--f->parked == 0) {
        list_remove(&f->stalled);
        list_remove(&f->kicked);
    }
    if (r->hint != NULL)
        r->hint->hinted--;
    r->hint = NULL;
}

void router_fail(struct router *rt, struct request *r)
{
    rt->counters.timeouts++;
    unpark(r);
    if (r->has_error)
        answer_last_error(rt, r);
    else
        answer_unservable(rt, r);
}

/* --- lost links ---------------------------------------------------------------------------- */

static void on_down(struct link *l, int why)
{
    struct router *rt = l->context;
    char to[ENDPOINT_TEXT_MAX];
    if (why == ERR_SHUTDOWN)
        return;
    rt->counters.lost_links++;
    l->node->stat->lost++;
    if (l->kind >= LINK_READ2)
        reads_lost(l);
    log_warn("node connection lost", "node=%s reason=%s pending=%u", endpoint_text(l->to, to),
             error_name(why), l->pending);
    rt->on_doubt(rt->doubt_context);
}

static void on_lost(struct link *l, struct request *r, bool wrote, int why)
{
    struct router *rt = l->context;
    link_forget(l, r);
    if (r->kind != REQUEST_OF_FLOW) {
        settle_own(rt, r, why);
        return;
    }
    struct flow *f = r->flow;
    if (f == NULL) {
        free_orphan(rt, r);
        return;
    }
    if (r->started) {
        settle_complete(rt, r, l->node);
        f->user->on_broken(f, r, why);
        return;
    }
    if (wrote && !r->safe) {
        settle_unknown_fate(rt, r, l, why);
        return;
    }
    if (!r->has_error || r->refused != BLOCK_NOT_REFUSED)
        drop_kept(rt, r);
    park_after(rt, r, 0);
}

static void on_ready(struct link *l)
{
    struct router *rt = l->context;
    rt->kick_all = true;
    if (rt->on_link != NULL)
        rt->on_link(rt->link_context, l);
    if (rt->greet != NULL)
        rt->greet(rt->rescue_context, l);
}

static void on_room(struct link *l)
{
    struct router *rt = l->context;
    rt->kick_all = true;
}

const struct link_user settle_link_user = {
    .on_reply = on_reply,
    .on_lead = on_lead,
    .on_lost = on_lost,
    .on_ready = on_ready,
    .on_room = on_room,
    .on_down = on_down,
};
