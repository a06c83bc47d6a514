/*
 * leaving.h: how a worker drains.
 *
 *   for good (SIGTERM, or its supervisor is gone): the port closes and refuses; who waits in its
 *   queue is still served once; idle clients are closed at once, those at work behind a reply (see
 *   parting.h), and who is owed something all the time is read no further after a moment
 *
 *   to a successor (SIGUSR2): somebody else accepts from the same sockets, which stay as they are;
 *   clients are served on, and closed once they have been quiet for a while; those that never are,
 *   behind a reply after three eighths of shutdown-timeout, or anyhow after half of it
 *
 * Whatever is still open at shutdown-timeout is closed then.
 */
#ifndef PROXY_LEAVING_H
#define PROXY_LEAVING_H

#include <stdbool.h>
#include <uv.h>

struct worker;

enum leaving_how { LEAVE_FOR_GOOD, LEAVE_TO_SUCCESSOR };

struct leaving {
    uv_timer_t deadline, sweep;
    uint64_t began; /* ms of loop time */
    enum leaving_how how;
};

void leaving_open(struct worker *w);
void leaving_close(struct worker *w);

/* The first call counts. */
void leaving_start(struct worker *w, enum leaving_how how);

#endif
