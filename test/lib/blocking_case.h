/*
 * blocking_case.h: scripts with clients that wait, run through the proxy and on one Redis; both
 * have to say the same. All functions belong to the main thread and assert.
 *
 * A line of a script begins with who speaks, and goes on with words with one space between them:
 *   "1< BLPOP k 0"   client 1 sends, and waits (clients 1 to 4)
 *   "1>"             client 1 gets its reply, which is compared
 *   "1= PING"        client 1 sends and gets its reply
 *   "= RPUSH k a"    another client does
 *   "# 2"            until two clients are blocked
 *   "~ CLIENT UNBLOCK %1 ERROR"  as "=", with the id of client 1 for %1
 */
#ifndef TEST_LIB_BLOCKING_CASE_H
#define TEST_LIB_BLOCKING_CASE_H

#include "test/lib/oracle.h"

void blocking_compare(uint16_t proxy, uint16_t oracle, const char *const *lines, size_t count);

/* A number of INFO; -1 when it is not there. */
long blocking_info(uint16_t port, const char *name);
/* Asserts that as many clients are blocked, soon. */
void blocking_await(uint16_t port, long count);

#endif
