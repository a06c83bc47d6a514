/* takeover_crew.h: a crew as items of a baton, and back. */
#ifndef PROXY_TAKEOVER_CREW_H
#define PROXY_TAKEOVER_CREW_H

#include "proxy/baton.h"
#include "proxy/crew.h"

/* Adds the crew's sockets, inboxes, processes and elders. The descriptors stay the crew's. */
void takeover_add_crew(struct baton *b, const struct crew *crew);
/* Makes the crew of that generation out of its items, and takes their descriptors. False: there is
   none, or something is missing; crew_close is due all the same. */
MUST_USE bool takeover_read_crew(struct crew *crew, const struct baton *b, uint32_t generation);

#endif
