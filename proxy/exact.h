/*
 * exact.h: clients that have to know what became of their commands, as slotgate-migrate has: those
 * that have asked who serves them (PROXY FENCE).
 *
 * What they send goes only over connections to nodes that were there when they were admitted: as
 * soon as another one is ready, and before anything goes out on it, they are ended, and what of
 * theirs has not left is dropped. So whoever ends this worker's connections at the nodes (PROXY
 * FENCE ... FORCE) ends all that these clients have sent, even if this worker hangs or is cut off,
 * and goes on later with requests of theirs that it has not even read.
 */
#ifndef PROXY_EXACT_H
#define PROXY_EXACT_H

#include "proxy/client.h"

/* Answers PROXY FENCE once there are connections to all masters, so that the client is not ended
   right away; gives what a local_command gives. */
bool exact_admit(struct client *c, const struct argv *argv);
/* router->on_link; context: the worker. */
void exact_on_link(void *context, struct link *l);

#endif
