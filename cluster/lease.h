/*
 * lease.h: a connection to one node that is one user's alone, for as long as that user needs it.
 *
 * For what cannot share a connection: blocking commands, WAIT, WATCH. Knows no command and retries
 * nothing; redirects, timeouts and errors are the user's. Connections that come back clean are kept
 * for the next one (LEASE_IDLE_MS), so that a lease usually costs no connect.
 *
 *   lease_take --> QUEUED --> DIALLING --> GREETING (AUTH, HELLO) --> TAKEN --give_back--> IDLE
 *        |                                                             ^ |                 |
 *        +----------------- an idle one to the same node --------------+ +-lost, drop      +-->
 * closed
 *
 * Life: lease_take lends a lease; it may still be connecting, and what is sent meanwhile goes out
 * once it is logged in. From then on exactly one of three ends it, and l must not be named any
 * more: lease_give_back   everything answered, nothing left on it (no WATCH, no MULTI): it is
 * reused lease_drop        at any time: the connection is closed at once, what was not written
 * never leaves, no callback comes. For a command that still runs there on_lost           it could
 * not be made, or has broken; comes once No callback comes from inside lease_take, lease_send,
 * lease_give_back or lease_drop. All three ends may be called from inside on_reply with done
 * (lease_drop also without).
 *
 * Limits: at most `limit` connections at a time, idle ones included (one of them makes room for a
 * taken one); past it lease_take gives NULL. LEASE_DIALLING_MAX connect at a time, the others wait
 * in the order in which they came. A node that refuses is left alone for a back-off: meanwhile each
 * lease of it is lost soon, and a user that tries again has to wait on its own (LEASE_AGAIN_MS).
 *
 * A lease has no deadline but connect-timeout for connecting and for the login. A node that falls
 * silent is noticed by TCP keepalive only; a user that holds a lease while the map changes looks
 * for itself whether its node is still the one that it wants (lease_node against router->masters).
 */
#ifndef CLUSTER_LEASE_H
#define CLUSTER_LEASE_H

#include "cluster/node.h"

enum {
    LEASE_DIALLING_MAX = 128,
    LEASE_IDLE_MS = 10 * 1000,
    LEASE_AGAIN_MS = 50, /* a good time to wait after on_lost before the next lease_take */
};

struct lease;

struct lease_user {
    /* A piece of the oldest reply that is owed, as pipe_user.on_reply: an error comes whole; bytes
       lie in chunk, or chunk is NULL. RESP3 pushes are dropped. */
    void (*on_reply)(struct lease *l, void *context, struct span bytes, struct chunk *chunk,
                     char first, bool done);
    /* wrote: the last byte of the latest lease_send had left, so all of it may have been executed.
       False is certain: not the whole of it was, so an EXEC at its end did not run. */
    void (*on_lost)(struct lease *l, void *context, bool wrote, int why);
    /* Its commands wait at the node because they were told to, so that says nothing of the node.
       For other users the time from a lease_send to its last reply counts in node->stat, once. */
    bool waits;
};

struct lease_counters {
    uint64_t taken, dialled, lost, refused; /* refused: by the limit */
};

struct lease_pool {
    struct net *net;
    const struct link_options *options; /* connect_timeout, rest_min, rest_max, auth_* */
    struct slab slab;
    /* Each lease is in the list of its state; oldest first. */
    struct list_node queued, connecting, taken, idle, failed, closing;
    uv_timer_t timer, soon;
    uint64_t random;
    uint32_t limit;
    uint32_t count;    /* of all but closing ones */
    uint32_t dialling; /* in connecting */
    uint32_t idle_count;
    bool ticking, closed;
    struct lease_counters counters;
};

void lease_pool_open(struct lease_pool *p, struct net *net, const struct link_options *options,
                     uint32_t limit);
/* Closes idle connections and the timers. Users have ended their leases before, or hear on_lost.
   lease_pool_free may follow once the loop has run empty. */
void lease_pool_close(struct lease_pool *p);
void lease_pool_free(struct lease_pool *p);
/* Connections that are in users' hands, connecting ones included. */
uint32_t lease_pool_in_use(const struct lease_pool *p);

/* protocol: 2 or 3. context: for the callbacks. NULL: the limit is reached. The node is borrowed
   and stays as long as the lease. */
struct lease *lease_take(struct lease_pool *p, struct node *node, int protocol, uint16_t database,
                         const struct lease_user *user, void *context);
/* Copies bytes: complete requests, to which that many replies come. */
void lease_send(struct lease *l, struct span bytes, uint32_t replies);
/* Requires that no reply is owed. */
void lease_give_back(struct lease *l);
void lease_drop(struct lease *l);

struct node *lease_node(const struct lease *l);
/* Replies still to come. */
uint32_t lease_owed(const struct lease *l);
/* What CLIENT ID says on this connection; 0: not known (yet). */
uint64_t lease_server_id(const struct lease *l);
/* Logged in: what is sent goes out with this turn. */
bool lease_is_ready(const struct lease *l);

#endif
