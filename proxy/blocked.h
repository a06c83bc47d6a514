/*
 * blocked.h: a client that waits in a blocking command, whatever it waits for.
 *
 * Holds what all of them share: the client, its place in the flow where the answer will go, a copy
 * of the request, pauses between tries, CLIENT UNBLOCK, the end. How it waits is a struct
 * blocked_way: on a lease (blocking_single.c), by looking again and again (blocking_wide.c), on a
 * lease of each master (blocking_wait.c).
 *
 *   blocked_begin: alone in its client's flow, which is read no further; the client's leaving is
 *   noticed all the same (net/hangup.h)
 *     -> blocked_reply with done, blocked_answer            the client has its answer and goes on
 *     -> the client leaves or is killed, shutdown           way->stop, nobody is answered
 *   each of them ends it: way->free is called, and b must not be named any more
 *
 * A blocked client has no request-timeout. It may live as long as its client.
 */
#ifndef PROXY_BLOCKED_H
#define PROXY_BLOCKED_H

#include "net/hangup.h"
#include "proxy/client.h"

struct blocked;

enum { BLOCKED_LOOK_MS = 100 };
#define BLOCKED_FOR_EVER UINT64_MAX

enum blocked_wish { BLOCKED_TIMEOUT, BLOCKED_ERROR }; /* of CLIENT UNBLOCK */

struct blocked_way {
    /* Gives up whatever is under way: nothing of it comes any more. */
    void (*stop)(struct blocked *b);
    void (*free)(struct blocked *b);
    /* Its pause is over. */
    void (*again)(struct blocked *b);
    /* Every BLOCKED_LOOK_MS. May end b. */
    void (*look)(struct blocked *b, uint64_t now);
    /* Whether it waits where elements arrive, and not still on its way there. */
    bool (*is_waiting)(const struct blocked *b);
    /* An op that began for the waiting client has this answer. NULL: the way uses none. */
    void (*op_done)(struct blocked *b, struct span answer);
    /* What CLIENT UNBLOCK without ERROR answers; NULL: a null array. */
    const char *timed_out;
    /* Where the node knows this client: by that CLIENT ID, at the master of that slot. False: it is
       not at a node. NULL: never. For CLIENT UNBLOCK, which the node decides, so that no element is
       taken and then not handed over. */
    bool (*where)(const struct blocked *b, uint16_t *slot, uint64_t *id);
};

struct blocked {
    const struct blocked_way *way;
    struct worker *worker;
    struct client *client;
    struct request *place; /* in the client's flow */
    const struct command *cmd;
    struct argv argv; /* in our own copy */
    char *copy;
    struct list_node in_all, in_paused;
    uint64_t started_at; /* ms of loop time */
    uint64_t began;      /* us of net_clock */
    uint64_t deadline;   /* of the command itself; BLOCKED_FOR_EVER */
    uint64_t not_before; /* of a pause */
};

/* What a worker knows of its blocked clients; embedded there. */
struct blocked_room {
    struct list_node all, paused;
    struct hangup hangup;
    uv_timer_t timer;
    uint64_t looked_at;
    uint32_t count;
    uint32_t polled_keys; /* streams that are asked again and again */
    uint64_t total, moved;
    uint64_t undelivered; /* replies that came for a client that had just left */
    uint64_t returned;    /* pops over several slots that were put back for such a client */
    bool ticking;
};

void blocked_room_open(struct blocked_room *room, uv_loop_t *loop);
void blocked_room_close(struct blocked_room *room);
/* Of INFO: those that wait where elements arrive. */
uint32_t blocked_room_waiting(const struct blocked_room *room);
/* Shutdown: every blocked client is closed, as Redis does. */
void blocked_room_leave(struct worker *w);

/* Whether a blocking command may begin: every earlier reply is out. */
bool blocked_may_begin(const struct client *c);
/* b is zeroed memory that way->free gives back. Copies the request. */
void blocked_begin(struct blocked *b, struct client *c, const struct command *cmd,
                   const struct argv *argv, const struct blocked_way *way, uint64_t deadline);
/* A piece of the answer; chunk as in flow_user.on_reply. On done b is freed. */
void blocked_reply(struct blocked *b, struct span bytes, struct chunk *chunk, bool done);
/* The whole answer; b is freed. It takes the place of pieces that are still held back; if some have
   left, the client is closed. */
void blocked_answer(struct blocked *b, struct span reply);
/* way->again comes at that time. */
void blocked_pause(struct blocked *b, uint64_t until);

/* The client cannot be read now, so its end is watched for. */
void blocked_watch(struct client *c);
/* The client leaves. */
void blocked_forget_client(struct blocked *b);
/* Ends b and its client without an answer, behind what was written before; of an answer that has
   begun the rest is waited for. */
void blocked_dismiss(struct blocked *b, int why);
/* The blocked client with that id, or NULL. */
struct blocked *blocked_find(const struct blocked_room *room, uint64_t id);
/* Ends the waiting of b as CLIENT UNBLOCK does, without asking a node. */
void blocked_end(struct blocked *b, enum blocked_wish wish);

#endif
