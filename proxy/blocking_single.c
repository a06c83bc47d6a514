/*
 * A blocking command whose keys lie in one slot: it waits on a leased connection to the slot's
 * master, which keeps the order of those that wait. Its reply is passed on as it comes.
 *
 *   a reply, an error of the client's own    the answer; the connection goes back to the pool
 *   MOVED, ASK                               followed
 *   TRYAGAIN, LOADING, CLUSTERDOWN, READONLY tried again a little later
 *   UNBLOCKED (the master steps down), lost  tried again where the slot is then
 *   the slot has moved, nobody says so       left after ROUTER_SILENT_MS, tried again at its new
 * place no master takes it within request-timeout, or it had been taken and its own time is over
 *                                            the last error of a node, or ours
 *   lost inside the reply                    an error: it has been executed
 *
 * Each further try waits only for the rest of the command's time. When a connection is lost the
 * node may have taken an element whose reply never came: it is gone, as with one Redis whose client
 * loses its connection.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "cluster/lease.h"
#include "cluster/settle.h"
#include "proxy/blocked.h"
#include "proxy/blocking.h"
#include "proxy/blocking_ids.h"
#include "proxy/worker.h"

enum { AGAIN_MS = 5, WAIT_MS = 50, GRACE_MS = 250, FREE_HOPS = 4, HOP_MS = 10 };

struct single {
    struct blocked b;
    struct lease *lease; /* on which it waits; NULL between two tries */
    struct node *hint;   /* where ASK points, for the next try */
    struct stream_ids ids;
    struct writer error; /* the last one of a node that was no answer for the client */
    uint64_t strayed_at; /* ms since when the slot is another node's; 0 */
    uint32_t epoch;      /* of the map of the last try */
    uint32_t skip;       /* replies that come before the command's own */
    uint32_t hops;
    int why; /* the last connection was lost for */
    uint16_t slot;
    bool asking;   /* the present try follows an ASK */
    bool accepted; /* a master has let it wait: only its own timeout ends it from then on */
    bool begun;    /* a piece of the reply is there */
};

static struct single *single_of(struct blocked *b)
{
    return CONTAINER_OF(b, struct single, b);
}

static uint64_t now_of(const struct single *s)
{
    return uv_now(&s->b.worker->loop);
}

static struct router *router_of(const struct single *s)
{
    return &s->b.worker->router;
}

static struct node *owner_of(const struct single *s)
{
    const struct router *rt = router_of(s);
    if (s->slot != SLOT_ANY)
        return router_owner(rt, s->slot);
    uint32_t shards = rt->map == NULL ? 0 : rt->map->shard_count;
    return shards == 0 ? NULL : rt->masters[s->b.client->flow.home % shards];
}

/* A node with a hint is not forgotten. */
static void set_hint(struct single *s, struct node *n)
{
    if (s->hint != NULL)
        s->hint->hinted--;
    s->hint = n;
    if (n != NULL)
        n->hinted++;
}

/* --- giving up -------------------------------------------------------------------------------- */

static void answer_format(struct single *s, const char *fmt, const char *a, const char *b)
{
    struct writer *w = worker_writer(s->b.worker, s->b.client->flow.protocol);
    write_error(w, fmt, a, b);
    blocked_answer(&s->b, writer_span(w));
}

static void give_up(struct single *s)
{
    if (s->error.len > 0) {
        blocked_answer(&s->b, writer_span(&s->error));
        return;
    }
    char to[ENDPOINT_TEXT_MAX] = "any master";
    struct node *n = owner_of(s);
    if (n != NULL)
        endpoint_text(&n->endpoint, to);
    answer_format(s, "ERR slotgate: no answer from node %s: %s", to,
                  error_text(s->why != 0 ? s->why : ERR_TIMEOUT));
}

static void unknown_fate(struct single *s, const struct node *n, int why)
{
    char to[ENDPOINT_TEXT_MAX];
    endpoint_text(&n->endpoint, to);
    router_of(s)->counters.uncertain++;
    answer_format(s,
                  "ERR slotgate: %s while waiting for node %s; the command may have been executed",
                  error_text(why), to);
}

/* --- trying ----------------------------------------------------------------------------------- */

static void try(struct single *s);

static const struct lease_user single_user;

static bool time_is_over(const struct single *s, uint64_t now)
{
    if (s->b.deadline != BLOCKED_FOR_EVER && now >= s->b.deadline + GRACE_MS)
        return true; /* the node itself says that the time is over, if there is one */
    if (s->accepted)
        return false;
    return now - s->b.started_at > s->b.worker->config.request_timeout;
}

/* The request, with the time that is left and the ids that are known, if it has been tried before.
 */
static void write_command(struct single *s, struct writer *w, uint64_t now)
{
    const struct argv *argv = &s->b.argv;
    struct blocking_timeout t = { 0 };
    char room[BLOCKING_TIMEOUT_MAX];
    if (s->accepted || s->hops > 0)
        t = blocking_timeout_of(s->b.cmd, argv);
    bool is_set = s->b.deadline != BLOCKED_FOR_EVER && t.arg > 0;
    write_array(w, argv->count);
    for (uint32_t i = 0; i < argv->count; i++) {
        struct span a = argv_get(argv, i);
        if (is_set && i == t.arg)
            a = blocking_timeout_text(t, s->b.deadline, now, room, sizeof(room));
        write_bulk(w, stream_ids_known(&s->ids, i, a));
    }
}

static void send_command(struct single *s, uint64_t now)
{
    static const struct span asking = { "*1\r\n$6\r\nASKING\r\n", 16 };
    struct writer *w = worker_writer(s->b.worker, 2);
    s->skip = stream_ids_ask(&s->ids, w, s->asking ? asking : (struct span){ "", 0 });
    if (s->asking) {
        write_raw(w, asking);
        s->skip++;
    }
    write_command(s, w, now);
    lease_send(s->lease, writer_span(w), s->skip + 1);
}

static void try(struct single *s)
{
    struct worker *w = s->b.worker;
    uint64_t now = now_of(s);
    struct node *n = s->hint != NULL ? s->hint : owner_of(s);
    if (time_is_over(s, now)) {
        give_up(s);
        return;
    }
    s->epoch = router_of(s)->epoch;
    s->asking = s->hint != NULL;
    set_hint(s, NULL);
    s->strayed_at = 0;
    if (n == NULL || now < n->lease_rest_until) {
        blocked_pause(&s->b, n == NULL ? now + WAIT_MS : n->lease_rest_until);
        return;
    }
    s->lease = lease_take(&w->leases, n, s->b.client->flow.protocol, s->b.client->flow.database,
                          &single_user, s);
    if (s->lease == NULL) {
        blocked_answer(&s->b, BLOCKING_LIMIT_ERROR);
        return;
    }
    send_command(s, now);
}

/* Not from inside a callback of the lease: a loop of redirects must not spin. */
static void try_after(struct single *s, uint64_t ms)
{
    uint64_t hop = s->hops < FREE_HOPS ? 0 : (s->hops - FREE_HOPS + 1) * HOP_MS;
    s->hops++;
    router_of(s)->counters.retries++;
    blocked_pause(&s->b, now_of(s) + ms + (hop < 100 ? hop : 100));
}

static void leave_lease(struct single *s)
{
    struct lease *l = s->lease;
    s->lease = NULL;
    if (l == NULL)
        return;
    if (lease_owed(l) == 0)
        lease_give_back(l);
    else
        lease_drop(l);
}

/* --- replies ---------------------------------------------------------------------------------- */

static bool starts_with(struct span error, const char *text)
{
    size_t n = strlen(text);
    return error.len > n && memcmp(error.at + 1, text, n) == 0;
}

static void keep_error(struct single *s, struct span error)
{
    writer_clear(&s->error, 2);
    write_raw(&s->error, error);
}

/* True: the error is the client's own answer. */
static bool judge(struct single *s, struct span error)
{
    struct router *rt = router_of(s);
    struct redirect to = redirect_read(error);
    struct node *from = lease_node(s->lease), *n = NULL;
    bool stepped_down = starts_with(error, "UNBLOCKED force");
    if (to.verdict == VERDICT_PASS && !stepped_down)
        return true;
    if (to.verdict == VERDICT_MOVED || to.verdict == VERDICT_ASK)
        n = settle_heed(rt, &to, &from->endpoint);
    else if (!stepped_down)
        keep_error(s, error);
    rt->on_doubt(rt->doubt_context);
    s->accepted = s->accepted || stepped_down || now_of(s) - s->b.started_at > BLOCKED_LOOK_MS;
    leave_lease(s);
    if (to.verdict == VERDICT_ASK)
        set_hint(s, n);
    bool soon = to.verdict == VERDICT_MOVED || to.verdict == VERDICT_ASK;
    try_after(s, soon ? 0 : to.verdict == VERDICT_TRY_AGAIN ? AGAIN_MS : WAIT_MS);
    return false;
}

static void on_reply(struct lease *l, void *context, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct single *s = context;
    (void)l;
    if (s->skip > 0) {
        stream_ids_take(&s->ids, bytes, done);
        s->skip -= done;
        return;
    }
    bool is_error = first == '-' || first == '!';
    if (is_error && !judge(s, bytes))
        return;
    s->begun = true;
    if (done)
        leave_lease(s);
    blocked_reply(&s->b, bytes, chunk, done);
}

static void on_lost(struct lease *l, void *context, bool wrote, int why)
{
    struct single *s = context;
    struct router *rt = router_of(s);
    s->lease = NULL;
    s->why = why;
    if (s->begun) {
        unknown_fate(s, lease_node(l), why);
        return;
    }
    s->accepted = s->accepted || wrote;
    rt->on_doubt(rt->doubt_context);
    if (why == ERR_AUTH)
        give_up(s);
    else
        try_after(s, WAIT_MS);
}

static const struct lease_user single_user = { on_reply, on_lost, .waits = true };

/* --- what blocked.c asks for ------------------------------------------------------------------ */

static void stop(struct blocked *b)
{
    struct single *s = single_of(b);
    if (s->lease != NULL)
        lease_drop(s->lease);
    s->lease = NULL;
    list_remove(&b->in_paused);
}

static void free_single(struct blocked *b)
{
    struct single *s = single_of(b);
    set_hint(s, NULL);
    writer_close(&s->error);
    stream_ids_close(&s->ids);
    free(s);
}

static void again(struct blocked *b)
{
    try(single_of(b));
}

/* A master that has lost the slot tells those that wait there, unless it hangs or is cut off. */
static void look(struct blocked *b, uint64_t now)
{
    struct single *s = single_of(b);
    struct router *rt = router_of(s);
    if (s->lease == NULL) {
        if (list_is_linked(&b->in_paused) && s->epoch != rt->epoch)
            blocked_pause(b, now);
        return;
    }
    if (s->begun)
        return;
    if (b->deadline != BLOCKED_FOR_EVER && now > b->deadline + b->worker->config.request_timeout) {
        struct node *n = lease_node(s->lease);
        stop(b);
        unknown_fate(s, n, ERR_TIMEOUT);
        return;
    }
    bool strayed = !s->asking && s->slot != SLOT_ANY && owner_of(s) != lease_node(s->lease);
    if (!strayed)
        s->strayed_at = 0;
    else if (s->strayed_at == 0)
        s->strayed_at = now;
    else if (now - s->strayed_at > ROUTER_SILENT_MS) {
        b->worker->blocked.moved++;
        s->accepted = true;
        stop(b);
        try_after(s, 0);
    }
}

static bool is_sent(const struct single *s)
{
    return s->lease != NULL && lease_is_ready(s->lease);
}

static bool is_waiting(const struct blocked *b)
{
    const struct single *s = CONTAINER_OF(b, struct single, b);
    return is_sent(s) && s->skip == 0;
}

static bool where(const struct blocked *b, uint16_t *slot, uint64_t *id)
{
    const struct single *s = CONTAINER_OF(b, struct single, b);
    if (!is_sent(s) || s->asking || s->slot == SLOT_ANY || owner_of(s) != lease_node(s->lease))
        return false;
    *slot = s->slot;
    *id = lease_server_id(s->lease);
    return *id != 0;
}

static const struct blocked_way single_way = {
    .stop = stop,
    .free = free_single,
    .again = again,
    .look = look,
    .is_waiting = is_waiting,
    .where = where,
};

void blocking_single(struct client *c, const struct command *cmd, const struct argv *argv,
                     uint16_t slot)
{
    struct single *s = calloc(1, sizeof(*s));
    REQUIRE(s != NULL);
    s->slot = slot;
    writer_init(&s->error, 2);
    uint64_t now = uv_now(&c->worker->loop);
    blocked_begin(&s->b, c, cmd, argv, &single_way, blocking_deadline(cmd, argv, now));
    stream_ids_open(&s->ids, cmd, &s->b.argv);
    try(s);
}
