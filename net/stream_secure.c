#include "net/stream_secure.h"
#include "base/error.h"
#include "base/log.h"
#include "net/stream_private.h"

enum { WIRE_MAX = 256 * 1024, PEER_MAX = 64 };

void stream_secure_client(struct stream *s, struct tls_context *c, const char *host)
{
    if (s->closing)
        return;
    s->tls = tls_new_client(c, &s->net->store, host);
    s->tls->owner = s;
}

void stream_secure_server(struct stream *s, struct tls_context *c, bool plain_too)
{
    if (s->closing)
        return;
    s->tls = tls_new_server(c, &s->net->store, plain_too);
    s->tls->owner = s;
}

/* --- reading ---------------------------------------------------------------------------------- */

uv_buf_t stream_secure_room(struct stream *s)
{
    struct net *net = s->net;
    if (net->wire_chunk == NULL)
        net->wire_chunk = chunk_take(&net->store.chunks, CHUNK_READ);
    return (uv_buf_t){ .base = net->wire_chunk->bytes, .len = (size_t)net->wire_chunk->size };
}

static void failed(struct stream *s)
{
    char peer[PEER_MAX];
    stream_peer_text(s, peer, sizeof(peer));
    log_warn("TLS failed", "peer=%s reason=%s", peer, log_text(tls_reason(s->tls)));
    stream_close(s, ERR_TLS);
}

/* As much as there is and the chunk has room for. *result: of the last tls_read. */
static size_t decrypt(struct stream *s, char *to, size_t room, long *result)
{
    size_t got = 0;
    while (got < room && (*result = tls_read(s->tls, to + got, room - got)) > 0)
        got += (size_t)*result;
    return got;
}

void stream_secure_read(struct stream *s)
{
    long result = 1;
    while (result > 0 && s->reading && !s->finishing && !s->closing) {
        struct chunk *c = s->into != NULL ? s->into : stream_shared_chunk(s->net);
        char *at = c->bytes + c->used;
        size_t room = (size_t)chunk_room(c), got = decrypt(s, at, room, &result);
        c->used += (uint32_t)got;
        s->received += got;
        if (got > 0)
            s->user->on_data(s, c, at, got);
    }
    if (s->closing)
        return;
    if (result == TLS_BAD)
        failed(s);
    else if (result == TLS_ENDED)
        stream_end(s);
    if (!s->closing)
        stream_flush_soon(s);
}

/* The first byte says that this is no TLS. */
static void take_plain(struct stream *s, struct span raw)
{
    static const struct span refusal = { "-ERR slotgate: this port speaks TLS only\r\n", 42 };
    bool welcome = s->tls->plain_too;
    tls_free(s->tls);
    s->tls = NULL;
    if (!welcome) {
        stream_send(s, refusal);
        stream_finish(s, ERR_TLS);
        return;
    }
    struct chunk *c = s->into != NULL ? s->into : stream_shared_chunk(s->net);
    REQUIRE(chunk_room(c) >= raw.len);
    char *at = c->bytes + c->used;
    memcpy(at, raw.at, raw.len);
    c->used += (uint32_t)raw.len;
    s->received += raw.len;
    s->user->on_data(s, c, at, raw.len);
}

void stream_secure_take(struct stream *s, struct span raw)
{
    if (!tls_has_begun(s->tls) && !tls_is_hello(raw.at[0])) {
        take_plain(s, raw);
        return;
    }
    tls_feed(s->tls, raw);
    stream_secure_read(s);
    tls_unfeed(s->tls);
}

void stream_read_unread(struct list_node *unread)
{
    struct list_node now;
    list_init(&now);
    list_splice(&now, unread); /* who pauses and resumes meanwhile has his turn later */
    while (!list_is_empty(&now)) {
        struct tls *t = LIST_ENTRY(now.next, struct tls, unread);
        list_remove(&t->unread);
        stream_secure_read(t->owner);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

void stream_secure_write(struct stream *s)
{
    struct tls *t = s->tls;
    if (!tls_is_ready(t) || !rope_is_empty(&t->wire))
        return;
    while (!rope_is_empty(&s->out) && t->wire.bytes < WIRE_MAX) {
        const struct piece *p = s->out.head;
        long n = tls_write(t, (struct span){ p->at, p->len });
        if (n <= 0) {
            failed(s);
            return;
        }
        s->given += (uint64_t)n;
        stream_drop_out(s, (uint64_t)n);
    }
    if (s->finishing && rope_is_empty(&s->out))
        tls_shut(t);
}

void stream_secure_farewell(struct stream *s)
{
    struct tls *t = s->tls;
    if (!s->open || s->writing)
        return;
    tls_shut(t);
    for (const struct piece *p = t->wire.head; p != NULL; p = t->wire.head) {
        uv_buf_t buf = { .base = (char *)p->at, .len = p->len };
        if (uv_try_write((uv_stream_t *)&s->tcp, &buf, 1) != (int)p->len)
            return;
        tls_wrote(t, p->len);
    }
}
