/*
 * turn_watch.h: tells of turns of the loop in which this program was busy for long.
 *
 * A turn lasts from when the kernel had something, or a timer was due, until everything has been
 * written; the time that the loop sleeps is not in it. A turn that reads bytes is known to the
 * microsecond, any other to 2 ms, and never appears longer than it was.
 *
 * Opened once the net is open, closed before net_close. One that is not started costs nothing.
 */
#ifndef NET_TURN_WATCH_H
#define NET_TURN_WATCH_H

#include "net/net.h"

struct turn_watch {
    uv_check_t polled;
    struct net *net;
    uint64_t began; /* us of the monotonic clock; 0: not known */
    uint32_t least_us;
    void (*on_long_turn)(void *context, uint32_t us); /* at its end; must not close the net */
    void *context;
};

void turn_watch_open(struct turn_watch *t, struct net *net,
                     void (*on_long_turn)(void *context, uint32_t us), void *context);
/* From the present turn on, those that take so long; UINT32_MAX stops it. */
void turn_watch_set(struct turn_watch *t, uint32_t least_us);
void turn_watch_close(struct turn_watch *t);

/* For net.c: everything has been written. */
void turn_watch_over(struct turn_watch *t);

#endif
