/*
 * exact_case.h: a source, a cluster of three masters with a replica each, and what must be the same
 * at both after a sync, for tests that break everything in between.
 *
 * The scene is that of moving.h, but slots and masters move here: ask for the keys' nodes as below.
 * SLOTGATE_SEED chooses the times and SLOTGATE_POINTS how many there are (./dev chaos migrate).
 */
#ifndef TEST_LIB_EXACT_CASE_H
#define TEST_LIB_EXACT_CASE_H

#include <stdbool.h>

#include "test/lib/chance.h"
#include "test/lib/moving.h"

/* All of these assert. */

/* For cmocka; the end is moving_end. */
int exact_start(void **state);
/* How many times things are broken. */
int exact_points(void);
/* One that is a master now, but not that one; -1: any. */
int exact_master(int but);

/* Source and cluster. */
void exact_empty(void);
/* More than a server or a proxy reads at once, to keys "much:N"; other bytes for each round. */
void exact_append_much(int round);
/* Every key of the source is at the cluster and the other way round, with the same content. */
void exact_expect_same(void);
/* All of the source is applied, the program ends well, and that holds. */
void exact_finish(struct migrate *m);

/* For wait_until; arg: struct migrate. */
bool exact_goes_back(void *m); /* a part of the stream is sent again */

/* A replica of any master takes over, and lacks what that has answered in the last moments. */
void exact_replace_master(void);
/* The same, until all nodes are well with it. */
void exact_take_over(void);

#endif
