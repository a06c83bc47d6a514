#include "net/http_server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

enum {
    REQUEST_MS = 5 * 1000, /* from its first byte, or from the connect */
    IDLE_MS = 30 * 1000,   /* between two requests, or without a byte taken of an answer */
    LINGER_MS = 1000,
    FIRST_WORD_MS = 200, /* who has only just connected is about to say something */
    SWEEP_MS = 250,
    BACKLOG = 64,
    HEAD_MAX = 1024,
};

enum conn_state {
    CONN_READING,   /* a request comes in, or the first one is awaited */
    CONN_IDLE,      /* the next one is awaited */
    CONN_ANSWERING, /* on_request has it */
    CONN_LINGERING, /* refused: what still comes is dropped */
};

struct http_exchange {
    struct stream stream;
    struct http_server *server;
    struct list_node in_server;
    struct http_request request;
    enum conn_state state;
    uint64_t deadline; /* ms of loop time */
    uint64_t sent;     /* as last seen */
    uint64_t ticket;   /* 0: none given */
    char *rest;        /* read, and not yet looked at */
    size_t rest_len;
    bool processing; /* in `process`, which goes on by itself */
};

static const struct {
    int status;
    const char *text;
} texts[] = {
    { 200, "OK" },
    { 202, "Accepted" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 417, "Expectation Failed" },
    { 431, "Request Header Fields Too Large" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Internal Server Error";
}

static uint64_t now_of(const struct http_exchange *x)
{
    return uv_now(x->server->net->loop);
}

static void enter(struct http_exchange *x, enum conn_state state, uint64_t patience)
{
    x->state = state;
    x->deadline = now_of(x) + patience;
}

/* --- answering ----------------------------------------------------------------------------- */

static void send_answer(struct http_exchange *x, const struct http_answer *a, bool keep)
{
    char head[HEAD_MAX];
    bool only_head = http_is(&x->request, HTTP_HEAD) && x->request.done;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n%s%s%s%s"
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                     "Connection: %s\r\n\r\n",
                     a->status, http_status_text(a->status), a->body.len,
                     a->type != NULL ? "Content-Type: " : "", a->type != NULL ? a->type : "",
                     a->type != NULL ? "\r\n" : "", a->extra != NULL ? a->extra : "",
                     keep ? "keep-alive" : "close");
    REQUIRE(n > 0 && n < (int)sizeof(head));
    stream_send(&x->stream, (struct span){ head, (size_t)n });
    if (!only_head && a->body.len > 0)
        stream_send(&x->stream, a->body);
}

/* Answers with the status in words and takes no further request. */
static void refuse(struct http_exchange *x, int status)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%d %s\n", status, http_status_text(status));
    struct http_answer a = { .status = status,
                             .type = "text/plain; charset=utf-8",
                             .body = { text, (size_t)n } };
    send_answer(x, &a, false);
    enter(x, CONN_LINGERING, LINGER_MS);
    stream_resume(&x->stream);
}

static void process(struct http_exchange *x, const char *at, size_t len);

static void go_on_with_rest(struct http_exchange *x)
{
    char *rest = x->rest;
    size_t len = x->rest_len;
    x->rest = NULL;
    x->rest_len = 0;
    process(x, rest, len);
    free(rest);
}

void http_answer(struct http_exchange *x, const struct http_answer *a)
{
    REQUIRE(x->state == CONN_ANSWERING);
    bool keep = x->request.keep_alive && !x->server->last_words;
    x->ticket = 0;
    send_answer(x, a, keep);
    http_request_start(&x->request);
    enter(x, CONN_IDLE, IDLE_MS);
    if (!keep)
        stream_finish(&x->stream, ERR_NONE);
    else if (!x->processing)
        go_on_with_rest(x);
}

/* --- requests ------------------------------------------------------------------------------ */

static void keep_rest(struct http_exchange *x, const char *at, size_t len)
{
    stream_pause(&x->stream);
    x->rest = malloc(len > 0 ? len : 1);
    REQUIRE(x->rest != NULL);
    if (len > 0)
        memcpy(x->rest, at, len);
    x->rest_len = len;
}

static bool may_take_more(const struct http_exchange *x)
{
    return !x->stream.closing && !x->stream.finishing && x->state != CONN_LINGERING;
}

/* Looks at what has come; with a request unanswered or an answer unread it waits. */
static void process(struct http_exchange *x, const char *at, size_t len)
{
    x->processing = true;
    while (may_take_more(x)) {
        if (x->state == CONN_ANSWERING || stream_is_behind(&x->stream)) {
            keep_rest(x, at, len);
            break;
        }
        if (len == 0) {
            stream_resume(&x->stream);
            break;
        }
        if (x->state == CONN_IDLE)
            enter(x, CONN_READING, REQUEST_MS);
        size_t used;
        enum http_got got = http_request_read(&x->request, (struct span){ at, len }, &used);
        at += used;
        len -= used;
        if (got == HTTP_BAD) {
            refuse(x, x->request.status);
        } else if (got == HTTP_DONE) {
            enter(x, CONN_ANSWERING, IDLE_MS);
            x->server->user->on_request(x->server->context, x);
        }
    }
    x->processing = false;
}

static void on_data(struct stream *stream, struct chunk *chunk, const char *at, size_t len)
{
    (void)chunk;
    process(CONTAINER_OF(stream, struct http_exchange, stream), at, len);
}

static void on_drained(struct stream *stream)
{
    struct http_exchange *x = CONTAINER_OF(stream, struct http_exchange, stream);
    if (x->state != CONN_ANSWERING && !x->processing && x->rest != NULL)
        go_on_with_rest(x);
}

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
    return &x->request;
}

bool http_exchange_is_local(const struct http_exchange *x)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    if (uv_tcp_getsockname(&x->stream.tcp, (struct sockaddr *)&a, &len) != 0)
        return false;
    if (a.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&a)->sin6_addr);
    return a.ss_family == AF_INET &&
           ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

uint64_t http_exchange_ticket(struct http_exchange *x)
{
    x->ticket = ++x->server->tickets;
    return x->ticket;
}

struct http_exchange *http_server_find(struct http_server *s, uint64_t ticket)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->connections, n, safe) {
        struct http_exchange *x = LIST_ENTRY(n, struct http_exchange, in_server);
        if (x->ticket == ticket && x->state == CONN_ANSWERING && !x->stream.closing)
            return x;
    }
    return NULL;
}

/* --- connections --------------------------------------------------------------------------- */

static void on_closed(struct stream *stream, int why)
{
    struct http_exchange *x = CONTAINER_OF(stream, struct http_exchange, stream);
    struct http_server *s = x->server;
    log_debug("admin connection closed", "reason=%s", error_name(why));
    list_remove(&x->in_server);
    s->count--;
    if (s->count == 0 && !s->closing)
        uv_timer_stop(&s->sweep);
    free(x->rest);
    free(x);
}

static const struct stream_user stream_user = {
    .side = NET_ADMIN, .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed
};

/* A peer that still reads is not late. */
static bool is_late(struct http_exchange *x)
{
    uint64_t sent = stream_sent(&x->stream);
    if (sent != x->sent && x->state != CONN_READING && x->state != CONN_LINGERING)
        x->deadline = now_of(x) + IDLE_MS;
    x->sent = sent;
    return now_of(x) >= x->deadline;
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    struct list_node *n, *safe;
    LIST_EACH (&s->connections, n, safe) {
        struct http_exchange *x = LIST_ENTRY(n, struct http_exchange, in_server);
        if (x->stream.closing || !is_late(x))
            continue;
        if (x->state == CONN_READING && x->request.begun)
            refuse(x, 408);
        else
            stream_close(&x->stream, ERR_TIMEOUT);
    }
}

static const char refusal_text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                   "Content-Length: 0\r\nConnection: close\r\n\r\n";
static const struct span refusal = { refusal_text, sizeof(refusal_text) - 1 };

static void on_accept(void *context, int fd)
{
    struct http_server *s = context;
    struct http_exchange *x = s->count < HTTP_CONNECTIONS_MAX ? calloc(1, sizeof(*x)) : NULL;
    if (x == NULL) {
        ssize_t ignored = write(fd, refusal.at, refusal.len);
        (void)ignored; /* whoever left meanwhile misses nothing */
        close(fd);
        return;
    }
    x->server = s;
    list_append(&s->connections, &x->in_server);
    if (s->count++ == 0)
        uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    http_request_start(&x->request);
    uv_update_time(s->net->loop);
    enter(x, CONN_READING, REQUEST_MS);
    int rc = stream_adopt(&x->stream, s->net, &stream_user, fd);
    REQUIRE(rc == 0);
    if (!x->stream.closing)
        stream_start(&x->stream, 0);
}

/* --- life ---------------------------------------------------------------------------------- */

void http_server_open(struct http_server *s, struct net *net, const struct http_server_user *user,
                      void *context)
{
    *s = (struct http_server){ .net = net, .user = user, .context = context };
    list_init(&s->connections);
    uv_timer_init(net->loop, &s->sweep);
    s->sweep.data = s;
}

int http_server_listen(struct http_server *s, int fd)
{
    static const struct listener_user user = { .on_accept = on_accept, .refusal = &refusal };
    REQUIRE(s->listening < HTTP_LISTENERS_MAX);
    int rc = listener_start(&s->listeners[s->listening], s->net, fd, BACKLOG, &user, s);
    if (rc == 0)
        s->listening++;
    return rc;
}

static void stop_listening(struct http_server *s)
{
    for (uint32_t i = 0; i < s->listening; i++)
        listener_close(&s->listeners[i]);
}

void http_server_retire(struct http_server *s)
{
    struct list_node *n, *safe;
    stop_listening(s);
    s->last_words = true;
    LIST_EACH (&s->connections, n, safe) {
        struct http_exchange *x = LIST_ENTRY(n, struct http_exchange, in_server);
        if (x->state == CONN_IDLE)
            stream_finish(&x->stream, ERR_SHUTDOWN);
    }
}

static bool is_owed_something(const struct http_exchange *x)
{
    if (x->stream.closing || x->state == CONN_IDLE)
        return !x->stream.closing && stream_unsent(&x->stream) > 0;
    bool new = now_of(x) + REQUEST_MS < x->deadline + FIRST_WORD_MS;
    return x->state != CONN_READING || x->request.begun || new;
}

bool http_server_is_quiet(const struct http_server *s)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->connections, n, safe)
        if (is_owed_something(LIST_ENTRY(n, struct http_exchange, in_server)))
            return false;
    return true;
}

void http_server_close(struct http_server *s)
{
    struct list_node *n, *safe;
    if (s->closing)
        return;
    s->closing = true;
    stop_listening(s);
    uv_close((uv_handle_t *)&s->sweep, NULL);
    LIST_EACH (&s->connections, n, safe)
        stream_close(&LIST_ENTRY(n, struct http_exchange, in_server)->stream, ERR_SHUTDOWN);
}
