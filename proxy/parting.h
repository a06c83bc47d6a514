/*
 * parting.h: closing a client when it hurts least: between its requests, when nothing is owed to
 * it, nothing of it waits to be read, and it has no state here that would be lost in silence.
 *
 * Redis's protocol has no way to say goodbye first, so a client that sends just then sees its
 * connection end all the same. Hence one that is at work is told to part, and is closed right
 * behind a reply, whose packet then carries the end as well: most clients look for it before they
 * use a connection again. One that has said nothing for PARTING_QUIET_MS is closed as it is.
 */
#ifndef PROXY_PARTING_H
#define PROXY_PARTING_H

#include <stdbool.h>

struct client;
struct worker;

enum { PARTING_QUIET_MS = 100 };

bool parting_is_possible(const struct client *c);

/* From now on c is closed with why behind a reply that leaves nothing owed to it. Does not call
   back. */
void parting_begin(struct client *c, int why);
/* For a client that is parting, when its turn ends: closes it, or leaves it for the next reply. */
void parting_behind_reply(struct client *c);

/* Lets clients part that are older than max-connection-age; cheap when none is. To be called often.
 */
void parting_of_the_old(struct worker *w);

#endif
