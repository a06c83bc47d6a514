#include "net/dial.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "net/stream_secure.h"

/*
 *   dial_start -> resolve -> connect -> done(0)
 *                    |          | fails: close this handle, try the next address
 *                    |          v
 *                    +------> finish(error)
 *
 * The timer and the resolve request live in struct dial; the connecting stream in the caller's
 * memory. A stream that did not connect is closed with dial_stream_user, so that the caller's
 * on_closed does not hear of it. done comes when timer and stream are done; a resolve that cannot
 * be cancelled any more is not waited for, struct dial is freed when it ends.
 */
struct dial {
    struct net *net;
    struct endpoint to;
    struct tls_context *tls; /* a reference, or NULL */
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *found, *next; /* addresses, and the one to try next */
    struct stream *stream;
    const struct stream_user *user;
    dial_done *done;
    void *context;
    int status;
    bool resolving, connecting, timer_open;
    bool finished; /* no further try */
};

static void try_next(struct dial *d);

/* Answers once, and frees d. */
static void answer_when_quiet(struct dial *d)
{
    if (d->connecting || d->timer_open)
        return;
    dial_done *done = d->done;
    void *context = d->context;
    int status = d->status;
    d->done = NULL;
    if (!d->resolving) {
        if (d->found != NULL)
            uv_freeaddrinfo(d->found);
        tls_context_unref(d->tls);
        free(d);
    }
    if (done != NULL)
        done(context, status);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dial *d = handle->data;
    d->timer_open = false;
    answer_when_quiet(d);
}

static void finish(struct dial *d, int status)
{
    if (d->finished)
        return;
    d->finished = true;
    d->status = status;
    uv_close((uv_handle_t *)&d->timer, on_timer_closed);
}

/* A stream that did not connect is gone: go on with the next address. */
static void on_failed_stream_closed(struct stream *s, int why)
{
    struct dial *d = s->connect_context;
    d->connecting = false;
    if (d->finished) {
        answer_when_quiet(d);
        return;
    }
    d->status = why;
    try_next(d);
}

static const struct stream_user dial_stream_user = { .on_closed = on_failed_stream_closed };

static void on_connect(uv_connect_t *req, int status)
{
    struct dial *d = req->data;
    struct stream *s = d->stream;
    if (status != 0 || d->finished) {
        stream_close(s, net_error(status));
        return;
    }
    s->user = d->user;
    if (d->tls != NULL)
        stream_secure_client(s, d->tls, d->to.host);
    d->connecting = false;
    finish(d, 0);
}

static void connect_to(struct dial *d, const struct sockaddr *address)
{
    struct stream *s = d->stream;
    int rc = stream_init(s, d->net, &dial_stream_user, AF_UNSPEC);
    if (rc != 0) {
        finish(d, rc);
        return;
    }
    s->connect_context = d;
    d->connecting = true;
    d->connect.data = d;
    rc = uv_tcp_connect(&d->connect, &s->tcp, address, on_connect);
    if (rc != 0)
        stream_close(s, net_error(rc));
}

static void try_next(struct dial *d)
{
    if (d->next == NULL) {
        finish(d, d->status != 0 ? d->status : ERR_RESOLVE);
        return;
    }
    struct addrinfo *a = d->next;
    d->next = a->ai_next;
    connect_to(d, a->ai_addr);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct dial *d = req->data;
    d->resolving = false;
    d->found = found;
    d->next = found;
    if (d->finished) {
        answer_when_quiet(d);
        return;
    }
    d->status = status == 0 ? 0 : ERR_RESOLVE;
    try_next(d);
}

static void on_timeout(uv_timer_t *timer)
{
    struct dial *d = timer->data;
    finish(d, ERR_TIMEOUT);
    if (d->connecting)
        stream_close(d->stream, ERR_TIMEOUT);
    if (d->resolving)
        uv_cancel((uv_req_t *)&d->resolve);
}

struct dial *dial_start(struct net *net, const struct endpoint *to, uint64_t timeout,
                        struct tls_context *tls, struct stream *stream,
                        const struct stream_user *user, dial_done *done, void *context)
{
    struct dial *d = calloc(1, sizeof(*d));
    REQUIRE(d != NULL);
    *d = (struct dial){ .net = net,
                        .to = *to,
                        .tls = tls_context_ref(tls),
                        .stream = stream,
                        .user = user,
                        .done = done,
                        .context = context,
                        .timer_open = true };
    uv_timer_init(net->loop, &d->timer);
    d->timer.data = d;
    uv_timer_start(&d->timer, on_timeout, timeout, 0);
    struct sockaddr_storage a;
    if (uv_ip4_addr(to->host, to->port, (struct sockaddr_in *)&a) == 0 ||
        uv_ip6_addr(to->host, to->port, (struct sockaddr_in6 *)&a) == 0) {
        connect_to(d, (const struct sockaddr *)&a);
        return d;
    }
    char port[8];
    snprintf(port, sizeof(port), "%u", to->port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    d->resolve.data = d;
    d->resolving = true;
    if (uv_getaddrinfo(net->loop, &d->resolve, on_resolved, to->host, port, &hints) != 0) {
        d->resolving = false;
        finish(d, ERR_RESOLVE);
    }
    return d;
}

void dial_cancel(struct dial *d)
{
    if (d->finished && d->status == 0) { /* connected, and not yet handed over */
        d->status = ERR_SHUTDOWN;
        d->connecting = true;
        d->stream->user = &dial_stream_user;
    }
    finish(d, ERR_SHUTDOWN);
    if (d->connecting)
        stream_close(d->stream, ERR_SHUTDOWN);
    if (d->resolving)
        uv_cancel((uv_req_t *)&d->resolve);
}
