/*
 * run.h: what every command of the program stands on: a loop, its net, and the signals that end it.
 */
#ifndef MIGRATE_RUN_H
#define MIGRATE_RUN_H

#include "net/net.h"

enum { RUN_SIGNALS = 3 };

struct run {
    uv_loop_t loop;
    struct net net;
    uv_signal_t signals[RUN_SIGNALS];
    bool told;                      /* to stop */
    void (*on_stop)(void *context); /* SIGINT, SIGTERM, or the terminal is gone */
    void *context;
};

void run_open(struct run *r, void (*on_turn_end)(void *context), void (*on_stop)(void *context),
              void *context);
/* The caller has closed all that is its own; then the loop runs empty. */
void run_close(struct run *r);
/* Behind the loop. Nothing may be left in it. */
void run_free(struct run *r);

#endif
