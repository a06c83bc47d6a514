/*
 * beside.h: the usual scene of a test: a real cluster, the proxy before it, and one plain Redis
 * beside them that says how one Redis answers.
 *
 * One scene per test program. What goes wrong while it is set up fails the program; what ends
 * unclean is noted as testenv_problem.
 */
#ifndef TEST_LIB_BESIDE_H
#define TEST_LIB_BESIDE_H

#include "test/lib/oracle.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"

extern struct redis_cluster cluster;
extern struct proxy proxy;
extern struct oracle oracle;

/* extra: more arguments of the proxy, the last one NULL; or NULL. */
void beside_start(const struct cluster_options *options, const char *const *extra);
/* The same without the plain Redis. */
void beside_start_alone(const struct cluster_options *options, const char *const *extra);

/* For cmocka: three masters and a proxy without more arguments; and the end of any scene. */
int beside_begin(void **state);
int beside_end(void **state);
/* The end of the proxy alone, for tests that start one each. */
int beside_end_proxy(void **state);

/* A client of the proxy and one of the plain Redis; and the end of both. Asserts. */
void beside_open(struct client *c, struct client *o);
void beside_close(struct client *c, struct client *o);

#endif
