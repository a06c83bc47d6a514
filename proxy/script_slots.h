/*
 * script_slots.h: scripts of this worker over common slots run one after the other.
 *
 * A script over several slots runs on copies and is begun again when a key has changed meanwhile;
 * many at a time on the same keys would do little else. Other workers and other clients are not
 * kept out: gather_script.c notices what they change.
 */
#ifndef PROXY_SCRIPT_SLOTS_H
#define PROXY_SCRIPT_SLOTS_H

#include "proxy/gather_keys.h"

/* Takes the slots of all keys, or none. */
MUST_USE bool script_slots_take(struct worker *w, const struct gather *g);
/* Runs that step of the op when slots have been given back. */
void script_slots_wait(struct op *op, op_step *next);
void script_slots_give_back(struct worker *w, const struct gather *g);

#endif
