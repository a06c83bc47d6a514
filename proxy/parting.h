/*
 * parting.h: closing a client when it hurts least: between its requests, when nothing is owed to
 * it, nothing of it waits to be read, and it has no state here that would be lost in silence.
 *
 * A client that sends just then sees its connection end all the same. Redis's protocol has no way
 * to say goodbye first.
 */
#ifndef PROXY_PARTING_H
#define PROXY_PARTING_H

#include <stdbool.h>

struct client;
struct worker;

bool parting_is_possible(const struct client *c);

/* Closes clients that are older than max-connection-age; cheap when none is. To be called often. */
void parting_of_the_old(struct worker *w);

#endif
