#include "cluster/lease.h"

#include "base/error.h"
#include "base/log.h"
#include "cluster/login.h"

/*
 *   happy path       queued -> dialled -> login -> ready; sent, answered, given back, taken again
 *   limit            NULL; an idle connection to another node is closed first
 *   node refuses     that one and all queued ones for the node are lost; it rests
 *   login refused    lost with ERR_AUTH; the node rests
 *   lost while taken on_lost        lost while idle  nobody hears of it
 *   dropped          in any state: no callback, the connection is closed
 */

enum { SWEEP_MS = 100 };

enum lease_state { QUEUED, DIALLING, GREETING, TAKEN, IDLE, FAILED, CLOSING };

struct lease {
    struct pipe pipe;
    struct pipe_call call; /* stands in the pipe for the oldest reply owed */
    struct lease_pool *pool;
    struct node *node;
    struct list_node in_state;     /* the pool's list of its state */
    struct list_node in_node;      /* IDLE: node->idle_leases */
    const struct lease_user *user; /* NULL: in nobody's hands */
    void *context;
    struct writer waiting; /* what is sent before it is ready */
    uint64_t since;        /* ms: of DIALLING, or of IDLE */
    uint64_t server_id;    /* CLIENT ID there; 0: not known */
    uint32_t owed;         /* replies still to come, the hidden one included */
    uint32_t put;       /* us of net_clock, its low bits: when the first of these was asked for */
    uint32_t greetings; /* replies of the login still to come */
    int why;            /* FAILED: why */
    uint16_t database;
    uint8_t state, protocol;
    bool hidden; /* the oldest reply owed is that of CLIENT ID */
};

static void dial_next(struct lease_pool *p);

static struct lease *lease_of(struct pipe *p)
{
    return CONTAINER_OF(p, struct lease, pipe);
}

static uint64_t now_of(const struct lease_pool *p)
{
    return uv_now(p->net->loop);
}

static struct list_node *list_of(struct lease_pool *p, enum lease_state state)
{
    struct list_node *const lists[] = {
        [QUEUED] = &p->queued,   [DIALLING] = &p->connecting, [GREETING] = &p->connecting,
        [TAKEN] = &p->taken,     [IDLE] = &p->idle,           [FAILED] = &p->failed,
        [CLOSING] = &p->closing,
    };
    return lists[state];
}

/* Counters and lists follow from the state. */
static void move(struct lease *l, enum lease_state next)
{
    struct lease_pool *p = l->pool;
    bool was_connecting = l->state == DIALLING || l->state == GREETING;
    bool is_connecting = next == DIALLING || next == GREETING;
    p->dialling += (uint32_t)is_connecting - (uint32_t)was_connecting;
    p->idle_count += (uint32_t)(next == IDLE) - (uint32_t)(l->state == IDLE);
    p->count -= next == CLOSING && l->state != CLOSING;
    l->state = (uint8_t)next;
    list_remove(&l->in_state);
    list_remove(&l->in_node);
    list_append(list_of(p, next), &l->in_state);
}

static void free_lease(struct lease *l)
{
    struct lease_pool *p = l->pool;
    list_remove(&l->in_state);
    list_remove(&l->in_node);
    l->node->leases--;
    writer_close(&l->waiting);
    slab_give(&p->slab, l);
}

/* --- a node that is not well --------------------------------------------------------------- */

/* Many connections may fail together: that counts once. */
static void rest(struct lease_pool *p, struct node *n)
{
    const struct link_options *o = p->options;
    if (now_of(p) < n->lease_rest_until)
        return;
    p->random = p->random * 6364136223846793005ull + 1442695040888963407ull;
    uint64_t ms = n->lease_rest > o->rest_min ? n->lease_rest : o->rest_min;
    n->lease_rest_until = now_of(p) + ms / 2 + (p->random >> 33) % (ms + 1);
    n->lease_rest = ms * 2 < o->rest_max ? ms * 2 : o->rest_max;
}

static void on_soon(uv_timer_t *timer)
{
    struct lease_pool *p = timer->data;
    struct list_node now;
    list_init(&now);
    list_splice(&now, &p->failed);
    while (!list_is_empty(&now)) {
        struct lease *l = LIST_ENTRY(now.next, struct lease, in_state);
        const struct lease_user *user = l->user;
        move(l, CLOSING);
        user->on_lost(l, l->context, false, l->why);
        free_lease(l);
    }
}

/* It never connected; its user hears of it in the next turn. */
static void fail_soon(struct lease *l, int why)
{
    l->why = why;
    move(l, FAILED);
    if (!uv_is_active((uv_handle_t *)&l->pool->soon))
        uv_timer_start(&l->pool->soon, on_soon, 0, 0);
}

/* Others that wait to connect to the same node would only find the same. */
static void fail_queued(struct lease_pool *p, const struct node *node, int why)
{
    struct list_node *n, *safe;
    LIST_EACH (&p->queued, n, safe) {
        struct lease *l = LIST_ENTRY(n, struct lease, in_state);
        if (l->node == node)
            fail_soon(l, why);
    }
}

/* --- connecting ---------------------------------------------------------------------------- */

/* Whoever wants to unblock the user of this connection needs its id there. It is asked for together
   with the first request, so it costs no round trip. */
static void send_first(struct lease *l)
{
    static const struct span client_id = { "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n", 24 };
    l->hidden = true;
    l->owed++;
    l->put = (uint32_t)net_clock(l->pool->net);
    pipe_send(&l->pipe, &l->call, client_id);
    if (l->waiting.len == 0)
        return;
    stream_send(&l->pipe.stream, writer_span(&l->waiting));
    l->call.end = l->pipe.stream.queued_total;
    writer_close(&l->waiting);
}

static void become_ready(struct lease *l)
{
    l->node->lease_rest = 0;
    move(l, TAKEN);
    send_first(l);
    dial_next(l->pool);
}

static void on_open(struct pipe *p)
{
    struct lease *l = lease_of(p);
    const struct link_options *o = l->pool->options;
    move(l, GREETING);
    struct login_words words = { .user = o->auth_user,
                                 .password = o->auth_password,
                                 .database = l->database };
    l->greetings = login_send(p, &words, l->protocol);
    if (l->greetings == 0)
        become_ready(l);
}

static void on_greeted(struct lease *l, struct pipe_call *call, struct span bytes, char first,
                       bool done)
{
    switch (login_take(call, bytes, first, done, &l->node->endpoint, NULL)) {
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

/* ":123", in pieces perhaps. A node that does not say is none the worse. */
static void take_id(struct lease *l, struct span bytes, char first, bool done)
{
    for (size_t i = 0; first == ':' && i < bytes.len; i++)
        if (bytes.at[i] >= '0' && bytes.at[i] <= '9')
            l->server_id = l->server_id * 10 + (uint64_t)(bytes.at[i] - '0');
    l->hidden = !done;
}

static void on_reply(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct lease *l = lease_of(p);
    if (UNLIKELY(l->greetings > 0)) {
        on_greeted(l, call, bytes, first, done);
        return;
    }
    /* One call stands for all replies that are owed, one after the other. */
    if (done && --l->owed > 0)
        list_append(&p->calls, &l->call.link);
    else if (done && l->user != NULL && !l->user->waits)
        histogram_add(&l->node->stat->latency, (uint32_t)net_clock(l->pool->net) - l->put);
    if (UNLIKELY(l->hidden))
        take_id(l, bytes, first, done);
    else if (l->user != NULL)
        l->user->on_reply(l, l->context, bytes, chunk, first, done);
}

static void drop_login_calls(struct lease *l)
{
    while (l->greetings > 0 && !list_is_empty(&l->pipe.calls)) {
        struct pipe_call *call = LIST_ENTRY(l->pipe.calls.next, struct pipe_call, link);
        list_remove(&call->link);
        login_drop(call);
    }
}

/* Taken ones tell their user; those that were dropped or idle have none. */
static void on_closed(struct pipe *p, int why)
{
    struct lease *l = lease_of(p);
    struct lease_pool *pool = l->pool;
    bool never_ready = l->state == DIALLING || l->state == GREETING;
    bool wrote = !never_ready && l->call.end <= stream_sent(&p->stream) && l->call.end > 0;
    drop_login_calls(l);
    if (l->state != CLOSING)
        move(l, CLOSING);
    if (never_ready && why != ERR_SHUTDOWN) {
        rest(pool, l->node);
        fail_queued(pool, l->node, why);
    }
    const struct lease_user *user = l->user;
    l->user = NULL;
    if (user != NULL) {
        pool->counters.lost++;
        user->on_lost(l, l->context, wrote, why);
    }
    free_lease(l);
    dial_next(pool);
}

static const struct pipe_user lease_pipe_user = {
    .on_open = on_open,
    .on_reply = on_reply,
    .on_closed = on_closed,
};

static void dial_next(struct lease_pool *p)
{
    while (p->dialling < LEASE_DIALLING_MAX && !list_is_empty(&p->queued) && !p->closed) {
        struct lease *l = LIST_ENTRY(p->queued.next, struct lease, in_state);
        move(l, DIALLING);
        l->since = now_of(p);
        p->counters.dialled++;
        pipe_dial(&l->pipe, p->net, &l->node->endpoint, p->options->connect_timeout,
                  p->options->tls, &lease_pipe_user);
    }
}

/* --- taking and giving back ---------------------------------------------------------------- */

static void close_lease(struct lease *l, int why)
{
    l->user = NULL;
    move(l, CLOSING);
    pipe_close(&l->pipe, why);
}

/* The one used last; one that has just broken still lies there until the end of the turn. */
static struct lease *idle_one(struct node *node, int protocol, uint16_t database)
{
    struct list_node *idle = &node->idle_leases[protocol == 3];
    for (struct list_node *n = idle->prev; n != idle; n = n->prev) {
        struct lease *l = LIST_ENTRY(n, struct lease, in_node);
        if (l->database == database && !l->pipe.stream.closing)
            return l;
    }
    return NULL;
}

static bool make_room(struct lease_pool *p)
{
    if (p->count < p->limit)
        return true;
    if (list_is_empty(&p->idle))
        return false;
    close_lease(LIST_ENTRY(p->idle.next, struct lease, in_state), ERR_IDLE);
    return p->count < p->limit;
}

static void on_timer(uv_timer_t *timer);

static struct lease *new_lease(struct lease_pool *p, struct node *node, int protocol,
                               uint16_t database)
{
    struct lease *l = slab_take(&p->slab);
    *l = (struct lease){ .pool = p,
                         .node = node,
                         .database = database,
                         .protocol = (uint8_t)protocol,
                         .state = QUEUED };
    list_init(&l->call.link);
    list_init(&l->in_state);
    list_init(&l->in_node);
    list_append(&p->queued, &l->in_state);
    writer_init(&l->waiting, 2);
    node->leases++;
    p->count++;
    if (!p->ticking)
        uv_timer_start(&p->timer, on_timer, SWEEP_MS, SWEEP_MS);
    p->ticking = true;
    return l;
}

struct lease *lease_take(struct lease_pool *p, struct node *node, int protocol, uint16_t database,
                         const struct lease_user *user, void *context)
{
    struct lease *l = p->closed ? NULL : idle_one(node, protocol, database);
    if (l != NULL) {
        move(l, TAKEN);
    } else if (p->closed || !make_room(p)) {
        p->counters.refused++;
        return NULL;
    } else {
        l = new_lease(p, node, protocol, database);
    }
    p->counters.taken++;
    l->user = user;
    l->context = context;
    if (l->state == QUEUED && now_of(p) < node->lease_rest_until)
        fail_soon(l, ERR_CONNECT);
    dial_next(p);
    return l;
}

void lease_send(struct lease *l, struct span bytes, uint32_t replies)
{
    REQUIRE(l->user != NULL && replies > 0);
    bool listed = l->owed > 0 && l->state == TAKEN;
    l->owed += replies;
    if (l->state != TAKEN) {
        write_raw(&l->waiting, bytes);
        return;
    }
    if (!listed) {
        l->put = (uint32_t)net_clock(l->pool->net);
        pipe_send(&l->pipe, &l->call, bytes);
        return;
    }
    stream_send(&l->pipe.stream, bytes);
    l->call.end = l->pipe.stream.queued_total;
}

void lease_give_back(struct lease *l)
{
    REQUIRE(l->user != NULL && lease_owed(l) == 0);
    if (l->hidden || l->state != TAKEN || l->pool->closed || l->pipe.stream.closing) {
        lease_drop(l);
        return;
    }
    l->user = NULL;
    l->since = now_of(l->pool);
    move(l, IDLE);
    list_append(&l->node->idle_leases[l->protocol == 3], &l->in_node);
}

void lease_drop(struct lease *l)
{
    struct lease_pool *p = l->pool;
    REQUIRE(l->user != NULL);
    if (l->state == QUEUED || l->state == FAILED) {
        l->user = NULL;
        move(l, CLOSING);
        free_lease(l);
        return;
    }
    close_lease(l, ERR_SHUTDOWN);
    dial_next(p);
}

struct node *lease_node(const struct lease *l)
{
    return l->node;
}

uint32_t lease_owed(const struct lease *l)
{
    return l->owed - l->hidden;
}

uint64_t lease_server_id(const struct lease *l)
{
    return l->hidden ? 0 : l->server_id;
}

bool lease_is_ready(const struct lease *l)
{
    return l->state == TAKEN;
}

/* --- the pool ------------------------------------------------------------------------------ */

/* The login has connect-timeout too; idle ones go when they are old or no map names their node. */
static void on_timer(uv_timer_t *timer)
{
    struct lease_pool *p = timer->data;
    uint64_t now = now_of(p);
    struct list_node *n, *safe;
    LIST_EACH (&p->connecting, n, safe) {
        struct lease *l = LIST_ENTRY(n, struct lease, in_state);
        if (l->state == GREETING && now - l->since > 2 * p->options->connect_timeout)
            pipe_close(&l->pipe, ERR_TIMEOUT);
    }
    LIST_EACH (&p->idle, n, safe) {
        struct lease *l = LIST_ENTRY(n, struct lease, in_state);
        if (now - l->since > LEASE_IDLE_MS || !l->node->in_map)
            close_lease(l, ERR_IDLE);
    }
    if (p->count > 0)
        return;
    uv_timer_stop(&p->timer);
    p->ticking = false;
}

void lease_pool_open(struct lease_pool *p, struct net *net, const struct link_options *options,
                     uint32_t limit)
{
    *p = (struct lease_pool){
        .net = net, .options = options, .limit = limit, .random = uv_hrtime() | 1
    };
    slab_init(&p->slab, sizeof(struct lease));
    for (enum lease_state s = QUEUED; s <= CLOSING; s++)
        if (s != GREETING) /* shares DIALLING's list */
            list_init(list_of(p, s));
    uv_timer_init(net->loop, &p->timer);
    uv_timer_init(net->loop, &p->soon);
    p->timer.data = p->soon.data = p;
}

static void lose_all(struct list_node *list)
{
    struct list_node *n, *safe;
    LIST_EACH (list, n, safe)
        pipe_close(&LIST_ENTRY(n, struct lease, in_state)->pipe, ERR_SHUTDOWN);
}

void lease_pool_close(struct lease_pool *p)
{
    if (p->closed)
        return;
    p->closed = true;
    struct list_node *n, *safe;
    LIST_EACH (&p->queued, n, safe)
        fail_soon(LIST_ENTRY(n, struct lease, in_state), ERR_SHUTDOWN);
    uv_close((uv_handle_t *)&p->timer, NULL);
    uv_close((uv_handle_t *)&p->soon, NULL);
    on_soon(&p->soon);
    lose_all(&p->connecting);
    lose_all(&p->taken);
    lose_all(&p->idle);
}

void lease_pool_free(struct lease_pool *p)
{
    REQUIRE(p->count == 0 && list_is_empty(&p->closing));
    slab_close(&p->slab);
}

uint32_t lease_pool_in_use(const struct lease_pool *p)
{
    return p->count - p->idle_count;
}
