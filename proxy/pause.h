/*
 * pause.h: CLIENT PAUSE and UNPAUSE, for the clients of all workers; each worker has its own pause.
 *
 * A command that is held stays in its client's input, and the client is read no further, until the
 * time is over or CLIENT UNPAUSE. worker->attention is set meanwhile. As in Redis, everything is
 * held, CLIENT UNPAUSE too, unless the mode is WRITE.
 */
#ifndef PROXY_PAUSE_H
#define PROXY_PAUSE_H

#include <uv.h>

#include "proxy/client.h"

struct worker;

struct pause {
    uv_timer_t timer;
    uint64_t until; /* ms of loop time; 0: not paused */
    bool all;       /* not only what may write */
};

void pause_open(struct worker *w);
void pause_close(struct worker *w);
/* Pauses for so long, or makes the pause longer and stricter. */
void pause_begin(struct worker *w, uint64_t ms, bool all);
bool pause_holds(const struct client *c, const struct command *cmd);

#endif
