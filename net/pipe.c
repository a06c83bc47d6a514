#include "net/pipe.h"

#include "base/error.h"

/*
 *   pipe_dial --> dialling --on_open--> open --EOF, bad reply, pipe_close--> closing --> on_closed
 *                     |                                                                     ^
 *                     +------------ no connection, pipe_close: no stream exists ------------+
 */

static struct pipe *pipe_of(struct stream *s)
{
    return CONTAINER_OF(s, struct pipe, stream);
}

/* A piece of an error reply, which is collected first. True: *bytes is what to hand on. Past
   PIPE_ERROR_MAX it is a reply like any other, so that no node can make us collect for ever. */
static bool collect_error(struct pipe *p, struct span *bytes, struct chunk **chunk, char *first,
                          bool done)
{
    if (p->long_error || (done && p->error.len == 0)) {
        *first = p->long_error ? '\0' : *first;
        return true;
    }
    write_raw(&p->error, *bytes);
    p->long_error = p->error.len > PIPE_ERROR_MAX;
    if (!done && !p->long_error)
        return false;
    *bytes = writer_span(&p->error);
    *chunk = NULL;
    *first = p->long_error ? '\0' : *first;
    return true;
}

/* Hands a piece to the head call. Error replies are collected first: whoever has to judge one wants
   it whole, and they are short. */
static void hand_on(struct pipe *p, struct span bytes, struct chunk *chunk, bool done)
{
    struct pipe_call *call = LIST_ENTRY(p->calls.next, struct pipe_call, link);
    char first = (char)p->scanner.first;
    bool is_error = first == '-' || first == '!';
    if (UNLIKELY(is_error) && !collect_error(p, &bytes, &chunk, &first, done))
        return;
    if (UNLIKELY(call->lead_left > 0)) {
        p->user->on_lead(p, call, bytes, first, done);
        call->lead_left -= done;
    } else {
        if (done)
            list_remove(&call->link);
        p->user->on_reply(p, call, bytes, chunk, first, done);
    }
    if (UNLIKELY(is_error)) {
        writer_clear(&p->error, 2);
        p->long_error = p->long_error && !done;
    }
}

static void on_data(struct stream *s, struct chunk *chunk, const char *at, size_t len)
{
    struct pipe *p = pipe_of(s);
    p->heard_at = uv_now(s->net->loop);
    while (len > 0) {
        size_t used;
        enum reply_result rc = reply_scan(&p->scanner, at, len, &used);
        if (rc == REPLY_BAD) {
            stream_close(s, ERR_PROTOCOL);
            return;
        }
        struct span bytes = { at, used };
        bool done = rc == REPLY_DONE;
        if (p->scanner.first == '>') {
            if (p->user->on_push != NULL)
                p->user->on_push(p, bytes, done);
        } else if (list_is_empty(&p->calls)) {
            stream_close(s, ERR_PROTOCOL); /* a reply that nobody asked for */
            return;
        } else {
            hand_on(p, bytes, chunk, done);
        }
        if (s->closing)
            return;
        at += used;
        len -= used;
    }
}

static void on_stream_closed(struct stream *s, int why)
{
    struct pipe *p = pipe_of(s);
    writer_close(&p->error);
    p->user->on_closed(p, why); /* the last line that may name p */
}

static const struct stream_user pipe_stream_user = {
    .on_data = on_data,
    .on_closed = on_stream_closed,
};

static void on_dialled(void *context, int status)
{
    struct pipe *p = context;
    p->dial = NULL;
    if (status != 0) {
        int why = p->closing ? p->why : status;
        p->closing = true;
        p->user->on_closed(p, why); /* the last line that may name p */
        return;
    }
    p->heard_at = uv_now(p->stream.net->loop);
    stream_write_when(&p->stream, STREAM_WHEN_QUIET);
    stream_start(&p->stream, 60);
    if (!p->stream.closing)
        p->user->on_open(p);
}

void pipe_dial(struct pipe *p, struct net *net, const struct endpoint *to, uint64_t timeout,
               struct tls_context *tls, const struct pipe_user *user)
{
    *p = (struct pipe){ .user = user };
    list_init(&p->calls);
    p->dial = dial_start(net, to, timeout, tls, &p->stream, &pipe_stream_user, on_dialled, p);
}

static void append(struct pipe *p, struct pipe_call *call)
{
    if (list_is_empty(&p->calls))
        p->heard_at = uv_now(p->stream.net->loop);
    call->end = p->stream.queued_total;
    call->lead_left = call->lead;
    list_append(&p->calls, &call->link);
}

const char *pipe_send(struct pipe *p, struct pipe_call *call, struct span bytes)
{
    const char *place = stream_send(&p->stream, bytes);
    append(p, call);
    return place;
}

void pipe_share(struct pipe *p, struct pipe_call *call, struct chunk *chunk, struct span bytes)
{
    stream_share(&p->stream, chunk, bytes);
    append(p, call);
}

bool pipe_wrote(const struct pipe *p, const struct pipe_call *call)
{
    return call->end <= stream_sent(&p->stream);
}

uint64_t pipe_unsent(const struct pipe *p)
{
    return stream_unsent(&p->stream);
}

void pipe_close(struct pipe *p, int why)
{
    if (p->closing)
        return;
    p->closing = true;
    p->why = why;
    if (p->dial != NULL)
        dial_cancel(p->dial);
    else
        stream_close(&p->stream, why);
}
