/*
 * watch.h: WATCH: keys that a client watches, and an EXEC that depends on them.
 *
 * A node tells the connection that watches whether a key was touched. So the client holds a leased
 * connection to the master of each slot that it watches, until EXEC, DISCARD, UNWATCH, RESET or its
 * end; WATCH is answered when the masters have answered. All its other commands go the usual way.
 *
 *   WATCH    nothing owed to the client -> SETTING: a WATCH to each slot's master, redirects
 *            followed -> SET: answered -> HELD
 *   EXEC     HELD -> [CHECKING: what the block's own connection cannot know]
 *                 -> EXECUTING: the block on the connection that watches its slot -> DONE
 *                 or DONE: the transaction goes its usual way (transaction.h)
 *   a connection lost, a slot that has moved, a master that is none any more: the watch is broken,
 *   and EXEC answers null, as if a key had been touched; that is always safe
 *
 * WATCH and EXEC are dispatched again and again ("not now") until their replies are there.
 */
#ifndef PROXY_WATCH_H
#define PROXY_WATCH_H

#include "cluster/block.h"
#include "cluster/lease.h"
#include "proxy/client.h"
#include "resp/writer.h"

enum watch_state {
    WATCH_HELD,      /* between commands */
    WATCH_SETTING,   /* WATCH waits for the nodes */
    WATCH_SET,       /* its answer is there */
    WATCH_CHECKING,  /* EXEC waits for the connections that do not carry the block */
    WATCH_EXECUTING, /* the block is on its way */
    WATCH_DONE,      /* EXEC's answer is there, or nothing stands in its way */
};

/* A leased connection. One that the watch has left lives until the node has unwatched. */
struct watch_hold {
    struct list_node in_watch;
    struct watch *watch; /* NULL: left */
    struct lease *lease;
    struct list_node owed; /* watched.in_owed, oldest first */
    uint32_t checks;       /* CHECKING: replies still to come */
    uint32_t skip, lead;   /* EXECUTING: replies still to come before MULTI's; before EXEC's */
    uint16_t database;
    uint8_t protocol;
    char begin[4]; /* of the reply that comes */
    uint32_t got;
};

/* The keys of one WATCH in one slot. */
struct watched {
    struct list_node in_watch, in_owed;
    struct watch_hold *hold; /* where it is watched, or about to be; NULL: to be tried */
    struct endpoint hint;    /* where a redirect points */
    uint64_t not_before;     /* of the next try */
    uint32_t skip;           /* replies before the one to WATCH */
    uint32_t count;          /* keys */
    uint16_t slot, database;
    bool hinted, asking;
    bool set;                     /* the node watches */
    bool answered;                /* and the client knows */
    struct writer request, check; /* "WATCH key ...", "EXISTS key" */
};

struct watch {
    struct client *client;
    struct list_node in_room; /* while something is waited for */
    struct list_node holds, keys;
    struct watch_hold *carrier; /* CHECKING, EXECUTING: carries the block; NULL: none does */
    uint32_t commands;          /* of that block */
    uint16_t slot;              /* of that block, if it is one of several */
    struct writer result;
    struct writer refusal; /* the first error that a command of the block was answered */
    uint64_t deadline;
    uint64_t bytes;    /* of the requests in keys */
    uint32_t checking; /* holds that owe checks */
    uint8_t state;     /* enum watch_state */
    uint8_t refused;   /* enum block_refused */
    uint8_t outcome;   /* DONE: enum watch_outcome */
    bool broken, touched, over_limit;
    bool part; /* the block is one of several */
};

/* What a worker knows of watches that wait; embedded there. */
struct watch_room {
    struct list_node waiting;
    uv_timer_t timer;
    bool ticking, closed;
};

void watch_room_open(struct watch_room *room, uv_loop_t *loop);
void watch_room_close(struct watch_room *room);

enum watch_outcome {
    WATCH_PENDING,    /* not now */
    WATCH_ANSWERED,   /* the reply of EXEC has been written */
    WATCH_UNHINDERED, /* nothing was touched a moment ago: the transaction goes its usual way */
    WATCH_CARRIED,    /* the block of c->watch->slot has been executed, its reply is in result; the
                         rest goes its usual way */
};

/* EXEC of a client that watches. */
enum watch_outcome watch_exec(struct client *c, struct writer *w);
/* Ends the client's watch, if it has one. */
void watch_drop(struct client *c);

/* Sends a WATCH for each of wt->keys that is not watched yet; watch_finish comes, maybe at once. */
void watch_set(struct watch *wt);

/* --- between watch.c and watch_exec.c --------------------------------------------------------- */

/* The answer is there: the client's command is dispatched once more. */
void watch_finish(struct watch *wt, enum watch_state state);
/* Something is waited for, no longer than request-timeout. */
void watch_wait(struct watch *wt, enum watch_state state);
/* Leaves every connection, and forgets the keys. */
void watch_release(struct watch *wt);
/* Leaves one that is clean: nothing owed, nothing watched. */
void watch_give_back(struct watch_hold *h);
/* Who serves the slot now; NULL: nobody. */
struct node *watch_owner(const struct watch *wt, uint16_t slot);
/* What comes in for watch_exec.c. */
void watch_exec_reply(struct watch_hold *h, struct span bytes, char first, bool done);
void watch_exec_lost(struct watch *wt, bool was_carrier, bool wrote, const struct node *node,
                     int why);
void watch_exec_timeout(struct watch *wt);

#endif
