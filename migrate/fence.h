/*
 * fence.h: makes sure that nothing that was sent to the target earlier is executed later.
 *
 * A connection that was lost, or whose program was killed, may have bytes in the server's buffers,
 * which the server would still execute. Our connections bear a name that they have before their
 * first command (login.h); so each server is asked for CLIENT LIST, and CLIENT KILL ends those of
 * that name: a server executes nothing of a connection that it has ended. Each has to be a master,
 * too: a map that says so of one that is none any more is too old to judge by.
 *
 * Through slotgates there are two ways to a server's buffers. Each connection was told at its login
 * which worker of which slotgate serves it; that worker is looked for, and PROXY FENCE makes it end
 * our old connections and answer when nothing of them is under way. One that cannot be found in
 * many tries is gone, hangs, or is cut off from us: any other one then ends its connections to the
 * nodes (PROXY FENCE ... FORCE), and it uses no other ones for what it still has of ours.
 *
 * One try: done comes once, unless fence_close comes before.
 */
#ifndef MIGRATE_FENCE_H
#define MIGRATE_FENCE_H

#include "migrate/target.h"

/* why: NULL when the fence stands. */
typedef void fence_done(void *context, const char *why);

struct fence {
    struct net *net;
    const struct target_options *options;
    fence_done *done;
    void *context;
    struct list_node talks; /* with one server each */
    uv_timer_t timer;
    uint64_t began; /* ms of loop time */
    uint32_t open;
    bool running, closing;
    char why[192]; /* the first failure */
};

void fence_open(struct fence *f, struct net *net, const struct target_options *options);
/* All masters of the target, as it knows them now. Not while one is running. */
void fence_start(struct fence *f, const struct target *target, fence_done *done, void *context);
/* f must live until the loop has run empty. */
void fence_close(struct fence *f);

#endif
