/*
 * hangup.h: notices that the peer of a stream has left while nobody reads the stream.
 *
 * A stream that is paused does not see its end, because the end stands behind bytes that nobody
 * wants yet. A hangup asks the kernel for that alone (EPOLLRDHUP), without reading: an epoll set of
 * its own, watched by the loop as one handle. Linux only.
 * Life: hangup_open -> watch, unwatch -> hangup_close. A watched stream that is closed leaves the
 * set by itself.
 */
#ifndef NET_HANGUP_H
#define NET_HANGUP_H

#include "net/stream.h"

struct hangup {
    uv_poll_t poll;
    int set; /* descriptor */
};

void hangup_open(struct hangup *h, uv_loop_t *loop);
void hangup_close(struct hangup *h);

/* When the peer of s leaves, s is closed with ERR_CLOSED_BY_PEER, or ERR_RESET. Watching twice is
   the same as once. */
void hangup_watch(struct hangup *h, struct stream *s);
/* May be called for a stream that is not watched. */
void hangup_unwatch(struct hangup *h, struct stream *s);

#endif
