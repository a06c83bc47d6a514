#include "proxy/client_reply.h"

#include "base/error.h"
#include "base/log.h"
#include "cluster/group.h"
#include "proxy/counting.h"
#include "proxy/merge.h"
#include "proxy/subscriber.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

void client_close_slow_reader(struct client *c)
{
    if (c->stream.closing)
        return;
    char from[STREAM_ADDRESS_MAX];
    stream_peer_text(&c->stream, from, sizeof(from));
    log_warn("client closed: its output limit is reached", "id=%llu addr=%s bytes=%llu",
             (unsigned long long)c->id, from,
             (unsigned long long)(c->stream.out.bytes + c->flow.held));
    stream_close(&c->stream, ERR_SLOW_READER);
}

void client_check_output(struct client *c)
{
    uint64_t owed = c->stream.out.bytes + c->flow.held;
    if (LIKELY(owed <= CLIENT_BACKLOG_MAX))
        return;
    c->window = CLIENT_WINDOW_MIN;
    uint64_t limit =
        c->subscriber != NULL ? subscriber_output_limit(c) : c->worker->config.client_output_limit;
    if (owed > limit)
        client_close_slow_reader(c);
}

static void send_bytes(struct client *c, struct span bytes, struct chunk *chunk)
{
    if (UNLIKELY(bytes.len >= ROPE_SHARE_MIN && chunk != NULL))
        stream_share(&c->stream, chunk, bytes);
    else
        stream_send(&c->stream, bytes);
}

static void keep(struct client *c, struct request *r, struct span bytes, struct chunk *chunk)
{
    if (r->silent)
        return;
    struct rope_store *store = &c->worker->net.store;
    c->flow.held += bytes.len;
    if (bytes.len >= ROPE_SHARE_MIN && chunk != NULL)
        rope_share(&r->reply, store, chunk, bytes);
    else
        rope_copy(&r->reply, store, &c->stash, bytes);
}

static void send_kept(struct client *c, struct request *r)
{
    c->flow.held -= r->reply.bytes;
    stream_send_rope(&c->stream, &r->reply);
}

void client_finish_if_quiet(struct client *c)
{
    if (c->finishing && c->flow.count == 0 && !transaction_has_begun(c))
        stream_finish(&c->stream, c->finish_why);
}

/* Something was taken off the head of the flow. */
static void after_progress(struct client *c)
{
    if (c->flow.count == 0 && c->stash != NULL) {
        chunk_unref(c->stash);
        c->stash = NULL;
    }
    if (UNLIKELY(c->subscriber != NULL) && c->flow.count == 0)
        subscriber_reply_ended(c);
    if (UNLIKELY(c->paused))
        client_wake(c);
    if (UNLIKELY(c->finishing))
        client_finish_if_quiet(c);
    if (UNLIKELY(c->parting) && c->flow.count == 0)
        client_look_later(c);
}

/* Replies to requests that came in one read leave in one write, unless one of them takes long. */
void client_take_off(struct client *c, struct request *r)
{
    stream_write_when(&c->stream, r->ends_batch ? STREAM_AT_TURN_END : STREAM_CORKED);
    struct worker *w = c->worker;
    if (UNLIKELY(r->started) && c->subscriber != NULL)
        subscriber_reply_ended(c);
    if (c->window < w->max_pipeline)
        c->window++;
    if (LIKELY(r->cmd != NULL)) {
        uint32_t us = (uint32_t)w->net.clock - r->began;
        stats_latency(&w->stats, r->cmd, us);
        if (STATISTICS)
            client_took(c, us);
    }
    router_release(&w->router, r);
}

/* Sends every reply whose turn has come. */
static void deliver_ready(struct client *c)
{
    while (c->flow.count > 0) {
        struct request *r = flow_head(&c->flow);
        if (r->state != REQUEST_DONE)
            break;
        if (UNLIKELY(r->group != NULL)) {
            if (r->group->open > 0)
                break;
            merge_group(c);
            continue;
        }
        if (!rope_is_empty(&r->reply))
            send_kept(c, r);
        client_take_off(c, r);
    }
    client_check_output(c);
    after_progress(c);
}

static void send_last_piece(struct client *c, struct request *r, struct span bytes,
                            struct chunk *chunk)
{
    if (UNLIKELY(!rope_is_empty(&r->reply)))
        send_kept(c, r);
    if (LIKELY(!r->silent))
        send_bytes(c, bytes, chunk);
    client_take_off(c, r);
    deliver_ready(c);
}

static void send_piece(struct client *c, struct request *r, struct span bytes, struct chunk *chunk)
{
    if (!r->started && r->reply.bytes + bytes.len <= REPLY_HOLD_MAX) {
        keep(c, r, bytes, chunk);
        return;
    }
    r->started = true;
    if (!rope_is_empty(&r->reply))
        send_kept(c, r);
    if (!r->silent)
        send_bytes(c, bytes, chunk);
    client_check_output(c);
}

/* A part of a group waits for the others, whether it is its turn or not. */
static void keep_part(struct client *c, struct request *r, struct span bytes, struct chunk *chunk,
                      bool done)
{
    keep(c, r, bytes, chunk);
    client_check_output(c);
    if (!done)
        return;
    struct group *g = r->group;
    if (--g->open == 1 && g->held)
        counting_nodes_answered(g);
    else if (g->open == 0 && !c->flow.walking)
        deliver_ready(c);
}

void client_group_go_on(struct client *c, struct group *g)
{
    g->held = false;
    if (--g->open == 0 && !c->flow.walking)
        deliver_ready(c);
}

static void on_reply(struct flow *f, struct request *r, struct span bytes, struct chunk *chunk,
                     bool done)
{
    struct client *c = client_of_flow(f);
    if (UNLIKELY(r->group != NULL)) {
        keep_part(c, r, bytes, chunk, done);
        return;
    }
    bool my_turn = f->requests.next == &r->in_flow && !f->walking;
    if (LIKELY(my_turn && done))
        send_last_piece(c, r, bytes, chunk);
    else if (my_turn)
        send_piece(c, r, bytes, chunk);
    else {
        keep(c, r, bytes, chunk);
        client_check_output(c);
    }
}

static void on_broken(struct flow *f, struct request *r, int why)
{
    struct client *c = client_of_flow(f);
    char from[STREAM_ADDRESS_MAX];
    stream_peer_text(&c->stream, from, sizeof(from));
    log_warn("client closed: a node was lost inside a large reply",
             "id=%llu addr=%s command=%s reason=%s", (unsigned long long)c->id, from,
             r->cmd != NULL ? r->cmd->name : "(none)", error_name(why));
    stream_close(&c->stream, ERR_LOST);
}

static void on_walked(struct flow *f)
{
    deliver_ready(client_of_flow(f));
}

const struct flow_user client_flow_user = {
    .on_reply = on_reply,
    .on_walked = on_walked,
    .on_broken = on_broken,
};

void client_reply(struct client *c, struct span reply)
{
    if (c->reply_mode != REPLY_ON)
        return;
    if (reply.len > 0 && *reply.at == '-') {
        stats_error(&c->worker->stats, NULL, reply);
        c->errors++;
    }
    if (c->flow.count == 0) {
        stream_send(&c->stream, reply);
        client_check_output(c);
        return;
    }
    struct request *r = router_request(&c->worker->router, &c->flow, NULL, SLOT_ANY);
    r->state = REQUEST_DONE;
    keep(c, r, reply, NULL);
    client_check_output(c);
}
