/*
 * gather_case.h: what the tests of commands over several slots share. All functions belong to the
 * main thread and assert.
 */
#ifndef TEST_LIB_GATHER_CASE_H
#define TEST_LIB_GATHER_CASE_H

#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"

/* Sends each line of words to the proxy and to one Redis, in RESP2 and again in RESP3; the replies
   have to be the same bytes. Both are emptied before each round. */
void gather_compare(uint16_t proxy, uint16_t oracle, const char *const *words, size_t count);

/* No living node holds a temporary key, soon. */
void gather_nothing_left(struct redis_cluster *c);

/* Puts the words to the client and reads the reply as a number; -1 when it is none. */
long long gather_number(struct client *c, const char *words);

#endif
