#include "proxy/watch.h"

#include <stdlib.h>

#include "base/error.h"
#include "proxy/client_reply.h"
#include "proxy/worker.h"

enum { TICK_MS = 10, WAIT_MS = 50, TRY_AGAIN_MS = 5 };

static const struct lease_user watch_lease_user;

static uint64_t now_of(const struct watch *wt)
{
    return uv_now(&wt->client->worker->loop);
}

static struct watched *key_entry(struct list_node *n)
{
    return LIST_ENTRY(n, struct watched, in_watch);
}

struct node *watch_owner(const struct watch *wt, uint16_t slot)
{
    const struct router *rt = &wt->client->worker->router;
    uint16_t shard = rt->map == NULL ? SLOTMAP_NO_SHARD : rt->map->shard_of[slot];
    return shard == SLOTMAP_NO_SHARD ? NULL : rt->masters[shard];
}

/* --- leaving ------------------------------------------------------------------------------- */

static void forget_hold(struct watch_hold *h)
{
    list_remove(&h->in_watch);
    h->watch = NULL;
}

void watch_give_back(struct watch_hold *h)
{
    forget_hold(h);
    lease_give_back(h->lease);
    free(h);
}

/* The connection is worth keeping when one UNWATCH makes it clean; its reply frees h. */
static void leave(struct watch_hold *h)
{
    forget_hold(h);
    if (lease_is_ready(h->lease) && lease_owed(h->lease) == 0) {
        lease_send(h->lease, SPAN("*1\r\n$7\r\nUNWATCH\r\n"), 1);
        return;
    }
    lease_drop(h->lease);
    free(h);
}

static void free_key(struct watch *wt, struct watched *k)
{
    list_remove(&k->in_watch);
    list_remove(&k->in_owed);
    wt->bytes -= k->request.len;
    writer_close(&k->request);
    writer_close(&k->check);
    free(k);
}

void watch_release(struct watch *wt)
{
    struct list_node *n, *safe;
    LIST_EACH (&wt->keys, n, safe)
        free_key(wt, key_entry(n));
    LIST_EACH (&wt->holds, n, safe)
        leave(LIST_ENTRY(n, struct watch_hold, in_watch));
    wt->carrier = NULL;
}

void watch_drop(struct client *c)
{
    struct watch *wt = c->watch;
    if (wt == NULL)
        return;
    watch_release(wt);
    list_remove(&wt->in_room);
    writer_close(&wt->result);
    writer_close(&wt->refusal);
    free(wt);
    c->watch = NULL;
    c->flow.may_roam = true;
}

/* --- waiting ------------------------------------------------------------------------------- */

void watch_finish(struct watch *wt, enum watch_state state)
{
    wt->state = (uint8_t)state;
    list_remove(&wt->in_room);
    client_wake(wt->client);
}

static void on_tick(uv_timer_t *timer);

void watch_wait(struct watch *wt, enum watch_state state)
{
    struct watch_room *room = &wt->client->worker->watches;
    if (wt->state == WATCH_HELD)
        wt->deadline = now_of(wt) + wt->client->worker->config.request_timeout;
    wt->state = (uint8_t)state;
    list_remove(&wt->in_room);
    list_append(&room->waiting, &wt->in_room);
    if (room->ticking || room->closed)
        return;
    room->ticking = true;
    uv_timer_start(&room->timer, on_tick, TICK_MS, TICK_MS);
}

/* WATCH has failed. If something was watched before it is not any more, so the next EXEC must not
   succeed. */
static void fail(struct watch *wt, struct span error)
{
    writer_clear(&wt->result, 2);
    write_raw(&wt->result, error);
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next)
        wt->broken = wt->broken || key_entry(n)->answered;
    watch_release(wt);
    watch_finish(wt, WATCH_SET);
}

/* --- setting ------------------------------------------------------------------------------- */

static struct watch_hold *hold_of(struct watch *wt, struct node *n, uint16_t database)
{
    uint8_t protocol = wt->client->flow.protocol;
    for (struct list_node *at = wt->holds.next; at != &wt->holds; at = at->next) {
        struct watch_hold *h = LIST_ENTRY(at, struct watch_hold, in_watch);
        if (lease_node(h->lease) == n && h->protocol == protocol && h->database == database)
            return h;
    }
    struct watch_hold *h = calloc(1, sizeof(*h));
    REQUIRE(h != NULL);
    h->lease = lease_take(&wt->client->worker->leases, n, protocol, database, &watch_lease_user, h);
    if (h->lease == NULL) {
        free(h);
        return NULL;
    }
    h->watch = wt;
    h->protocol = protocol;
    h->database = database;
    list_init(&h->owed);
    list_append(&wt->holds, &h->in_watch);
    return h;
}

static struct node *target_of(const struct watch *wt, const struct watched *k)
{
    struct node_table *t = &wt->client->worker->router.nodes;
    if (!k->hinted)
        return watch_owner(wt, k->slot);
    return t->count < NODES_BY_REDIRECT_MAX ? node_get(t, &k->hint) : node_find(t, &k->hint);
}

/* False: the watch has failed. */
static bool try_key(struct watch *wt, struct watched *k)
{
    uint64_t now = now_of(wt);
    struct node *n = target_of(wt, k);
    if (n == NULL || now < n->lease_rest_until) {
        k->not_before = n == NULL ? now + WAIT_MS : n->lease_rest_until;
        k->hinted = false;
        return true;
    }
    k->asking = k->hinted && k->asking;
    k->hinted = false;
    k->hold = hold_of(wt, n, k->database);
    if (k->hold == NULL) {
        fail(wt, SPAN("-ERR slotgate: too many connections are lent to clients (max-leases)\r\n"));
        return false;
    }
    list_append(&k->hold->owed, &k->in_owed);
    k->skip = k->asking;
    if (k->asking)
        lease_send(k->hold->lease, SPAN(BLOCK_ASKING), 1);
    lease_send(k->hold->lease, writer_span(&k->request), 1);
    return true;
}

static void try_keys(struct watch *wt)
{
    struct list_node *n, *safe;
    LIST_EACH (&wt->keys, n, safe) {
        struct watched *k = key_entry(n);
        if (k->hold == NULL && now_of(wt) >= k->not_before && !try_key(wt, k))
            return;
    }
}

static void follow(struct watch *wt, struct watched *k, const struct redirect *to)
{
    bool aimed = to->verdict == VERDICT_MOVED || to->verdict == VERDICT_ASK;
    const struct endpoint *from = &lease_node(k->hold->lease)->endpoint;
    k->hold = NULL;
    k->hinted = aimed;
    k->asking = to->verdict == VERDICT_ASK;
    if (aimed) {
        k->hint = to->to;
        if (k->hint.host[0] == '\0')
            memcpy(k->hint.host, from->host, sizeof(k->hint.host));
    }
    k->not_before = now_of(wt) + (aimed                              ? 0
                                  : to->verdict == VERDICT_TRY_AGAIN ? TRY_AGAIN_MS
                                                                     : WAIT_MS);
    struct router *rt = &wt->client->worker->router;
    rt->on_doubt(rt->doubt_context);
}

static void look_whether_set(struct watch *wt)
{
    for (struct list_node *n = wt->keys.next; n != &wt->keys; n = n->next)
        if (!key_entry(n)->set)
            return;
    writer_clear(&wt->result, 2);
    write_simple(&wt->result, "OK");
    watch_finish(wt, WATCH_SET);
}

/* A reply to WATCH, or to the ASKING before it. */
static void on_set(struct watch_hold *h, struct span bytes, bool is_error)
{
    struct watch *wt = h->watch;
    REQUIRE(!list_is_empty(&h->owed));
    struct watched *k = LIST_ENTRY(h->owed.next, struct watched, in_owed);
    if (k->skip > 0) {
        k->skip--;
        return;
    }
    list_remove(&k->in_owed);
    k->set = !is_error;
    if (k->set) {
        look_whether_set(wt);
        return;
    }
    struct redirect to = redirect_read(bytes);
    if (to.verdict == VERDICT_PASS)
        fail(wt, bytes);
    else
        follow(wt, k, &to);
}

void watch_set(struct watch *wt)
{
    watch_wait(wt, WATCH_SETTING);
    if (wt->bytes > wt->client->worker->limits.max_request)
        fail(wt, SPAN("-ERR slotgate: the watched keys are larger than "
                      "client-query-buffer-limit\r\n"));
    if (wt->broken)
        watch_release(wt); /* what was watched before is lost; this changes nothing about it */
    try_keys(wt);
    if (wt->state == WATCH_SETTING)
        look_whether_set(wt);
}

/* --- what the connections say -------------------------------------------------------------- */

static void on_reply(struct lease *l, void *context, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct watch_hold *h = context;
    (void)chunk;
    if (h->watch == NULL) {
        if (!done)
            return;
        lease_give_back(l);
        free(h);
        return;
    }
    if (h->watch->state != WATCH_SETTING)
        watch_exec_reply(h, bytes, first, done);
    else if (done)
        on_set(h, bytes, first == '-' || first == '!');
}

/* What the client was told to be watched is lost for good; what it still waits for is tried again.
 */
static void drop_keys(struct watch *wt, const struct watch_hold *h)
{
    struct list_node *n, *safe;
    LIST_EACH (&wt->keys, n, safe) {
        struct watched *k = key_entry(n);
        if (k->hold != h)
            continue;
        wt->broken = wt->broken || k->answered;
        list_remove(&k->in_owed);
        k->hold = NULL;
        k->set = false;
        k->not_before = now_of(wt) + LEASE_AGAIN_MS;
    }
}

static void on_lost(struct lease *l, void *context, bool wrote, int why)
{
    struct watch_hold *h = context;
    struct watch *wt = h->watch;
    const struct node *node = lease_node(l);
    if (wt == NULL) {
        free(h);
        return;
    }
    bool was_carrier = wt->carrier == h;
    drop_keys(wt, h);
    forget_hold(h);
    free(h);
    if (wt->state == WATCH_CHECKING || wt->state == WATCH_EXECUTING) {
        watch_exec_lost(wt, was_carrier, wrote, node, why);
        return;
    }
    if (!wt->broken)
        return;
    watch_release(wt);
    if (wt->state == WATCH_SETTING)
        look_whether_set(wt);
}

static const struct lease_user watch_lease_user = { .on_reply = on_reply, .on_lost = on_lost };

/* --- time ---------------------------------------------------------------------------------- */

static void look(struct watch *wt, uint64_t now)
{
    if (now < wt->deadline) {
        if (wt->state == WATCH_SETTING)
            try_keys(wt);
        return;
    }
    if (wt->state == WATCH_SETTING)
        fail(wt, SPAN("-ERR slotgate: no answer from the node of a watched key in time\r\n"));
    else
        watch_exec_timeout(wt);
}

static void on_tick(uv_timer_t *timer)
{
    struct watch_room *room = timer->data;
    struct list_node now;
    list_init(&now);
    list_splice(&now, &room->waiting);
    if (list_is_empty(&now)) {
        uv_timer_stop(timer);
        room->ticking = false;
    }
    while (!list_is_empty(&now)) {
        struct watch *wt = LIST_ENTRY(now.next, struct watch, in_room);
        list_remove(&wt->in_room);
        list_append(&room->waiting, &wt->in_room);
        look(wt, uv_now(timer->loop));
    }
}

void watch_room_open(struct watch_room *room, uv_loop_t *loop)
{
    *room = (struct watch_room){ 0 };
    list_init(&room->waiting);
    uv_timer_init(loop, &room->timer);
    room->timer.data = room;
}

void watch_room_close(struct watch_room *room)
{
    room->closed = true;
    uv_close((uv_handle_t *)&room->timer, NULL);
}
