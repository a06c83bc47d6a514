#include "test/lib/moving.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/keyslot.h"
#include "test/lib/server.h"
#include "test/lib/testenv.h"

struct oracle source, target;
redisContext *from, *to, *nodes[3];
char source_at[32], target_at[32], proxy_at[32], seeds[512];

static void start_source(const char *server, const char *const *more)
{
    const char *words[32] = { "--repl-diskless-sync-delay", "0" };
    for (size_t n = 2; more != NULL && *more != NULL; n++) {
        REQUIRE(n + 1 < ARRAY_LEN(words));
        words[n] = *more++;
    }
    assert_true(server_use(server));
    oracle_start_with(&source, words);
    from = redis_open(source.port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", source.port);
}

static void start_cluster(const struct moving *scene)
{
    assert_true(server_use(scene->nodes_server));
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3,
                                                       .replicas = scene->replicas,
                                                       .extra = scene->nodes_with });
    cluster_seeds(&cluster, seeds);
    for (int i = 0; i < 3; i++)
        nodes[i] = redis_open(cluster.node[i].port);
}

void moving_start(const struct moving *scene)
{
    start_source(scene->source_server, scene->source);
    if ((scene->parts & MOVING_PLAIN) != 0) {
        assert_true(server_use(scene->target_server));
        oracle_start_with(&target, scene->target);
        to = redis_open(target.port);
        snprintf(target_at, sizeof(target_at), "127.0.0.1:%d", target.port);
    }
    if ((scene->parts & MOVING_CLUSTER) != 0)
        start_cluster(scene);
    if ((scene->parts & MOVING_PROXY) != 0) {
        proxy_start(&proxy, seeds, NULL);
        snprintf(proxy_at, sizeof(proxy_at), "127.0.0.1:%d", proxy.port);
    }
}

int moving_end(void **state)
{
    (void)state;
    redisFree(from);
    redisFree(to); /* may be NULL, as the nodes */
    for (int i = 0; i < 3; i++) {
        redisFree(nodes[i]);
        nodes[i] = NULL;
    }
    if (proxy.port != 0)
        proxy_stop(&proxy);
    cluster_stop(&cluster);
    if (to != NULL)
        oracle_stop(&target);
    oracle_stop(&source);
    from = to = NULL;
    return 0;
}

/* --- contents ------------------------------------------------------------------------------ */

static void empty(redisContext *r)
{
    if (r == NULL)
        return;
    redis_do(r, "FLUSHALL");
    redis_do(r, "FUNCTION FLUSH");
}

void moving_empty(void)
{
    empty(from);
    empty(to);
    for (int i = 0; i < 3; i++)
        empty(nodes[i]);
}

long long moving_keys(redisContext *r)
{
    redisReply *reply = redis_ask(r, "DBSIZE");
    long long n = reply->integer;
    freeReplyObject(reply);
    return n;
}

long long moving_cluster_keys(void)
{
    long long sum = 0;
    for (int i = 0; i < 3; i++)
        sum += moving_keys(nodes[i]);
    return sum;
}

redisContext *moving_node(const char *key, size_t len)
{
    int slot = keyslot_of((struct span){ key, len }), node = 0;
    while (slot > cluster.node[node].last_slot)
        node++;
    return nodes[node];
}

void moving_reopen(void)
{
    if (to != NULL)
        assert_int_equal(redisReconnect(to), REDIS_OK);
    for (int i = 0; i < 3; i++)
        if (nodes[i] != NULL)
            assert_int_equal(redisReconnect(nodes[i]), REDIS_OK);
}

static redisContext *plain_target(void *context, const char *key, size_t len)
{
    (void)context, (void)key, (void)len;
    return to;
}

static redisContext *node_of(void *context, const char *key, size_t len)
{
    (void)context;
    return moving_node(key, len);
}

void moving_expect_plain(void)
{
    assert_int_equal(every_type_compare(from, plain_target, NULL), moving_keys(to));
}

void moving_expect_cluster(void)
{
    assert_int_equal(every_type_compare(from, node_of, NULL), moving_cluster_keys());
}

void moving_expect_but_markers(bool plain)
{
    static const char *const markers[] = { "__mig:", NULL };
    every_type_compare(from, plain ? plain_target : node_of, NULL);
    if (plain)
        every_type_expect_no_more(from, to, markers);
    for (int i = 0; i < 3 && !plain; i++)
        every_type_expect_no_more(from, nodes[i], markers);
}

void moving_verify(void)
{
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "1");
}

/* --- one sync ------------------------------------------------------------------------------ */

bool moving_copied(void *m)
{
    return migrate_says(m, "full copy done") > 0;
}

bool moving_went_on(void *m)
{
    return migrate_says(m, "the stream goes on") > 0;
}

bool moving_caught_up(void *unused)
{
    (void)unused;
    redisReply *reply = redis_ask(from, "WAIT 1 200");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

void moving_begin(struct migrate *m, const char *const *words)
{
    migrate_start(m, words);
    migrate_await(m, "full copy done", 1);
}

/* What the source knows to be applied; -1: nobody follows it. */
static long long acknowledged(void)
{
    static const char field[] = ",offset=";
    redisReply *reply = redis_ask(from, "INFO replication");
    const char *at = strstr(reply->str, field);
    long long offset = at != NULL ? atoll(at + sizeof(field) - 1) : -1;
    freeReplyObject(reply);
    return offset;
}

void moving_catch_up(const struct migrate *m)
{
    long long before, now = -1;
    redis_do(from, "SET the-last-one yes");
    do { /* much may have to be sent again; it must only not stand still */
        before = now;
        if (wait_until(moving_caught_up, NULL, scaled_ms(30000)))
            return;
        now = acknowledged();
    } while (now > before);
    char *log = file_text(m->process.err);
    fail_msg("it does not catch up: %.5000s", log != NULL ? log : "");
}

void moving_finish(struct migrate *m)
{
    moving_catch_up(m);
    migrate_stop(m, 0);
}
