/*
 * reach.h: closes the port while no master can be reached (option not-ready-after), so that a load
 * balancer's check tells the truth and this instance gets no new clients.
 *
 * Masters are sent a PING in turn, and all of them as long as none answers. Any reply counts. The
 * clients that are connected stay, and get their errors.
 */
#ifndef PROXY_REACH_H
#define PROXY_REACH_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct worker;

struct reach {
    uv_timer_t timer;
    uint64_t answered_at; /* ms of loop time */
    uint32_t turn;        /* which master is asked next */
    bool doubtful;        /* no answer since the last question */
    bool cut_off;         /* the port is closed because of this */
    bool closing;
};

void reach_open(struct worker *w);
void reach_close(struct worker *w);

#endif
