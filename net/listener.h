/*
 * listener.h: a listening TCP socket with SO_REUSEPORT, so that several processes share the port.
 *
 * Opened bound but silent; listener_start begins to accept. on_accept comes once per connection and
 * has to accept it with listener_accept, from inside.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/stream.h"

struct listener;
typedef void listener_accepted(void *context, struct listener *l);

struct listener {
    uv_tcp_t tcp;
    struct net *net;
    listener_accepted *on_accept;
    void *context;
    bool open;
};

/* address: numeric, IPv4 or IPv6. The error is libuv's (see uv_strerror), 0 when bound. */
MUST_USE int listener_open(struct listener *l, struct net *net, const char *address, uint16_t port,
                           listener_accepted *on_accept, void *context);
MUST_USE int listener_start(struct listener *l, int backlog);
/* Initialises s with the connection that waits; 0 or an error (then there is no stream). */
MUST_USE int listener_accept(struct listener *l, struct stream *s, const struct stream_user *user);
void listener_close(struct listener *l);

#endif
