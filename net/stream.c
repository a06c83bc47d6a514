#include "net/stream_private.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"

enum { PIECES_PER_WRITE = 64 };

static struct stream *stream_of(void *handle)
{
    return ((uv_handle_t *)handle)->data;
}

int stream_init(struct stream *s, struct net *net, const struct stream_user *user, unsigned family)
{
    *s = (struct stream){ .net = net, .user = user };
    list_init(&s->dirty);
    int rc = uv_tcp_init_ex(net->loop, &s->tcp, family);
    if (rc != 0)
        return net_error(rc);
    s->tcp.data = s;
    net->streams++;
    return 0;
}

int stream_adopt(struct stream *s, struct net *net, const struct stream_user *user, int fd)
{
    int rc = stream_init(s, net, user, AF_UNSPEC);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    rc = uv_tcp_open(&s->tcp, fd);
    if (rc == 0)
        return 0;
    close(fd);
    stream_close(s, net_error(rc));
    return 0;
}

/* --- reading ------------------------------------------------------------------------------- */

struct chunk *stream_shared_chunk(struct net *net)
{
    struct chunk *c = net->read_chunk;
    if (c != NULL && c->refs > 1) {
        chunk_unref(c);
        c = NULL;
    }
    if (c == NULL)
        c = chunk_take(&net->store.chunks, CHUNK_READ);
    net->read_chunk = c;
    c->used = 0;
    return c;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stream *s = stream_of(handle);
    if (UNLIKELY(s->tls != NULL)) {
        *buf = stream_secure_room(s);
        return;
    }
    bool kept = s->into != NULL && LIKELY(!s->finishing);
    struct chunk *c = kept ? s->into : stream_shared_chunk(s->net);
    uint64_t room = chunk_room(c);
    buf->base = c->bytes + c->used;
    buf->len = room < (1u << 30) ? (size_t)room : 1u << 30;
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = stream_of(handle);
    if (s->closing || n == 0)
        return;
    net_clock(s->net);
    if (n == UV_EOF) {
        stream_end(s);
        return;
    }
    if (n < 0) {
        stream_close(s, net_error((int)n));
        return;
    }
    s->net->reads++;
    s->net->bytes[s->user->side].in += (uint64_t)n;
    if (UNLIKELY(s->finishing)) {
        s->overheard = true;
        return;
    }
    if (UNLIKELY(s->tls != NULL)) {
        stream_secure_take(s, (struct span){ buf->base, (size_t)n });
        return;
    }
    struct chunk *c = s->into != NULL ? s->into : s->net->read_chunk;
    c->used += (uint32_t)n;
    s->received += (uint64_t)n;
    s->user->on_data(s, c, buf->base, (size_t)n);
}

/* Writes those that have waited long enough; the oldest come first. */
static void on_cork_timer(uv_timer_t *timer)
{
    struct net *net = timer->data;
    uint64_t now = uv_now(net->loop);
    struct list_node due;
    list_init(&due);
    net->cork_timed = false;
    while (!list_is_empty(&net->corked)) {
        struct stream *s = LIST_ENTRY(net->corked.next, struct stream, dirty);
        uint64_t until = s->corked_at + CORK_MS;
        if (until > now) {
            net->cork_timed = true;
            uv_timer_start(timer, on_cork_timer, until - now, 0);
            break;
        }
        list_remove(&s->dirty);
        list_append(&due, &s->dirty);
    }
    stream_flush_all(&due);
}

static void wait_corked(struct stream *s)
{
    struct net *net = s->net;
    s->corked_at = uv_now(net->loop);
    list_append(&net->corked, &s->dirty);
    if (net->cork_timed)
        return;
    net->cork_timed = true;
    uv_timer_start(&net->cork_timer, on_cork_timer, CORK_MS, 0);
}

static void mark_dirty(struct stream *s)
{
    if (!s->open || s->closing || s->writing || s->parted || list_is_linked(&s->dirty))
        return;
    if (s->when == STREAM_CORKED && s->out.bytes < CORK_BYTES)
        wait_corked(s);
    else
        list_append(s->when == STREAM_WHEN_QUIET ? &s->net->patient : &s->net->dirty, &s->dirty);
}

void stream_flush_soon(struct stream *s)
{
    bool waits = !rope_is_empty(&s->out) || !rope_is_empty(&s->tls->wire);
    if (waits && s->open && !s->closing && !s->writing && !list_is_linked(&s->dirty))
        list_append(&s->net->dirty, &s->dirty);
}

void stream_write_when(struct stream *s, enum stream_when when)
{
    if (s->when == when || s->parted)
        return;
    s->when = (uint8_t)when;
    if (!list_is_linked(&s->dirty))
        return;
    list_remove(&s->dirty);
    mark_dirty(s);
}

void stream_start(struct stream *s, unsigned keepalive)
{
    s->open = true;
    uv_tcp_nodelay(&s->tcp, 1);
    if (keepalive > 0)
        uv_tcp_keepalive(&s->tcp, 1, keepalive);
    stream_resume(s);
    if (UNLIKELY(s->tls != NULL) && tls_has_begun(s->tls))
        stream_secure_read(s); /* says the first word of the handshake */
    else if (!rope_is_empty(&s->out))
        mark_dirty(s);
}

void stream_stop_reading(struct stream *s)
{
    if (!s->reading || s->closing)
        return;
    uv_read_stop((uv_stream_t *)&s->tcp);
    s->reading = false;
}

void stream_pause(struct stream *s)
{
    if (!s->finishing)
        stream_stop_reading(s);
}

/* Whether it reads now. */
static bool start_reading(struct stream *s)
{
    if (s->reading || s->closing || !s->open || s->ended)
        return false;
    int rc = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
    if (rc != 0)
        stream_close(s, net_error(rc));
    s->reading = rc == 0;
    return s->reading;
}

void stream_hear_out(struct stream *s)
{
    (void)start_reading(s);
}

void stream_resume(struct stream *s)
{
    if (s->finishing || !start_reading(s))
        return;
    if (UNLIKELY(s->tls != NULL) && tls_has_unread(s->tls)) {
        list_remove(&s->tls->unread);
        list_append(&s->net->unread, &s->tls->unread);
        net_hurry(s->net);
    }
}

void stream_read_into(struct stream *s, struct chunk *chunk)
{
    REQUIRE(chunk == NULL || chunk_room(chunk) > 0);
    s->into = chunk;
}

/* --- writing ------------------------------------------------------------------------------- */

static void queued(struct stream *s, uint64_t bytes)
{
    s->queued_total += bytes;
    mark_dirty(s);
    if (LIKELY(s->out.bytes < CORK_BYTES))
        return;
    if (s->when == STREAM_CORKED)
        stream_write_when(s, STREAM_AT_TURN_END);
    if (s->out.bytes >= STREAM_HIGH)
        s->behind = true;
}

const char *stream_send(struct stream *s, struct span bytes)
{
    const char *at = rope_copy(&s->out, &s->net->store, &s->current, bytes);
    queued(s, bytes.len);
    return at;
}

void stream_share(struct stream *s, struct chunk *chunk, struct span bytes)
{
    rope_share(&s->out, &s->net->store, chunk, bytes);
    queued(s, bytes.len);
}

void stream_send_rope(struct stream *s, struct rope *rope)
{
    uint64_t bytes = rope->bytes;
    rope_move(&s->out, rope, &s->net->store, &s->current);
    queued(s, bytes);
}

uint64_t stream_sent(const struct stream *s)
{
    if (s->closing || s->tls != NULL) /* what is encrypted counts as gone */
        return s->given;
    return s->given - uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
}

static const struct rope *wire_of(const struct stream *s)
{
    return LIKELY(s->tls == NULL) ? &s->out : &s->tls->wire;
}

static unsigned gather(const struct stream *s, uv_buf_t *bufs)
{
    unsigned n = 0;
    for (const struct piece *p = wire_of(s)->head; p != NULL && n < PIECES_PER_WRITE; p = p->next)
        bufs[n++] = (uv_buf_t){ .base = (char *)p->at, .len = p->len };
    return n;
}

/* What is behind the last byte written may be reused; an idle stream keeps no chunk. */
void stream_drop_out(struct stream *s, uint64_t n)
{
    rope_drop(&s->out, &s->net->store, n);
    if (s->current != NULL && rope_is_empty(&s->out)) {
        chunk_unref(s->current);
        s->current = NULL;
    }
}

static void drop_written(struct stream *s, uint64_t n)
{
    if (UNLIKELY(s->tls != NULL))
        tls_wrote(s->tls, n);
    else
        stream_drop_out(s, n);
}

static void update_behind(struct stream *s)
{
    if (!s->behind || s->out.bytes > STREAM_LOW)
        return;
    s->behind = false;
    if (s->user->on_drained == NULL)
        return;
    net_hurry(s->net); /* what the user queues now may have missed the end of this turn */
    s->user->on_drained(s);
}

static void on_written(uv_write_t *req, int status);

/* Hands the next pieces to libuv, which writes them when the socket has room. */
static void write_later(struct stream *s)
{
    uv_buf_t bufs[PIECES_PER_WRITE];
    unsigned n = gather(s, bufs);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += bufs[i].len;
    uv_write_t *req = slab_take(&s->net->writes);
    int rc = uv_write(req, (uv_stream_t *)&s->tcp, bufs, n, on_written);
    if (rc != 0) {
        slab_give(&s->net->writes, req);
        stream_close(s, net_error(rc));
        return;
    }
    if (UNLIKELY(s->finishing))
        stream_hear_out(s);
    s->writing = true;
    s->writing_bytes = bytes;
    s->net->bytes[s->user->side].out += bytes;
    if (s->tls == NULL)
        s->given += bytes;
}

/* Writes as much as the kernel takes now. A piece list longer than one writev goes on in a loop. */
static void flush(struct stream *s)
{
    if (UNLIKELY(s->tls != NULL))
        stream_secure_write(s);
    while (!s->closing && !rope_is_empty(wire_of(s))) {
        uv_buf_t bufs[PIECES_PER_WRITE];
        unsigned n = gather(s, bufs);
        int wrote = uv_try_write((uv_stream_t *)&s->tcp, bufs, n);
        if (wrote == UV_EAGAIN) {
            write_later(s);
            break;
        }
        if (wrote < 0) {
            stream_close(s, net_error(wrote));
            return;
        }
        s->net->bytes[s->user->side].out += (uint64_t)wrote;
        drop_written(s, (uint64_t)wrote);
        if (UNLIKELY(s->tls != NULL))
            stream_secure_write(s);
        else
            s->given += (uint64_t)wrote;
    }
    if (s->finishing && rope_is_empty(&s->out) && rope_is_empty(wire_of(s)))
        stream_part(s);
    else if (!s->closing)
        update_behind(s);
}

static void on_written(uv_write_t *req, int status)
{
    struct stream *s = stream_of(req->handle);
    slab_give(&s->net->writes, req);
    s->writing = false;
    if (s->closing)
        return;
    if (status < 0) {
        stream_close(s, net_error(status));
        return;
    }
    drop_written(s, s->writing_bytes);
    flush(s);
}

void stream_flush_all(struct list_node *dirty)
{
    while (!list_is_empty(dirty)) {
        struct stream *s = LIST_ENTRY(dirty->next, struct stream, dirty);
        list_remove(&s->dirty);
        if (!s->closing && !s->writing)
            flush(s);
    }
}

/* --- closing ------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct stream *s = stream_of(handle);
    s->net->streams--;
    rope_clear(&s->out, &s->net->store);
    if (s->current != NULL)
        chunk_unref(s->current);
    s->current = NULL;
    if (s->tls != NULL)
        tls_free(s->tls);
    s->tls = NULL;
    s->user->on_closed(s, s->why); /* the last line that may name s */
}

void stream_close(struct stream *s, int why)
{
    if (s->closing)
        return;
    s->given = stream_sent(s); /* what libuv still holds never left */
    if (UNLIKELY(s->tls != NULL)) {
        stream_secure_farewell(s);
        list_remove(&s->tls->unread);
    }
    s->closing = true;
    if (!s->finishing)
        s->why = why;
    list_remove(&s->dirty);
    s->net->parted_count -= s->parted;
    uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
}

/* --- addresses ----------------------------------------------------------------------------- */

static void sockaddr_text(const struct sockaddr_storage *a, char *buf, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)a;
        uv_ip6_name(in6, host, sizeof(host));
        snprintf(buf, size, "[%s]:%u", host, ntohs(in6->sin6_port));
        return;
    }
    const struct sockaddr_in *in = (const void *)a;
    uv_ip4_name(in, host, sizeof(host));
    snprintf(buf, size, "%s:%u", host, ntohs(in->sin_port));
}

void stream_peer_text(const struct stream *s, char *buf, size_t size)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    if (uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&a, &len) != 0)
        snprintf(buf, size, "?:0");
    else
        sockaddr_text(&a, buf, size);
}

void stream_local_text(const struct stream *s, char *buf, size_t size)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    if (uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&a, &len) != 0)
        snprintf(buf, size, "?:0");
    else
        sockaddr_text(&a, buf, size);
}

int stream_fd(const struct stream *s)
{
    uv_os_fd_t fd = -1;
    return uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0 ? fd : -1;
}
