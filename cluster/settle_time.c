/* Deadlines: requests that wait too long, and links that have fallen silent. */
#include <stdio.h>

#include "base/error.h"
#include "cluster/group.h"
#include "cluster/reads.h"
#include "cluster/router_inner.h"
#include "cluster/settle.h"
#include "cluster/settle_inner.h"

/* r's place in its flow goes to a stand-in; r itself stays in the link's FIFO for the reply that
   may still come. Gives the stand-in. */
static struct request *replace_by_stand_in(struct router *rt, struct request *r)
{
    struct request *s = slab_take(&rt->requests);
    *s = *r;
    list_init(&s->call.link);
    list_insert_before(&r->in_flow, &s->in_flow);
    list_remove(&r->in_flow);
    s->link = NULL;
    chunk_ref(s->chunk);
    if (s->group != NULL)
        s->group->refs++;
    r->flow = NULL;
    r->reply = (struct rope){ 0 };
    r->has_error = r->irregular = false;
    rt->outstanding++;
    return s;
}

/* The walk at the end of the turn or the next tick answers it: nobody is called back from here, so
   that the list of those that wait stays as it is. */
static void time_out_unsent(struct router *rt, struct link *l, struct request *r)
{
    link_withdraw(l, r);
    if (r->kind == REQUEST_OWN)
        list_append(&rt->refused, &r->call.link);
    else
        router_park(rt, r, uv_now(rt->net->loop));
}

static void time_out(struct router *rt, struct link *l, struct request *r)
{
    if (link_is_unsent(r)) {
        time_out_unsent(rt, l, r);
        return;
    }
    if (r->kind == REQUEST_OWN) {
        request_own_done *done = r->on_own;
        r->on_own = NULL; /* what may still come is dropped */
        done(r, ERR_TIMEOUT);
        return;
    }
    rt->counters.timeouts++;
    struct request *s = replace_by_stand_in(rt, r);
    struct flow *f = s->flow;
    if (s->started) {
        settle_complete(rt, s, l->node);
        f->user->on_broken(f, s, ERR_TIMEOUT);
    } else if (!s->safe) {
        settle_unknown_fate(rt, s, l, ERR_TIMEOUT);
    } else {
        char to[ENDPOINT_TEXT_MAX], text[ENDPOINT_TEXT_MAX + 128];
        int n = snprintf(text, sizeof(text), "-ERR slotgate: no answer from node %s in time\r\n",
                         endpoint_text(l->to, to));
        settle_answer(rt, s, (struct span){ text, (size_t)n });
    }
}

/* Retried requests and the router's own lie among others that have more time, so all are looked at;
   but only when one is due. A callback may make calls orphans and add others, it removes none. */
static void time_out_calls(struct router *rt, struct link *l, struct list_node *calls, uint64_t now)
{
    if (now < l->due)
        return;
    l->due = UINT64_MAX;
    struct list_node *n, *safe;
    LIST_EACH (calls, n, safe) {
        struct request *r = request_of_call(LIST_ENTRY(n, struct pipe_call, link));
        bool awaited = r->kind == REQUEST_OF_FLOW ? r->flow != NULL : r->on_own != NULL;
        if (!awaited)
            continue;
        if (now >= r->deadline)
            time_out(rt, l, r);
        else if (r->deadline < l->due)
            l->due = r->deadline;
    }
}

static void sweep_link(struct router *rt, struct link *l, uint64_t now)
{
    uint64_t silent = now - l->pipe.heard_at;
    switch ((enum link_state)l->state) {
    case LINK_READY:
        if (l->pending == 0)
            return;
        if (silent > (l->kind >= LINK_READ2 ? reads_patience(rt) : rt->options->request_timeout))
            link_close(l, ERR_TIMEOUT);
        else if (silent > ROUTER_SILENT_MS)
            rt->on_doubt(rt->doubt_context);
        time_out_calls(rt, l, &l->pipe.calls, now);
        return;
    case LINK_GREETING:
        if (silent > rt->options->link.connect_timeout)
            link_close(l, ERR_TIMEOUT);
        time_out_calls(rt, l, &l->waiting, now);
        return;
    case LINK_DIALLING:
        time_out_calls(rt, l, &l->waiting, now);
        return;
    default:
        return;
    }
}

void settle_sweep(struct router *rt)
{
    uint64_t now = uv_now(rt->net->loop);
    struct list_node *n, *safe;
    LIST_EACH (&rt->nodes.nodes, n, safe) {
        struct node *node = LIST_ENTRY(n, struct node, in_table);
        struct link *l;
        NODE_EACH_LINK (node, l)
            sweep_link(rt, l, now);
    }
}
