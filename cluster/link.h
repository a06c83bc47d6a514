/*
 * link.h: one connection to one node, with its login, its back-off and the requests that wait for
 * it.
 *
 *   IDLE --first request--> DIALLING --> GREETING (AUTH, HELLO) --> READY
 *     ^                        |              |                       |
 *     |                        +--------------+-------lost------------+
 *     |                                       v
 *     +-------- nothing to do -------- RESTING (back-off with jitter, then dials again)
 *
 * Requests keep their order: what is put while the link is not READY waits in `waiting` and goes
 * out first. When the link is lost, it leaves READY first and then hands every request back, oldest
 * first.
 */
#ifndef CLUSTER_LINK_H
#define CLUSTER_LINK_H

#include "cluster/login.h"
#include "cluster/request.h"

enum link_kind {
    LINK_RESP2,
    LINK_RESP3,
    LINK_BULK2,
    LINK_BULK3,
    LINK_READ2, /* READONLY: a replica answers reads on it */
    LINK_READ3,
    LINK_KINDS,
};
enum link_state { LINK_IDLE, LINK_DIALLING, LINK_GREETING, LINK_READY, LINK_CLOSING, LINK_RESTING };

struct link_options {
    uint64_t connect_timeout;    /* ms, for connecting and for the login each */
    uint64_t rest_min, rest_max; /* ms of back-off */
    uint64_t buffer_limit;       /* bytes of requests under way; past it link_accepts is false */
    const char *auth_user;       /* NULL or "": none */
    const char *auth_password;
    const char *name;             /* of its connections, as CLIENT LIST shows them; NULL: none */
    bool asks_peer, name_is_wish; /* as in login.h */
    struct tls_context *tls;      /* of connections dialled from now on; NULL: plain */
};

struct link_user {
    void (*on_reply)(struct link *l, struct request *r, struct span bytes, struct chunk *chunk,
                     char first, bool done);
    /* A reply that r->call.lead has announced. */
    void (*on_lead)(struct link *l, struct request *r, struct span bytes, char first);
    /* wrote: r may have been executed. */
    void (*on_lost)(struct link *l, struct request *r, bool wrote, int why);
    /* Before what waits for it is written: requests put from inside go out first. */
    void (*on_ready)(struct link *l);
    /* There is room again below the limit. */
    void (*on_room)(struct link *l);
    void (*on_down)(struct link *l, int why); /* before on_lost of its requests */
};

struct link {
    struct pipe pipe;
    struct node *node;
    struct link_set *set; /* of node.h; NULL: the node's own, database 0 */
    const struct endpoint *to;
    struct net *net;
    const struct link_options *options;
    const struct link_user *user;
    void *context;
    struct list_node waiting; /* requests, by call.link */
    uint64_t pending_bytes;   /* of requests SENT to it */
    uint64_t rest_until;
    uint64_t rest;    /* the back-off now, ms */
    uint64_t used_at; /* ms of the last request put */
    uint64_t due;     /* no request SENT to it has an earlier deadline */
    uint64_t random;
    uint32_t pending;   /* requests SENT to it */
    uint32_t greetings; /* replies of the login still to come */
    int last_error;     /* why it was lost last, 0 when it was not */
    uint16_t database;  /* selected with the login */
    uint8_t kind, state;
    char peer[LOGIN_PEER_MAX]; /* when READY: as in login.h */
    bool retired;              /* closed for good once the pipe is gone */
};

void link_init(struct link *l, enum link_kind kind, struct node *node, const struct endpoint *to,
               struct net *net, const struct link_options *options, const struct link_user *user,
               void *context);

/* Whether a request can be put now: connected or about to be, and below its limit. */
bool link_accepts(const struct link *l, uint64_t now);
/* Puts r (its bytes in r->chunk). asking: another request that is sent right before it, or NULL. */
void link_put(struct link *l, struct request *r, struct request *asking);
/* The hot way: link is READY, the bytes are borrowed and copied; sets r's chunk and bytes. */
void link_send(struct link *l, struct request *r, struct span bytes);
/* Whether r, which is SENT, still waits for its link's connection. */
bool link_is_unsent(const struct request *r);
/* Takes such a request back out; an ASKING that goes with it comes back through on_lost. */
void link_withdraw(struct link *l, struct request *r);
/* Accounts for a request that was answered, withdrawn or orphaned-and-answered. */
void link_forget(struct link *l, struct request *r);
/* Closes the connection; requests come back through on_lost. Dials again when needed. */
void link_close(struct link *l, int why);

const char *link_state_name(const struct link *l);

#endif
