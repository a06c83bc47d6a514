/*
 * apply_across.h: a command of the stream between keys in several slots, done by this program in
 * steps, exactly once. Private to apply*.c.
 *
 *   begin -> MEASURE (how large is what has to be read) -> READ -> WRITE: one transaction in the
 *   destination's slot -> CLEAR: one in each other slot (what the command takes away there) -> done
 *
 * It runs at a barrier: all before it is answered, nothing behind it is sent until it is done. Each
 * transaction carries the marker of its slot (lane.h) with the command's offset. So after any break
 * the markers tell which steps are done; the others read what they need again, and nothing can have
 * changed it. When the destination's marker is older than another slot's, a master has lost what it
 * had answered, and the sources have gone on since: then the keys go into the repair set.
 *
 * Straight into a cluster and through slotgates alike. One plain Redis does the whole command
 * itself, in one transaction with all of the markers; a slotgate does those that have no steps
 * here (scripts, SORT with patterns), with the markers behind them. Without markers (--exactly off)
 * only a cluster needs the steps.
 */
#ifndef MIGRATE_APPLY_ACROSS_H
#define MIGRATE_APPLY_ACROSS_H

#include "migrate/apply.h"

struct across;

/* Works for that apply, which is open but for this; lives as long. */
struct across *across_new(struct apply *a);
void across_free(struct across *x);
/* Whether commands between slots go this way at all. */
bool across_is_used(const struct apply *a);
/* Whether there are steps for that command, or the target does without. */
bool across_knows(const struct apply *a, const struct command *cmd, const struct argv *argv);
/* The command at hand, with the target's names and in that database of the target's; copied. Tells
   its mark when it is done. Steps there are in database 0 only. */
void across_begin(struct across *x, const struct span *words, size_t count, uint16_t db);
bool across_is_busy(const struct across *x);
/* Takes the next steps if the last one is answered. In each turn, not from inside a done. */
void across_turn(struct across *x);
/* Forgets the command; target_drop has been called. */
void across_reset(struct across *x);

#endif
