/*
 * exact.h: clients that have to know what became of their commands, as slotgate-migrate has: those
 * that have asked who serves them (PROXY FENCE).
 *
 * What they send goes only over connections to nodes that were there when they were admitted: as
 * soon as another one is ready, and before anything goes out on it, they are ended, and what of
 * theirs has not left is dropped. So whoever ends this worker's connections at the nodes (PROXY
 * FENCE ... FORCE) ends all that these clients have sent, even if this worker hangs or is cut off,
 * and goes on later with requests of theirs that it has not even read.
 *
 * A node that becomes a master may lack what its predecessor had answered. So they are ended, too,
 * when there is such a one, before anything goes to it: they find out what it has first.
 */
#ifndef PROXY_EXACT_H
#define PROXY_EXACT_H

#include "proxy/client.h"

/* Answers PROXY FENCE once there are connections to all masters, so that the client is not ended
   right away; gives what a local_command gives. */
bool exact_admit(struct client *c, const struct argv *argv);
/* router->on_link and on_master; context: the worker. */
void exact_on_link(void *context, struct link *l);
void exact_on_master(void *context);
/* At the end of a turn, before anything is sent. */
void exact_turn(struct worker *w);

#endif
