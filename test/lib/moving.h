/*
 * moving.h: the usual scene of slotgate-migrate's tests: a source, a plain target, and a cluster
 * with a proxy before it; what one sync does there; and the comparison of both ends.
 *
 * One scene per test program. What is not asked for is not started, and its connections are NULL.
 * The cluster and the proxy are those of beside.h. A test with servers of its own may set from, to
 * and the addresses itself. All of it asserts.
 */
#ifndef TEST_LIB_MOVING_H
#define TEST_LIB_MOVING_H

#include <stdbool.h>

#include "test/lib/beside.h"
#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"

enum moving_part { MOVING_PLAIN = 1, MOVING_CLUSTER = 2, MOVING_PROXY = 4 };

struct moving {
    unsigned parts; /* enum moving_part; MOVING_PROXY needs MOVING_CLUSTER */
    int replicas;   /* of each master */
    /* More arguments of the source, the plain target and the cluster's nodes, the last one NULL; or
       NULL. */
    const char *const *source, *const *target, *const *nodes_with;
    const char *source_server, *target_server, *nodes_server; /* what they run, as by server_use */
};

extern struct oracle source, target;       /* source replicates at once, without a delay */
extern redisContext *from, *to, *nodes[3]; /* nodes: the first three, masters in the beginning */
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
/* Connects anew to the targets, after all connections there were cut. */
void moving_reopen(void);

/* The plain target, or the cluster, has what the source has and nothing else. */
void moving_expect_plain(void);
void moving_expect_cluster(void);
/* The same, but markers may stand there: a sync that has been killed leaves them. */
void moving_expect_but_markers(bool plain);
/* slotgate-migrate verify finds no difference between the source and the cluster. */
void moving_verify(void);

/* A sync whose full copy is done; and its end, when all that the source has written is applied.
   The caller frees m. */
void moving_begin(struct migrate *m, const char *const *words);
void moving_finish(struct migrate *m);
/* All that `from` has written is applied. It writes one key more: WAIT counts what this client has
   written. */
void moving_catch_up(const struct migrate *m);
/* For wait_until. The first two look into the log of a struct migrate; the last one asks the source
   itself, and counts what `from` has written. */
bool moving_copied(void *m);
bool moving_went_on(void *m);
bool moving_caught_up(void *unused);

#endif
