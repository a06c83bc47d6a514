#include "proxy/talk_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* During a takeover two programs may talk; one that does not know this number is not understood. */
enum { FORMAT = 1, KEEP_ROOM = 256 * 1024 };

static const uint32_t nowhere = UINT32_MAX; /* no letter begins in this packet */

struct packet_header {
    uint32_t format, generation, number, life, sequence, first;
};

struct letter_header {
    uint32_t len; /* with this header */
    uint16_t topic;
    uint8_t kind, unused;
    uint64_t ask;
};

union control {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

void talk_peer_close(struct talk_peer *p)
{
    if (p->owns_fd && p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    writer_close(&p->out);
    writer_close(&p->in);
}

/* --- sending ---------------------------------------------------------------------------------- */

static size_t waiting(const struct talk_peer *p)
{
    return p->out.len - p->out_at;
}

/* What has been sent makes room, once it is the larger part. */
static void make_room(struct talk_peer *p)
{
    if (p->out_at < KEEP_ROOM || p->out_at < waiting(p))
        return;
    memmove(p->out.at, p->out.at + p->out_at, waiting(p));
    p->out.len -= p->out_at;
    p->out_at = 0;
}

bool talk_wire_post(struct talk_peer *p, const struct talk_raw_letter *letter)
{
    struct letter_header h = { .topic = letter->topic, .kind = letter->kind, .ask = letter->ask };
    if (p->fd < 0 || letter->body.len > TALK_QUEUE_MAX - sizeof(h) ||
        waiting(p) > TALK_QUEUE_MAX - sizeof(h) - letter->body.len)
        return false;
    h.len = (uint32_t)(sizeof(h) + letter->body.len);
    make_room(p);
    write_raw(&p->out, (struct span){ (const char *)&h, sizeof(h) });
    write_raw(&p->out, letter->body);
    return true;
}

/* The first n waiting bytes have been sent. */
static void note_sent(struct talk_peer *p, size_t n)
{
    struct letter_header h;
    size_t at = p->letter_left;
    while (at < n) {
        memcpy(&h, p->out.at + p->out_at + at, sizeof(h));
        at += h.len;
    }
    p->letter_left = at - n;
    p->out_at += n;
    p->sequence++;
    p->introduce = false;
    if (waiting(p) > 0)
        return;
    p->out_at = 0;
    if (p->out.capacity > KEEP_ROOM)
        writer_close(&p->out);
    writer_clear(&p->out, 2);
}

static void enclose(struct msghdr *message, union control *control, const int *fd)
{
    message->msg_control = control->room;
    message->msg_controllen = sizeof(control->room);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                           .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(c), fd, sizeof(*fd));
}

static bool send_one(struct talk_peer *p, const struct talk_self *self)
{
    struct packet_header h = { .format = FORMAT,
                               .generation = self->generation,
                               .number = self->number,
                               .life = self->life,
                               .sequence = p->sequence };
    size_t n = waiting(p), room = TALK_PACKET_MAX - sizeof(h);
    n = n < room ? n : room;
    h.first = p->letter_left < n ? (uint32_t)p->letter_left : nowhere;
    struct iovec pieces[2] = { { &h, sizeof(h) }, { p->out.at + p->out_at, n } };
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = n > 0 ? 2 : 1 };
    union control control = { 0 };
    if (p->introduce)
        enclose(&message, &control, &self->inbox);
    if (sendmsg(p->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return false;
    note_sent(p, n);
    return true;
}

/* Whoever read that inbox has gone for good. */
static void give_up(struct talk_peer *p)
{
    talk_peer_close(p);
    writer_init(&p->out, 2);
    writer_init(&p->in, 2);
    p->out_at = p->letter_left = 0;
    p->introduce = false;
}

bool talk_wire_send(struct talk_peer *p, const struct talk_self *self)
{
    while (p->fd >= 0 && (waiting(p) > 0 || p->introduce)) {
        if (send_one(p, self))
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS &&
            errno != ENOMEM && errno != ETOOMANYREFS)
            give_up(p);
        else
            return false;
    }
    return true;
}

/* --- receiving -------------------------------------------------------------------------------- */

static int enclosed(struct msghdr *message)
{
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

bool talk_wire_read(int inbox, char *room, struct talk_packet *packet)
{
    struct packet_header h;
    struct iovec pieces[2] = { { &h, sizeof(h) }, { room, TALK_PACKET_MAX } };
    union control control;
    struct msghdr message = { .msg_iov = pieces,
                              .msg_iovlen = 2,
                              .msg_control = control.room,
                              .msg_controllen = sizeof(control.room) };
    ssize_t n = recvmsg(inbox, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return false;
    *packet = (struct talk_packet){ .fd = enclosed(&message) };
    if ((size_t)n < sizeof(h) || h.format != FORMAT)
        return true;
    packet->generation = h.generation;
    packet->number = h.number;
    packet->life = h.life;
    packet->sequence = h.sequence;
    packet->first = h.first;
    packet->bytes = (struct span){ room, (size_t)n - sizeof(h) };
    return true;
}

void talk_wire_take(struct talk_peer *p, const struct talk_packet *packet)
{
    struct span bytes = packet->bytes;
    if (packet->life != p->life || packet->sequence != p->expected) {
        writer_clear(&p->in, 2);
        p->lost = true;
    }
    p->life = packet->life;
    p->expected = packet->sequence + 1;
    p->silent = false;
    if (p->lost && packet->first > bytes.len)
        return;
    if (p->lost) {
        bytes.at += packet->first;
        bytes.len -= packet->first;
        p->lost = false;
    }
    write_raw(&p->in, bytes);
}

bool talk_wire_next(struct talk_peer *p, size_t *at, struct talk_raw_letter *letter)
{
    struct letter_header h;
    if (p->in.len - *at < sizeof(h))
        return false;
    memcpy(&h, p->in.at + *at, sizeof(h));
    if (h.len < sizeof(h) || h.len > TALK_QUEUE_MAX) { /* nonsense: from the next packet on again */
        p->lost = true;
        *at = p->in.len;
        return false;
    }
    if (p->in.len - *at < h.len)
        return false;
    *letter = (struct talk_raw_letter){ .topic = h.topic, .kind = h.kind, .ask = h.ask };
    letter->body = (struct span){ p->in.at + *at + sizeof(h), h.len - sizeof(h) };
    *at += h.len;
    return true;
}

void talk_wire_taken(struct talk_peer *p, size_t at)
{
    size_t left = p->in.len - at;
    if (at == 0)
        return;
    if (left == 0 && p->in.capacity > KEEP_ROOM)
        writer_close(&p->in);
    if (left > 0)
        memmove(p->in.at, p->in.at + at, left);
    p->in.len = left;
}
