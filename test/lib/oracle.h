/*
 * oracle.h: one plain redis-server, not in a cluster, to compare the proxy with.
 *
 * The proxy promises to answer as ONE Redis would; so the same request goes to both, and both
 * replies have to be the same bytes. All functions belong to the main thread and assert.
 */
#ifndef TEST_LIB_ORACLE_H
#define TEST_LIB_ORACLE_H

#include <stdint.h>

#include "test/lib/client.h"
#include "test/lib/process.h"

struct oracle {
    uint16_t port;
    struct process process;
};

void oracle_start(struct oracle *o);
/* The same with more arguments for redis-server; the list ends with NULL. Its file is
   testenv_dir()/oracle-PORT.rdb. */
void oracle_start_with(struct oracle *o, const char *const *extra);
void oracle_stop(struct oracle *o);

/* Sends the bytes to both and asserts that one and the same reply comes back. */
void oracle_compare(struct client *proxy, struct client *oracle, const char *bytes, size_t len);
/* The same for a request given as words with one space between them. */
void oracle_compare_words(struct client *proxy, struct client *oracle, const char *words);

/* Makes the request of words with one space between them; the caller frees it. */
char *request_of_words(const char *words, size_t *len);

#endif
