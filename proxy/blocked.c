#include "proxy/blocked.h"

#include <stdlib.h>

#include "base/error.h"
#include "proxy/argv_copy.h"
#include "proxy/client_reply.h"
#include "proxy/worker.h"

enum { TICK_MS = 10 };

static struct blocked_room *room_of(const struct blocked *b)
{
    return &b->worker->blocked;
}

/* --- life ------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

bool blocked_may_begin(const struct client *c)
{
    return c->flow.count == 0;
}

void blocked_begin(struct blocked *b, struct client *c, const struct command *cmd,
                   const struct argv *argv, const struct blocked_way *way, uint64_t deadline)
{
    struct worker *w = c->worker;
    struct blocked_room *room = &w->blocked;
    REQUIRE(blocked_may_begin(c) && c->blocked == NULL);
    b->way = way;
    b->worker = w;
    b->client = c;
    b->cmd = cmd;
    b->argv = argv_copy(argv, &b->copy);
    b->started_at = uv_now(&w->loop);
    b->began = net_clock(&w->net);
    b->deadline = deadline;
    b->place = router_request(&w->router, &c->flow, NULL, SLOT_ANY);
    b->place->silent = c->reply_mode != REPLY_ON;
    c->blocked = b;
    c->flow.wrote = true;
    list_init(&b->in_paused);
    list_append(&room->all, &b->in_all);
    room->count++;
    room->total++;
    if (!room->ticking)
        uv_timer_start(&room->timer, on_timer, BLOCKED_LOOK_MS, 0);
    room->ticking = true;
}

/* The client is no longer bound to b. */
static void part(struct blocked *b)
{
    if (b->client == NULL)
        return;
    hangup_unwatch(&room_of(b)->hangup, &b->client->stream);
    b->client->blocked = NULL;
    b->client = NULL;
}

static void free_blocked(struct blocked *b)
{
    part(b);
    room_of(b)->count--;
    list_remove(&b->in_all);
    list_remove(&b->in_paused);
    free(b->copy);
    b->way->free(b);
}

/* An error comes whole. */
static void count_answer(const struct blocked *b, struct span last)
{
    struct stats *s = &b->worker->stats;
    bool whole = !b->place->started && b->place->reply.bytes == 0;
    uint64_t us = net_clock(&b->worker->net) - b->began;
    stats_latency(s, b->cmd, us < UINT32_MAX ? (uint32_t)us : UINT32_MAX);
    if (whole && last.len > 0 && *last.at == '-') {
        stats_error(s, b->cmd, last);
        b->client->errors++;
    }
}

void blocked_reply(struct blocked *b, struct span bytes, struct chunk *chunk, bool done)
{
    struct client *c = b->client;
    struct request *place = b->place;
    if (c->stream.closing) { /* in this very turn */
        room_of(b)->undelivered += done;
        return;
    }
    if (done) {
        count_answer(b, bytes);
        place->state = REQUEST_DONE;
        free_blocked(b);
    }
    client_flow_user.on_reply(&c->flow, place, bytes, chunk, done);
}

void blocked_answer(struct blocked *b, struct span reply)
{
    struct client *c = b->client;
    if (c->stream.closing)
        return;
    if (b->place->started) {
        client_flow_user.on_broken(&c->flow, b->place, ERR_LOST);
        return;
    }
    c->flow.held -= b->place->reply.bytes;
    rope_clear(&b->place->reply, &b->worker->net.store);
    blocked_reply(b, reply, NULL, true);
}

void blocked_pause(struct blocked *b, uint64_t until)
{
    struct blocked_room *room = room_of(b);
    b->not_before = until;
    if (list_is_linked(&b->in_paused))
        return;
    if (list_is_empty(&room->paused))
        uv_timer_start(&room->timer, on_timer, TICK_MS, 0);
    list_append(&room->paused, &b->in_paused);
}

void blocked_watch(struct client *c)
{
    hangup_watch(&c->worker->blocked.hangup, &c->stream);
}

void blocked_forget_client(struct blocked *b)
{
    b->way->stop(b);
    free_blocked(b);
}

/* --- the room --------------------------------------------------------------------------------- */

static void wake_paused(struct blocked_room *room, uint64_t now)
{
    struct list_node due;
    list_init(&due);
    list_splice(&due, &room->paused);
    while (!list_is_empty(&due)) {
        struct blocked *b = LIST_ENTRY(due.next, struct blocked, in_paused);
        list_remove(&b->in_paused);
        if (now >= b->not_before)
            b->way->again(b);
        else
            list_append(&room->paused, &b->in_paused);
    }
}

static void look_at_all(struct blocked_room *room, uint64_t now)
{
    struct list_node *n, *safe;
    room->looked_at = now;
    LIST_EACH (&room->all, n, safe) {
        struct blocked *b = LIST_ENTRY(n, struct blocked, in_all);
        b->way->look(b, now);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct blocked_room *room = timer->data;
    uint64_t now = uv_now(timer->loop);
    if (!list_is_empty(&room->paused))
        wake_paused(room, now);
    if (now - room->looked_at >= BLOCKED_LOOK_MS)
        look_at_all(room, now);
    room->ticking = !list_is_empty(&room->all);
    if (room->ticking)
        uv_timer_start(timer, on_timer, list_is_empty(&room->paused) ? BLOCKED_LOOK_MS : TICK_MS,
                       0);
    else
        uv_timer_stop(timer);
}

void blocked_room_open(struct blocked_room *room, uv_loop_t *loop)
{
    list_init(&room->all);
    list_init(&room->paused);
    uv_timer_init(loop, &room->timer);
    room->timer.data = room;
    hangup_open(&room->hangup, loop);
}

void blocked_room_close(struct blocked_room *room)
{
    uv_close((uv_handle_t *)&room->timer, NULL);
    hangup_close(&room->hangup);
}

uint32_t blocked_room_waiting(const struct blocked_room *room)
{
    uint32_t waiting = 0;
    for (const struct list_node *n = room->all.next; n != &room->all; n = n->next) {
        const struct blocked *b = LIST_ENTRY(n, struct blocked, in_all);
        waiting += b->way->is_waiting(b);
    }
    return waiting;
}

void blocked_dismiss(struct blocked *b, int why)
{
    struct client *c = b->client;
    client_finish_later(c, why);
    if (b->place->started)
        return;
    client_abandon(c); /* the connection may end later, if its client talks on */
    stream_finish(&c->stream, why);
}

/* A library takes a closed connection for what it is, and an error for an answer. */
void blocked_room_leave(struct worker *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->blocked.all, n, safe) {
        struct blocked *b = LIST_ENTRY(n, struct blocked, in_all);
        if (!b->client->stream.finishing && !b->client->stream.closing)
            blocked_dismiss(b, ERR_SHUTDOWN);
    }
}

/* --- CLIENT UNBLOCK --------------------------------------------------------------------------- */

struct blocked *blocked_find(const struct blocked_room *room, uint64_t id)
{
    for (const struct list_node *n = room->all.next; n != &room->all; n = n->next) {
        struct blocked *b = LIST_ENTRY(n, struct blocked, in_all);
        if (b->client->id == id && !b->client->stream.closing)
            return b;
    }
    return NULL;
}

void blocked_end(struct blocked *b, enum blocked_wish wish)
{
    bool three = b->client->flow.protocol == 3;
    b->way->stop(b);
    if (wish == BLOCKED_ERROR)
        blocked_answer(b, SPAN("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"));
    else if (b->way->timed_out != NULL)
        blocked_answer(b, (struct span){ b->way->timed_out, strlen(b->way->timed_out) });
    else
        blocked_answer(b, three ? SPAN("_\r\n") : SPAN("*-1\r\n"));
}
