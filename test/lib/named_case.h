/*
 * named_case.h: a sync with a name, a state directory and an admin socket into the plain target of
 * moving.h, which takes a new full copy when it must; for tests of long pauses and of sources that
 * begin anew.
 */
#ifndef TEST_LIB_NAMED_CASE_H
#define TEST_LIB_NAMED_CASE_H

#include "test/lib/moving.h"

extern char named_state[220], named_socket[260];

/* The setup of the group; moving_end is its end. */
int named_start(void **state);
/* Everything is empty, and state and socket are new. */
void named_begin(void);
/* more: further options, the last one NULL; or NULL. */
void named_sync(struct migrate *m, const char *const *more);
void named_count_up(int times);
/* All has arrived; ends it, and compares. */
void named_finish(struct migrate *m);

#endif
