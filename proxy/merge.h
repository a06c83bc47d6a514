/*
 * merge.h: the replies of a group's parts become the one reply of the command.
 *
 * By the row's merge rule; an error in any part is the whole reply, byte for byte (promise 4). When
 * several parts failed, the first in the caller's order speaks.
 */
#ifndef PROXY_MERGE_H
#define PROXY_MERGE_H

#include "proxy/client.h"

/* All parts of the group at the head of the client's flow are answered: sends the merged reply and
   releases them. */
void merge_group(struct client *c);

#endif
