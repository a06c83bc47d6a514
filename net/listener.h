/*
 * listener.h: TCP sockets with SO_REUSEPORT, so that several processes share the port, and the
 * accepting from them.
 *
 * The socket and its watcher are two things. The socket is a plain descriptor, which a supervisor
 * keeps over the lives of its workers: what waits in its queue outlives a worker that dies. A
 * struct listener accepts from such a socket on one loop and never owns it.
 *
 *   listener_bind: bound, refuses -> listener_start: listens -> listener_close: listens on, nobody
 *   accepts -> listener_hush: bound, refuses, for all who share the socket
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/net.h"

struct listener_user {
    /* Takes the descriptor, which is non-blocking. The listener may be closed from inside. */
    void (*on_accept)(void *context, int fd);
    /* Told to a client that cannot be served because there are no descriptors left. */
    const struct span *refusal;
};

struct listener {
    uv_poll_t poll;
    uv_timer_t rest; /* after an error that stays for a while */
    struct net *net;
    const struct listener_user *user;
    void *context;
    int fd;
    int spare; /* a descriptor in reserve, to refuse with */
    bool open;
};

/* A bound socket that does not listen yet. address: numeric, IPv4 or IPv6. Gives the descriptor,
   close-on-exec, or libuv's error (see uv_strerror). */
MUST_USE int listener_bind(const char *address, uint16_t port);
/* The same without SO_REUSEPORT: nobody else has the port. */
MUST_USE int listener_bind_alone(const char *address, uint16_t port);
/* Whether a socket is bound to just that. */
bool listener_is_at(int fd, const char *address, uint16_t port);
/* Refuses connections again, those that wait included. The socket stays bound, if it was bound to a
   port by number: one that the kernel chose is lost. */
void listener_hush(int fd);

/* Listens and accepts, from the next turn on. Borrows fd until listener_close. 0 or libuv's error;
   then there is nothing to close. */
MUST_USE int listener_start(struct listener *l, struct net *net, int fd, int backlog,
                            const struct listener_user *user, void *context);
/* Accepts all who wait, now. */
void listener_accept_waiting(struct listener *l);
/* No on_accept any more; may be called twice. */
void listener_close(struct listener *l);

#endif
