/*
 * sockets.h: what lies in the sockets of this machine, for tests that stop a server and have to
 * know what has come to it meanwhile. From /proc/net/tcp; any thread.
 */
#ifndef TEST_LIB_SOCKETS_H
#define TEST_LIB_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes that the server at this port of 127.0.0.1 has not read yet, of all its connections. */
long sockets_unread(uint16_t port);

/* For wait_until; arg: struct sockets_at. */
struct sockets_at {
    uint16_t port;
    long more_than; /* bytes */
    /* Of sockets_are_still: */
    long last;
    uint64_t since; /* ms: when it was seen to change */
};
bool sockets_hold(void *at);      /* more than that lie there */
bool sockets_are_still(void *at); /* and nothing more has come for a fifth of a second */

#endif
