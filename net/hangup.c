#include "net/hangup.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/error.h"

enum { EVENTS_AT_ONCE = 64 };

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct hangup *h = poll->data;
    struct epoll_event left[EVENTS_AT_ONCE];
    (void)status, (void)events;
    int n = epoll_wait(h->set, left, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++) {
        /* Closing takes the descriptor out of the set; the struct stays until the turn is over. */
        bool reset = (left[i].events & EPOLLERR) != 0;
        stream_close(left[i].data.ptr, reset ? ERR_RESET : ERR_CLOSED_BY_PEER);
    }
}

void hangup_open(struct hangup *h, uv_loop_t *loop)
{
    h->set = epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(h->set >= 0);
    REQUIRE(uv_poll_init(loop, &h->poll, h->set) == 0);
    h->poll.data = h;
    REQUIRE(uv_poll_start(&h->poll, UV_READABLE, on_events) == 0);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct hangup *h = handle->data;
    close(h->set);
}

void hangup_close(struct hangup *h)
{
    uv_close((uv_handle_t *)&h->poll, on_poll_closed);
}

/* A descriptor that cannot be watched (none left in the kernel) only means that its end is noticed
   later. */
void hangup_watch(struct hangup *h, struct stream *s)
{
    struct epoll_event e = { .events = EPOLLRDHUP, .data = { .ptr = s } };
    if (!s->closing)
        (void)epoll_ctl(h->set, EPOLL_CTL_ADD, stream_fd(s), &e);
}

void hangup_unwatch(struct hangup *h, struct stream *s)
{
    struct epoll_event none = { 0 };
    if (!s->closing)
        (void)epoll_ctl(h->set, EPOLL_CTL_DEL, stream_fd(s), &none);
}
