/*
 * slotgate-migrate sync while its source fails over, under write load: a replica that is promoted,
 * a replica that gets another master, a master behind a name that leads to its successor. The
 * stream goes on under the new id; nothing is lost, nothing has its effect twice.
 *
 * SLOTGATE_SEED: other times.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/chance.h"
#include "test/lib/every_type.h"
#include "test/lib/ledger.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { SERVERS = 3 };

static struct redis_cluster cluster;
static struct oracle servers[SERVERS]; /* 0: the master; the others follow it */
static redisContext *at[SERVERS];
static char seeds[512];

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    cluster_seeds(&cluster, seeds);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

/* --- the servers --------------------------------------------------------------------------- */

static bool is_linked(void *arg)
{
    redisReply *info = redis_ask(arg, "INFO replication");
    bool yes = strstr(info->str, "master_link_status:up") != NULL;
    freeReplyObject(info);
    return yes;
}

static bool is_master(void *arg)
{
    redisReply *info = redis_ask(arg, "INFO replication");
    bool yes = strstr(info->str, "role:master") != NULL;
    freeReplyObject(info);
    return yes;
}

static void servers_start(void)
{
    static const char *const words[] = { "--repl-diskless-sync-delay", "0", "--repl-backlog-size",
                                         "100mb", NULL };
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "FLUSHALL");
    for (int i = 0; i < SERVERS; i++) {
        oracle_start_with(&servers[i], words);
        at[i] = redis_open(servers[i].port);
    }
    every_type_fill(at[0], false);
    for (int i = 1; i < SERVERS; i++) {
        redis_do(at[i], "REPLICAOF 127.0.0.1 %d", servers[0].port);
        assert_true(wait_until(is_linked, at[i], scaled_ms(20000)));
    }
}

static void servers_stop(void)
{
    for (int i = 0; i < SERVERS; i++) {
        redisFree(at[i]);
        oracle_stop(&servers[i]);
    }
}

/* --- one sync ------------------------------------------------------------------------------ */

static char last[32];

static bool has_the_last(void *arg)
{
    (void)arg;
    redisReply *reply = cluster_ask(&cluster, cluster_owner(&cluster, cluster_slot("the-last-one")),
                                    "GET the-last-one");
    bool yes = reply != NULL && reply->type == REDIS_REPLY_STRING && strcmp(reply->str, last) == 0;
    freeReplyObject(reply);
    return yes;
}

/* The target gets all that this server has, the program ends well, and nothing differs. */
static void end(struct migrate *m, int server)
{
    char source[32];
    static int number;
    snprintf(last, sizeof(last), "end-%d", number++);
    redis_do(at[server], "SET the-last-one %s", last);
    if (!wait_until(has_the_last, NULL, scaled_ms(20000))) {
        char *log = file_text(m->process.err);
        fail_msg("it does not catch up: %.4000s", log);
    }
    migrate_stop(m, 0);
    snprintf(source, sizeof(source), "127.0.0.1:%d", servers[server].port);
    migrate_expect_good("verify", source, "--target-cluster", seeds, "--rounds", "1");
}

/* --- tests --------------------------------------------------------------------------------- */

/* The source is a replica; its master dies under load, and it becomes the master. The program is
   killed right behind that: the next one has to know the new id. */
static void test_replica_is_promoted(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 200, .mortal = true }, more = { .rest_us = 200 };
    char source[32];
    (void)state;
    servers_start();
    snprintf(source, sizeof(source), "127.0.0.1:%d", servers[1].port);
    const char *const words[] = { "sync", source,        "--target-cluster",  seeds, "--name",
                                  "one",  "--state-dir", migrate_state_dir(), NULL };
    ledger_begin(&load, servers[0].port);
    migrate_start(&m, words);
    migrate_await(&m, "full copy done", 1);
    rest_us((int)chance_below(100000));
    process_kill(&servers[0].process);
    ledger_end(&load);
    redis_do(at[1], "REPLICAOF NO ONE");
    ledger_begin(&more, servers[1].port);
    migrate_await(&m, "the stream goes on", 1);
    rest_us((int)chance_below(30000));
    process_kill(&m.process);
    migrate_start(&m, words);
    migrate_await(&m, "the stream goes on", 1);
    rest_us((int)chance_below(100000));
    ledger_end(&more);
    end(&m, 1);
    migrate_free(&m);
    servers_stop();
}

/* The source stays a replica, of another master. Its first one had selected another database, which
   the stream does not say again. */
static void test_replica_gets_another_master(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 200, .mortal = true }, more = { .rest_us = 200 };
    char source[32];
    (void)state;
    servers_start();
    snprintf(source, sizeof(source), "127.0.0.1:%d", servers[2].port);
    redis_do(at[0], "SELECT 3");
    redis_do(at[0], "SET selected yes");
    redis_do(at[0], "WAIT 2 1000");
    migrate_start(&m, (const char *const[]){ "sync", source, "--target-cluster", seeds, "--db",
                                             "only:0", "--state-dir", migrate_state_dir(), NULL });
    migrate_await(&m, "full copy done", 1);
    redis_do(at[0], "SET elsewhere yes"); /* not in database 0 */
    ledger_begin(&load, servers[0].port);
    rest_us((int)chance_below(100000));
    redis_do(at[0], "FAILOVER TO 127.0.0.1 %d", servers[1].port);
    assert_true(wait_until(is_master, at[1], scaled_ms(20000)));
    ledger_end(&load);
    ledger_begin(&more, servers[1].port);
    redis_do(at[2], "REPLICAOF 127.0.0.1 %d", servers[1].port);
    migrate_await(&m, "the stream goes on", 1);
    rest_us((int)chance_below(100000));
    ledger_end(&more);
    end(&m, 1);
    assert_int_equal(migrate_count(&m, "commands, other database"), 1);
    migrate_free(&m);
    servers_stop();
}

/* --- behind a name ------------------------------------------------------------------------- */

struct balancer {
    struct process process;
    uint16_t port;
};

/* At first it takes all for masters. */
static bool leads_to_the_master(void *arg)
{
    const struct balancer *b = arg;
    char *log = file_text(b->process.err);
    int n = 0;
    for (char *p = log; p != NULL && (p = strstr(p, " is DOWN")) != NULL; p++)
        n++;
    free(log);
    return n == SERVERS - 1;
}

/* Leads to the one that says that it is the master, as is usual before a Redis with replicas. */
static void balancer_start(struct balancer *b)
{
    static int number;
    char text[2048], name[32];
    snprintf(name, sizeof(name), "haproxy-%d", number++); /* its own log */
    b->port = port_take();
    int n = snprintf(text, sizeof(text),
                     "defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n"
                     " timeout server 1m\n"
                     "listen redis\n bind 127.0.0.1:%d\n timeout check 5s\n option tcp-check\n"
                     " tcp-check send info\\ replication\\r\\n\n"
                     " tcp-check expect string role:master\n"
                     " default-server check inter 50 fall 1 rise 1"
                     " on-marked-down shutdown-sessions\n",
                     b->port);
    for (int i = 0; i < SERVERS; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, " server s%d 127.0.0.1:%d\n", i,
                      servers[i].port);
    const char *const argv[] = { "haproxy", "-db", "-f", testenv_file("haproxy.cfg", text), NULL };
    assert_true(process_start(&b->process, name, argv, NULL));
    assert_true(wait_until(leads_to_the_master, b, scaled_ms(10000)));
}

static void balancer_stop(struct balancer *b)
{
    process_kill(&b->process);
    port_give_back(b->port);
}

/* It follows under the id of this server: a Redis knows the last two only, and it may have gone on
   at one that was about to give way. */
static void await_id_of(const struct migrate *m, int server)
{
    static const char field[] = "master_replid:";
    char said[100];
    redisReply *info = redis_ask(at[server], "INFO replication");
    const char *id = strstr(info->str, field);
    assert_non_null(id);
    snprintf(said, sizeof(said), "\"the stream goes on\" id=%.40s", id + sizeof(field) - 1);
    freeReplyObject(info);
    migrate_await(m, said, 1);
}

/* To and fro: each hands over to the other one, under load. */
static void test_master_behind_a_name(void **state)
{
    struct migrate m;
    struct balancer b;
    struct ledger loads[3] = { { .rest_us = 200, .mortal = true },
                               { .rest_us = 200, .mortal = true },
                               { .rest_us = 200 } };
    char source[32];
    (void)state;
    servers_start();
    balancer_start(&b);
    snprintf(source, sizeof(source), "127.0.0.1:%d", b.port);
    migrate_start(&m, (const char *const[]){ "sync", source, "--target-cluster", seeds,
                                             "--state-dir", migrate_state_dir(), NULL });
    ledger_begin(&loads[0], servers[0].port);
    migrate_await(&m, "full copy done", 1);
    for (int i = 0; i < 2; i++) {
        rest_us((int)chance_below(100000));
        int to = (i + 1) % 2;
        redis_do(at[i % 2], "FAILOVER TO 127.0.0.1 %d", servers[to].port);
        assert_true(wait_until(is_master, at[to], scaled_ms(20000)));
        ledger_end(&loads[i]);
        ledger_begin(&loads[i + 1], servers[to].port);
        assert_true(wait_until(is_linked, at[1 - to], scaled_ms(20000)));
        await_id_of(&m, to);
    }
    rest_us((int)chance_below(100000));
    ledger_end(&loads[2]);
    end(&m, 0);
    migrate_free(&m);
    balancer_stop(&b);
    servers_stop();
}

/* A replica is promoted while its master still takes writes, and so lacks what we have: that is
   lost at the source, and so it has to be at the target. */
static void test_promoted_too_early(void **state)
{
    struct migrate m;
    struct balancer b;
    struct ledger load = { .rest_us = 200, .mortal = true }, more = { .rest_us = 200 };
    char source[32];
    (void)state;
    servers_start();
    balancer_start(&b);
    snprintf(source, sizeof(source), "127.0.0.1:%d", b.port);
    migrate_start(&m, (const char *const[]){ "sync", source, "--target-cluster", seeds,
                                             "--state-dir", migrate_state_dir(),
                                             "--allow-full-resync", "--only-source", NULL });
    migrate_await(&m, "full copy done", 1);
    redis_do(at[1], "REPLICAOF NO ONE");
    ledger_begin(&load, servers[0].port);
    redis_do(at[0], "SET the-last-one only-here");
    snprintf(last, sizeof(last), "only-here");
    assert_true(wait_until(has_the_last, NULL, scaled_ms(20000)));
    rest_us((int)chance_below(100000));
    ledger_end(&load);
    process_kill(&servers[0].process);
    ledger_begin(&more, servers[1].port);
    migrate_await(&m, "full copy done", 2);
    rest_us((int)chance_below(100000));
    ledger_end(&more);
    end(&m, 1);
    assert_true(migrate_count(&m, "keys removed that vanished") > 0);
    migrate_free(&m);
    balancer_stop(&b);
    servers_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replica_is_promoted),
        cmocka_unit_test(test_replica_gets_another_master),
        cmocka_unit_test(test_master_behind_a_name),
        cmocka_unit_test(test_promoted_too_early),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
