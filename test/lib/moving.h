/*
 * moving.h: the usual scene of slotgate-migrate's tests: a source, a plain target, and a cluster
 * with a proxy before it; what one sync does there; and the comparison of both ends.
 *
 * One scene per test program. What is not asked for is not started, and its connections are NULL.
 * The cluster and the proxy are those of beside.h. All of it asserts.
 */
#ifndef TEST_LIB_MOVING_H
#define TEST_LIB_MOVING_H

#include "test/lib/beside.h"
#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"

enum moving_part { MOVING_PLAIN = 1, MOVING_CLUSTER = 2, MOVING_PROXY = 4 };

struct moving {
    unsigned parts; /* enum moving_part; MOVING_PROXY needs MOVING_CLUSTER */
    /* More arguments of the source and of the cluster's nodes, the last one NULL; or NULL. */
    const char *const *source, *const *nodes_with;
};

extern struct oracle source, target; /* source replicates at once, without a delay */
extern redisContext *from, *to, *nodes[3];
extern char source_at[32], target_at[32], proxy_at[32]; /* HOST:PORT */
extern char seeds[512];

void moving_start(const struct moving *scene);
int moving_end(void **state);

/* All servers, functions included. */
void moving_empty(void);
long long moving_keys(redisContext *r);
long long moving_cluster_keys(void);
/* The node by the first shares: no slot moves here, so nobody has to be asked. */
redisContext *moving_node(const char *key, size_t len);
/* The plain target, or the cluster, has what the source has and nothing else. */
void moving_expect_plain(void);
void moving_expect_cluster(void);

/* A sync whose full copy is done; and its end, when all that the source has written is applied.
   The caller frees m. */
void moving_begin(struct migrate *m, const char *const *words);
void moving_finish(struct migrate *m);
/* For wait_until. The first two look into the log of a struct migrate; the last one asks the source
   itself, and counts what `from` has written. */
bool moving_copied(void *m);
bool moving_went_on(void *m);
bool moving_caught_up(void *unused);

#endif
