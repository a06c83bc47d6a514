/*
 * router.h: brings a request to the node that serves its slot and its reply back, whatever happens
 * in between. The doing half of cluster/: redirects, retries, deadlines, order. Knows flows, no
 * clients.
 *
 * Promises kept here (docs/architecture.md): exactly one reply per request (1); a write that was
 * written to a socket is never sent again unless the server said that it did not run it (2);
 * requests of one flow on one slot take effect in the order given (3); a server's error is handed
 * on byte for byte, an error of ours begins with "-ERR slotgate:" and comes only where the server
 * gave none (4).
 *
 * Order: a request goes straight to the owner of its slot as long as nothing of its flow is out of
 * the ordinary. As soon as one is (parked, redirected, at another link than the map says, or sent
 * under an older map), the flow's requests are parked and order_walk (order.c) sends those that may
 * go.
 */
#ifndef CLUSTER_ROUTER_H
#define CLUSTER_ROUTER_H

#include "cluster/node.h"
#include "cluster/router_watch.h"
#include "cluster/slotmap.h"

enum {
    ROUTER_SWEEP_MS = 100,  /* between looks at deadlines */
    ROUTER_SILENT_MS = 500, /* a link that owes replies this long makes the map doubtful */
};

struct router_options {
    struct link_options link;
    uint64_t request_timeout; /* ms from submit to an answer */
    uint32_t bulk_min;        /* requests of this many bytes get the bulk link */
};

struct router_counters {
    uint64_t requests, moved, ask, try_again, cluster_down, read_only, retries, timeouts, uncertain,
        lost_links;
};

struct split_mark;
struct reads;

struct router {
    struct net *net;
    const struct command_table *commands;
    const struct router_options *options;
    struct slab requests;
    struct node_table nodes;
    struct slotmap *map;
    struct node **masters;    /* of map->shards, by index */
    uint32_t epoch;           /* counts maps */
    struct reads *reads;      /* reads go to replicas; NULL: every request goes to a master */
    struct list_node stalled; /* flows with parked requests */
    struct list_node kicked;  /* flows to walk at the end of this turn */
    bool kick_all;            /* walk every stalled flow at the end of this turn */
    uint32_t outstanding;     /* requests SENT or PARKED */
    bool ticking;
    uv_timer_t tick;          /* every 10 ms while something is outstanding */
    uint64_t swept_at;        /* ms of the last look at deadlines */
    struct list_node refused; /* router_ask of a link that takes none: ended at the next tick */
    struct chunk *keep;       /* bytes of requests that cannot be sent at once */
    uint64_t walk;            /* number of the walk; marks what belongs to it */
    struct order_mark *marks; /* SLOT_PLACES of them, see order.c */
    struct split_mark *split_marks; /* SLOT_PLACES of them, see group.c */
    void *split_room;               /* scratch of group.c */
    size_t split_room_size;
    struct writer part;              /* scratch of group.c: the part being written */
    void (*on_doubt)(void *context); /* the map may be wrong: the poller asks soon */
    void *doubt_context;
    /* A node gave r an error that is the client's own answer, unless this says true: then the node
       has been told what it lacked (router_tell), and r is sent again. NULL: nobody asks. */
    bool (*rescue)(void *context, struct link *l, const struct request *r, struct span error);
    /* A link to a node that may lack what others have: it has just connected, or its node has
       become a master. What router_tell sends now goes out before any request. NULL: nobody. */
    void (*greet)(void *context, struct link *l);
    /* The same right before r is sent, which is `scripted`. */
    void (*prepare)(void *context, struct link *l, const struct request *r);
    void *rescue_context; /* of these three */
    /* A link is ready; before anything is written on it. NULL: nobody asks. */
    void (*on_link)(void *context, struct link *l);
    /* The map names a new master, to which there is a link. May drop no request. */
    void (*on_master)(void *context);
    void *link_context; /* of these two */
    struct router_watch watch;
    struct router_counters counters;
};

void router_open(struct router *rt, struct net *net, const struct command_table *commands,
                 const struct router_options *options);
/* Ends every link. Then run the loop until it is empty, then router_free. */
void router_close(struct router *rt);
void router_free(struct router *rt);

void router_set_map(struct router *rt, struct slotmap *map); /* takes the map */
void router_turn_end(struct router *rt);                     /* at the end of every turn */

void flow_init(struct flow *f, const struct flow_user *user, uint32_t home);
/* The flow ends: its requests become orphans or are dropped; no callback comes any more. */
void flow_abandon(struct router *rt, struct flow *f);

/* A request at the end of the flow. cmd may be NULL for what is answered without a node. */
struct request *router_request(struct router *rt, struct flow *f, const struct command *cmd,
                               uint16_t slot);
/* Sends it: bytes are borrowed, and lie in chunk if chunk is not NULL. Nothing is called back from
   inside. */
void router_submit(struct router *rt, struct request *r, struct span bytes, struct chunk *chunk);
/* The same, at the end of the turn, and by way of router->prepare. */
void router_submit_later(struct router *rt, struct request *r, struct span bytes,
                         struct chunk *chunk);
/* Frees a DONE (or NEW) request; its reply is dropped if it still waits. */
void router_release(struct router *rt, struct request *r);

/* The master of a slot; NULL: nobody knows one. */
struct node *router_owner(const struct router *rt, uint16_t slot);

/* A request of the program's own (CLUSTER SLOTS) to one node, RESP2; done comes later, once. */
void router_ask(struct router *rt, struct node *node, struct span bytes, uint64_t timeout,
                request_own_done *done, void *context);
/* Sends a request of the program's own on that link, before whatever is sent there from now on; its
   reply is dropped. For router->rescue. */
void router_tell(struct router *rt, struct link *l, struct span bytes);

#endif
