/*
 * slow_link.h: a way to a server that takes its time: every byte arrives so many milliseconds later
 * on the other side, in both directions, whatever its connection. May cut all connections at once.
 *
 * A thread of its own. slow_link_open and slow_link_close assert and belong to the main thread.
 */
#ifndef TEST_LIB_SLOW_LINK_H
#define TEST_LIB_SLOW_LINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct slow_link {
    uint16_t port, to; /* where it listens; the server */
    int delay_ms;
    int listener;
    pthread_t thread;
    atomic_bool stop, cut;
};

void slow_link_open(struct slow_link *l, uint16_t to, int delay_ms);
/* Ends all connections; new ones are taken. Done when it returns. */
void slow_link_cut(struct slow_link *l);
void slow_link_close(struct slow_link *l);

#endif
