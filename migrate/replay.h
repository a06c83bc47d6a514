/*
 * replay.h: which commands may be executed again without harm.
 *
 * A command is absolute when what it leaves does not depend on what was there: a run of absolute
 * commands that is executed again from its beginning, whatever part of it was executed before,
 * leaves the same. SET is, INCR is not. Pure.
 */
#ifndef MIGRATE_REPLAY_H
#define MIGRATE_REPLAY_H

#include <stdbool.h>

#include "resp/span.h"

/* words: the command as it goes to the target. Unknown ones are not absolute. */
bool replay_is_absolute(const struct span *words, size_t count);
/* Whether an error of an absolute command only says that it was executed before, or that a later
   one was: the type of the key is another by then, the entry is there. */
bool replay_is_expected(const char *error);
/* Whether an error tells nothing of the command itself: it was not executed, or nobody knows. What
   is behind it is the state of the cluster, a proxy or a connection, so it may be tried again. */
bool replay_is_needed(const char *error);

/* Keys that this program keeps at a target for itself are no data: their names begin with "__mig:",
   or with a hash tag and "slotgate:migrate:" for those that it builds others under (build.h). */
bool replay_is_own_key(struct span key);

#endif
