#include "test/lib/exact_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/keyslot.h"
#include "test/lib/every_type.h"
#include "test/lib/testenv.h"

enum { MASTERS = 3 };

static const char *const backlog[] = { "--repl-backlog-size", "200mb", NULL };
static const char *const patient[] = { "--repl-backlog-size", "200mb", "--cluster-node-timeout",
                                       "3000", NULL };

int exact_start(void **state)
{
    (void)state;
    moving_start(&(struct moving){
        .parts = MOVING_CLUSTER, .replicas = 1, .source = backlog, .nodes_with = patient });
    return 0;
}

int exact_points(void)
{
    return chance_points(4);
}

int exact_master(int but)
{
    int node = but;
    while (node < 0 || node == but)
        node = cluster_owner(&cluster, (int)chance_below(CLUSTER_SLOTS));
    return node;
}

void exact_append_much(int round)
{
    enum { KEYS = 150, BYTES = 60000 };
    static char text[BYTES];
    memset(text, 'a' + round, sizeof(text));
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(redisAppendCommand(from, "APPEND much:%d %b", i, text, sizeof(text)),
                         REDIS_OK);
    for (int i = 0; i < KEYS; i++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

/* --- comparing ----------------------------------------------------------------------------- */

struct view {
    redisContext *masters[MASTERS];
    int ports[MASTERS];
    int owner_of[CLUSTER_SLOTS];
};

static void learn_owners(struct view *v)
{
    redisReply *reply = NULL;
    for (int n = 0; n < cluster.count && reply == NULL; n++)
        if (cluster.node[n].process.pid != 0)
            reply = cluster_ask(&cluster, n, "CLUSTER SLOTS");
    assert_non_null(reply);
    for (size_t i = 0; i < reply->elements; i++) {
        redisReply **range = reply->element[i]->element;
        for (long long slot = range[0]->integer; slot <= range[1]->integer; slot++)
            v->owner_of[slot] = (int)range[2]->element[1]->integer;
    }
    freeReplyObject(reply);
}

static redisContext *open_master(struct view *v, int port)
{
    for (int i = 0; i < MASTERS; i++) {
        if (v->masters[i] == NULL) {
            v->masters[i] = redis_open((uint16_t)port);
            v->ports[i] = port;
        }
        if (v->ports[i] == port)
            return v->masters[i];
    }
    fail_msg("more than three masters");
    return NULL;
}

static redisContext *node_of(void *context, const char *key, size_t len)
{
    struct view *v = context;
    return open_master(v, v->owner_of[keyslot_of((struct span){ key, len })]);
}

void exact_expect_same(void)
{
    /* Markers, and temporary keys of one that was killed. */
    static const char *const own[] = { "__mig:", "}slotgate:migrate:", NULL };
    struct view v = { .ports = { 0 } };
    learn_owners(&v);
    assert_true(every_type_compare(from, node_of, &v) > 0);
    for (int i = 0; i < MASTERS; i++) {
        if (v.masters[i] == NULL)
            continue;
        every_type_expect_no_more(from, v.masters[i], own);
        redisFree(v.masters[i]);
    }
}

/* A master that hung for long in an earlier test may still have to learn that it is none. */
void exact_empty(void)
{
    cluster_await_settled(&cluster, 20000);
    redis_do(from, "FLUSHALL");
    for (int n = 0; n < cluster.count; n++)
        if (cluster.node[n].process.pid != 0 && cluster_is_master(&cluster, n))
            cluster_do(&cluster, n, "FLUSHALL");
}

/* --- one sync ------------------------------------------------------------------------------ */

bool exact_goes_back(void *m)
{
    return migrate_says(m, "sending the stream again") > 0;
}

void exact_finish(struct migrate *m)
{
    moving_finish(m);
    migrate_free(m);
    exact_expect_same();
}

/* --- a failover that loses writes ---------------------------------------------------------- */

/* How much a master has written to its replicas. */
static long long stream_of(int master)
{
    static const char field[] = "master_repl_offset:";
    redisReply *reply = cluster_ask(&cluster, master, "INFO replication");
    assert_non_null(reply);
    const char *at = strstr(reply->str, field);
    assert_non_null(at);
    long long bytes = strtoll(at + sizeof(field) - 1, NULL, 10);
    freeReplyObject(reply);
    return bytes;
}

struct lead {
    int master;
    long long from;
};

static bool is_ahead(void *arg)
{
    const struct lead *l = arg;
    return stream_of(l->master) > l->from + 100000;
}

/* A replica takes over that hangs behind its master: what the master has answered meanwhile is
   lost. The replica's own buffer holds it, but the takeover comes before most of that is read. */
void exact_replace_master(void)
{
    int master = exact_master(-1), replica = cluster_replica_of(&cluster, master);
    redisContext *r = redis_open(cluster.node[replica].port);
    void *reply = NULL;
    int done = 0;
    cluster_stop_node(&cluster, replica);
    struct lead lead = { master, stream_of(master) };
    assert_true(wait_until(is_ahead, &lead, scaled_ms(20000)));
    assert_int_equal(redisAppendCommand(r, "CLUSTER FAILOVER TAKEOVER"), REDIS_OK);
    while (done == 0)
        assert_int_equal(redisBufferWrite(r, &done), REDIS_OK);
    cluster_continue_node(&cluster, replica);
    assert_int_equal(redisGetReply(r, &reply), REDIS_OK);
    freeReplyObject(reply);
    redisFree(r);
    cluster_await_master(&cluster, replica, 20000);
}

void exact_take_over(void)
{
    exact_replace_master();
    cluster_await_settled(&cluster, 20000);
}
