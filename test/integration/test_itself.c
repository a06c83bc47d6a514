/*
 * slotgate-migrate whose target is the source: what it wrote would come back in the stream, for
 * ever. It says so and writes nothing but its own keys, whatever the server is called.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static const char refusal[] = "the target is the source itself, or a replica or master of it";

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){
        .parts = MOVING_PLAIN | MOVING_CLUSTER,
        .target = (const char *const[]){ "--repl-diskless-sync-delay", "0", NULL } });
    redis_do(from, "SET number 1");
    return 0;
}

static void expect_refused(const char *const *words)
{
    struct migrate m;
    migrate_start(&m, words);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    if (strstr(m.err, refusal) == NULL && strstr(m.out, refusal) == NULL)
        fail_msg("%s%s", m.err, m.out);
    assert_non_null(strstr(strstr(m.err, refusal) != NULL ? m.err : m.out, "name the server that"));
    migrate_free(&m);
}

#define EXPECT_REFUSED(...)                                                                        \
    expect_refused((const char *const[]){ __VA_ARGS__, "--spool-dir", testenv_dir(), NULL })

/* None has had a replica yet, so none has a history. */
static void test_same_server(void **state)
{
    char name[32], node[32];
    (void)state;
    snprintf(name, sizeof(name), "localhost:%d", source.port);
    snprintf(node, sizeof(node), "127.0.0.1:%d", cluster.node[0].port);
    EXPECT_REFUSED("sync", source_at, name);
    EXPECT_REFUSED("sync", source_at, name, "--exactly", "off");
    EXPECT_REFUSED("scan", source_at, name);
    EXPECT_REFUSED("sync", source_at, name, "--dry-run");
    EXPECT_REFUSED("sync", node, "--target-cluster", seeds);
    redisReply *info = redis_ask(from, "INFO stats");
    assert_non_null(strstr(info->str, "sync_full:0"));
    freeReplyObject(info);
}

static bool is_linked(void *arg)
{
    (void)arg;
    redisReply *info = redis_ask(to, "INFO replication");
    bool yes = strstr(info->str, "master_link_status:up") != NULL;
    freeReplyObject(info);
    return yes;
}

static void test_replica_of_the_target(void **state)
{
    (void)state;
    redis_do(to, "REPLICAOF 127.0.0.1 %d", source.port);
    assert_true(wait_until(is_linked, NULL, scaled_ms(20000)));
    EXPECT_REFUSED("sync", target_at, source_at, "--exactly", "off");
    EXPECT_REFUSED("sync", source_at, target_at, "--exactly", "off");
    redis_do(to, "REPLICAOF NO ONE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_server),
        cmocka_unit_test(test_replica_of_the_target),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
