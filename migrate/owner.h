/*
 * owner.h: says at the target who is at work there, so that two programs with one source never
 * write to it at the same time, and how far the work has come.
 *
 *   __mig:NAME:owner   the token of the process, with a time to live of some seconds
 *   __mig:NAME:lwm     WORK HISTORY:OFFSET, once a second; stays. WORK is the token of the process
 *                      that began: by it a later one knows that this is its target
 *
 * Life: owner_open -> owner_claim -> on_claimed, once -> owner_tick once a second -> owner_close.
 */
#ifndef MIGRATE_OWNER_H
#define MIGRATE_OWNER_H

#include "migrate/lane.h"
#include "migrate/state.h"

struct owner_user {
    void (*on_claimed)(void *context, const char *why); /* why: NULL when it is ours */
    void (*on_lost)(void *context, const char *why);    /* somebody else has it */
};

struct owner {
    struct target *target;
    const struct owner_user *user;
    void *context;
    char token[STATE_TOKEN_LEN + 1];  /* ours */
    char before[STATE_TOKEN_LEN + 1]; /* of the process that we take over from; "": none */
    char work[STATE_TOKEN_LEN + 1];
    char key[LANE_MARKER_MAX], lwm_key[LANE_MARKER_MAX];
    struct writer reply, lwm;
    uv_timer_t timer;
    const char *why;
    uint32_t awaited; /* answers of the claim */
    bool goes_on;     /* with the work of an earlier process */
    bool asking, closing;
};

/* marker: as in lane.h. before, work: from the state that is gone on with, or "". */
void owner_open(struct owner *o, struct net *net, struct target *target, const char *marker,
                const char *before, const char *work, const struct owner_user *user, void *context);
void owner_claim(struct owner *o);
/* After target_drop: no answer comes any more. */
void owner_forget(struct owner *o);
/* history: 8 letters; "" before it is known. */
void owner_tick(struct owner *o, const char *history, uint64_t applied);
void owner_close(struct owner *o);
/* When the loop has run empty. */
void owner_free(struct owner *o);

#endif
