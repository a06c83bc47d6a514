#include "cluster/link.h"

#include "base/error.h"
#include "base/log.h"
#include "base/statistics.h"

static void link_dial(struct link *l);

static struct link *link_of(struct pipe *p)
{
    return CONTAINER_OF(p, struct link, pipe);
}

static uint64_t link_now(const struct link *l)
{
    return uv_now(l->net->loop);
}

const char *link_state_name(const struct link *l)
{
    static const char *const names[] = { "idle",  "dialling", "greeting",
                                         "ready", "closing",  "resting" };
    return names[l->state];
}

void link_init(struct link *l, enum link_kind kind, struct node *node, const struct endpoint *to,
               struct net *net, const struct link_options *options, const struct link_user *user,
               void *context)
{
    *l = (struct link){ .kind = (uint8_t)kind,
                        .node = node,
                        .to = to,
                        .net = net,
                        .options = options,
                        .user = user,
                        .context = context,
                        .rest = options->rest_min,
                        .due = UINT64_MAX,
                        .random = uv_hrtime() | 1 };
    list_init(&l->waiting);
}

/* --- sending ------------------------------------------------------------------------------- */

bool link_accepts(const struct link *l, uint64_t now)
{
    if (l->retired || l->pending_bytes > l->options->buffer_limit)
        return false;
    return l->state == LINK_READY || l->state == LINK_IDLE || l->state == LINK_DIALLING ||
           l->state == LINK_GREETING || (l->state == LINK_RESTING && now >= l->rest_until);
}

static void count_in(struct link *l, struct request *r)
{
    r->link = l;
    r->state = REQUEST_SENT;
    l->pending++;
    l->pending_bytes += r->len;
    l->used_at = link_now(l);
    if (STATISTICS)
        r->put = (uint32_t)l->net->clock;
    if (r->deadline < l->due)
        l->due = r->deadline;
}

void link_forget(struct link *l, struct request *r)
{
    uint64_t half = l->options->buffer_limit / 2;
    bool was_above = l->pending_bytes > half;
    l->pending--;
    l->pending_bytes -= r->len;
    r->link = NULL;
    if (UNLIKELY(was_above) && l->pending_bytes <= half)
        l->user->on_room(l); /* there is room again for what it did not accept */
}

void link_send(struct link *l, struct request *r, struct span bytes)
{
    r->len = (uint32_t)bytes.len;
    r->bytes = pipe_send(&l->pipe, &r->call, bytes);
    r->chunk = chunk_ref(l->pipe.stream.current);
    count_in(l, r);
}

static void write_out(struct link *l, struct request *r)
{
    struct span bytes = { r->bytes, r->len };
    if (r->len >= ROPE_SHARE_MIN)
        pipe_share(&l->pipe, &r->call, r->chunk, bytes);
    else
        pipe_send(&l->pipe, &r->call, bytes);
}

static void put(struct link *l, struct request *r)
{
    count_in(l, r);
    if (l->state == LINK_READY) {
        write_out(l, r);
        return;
    }
    r->call.end = 0;
    list_append(&l->waiting, &r->call.link);
}

void link_put(struct link *l, struct request *r, struct request *asking)
{
    if (l->state == LINK_IDLE || l->state == LINK_RESTING)
        link_dial(l);
    if (asking != NULL)
        put(l, asking);
    put(l, r);
}

bool link_is_unsent(const struct request *r)
{
    return r->call.end == 0;
}

void link_withdraw(struct link *l, struct request *r)
{
    struct list_node *before = r->call.link.prev;
    list_remove(&r->call.link);
    link_forget(l, r);
    if (before == &l->waiting)
        return;
    /* An ASKING without its request would count for the one behind it. */
    struct request *asking = request_of_call(LIST_ENTRY(before, struct pipe_call, link));
    if (asking->kind != REQUEST_ASKING)
        return;
    list_remove(before);
    l->user->on_lost(l, asking, false, ERR_CANCELED);
}

/* --- connecting and login ------------------------------------------------------------------ */

static void become_ready(struct link *l)
{
    l->state = LINK_READY;
    l->last_error = 0;
    char to[ENDPOINT_TEXT_MAX];
    log_debug("link ready", "node=%s kind=%d", endpoint_text(l->to, to), l->kind);
    l->user->on_ready(l);
    while (!list_is_empty(&l->waiting)) {
        struct request *r = request_of_call(LIST_ENTRY(l->waiting.next, struct pipe_call, link));
        list_remove(&r->call.link);
        write_out(l, r);
    }
}

static void on_open(struct pipe *p)
{
    struct link *l = link_of(p);
    const struct link_options *o = l->options;
    bool three = l->kind == LINK_RESP3 || l->kind == LINK_BULK3 || l->kind == LINK_READ3;
    l->state = LINK_GREETING;
    struct login_words words = { .user = o->auth_user,
                                 .password = o->auth_password,
                                 .database = l->database,
                                 .name = o->name,
                                 .asks_peer = o->asks_peer,
                                 .name_is_wish = o->name_is_wish };
    l->greetings = login_send(p, &words, three ? 3 : 2);
    if (l->kind >= LINK_READ2)
        l->greetings += login_send_readonly(p);
    if (l->greetings == 0)
        become_ready(l);
}

static void on_greeted(struct link *l, struct pipe_call *call, struct span bytes, char first,
                       bool done)
{
    switch (login_take(call, bytes, first, done, l->to, l->peer)) {
    case LOGIN_REFUSED:
        pipe_close(&l->pipe, ERR_AUTH);
        return;
    case LOGIN_ANSWERED:
        if (--l->greetings == 0)
            become_ready(l);
        return;
    case LOGIN_MORE:
        return;
    }
}

static void on_reply(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct link *l = link_of(p);
    if (UNLIKELY(l->state == LINK_GREETING)) {
        on_greeted(l, call, bytes, first, done);
        return;
    }
    if (done)
        l->rest = l->options->rest_min;
    l->user->on_reply(l, request_of_call(call), bytes, chunk, first, done);
}

static void on_lead(struct pipe *p, struct pipe_call *call, struct span bytes, char first,
                    bool done)
{
    struct link *l = link_of(p);
    if (done)
        l->user->on_lead(l, request_of_call(call), bytes, first);
}

/* --- losing it ----------------------------------------------------------------------------- */

static uint64_t jitter(struct link *l, uint64_t ms)
{
    l->random = l->random * 6364136223846793005ull + 1442695040888963407ull;
    return ms / 2 + (l->random >> 33) % (ms + 1);
}

static void rest(struct link *l)
{
    /* The next back-off is longer, until a connection has brought a reply: a node that takes
       connections and drops them is not well either. */
    l->rest_until = link_now(l) + jitter(l, l->rest);
    l->rest = l->rest * 2 < l->options->rest_max ? l->rest * 2 : l->options->rest_max;
    l->state = LINK_RESTING;
}

/* A callback may use the link again, and then p is another connection: nothing of it is read in
   between. */
static void on_closed(struct pipe *p, int why)
{
    struct link *l = link_of(p);
    uint64_t sent = stream_sent(&p->stream);
    struct list_node calls, waiting, *n, *safe;
    list_init(&calls);
    list_init(&waiting);
    list_splice(&calls, &p->calls);
    list_splice(&waiting, &l->waiting);
    LIST_EACH (&waiting, n, safe)
        LIST_ENTRY(n, struct pipe_call, link)->end =
            UINT64_MAX; /* it does not wait there any more */
    bool greeting = l->greetings > 0;
    l->greetings = 0;
    l->due = UINT64_MAX;
    l->last_error = why;
    l->state = LINK_CLOSING; /* nobody may dial before the last request is handed back */
    l->user->on_down(l, why);
    while (!list_is_empty(&calls)) {
        struct pipe_call *call = LIST_ENTRY(calls.next, struct pipe_call, link);
        list_remove(&call->link);
        if (greeting)
            login_drop(call);
        else
            l->user->on_lost(l, request_of_call(call), call->end <= sent, why);
    }
    while (!list_is_empty(&waiting)) {
        struct pipe_call *call = LIST_ENTRY(waiting.next, struct pipe_call, link);
        list_remove(&call->link);
        l->user->on_lost(l, request_of_call(call), false, why);
    }
    rest(l);
}

static const struct pipe_user link_pipe_user = {
    .on_open = on_open,
    .on_reply = on_reply,
    .on_lead = on_lead,
    .on_closed = on_closed,
};

static void link_dial(struct link *l)
{
    l->state = LINK_DIALLING;
    pipe_dial(&l->pipe, l->net, l->to, l->options->connect_timeout, l->options->tls,
              &link_pipe_user);
}

void link_close(struct link *l, int why)
{
    if (l->state == LINK_IDLE || l->state == LINK_RESTING || l->state == LINK_CLOSING)
        return;
    l->state = LINK_CLOSING;
    pipe_close(&l->pipe, why);
}
