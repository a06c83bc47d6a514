/*
 * net.h: what all connections of one worker share: the loop, the memory that bytes live in, and the
 * list of streams that have something to write at the end of the turn.
 *
 * A turn is one round of the libuv loop: callbacks read and queue; just before the loop waits
 * again, the flush hook runs the caller's own work (on_turn_end) and then writes every dirty stream
 * once.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <uv.h>

#include "base/list.h"
#include "base/statistics.h"
#include "resp/rope.h"

/* Which end of this program a stream is at, for counting. */
enum net_side { NET_NODE, NET_CLIENT, NET_ADMIN, NET_SIDES };

struct net_bytes {
    uint64_t in, out;
};

struct turn_watch;

struct net {
    uv_loop_t *loop;
    uint64_t clock; /* us of the monotonic clock: true while bytes that were read are dealt with */
    bool clock_old; /* a turn has ended since */
    struct rope_store store;
    struct chunk *read_chunk; /* where the next read goes; replaced when somebody kept a piece */
    struct chunk *wire_chunk; /* the same for streams with TLS, whose bytes it holds encrypted */
    struct slab writes;       /* uv_write_t for what the kernel did not take at once */
    struct list_node dirty;   /* streams to flush at the end of the turn */
    struct list_node patient; /* streams that wait for a quiet turn, see enum stream_when */
    struct list_node corked;  /* streams that wait to be uncorked, for CORK_MS at most */
    struct list_node unread;  /* struct tls: may go on reading */
    struct list_node parted;  /* streams that have written all, oldest first: see stream_part.c */
    uint32_t parted_count;
    uv_timer_t cork_timer, part_timer;
    bool cork_timed;
    uv_prepare_t flush;
    uv_idle_t hurry; /* active: the loop polls without sleeping */
    bool again;      /* another turn is wanted before the loop sleeps */
    uint32_t reads;  /* in this turn */
    uint32_t waited; /* turns that patient streams have waited in a row */
    void (*on_turn_end)(void *context);
    void *context;
    struct turn_watch *turn_watch; /* NULL: nobody asks how long turns take */
    uint32_t streams;              /* open ones */
    uint64_t turns;
    struct net_bytes bytes[NET_SIDES];
};

void net_open(struct net *net, uv_loop_t *loop, void (*on_turn_end)(void *context), void *context);
/* Closes the flush hook; net_free may follow once the loop has run empty and no stream is left. */
void net_close(struct net *net);
void net_free(struct net *net);

/* Another turn comes before the loop sleeps: for what was left over, or came up, at a turn's end.
 */
void net_hurry(struct net *net);

/* us of the monotonic clock, read at most once a turn. Whatever a read leads to may take net->clock
   as it is; timers ask here first. */
static inline uint64_t net_clock(struct net *net)
{
    if (STATISTICS && net->clock_old)
        net->clock = uv_hrtime() / 1000;
    net->clock_old = false;
    return net->clock;
}

/* libuv's error as one of base/error.h. */
int net_error(int uv_error);

#endif
