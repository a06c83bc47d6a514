/*
 * How a connection ends so that its peer gets the last words.
 *
 * A socket that is closed while it holds unread bytes, or gets some later, answers by a reset, and
 * a reset throws away what the peer's side has not taken yet. So what a peer still says is taken in
 * and dropped, while the last words are written and, if it goes on talking, for a while behind
 * them:
 *
 *   stream_finish -> writes, drops what comes -> all is written: the end is sent
 *     -> the peer was silent: closes
 *     -> it talks: drops what comes -> its end, or LINGER_MS: closes
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/error.h"
#include "net/stream_private.h"

enum {
    LINGER_MS = 1000,
    LINGERING_MAX = 100, /* each costs a descriptor; further ones are closed at once */
    UNHEARD_MAX = 16 * 1024 * 1024,
};

/* So that the end goes out in the packet of the last bytes: a peer that has these knows of it. */
static void hold_last_packet(const struct stream *s)
{
    int yes = 1;
    (void)setsockopt(stream_fd(s), IPPROTO_TCP, TCP_CORK, &yes, sizeof(yes));
}

void stream_finish(struct stream *s, int why)
{
    if (s->closing || s->finishing)
        return;
    stream_pause(s);
    stream_write_when(s, STREAM_AT_TURN_END);
    s->finishing = true;
    s->why = why;
    bool mute = s->tls != NULL && !tls_is_ready(s->tls); /* nothing can be said any more */
    if (!s->open)
        stream_close(s, why);
    else if (mute || (rope_is_empty(&s->out) && !s->writing))
        stream_part(s);
    else
        hold_last_packet(s);
    if (s->writing && !s->parted)
        stream_hear_out(s);
}

static void on_part_timer(uv_timer_t *timer)
{
    struct net *net = timer->data;
    uint64_t now = uv_now(net->loop);
    while (!list_is_empty(&net->parted)) {
        struct stream *s = LIST_ENTRY(net->parted.next, struct stream, dirty);
        uint64_t until = s->corked_at + LINGER_MS;
        if (until > now) {
            uv_timer_start(timer, on_part_timer, until - now, 0);
            return;
        }
        stream_close(s, s->why);
    }
}

void stream_part_open(struct net *net)
{
    list_init(&net->parted);
    REQUIRE(uv_timer_init(net->loop, &net->part_timer) == 0);
    net->part_timer.data = net;
}

static void linger(struct stream *s)
{
    struct net *net = s->net;
    s->parted = true;
    net->parted_count++;
    s->corked_at = uv_now(net->loop);
    if (list_is_empty(&net->parted))
        uv_timer_start(&net->part_timer, on_part_timer, LINGER_MS, 0);
    list_remove(&s->dirty);
    list_append(&net->parted, &s->dirty);
    stream_hear_out(s);
}

void stream_part(struct stream *s)
{
    int fd = stream_fd(s);
    if (s->tls != NULL)
        stream_secure_farewell(s);
    bool talks = !s->ended && shutdown(fd, SHUT_WR) == 0 &&
                 (recv(fd, NULL, UNHEARD_MAX, MSG_TRUNC | MSG_DONTWAIT) > 0 || s->overheard);
    if (talks && s->net->parted_count < LINGERING_MAX)
        linger(s);
    else
        stream_close(s, s->why);
}

void stream_end(struct stream *s)
{
    if (s->ended)
        return;
    s->ended = true;
    stream_stop_reading(s);
    if (s->parted)
        stream_close(s, s->why);
    else if (s->finishing)
        return; /* its last words are still being written */
    else if (s->user->on_end != NULL)
        s->user->on_end(s);
    else
        stream_close(s, ERR_CLOSED_BY_PEER);
}
