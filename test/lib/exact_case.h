/*
 * exact_case.h: a source, a cluster of three masters with a replica each, and what must be the same
 * at both after a sync, for tests that break everything in between.
 *
 * SLOTGATE_SEED chooses the times and SLOTGATE_POINTS how many there are (./dev chaos migrate).
 */
#ifndef TEST_LIB_EXACT_CASE_H
#define TEST_LIB_EXACT_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"

struct exact_case {
    struct redis_cluster cluster;
    struct oracle source;
    redisContext *from; /* at the source */
    char seeds[512], source_at[32];
    uint64_t random_state;
    int points;
};

/* All of these assert. */

void exact_start(struct exact_case *e);
void exact_stop(struct exact_case *e);
/* 0..n-1, for chances and moments; the same ones for the same seed. */
unsigned exact_below(struct exact_case *e, unsigned n);
/* One that is a master now, but not that one; -1: any. */
int exact_master(struct exact_case *e, int but);
/* The number in that variable of the environment. */
int exact_number_from(const char *variable, int fallback);

/* Source and cluster. */
void exact_empty(struct exact_case *e);
/* Every key of the source is at the cluster and the other way round, with the same content. */
void exact_expect_same(struct exact_case *e);

/* A new directory for --state-dir. The path lives until the next call. */
const char *exact_state_dir(void);

/* For wait_until; arg: struct migrate. */
bool exact_copied(void *m);    /* the full copy is done */
bool exact_copies(void *m);    /* it has begun, or the stream goes on */
bool exact_follows(void *m);   /* the stream is followed */
bool exact_goes_back(void *m); /* a part of it is sent again */

bool exact_caught_up(void *e); /* all that e->from has written is applied; arg: the case itself */

/* Waits until all of the source is applied, ends the program and expects the exit code 0. */
void exact_finish(struct exact_case *e, struct migrate *m);

/* A replica of any master takes over, and lacks what that has answered in the last moments. */
void exact_take_over(struct exact_case *e);

#endif
