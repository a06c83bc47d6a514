/* Bytes that a client gets without having asked: messages, and lines of MONITOR. */
#include "proxy/subscriber.h"

#include "proxy/client_reply.h"
#include "proxy/transaction.h"
#include "proxy/worker.h"

enum {
    SHARE_BEHIND_MAX = 4 * 1024, /* a client that owes more gets copies: it would pin chunks */
    SOFT_PART = 4,               /* a quarter of the limit ... */
    SOFT_MS = 60 * 1000,         /* ... for so long is too much as well, as in Redis */
};

static uint64_t now_of(const struct client *c)
{
    return uv_now(c->worker->net.loop);
}

/* As Redis's soft limit: much for a while is too much. */
static void watch_backlog(struct client *c)
{
    struct subscriber *s = c->subscriber;
    uint64_t owed = c->stream.out.bytes + c->flow.held, now = now_of(c);
    if (LIKELY(owed <= subscriber_output_limit(c) / SOFT_PART))
        s->behind_since = 0;
    else if (s->behind_since == 0)
        s->behind_since = now;
    else if (now - s->behind_since > SOFT_MS)
        client_close_slow_reader(c);
    client_check_output(c);
}

void subscriber_exec_begins(struct client *c)
{
    if (c->subscriber != NULL)
        c->subscriber->in_exec = true;
}

static bool is_inside_exec(const struct client *c)
{
    return c->subscriber->in_exec && (c->flow.count > 0 || transaction_has_begun(c));
}

void subscriber_push(struct client *c, struct span bytes, struct chunk *chunk)
{
    struct subscriber *s = c->subscriber;
    if (c->stream.closing || c->finishing)
        return;
    bool share =
        chunk != NULL && (bytes.len >= ROPE_SHARE_MIN || c->stream.out.bytes <= SHARE_BEHIND_MAX);
    bool inside = c->flow.count > 0 && flow_head(&c->flow)->started;
    if (UNLIKELY(s != NULL && (inside || is_inside_exec(c)))) {
        struct rope_store *store = &c->worker->net.store;
        c->flow.held += bytes.len;
        if (share)
            rope_share(&s->held, store, chunk, bytes);
        else
            rope_copy(&s->held, store, &s->stash, bytes);
    } else if (share) {
        stream_share(&c->stream, chunk, bytes);
    } else {
        stream_send(&c->stream, bytes);
    }
    if (LIKELY(s != NULL))
        watch_backlog(c);
}

void subscriber_reply_ended(struct client *c)
{
    struct subscriber *s = c->subscriber;
    if (c->stream.closing || is_inside_exec(c))
        return;
    s->in_exec = false;
    if (rope_is_empty(&s->held))
        return;
    c->flow.held -= s->held.bytes;
    stream_send_rope(&c->stream, &s->held);
    if (s->stash != NULL)
        chunk_unref(s->stash);
    s->stash = NULL;
}

uint64_t subscriber_output_limit(const struct client *c)
{
    const struct config *cf = &c->worker->config;
    bool smaller =
        subscriber_total(c->subscriber) > 0 && cf->pubsub_output_limit < cf->client_output_limit;
    return smaller ? cf->pubsub_output_limit : cf->client_output_limit;
}
