/*
 * request.h: one command under way, and the ordered source that it came from.
 *
 * A flow is a FIFO of requests whose replies are wanted in order and of which those on one slot
 * take effect in order (promise 3): a client of the proxy is one. The flow's FIFO owns its
 * requests. The link that carries a request lists it too, but only borrows it. A flow that ends
 * turns what is in flight into orphans, which the link's reply frees.
 *
 *      NEW --submit--> SENT --reply--> DONE --the flow's user takes it--> freed (router_release)
 *                      ^  |
 *                      |  +--redirect, lost link, not servable now--> PARKED --deadline--> DONE
 *                      +------------------ order_walk ------------------+
 */
#ifndef CLUSTER_REQUEST_H
#define CLUSTER_REQUEST_H

#include "cluster/command.h"
#include "net/pipe.h"
#include "resp/rope.h"

/* The pseudo slot of commands without a key: they keep their order among themselves. */
enum { SLOT_ANY = 16384, SLOT_PLACES = 16385 };

struct flow;
struct group;
struct link;
struct node;
struct request;

enum request_kind {
    REQUEST_OF_FLOW, /* flow NULL: an orphan, its reply is dropped */
    REQUEST_ASKING,  /* the ASKING before a redirected request */
    REQUEST_OWN,     /* the router's or a link's own: on_own says how it ended */
};

enum request_state { REQUEST_NEW, REQUEST_SENT, REQUEST_PARKED, REQUEST_DONE };

/* status 0: r->reply holds the complete reply; otherwise an error. r is freed afterwards. */
typedef void request_own_done(struct request *r, int status);

struct request {
    struct pipe_call call; /* in the link's pipe, or in its list of waiting ones; call.lead > 0: a
                              block, see block.h */
    struct list_node in_flow;
    struct flow *flow;
    struct link *link; /* SENT: where; its pipe may not be open yet */
    const struct command *cmd;
    struct chunk *chunk; /* holds the request's own bytes until it is done */
    const char *bytes;
    uint32_t len;
    uint32_t epoch;      /* of the slot map when it came: older ones of its flow came no later */
    uint64_t deadline;   /* ms of loop time */
    uint64_t not_before; /* PARKED: earliest next try */
    struct node *hint;   /* where a redirect points */
    uint32_t began;      /* us of net_clock, its low bits: when it came whole */
    uint32_t got;        /* bytes of its reply so far */
    uint32_t put;        /* ... when it was last put on a link */
    struct group *group; /* of which this is a part, see group.h; or NULL */
    uint32_t served_by;  /* a part that is answered: the fingerprint of the node that did */
    uint8_t refused;     /* enum block_refused */
    bool scripted;       /* a block that calls scripts: router->prepare comes before it is sent */
    struct rope reply;   /* what waits: of the reply, or the last error of a retried one */
    request_own_done *on_own;
    void *own_context;
    uint16_t slot;
    uint16_t database; /* that its link has to have selected */
    uint8_t kind, state;
    uint8_t hops;    /* redirects followed and retries made */
    uint8_t rescues; /* times that router->rescue has made good what a node lacked */
    bool safe;       /* may be sent again after it was written: changes nothing */
    bool asking;     /* hint wants ASKING */
    bool irregular;  /* counted in flow->irregular */
    bool overtaken;  /* a younger one on the same key took effect: may not be retried */
    bool blocked;    /* scratch of order_walk */
    bool has_error;  /* reply holds the last error of a node, kept for the deadline */
    bool redirected; /* its last answer was MOVED or ASK */
    bool started;    /* set by the flow's user: a piece of the reply has left for good */
    bool ends_batch; /* for the flow's user: the last one of those that came together */
    bool silent;     /* the flow's user drops the reply (CLIENT REPLY) */
    bool roams;      /* a read that may go to a replica, see reads.h; counted in flow->roaming */
    bool at_master;  /* ... but not any more */
};

struct flow_user {
    /* A piece of r's reply; bytes lie in chunk, or chunk is NULL: then copy them. On done r is DONE
       and the user's to release. While flow->walking is set the user may only keep what it gets;
       on_walked comes right after. */
    void (*on_reply)(struct flow *f, struct request *r, struct span bytes, struct chunk *chunk,
                     bool done);
    void (*on_walked)(struct flow *f);
    /* r's reply had begun and will never end: the flow cannot go on. */
    void (*on_broken)(struct flow *f, struct request *r, int why);
    void (*on_refused)(struct flow *f, struct request *r, struct span error); /* a block; or NULL */
};

struct flow {
    const struct flow_user *user;
    struct list_node requests; /* oldest first; those not yet released */
    struct list_node stalled;  /* in router->stalled while a request is parked */
    struct list_node kicked;   /* in router->kicked: to be walked at the end of this turn */
    uint32_t count;            /* requests listed */
    uint32_t parked;
    uint32_t irregular; /* those that are parked or not where the map says */
    uint32_t home;      /* which master takes its keyless commands */
    uint64_t bytes;     /* the requests' own bytes held */
    uint64_t held;      /* bytes of replies that wait in the requests for their turn */
    uint32_t roaming;   /* requests listed that roam */
    uint16_t database;  /* of its requests to come; changes only while count is 0, for the order */
    uint8_t protocol;   /* 2 or 3; the same */
    bool walking;
    bool may_roam; /* its reads may be answered by replicas */
    bool wrote;    /* ... but not the next one: there was a write, see reads.c */
};

static inline struct request *request_of_call(struct pipe_call *c)
{
    return CONTAINER_OF(c, struct request, call);
}

static inline struct request *flow_head(const struct flow *f)
{
    return LIST_ENTRY(f->requests.next, struct request, in_flow);
}

#endif
