/*
 * crowd.h: many clients at once, and which worker serves each.
 */
#ifndef TEST_LIB_CROWD_H
#define TEST_LIB_CROWD_H

#include <stdint.h>

#include "test/lib/client.h"

enum { CROWD_WORKERS_MAX = 16 };

/* Connects them all; each has sent nothing. Asserts. */
void crowd_open(struct client *c, int count, uint16_t port);
void crowd_close(struct client *c, int count);
/* Each sends that command, then each must get that reply. Asserts. */
void crowd_send(struct client *c, int count, const char *word);
void crowd_expect(struct client *c, int count, const char *reply);

/* The number after "name:" in INFO slotgate or INFO server; asserts. */
long long client_info(struct client *c, const char *section, const char *name);
/* Connects one client to each of so many workers, in the order of these. Asserts. */
void crowd_open_on_each(struct client *c, int workers, uint16_t port);
/* How many of them each worker serves; gives the largest. */
int crowd_spread(struct client *c, int count, int per_worker[CROWD_WORKERS_MAX]);

#endif
