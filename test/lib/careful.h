/*
 * careful.h: clients that work without a pause and look before each command whether the server has
 * ended the connection, as the pools of most clients do.
 *
 * A server that closes them behind a reply loses them nothing; one that closes at any other time
 * meets some of them between the look and the arrival of the command.
 */
#ifndef TEST_LIB_CAREFUL_H
#define TEST_LIB_CAREFUL_H

#include <stdbool.h>
#include <stdint.h>

struct careful;

/* Each with a thread and a connection of its own; they GET keys. */
struct careful *careful_start(uint16_t port, int clients);
/* Whether all of them have had some replies; for wait_until. */
bool careful_work(void *careful);
/* Waits until each connection has ended, as the server wishes, and frees. How many lost a command,
   or -1 if one was not ended in time. */
int careful_end(struct careful *c, int timeout_ms);

#endif
