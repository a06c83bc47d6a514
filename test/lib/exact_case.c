#include "test/lib/exact_case.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "cluster/keyslot.h"
#include "test/lib/every_type.h"
#include "test/lib/testenv.h"

enum { MASTERS = 3 };

static const char *const debug[] = { "--enable-debug-command",
                                     "yes",
                                     "--repl-diskless-sync-delay",
                                     "0",
                                     "--repl-backlog-size",
                                     "200mb",
                                     "--cluster-node-timeout",
                                     "3000",
                                     NULL };

int exact_master(struct exact_case *e, int but)
{
    int node = but;
    while (node < 0 || node == but)
        node = cluster_owner(&e->cluster, (int)exact_below(e, CLUSTER_SLOTS));
    return node;
}

unsigned exact_below(struct exact_case *e, unsigned n)
{
    e->random_state = e->random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(e->random_state >> 33) % n;
}

int exact_number_from(const char *variable, int fallback)
{
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? atoi(text) : fallback;
}

void exact_start(struct exact_case *e)
{
    e->random_state = (uint64_t)exact_number_from("SLOTGATE_SEED", 1);
    e->points = exact_number_from("SLOTGATE_POINTS", 4);
    oracle_start_with(&e->source, debug);
    cluster_start(&e->cluster,
                  &(struct cluster_options){ .masters = MASTERS, .replicas = 1, .extra = debug });
    cluster_seeds(&e->cluster, e->seeds);
    e->from = redis_open(e->source.port);
    snprintf(e->source_at, sizeof(e->source_at), "127.0.0.1:%d", e->source.port);
}

void exact_stop(struct exact_case *e)
{
    if (e->from != NULL)
        redisFree(e->from);
    cluster_stop(&e->cluster);
    oracle_stop(&e->source);
}

/* --- comparing ----------------------------------------------------------------------------- */

struct view {
    struct exact_case *e;
    redisContext *masters[MASTERS];
    int ports[MASTERS];
    int owner_of[CLUSTER_SLOTS];
};

static void learn_owners(struct view *v)
{
    redisReply *reply = NULL;
    for (int n = 0; n < v->e->cluster.count && reply == NULL; n++)
        if (v->e->cluster.node[n].process.pid != 0)
            reply = cluster_ask(&v->e->cluster, n, "CLUSTER SLOTS");
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

/* Keys of the target that the source has not, but for the program's own: markers, and temporary
   keys of one that was killed. */
static void expect_nothing_else(struct exact_case *e, redisContext *r)
{
    redisReply *keys = redis_ask(r, "KEYS *");
    for (size_t i = 0; i < keys->elements; i++) {
        const char *key = keys->element[i]->str;
        if (strncmp(key, "__mig:", 6) == 0 || strstr(key, "}slotgate:migrate:") != NULL)
            continue;
        redisReply *there = redis_ask(e->from, "EXISTS %b", key, keys->element[i]->len);
        if (there->integer != 1)
            fail_msg("the target has %s, the source has not", key);
        freeReplyObject(there);
    }
    freeReplyObject(keys);
}

void exact_expect_same(struct exact_case *e)
{
    struct view v = { .e = e };
    learn_owners(&v);
    assert_true(every_type_compare(e->from, node_of, &v) > 0);
    for (int i = 0; i < MASTERS; i++) {
        if (v.masters[i] == NULL)
            continue;
        expect_nothing_else(e, v.masters[i]);
        redisFree(v.masters[i]);
    }
}

/* A master that hung for long in an earlier test may still have to learn that it is none. */
void exact_empty(struct exact_case *e)
{
    cluster_await_settled(&e->cluster, 20000);
    redis_do(e->from, "FLUSHALL");
    for (int n = 0; n < e->cluster.count; n++)
        if (e->cluster.node[n].process.pid != 0 && cluster_is_master(&e->cluster, n))
            cluster_do(&e->cluster, n, "FLUSHALL");
}

/* --- one sync ------------------------------------------------------------------------------ */

const char *exact_state_dir(void)
{
    static char path[256];
    static int number;
    snprintf(path, sizeof(path), "%s/state-%d", testenv_dir(), number++);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    return path;
}

bool exact_copied(void *m)
{
    return migrate_says(m, "full copy done") > 0;
}

bool exact_copies(void *m)
{
    return migrate_says(m, "full copy begins") > 0 || migrate_says(m, "the stream goes on") > 0;
}

bool exact_follows(void *m)
{
    return migrate_says(m, "full copy done") > 0 || migrate_says(m, "the stream goes on") > 0;
}

bool exact_goes_back(void *m)
{
    return migrate_says(m, "sending the stream again") > 0;
}

bool exact_caught_up(void *arg)
{
    struct exact_case *e = arg;
    redisReply *reply = redis_ask(e->from, "WAIT 1 2000");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

void exact_finish(struct exact_case *e, struct migrate *m)
{
    redis_do(e->from, "SET the-last-one yes");
    if (!wait_until(exact_caught_up, e, scaled_ms(20000)))
        fail_msg("it does not catch up; see its log");
    process_signal(&m->process, SIGTERM);
    migrate_wait(m, 30000);
    if (m->code != 0) {
        fprintf(stderr, "%s%s", m->err, m->out);
        fail_msg("exit code %d", m->code);
    }
}

/* --- a failover that loses writes ---------------------------------------------------------- */

/* How much a master has written to its replicas. */
static long long stream_of(struct exact_case *e, int master)
{
    static const char field[] = "master_repl_offset:";
    redisReply *reply = cluster_ask(&e->cluster, master, "INFO replication");
    assert_non_null(reply);
    const char *at = strstr(reply->str, field);
    assert_non_null(at);
    long long bytes = strtoll(at + sizeof(field) - 1, NULL, 10);
    freeReplyObject(reply);
    return bytes;
}

struct lead {
    struct exact_case *of;
    int master;
    long long from;
};

static bool is_ahead(void *arg)
{
    const struct lead *l = arg;
    return stream_of(l->of, l->master) > l->from + 100000;
}

/* A replica takes over that hangs behind its master: what the master has answered meanwhile is
   lost. The replica's own buffer holds it, but the takeover comes before most of that is read. */
void exact_take_over(struct exact_case *e)
{
    int master = exact_master(e, -1), replica = cluster_replica_of(&e->cluster, master);
    redisContext *r = redis_open(e->cluster.node[replica].port);
    void *reply = NULL;
    int done = 0;
    cluster_stop_node(&e->cluster, replica);
    struct lead lead = { e, master, stream_of(e, master) };
    assert_true(wait_until(is_ahead, &lead, scaled_ms(20000)));
    assert_int_equal(redisAppendCommand(r, "CLUSTER FAILOVER TAKEOVER"), REDIS_OK);
    while (done == 0)
        assert_int_equal(redisBufferWrite(r, &done), REDIS_OK);
    cluster_continue_node(&e->cluster, replica);
    assert_int_equal(redisGetReply(r, &reply), REDIS_OK);
    freeReplyObject(reply);
    redisFree(r);
    cluster_await_master(&e->cluster, replica, 20000);
    cluster_await_settled(&e->cluster, 20000);
}
