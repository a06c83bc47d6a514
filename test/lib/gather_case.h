/*
 * gather_case.h: what the tests of commands over several slots share. All functions belong to the
 * main thread and assert.
 */
#ifndef TEST_LIB_GATHER_CASE_H
#define TEST_LIB_GATHER_CASE_H

#include "test/lib/beside.h"

/* For cmocka: the scene of beside.h, in which a request has a second and the slots of a master that
   is away are the only ones that are not served. */
int gather_begin(void **state);
/* gather_compare of that proxy and that Redis, and nothing temporary is left. */
void gather_compare_all(const char *const *words, size_t count);

/* Sends each line of words to the proxy and to one Redis, in RESP2 and again in RESP3; the replies
   have to be the same bytes. Both are emptied before each round. */
void gather_compare(uint16_t proxy_port, uint16_t oracle_port, const char *const *words,
                    size_t count);

/* No living node holds a temporary key, soon. */
void gather_nothing_left(struct redis_cluster *c);

/* Puts the words to the client and reads the reply as a number; -1 when it is none. */
long long gather_number(struct client *c, const char *words);

#endif
