#include "proxy/balance.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/worker.h"

enum { TAKE_MAX = 64 }; /* in one turn */

/* --- giving ----------------------------------------------------------------------------------- */

static uint32_t load_of(struct seat *s)
{
    return atomic_load_explicit(&s->clients, memory_order_relaxed) +
           atomic_load_explicit(&s->coming, memory_order_relaxed);
}

/* The other worker with the fewest clients; false: there is none that serves. */
static bool find_least(const struct worker *w, uint32_t *number, uint32_t *least)
{
    bool found = false;
    for (uint32_t i = 0; i < w->crew->count; i++) {
        struct seat *s = crew_seat(w->crew, i);
        if (i == w->number || seat_state(s) != SEAT_SERVING)
            continue;
        uint32_t load = load_of(s);
        if (found && load >= *least)
            continue;
        found = true;
        *number = i;
        *least = load;
    }
    return found;
}

static bool send_descriptor(int to, int fd)
{
    char byte = 0;
    struct iovec piece = { &byte, 1 };
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof(control.room) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
                           .cmsg_level = SOL_SOCKET,
                           .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}

/* With many clients a small difference is not worth a hand-over: a sixteenth is let be. */
bool balance_hand_over(struct worker *w, int fd)
{
    uint32_t to = 0, least = 0, mine = load_of(w->seat) + 1;
    if (w->crew->count == 1 || w->draining || !find_least(w, &to, &least) ||
        mine <= least + 1 + least / 16)
        return false;
    /* Counted first, so that the next one that is accepted here sees it on its way. */
    struct seat *seat = crew_seat(w->crew, to);
    atomic_fetch_add(&seat->coming, 1);
    if (!send_descriptor(w->crew->members[to].inbox[INBOX_WRITE], fd)) {
        atomic_fetch_sub(&seat->coming, 1);
        return false;
    }
    close(fd);
    w->balance.given++;
    return true;
}

/* --- taking ----------------------------------------------------------------------------------- */

/* -1: nothing waits. -2: a message whose descriptor did not get through. */
static int receive_descriptor(int from)
{
    char byte;
    struct iovec piece = { &byte, 1 };
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr message = { .msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof(control.room) };
    int fd = -2;
    if (recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static bool take_one(struct worker *w)
{
    int fd = receive_descriptor(w->crew->members[w->number].inbox[INBOX_READ]);
    if (fd == -1)
        return false;
    if (fd >= 0) {
        w->balance.taken++;
        client_accept(w, fd);
        worker_publish_clients(w);
    } else {
        log_error("a connection from another worker is lost: no descriptor for it", "worker=%u",
                  w->number);
    }
    atomic_fetch_sub(&w->seat->coming, 1);
    return true;
}

static void on_inbox(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    for (int i = 0; i < TAKE_MAX && take_one(poll->data); i++)
        ;
}

void balance_take_waiting(struct worker *w)
{
    while (w->balance.open && take_one(w))
        ;
}

/* --- life ------------------------------------------------------------------------------------- */

void balance_open(struct worker *w)
{
    struct balance *b = &w->balance;
    int rc = uv_poll_init(&w->loop, &b->inbox, w->crew->members[w->number].inbox[INBOX_READ]);
    REQUIRE(rc == 0);
    b->inbox.data = w;
    b->open = true;
    uv_poll_start(&b->inbox, UV_READABLE, on_inbox);
}

void balance_close(struct worker *w)
{
    if (!w->balance.open)
        return;
    w->balance.open = false;
    uv_close((uv_handle_t *)&w->balance.inbox, NULL);
}
