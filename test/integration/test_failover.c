/*
 * Nodes die, hang and come back: what can be served goes on being served, the rest gets an error
 * within its deadline, and all of it works again without a restart of the proxy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/load.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { DEADLINE_MS = 2000 };

static const char *const quick[] = { "--request-timeout", "2s", NULL };

static struct redis_cluster cluster;
static struct proxy proxy, second;

static int start(void **state)
{
    char seeds[512];

    (void)state;
    /* partial: a shard without a master must not take the others out of service. */
    cluster_start(&cluster,
                  &(struct cluster_options){ .masters = 3, .replicas = 1, .partial = true });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), quick);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    return 0;
}

struct probe {
    struct client *c;
    const char *key;
};

/* Whether a SET goes through now; asserts that there is an answer within the deadline at all. */
static bool key_is_served(void *arg)
{
    struct probe *p = arg;
    uint64_t began = now_ms();
    const char *reply = client_ask(p->c, "SET", p->key, "v", NULL);

    assert_non_null(reply);
    assert_in_range(now_ms() - began, 0, scaled_ms(DEADLINE_MS + 1000));
    return strcmp(reply, "+OK\r\n") == 0;
}

/* Whether keys of all three shards are served. */
static bool all_is_served(void *arg)
{
    for (int i = 0; i < 3; i++) {
        char key[64];
        struct probe p = { arg, cluster_key(&cluster, i, 0, "probe", key) };
        if (!key_is_served(&p))
            return false;
    }
    return true;
}

static void await_service(struct client *c, int timeout_ms)
{
    uint64_t began = now_ms();

    if (!wait_until(all_is_served, c, timeout_ms))
        fail_msg("not all shards are served again");
    fprintf(stderr, "served again after %d ms\n", (int)(now_ms() - began));
}

static void test_master_killed_under_load(void **state)
{
    char key[64];
    int slot = cluster_slot(cluster_key(&cluster, 0, 0, "", key));
    struct client c;

    (void)state;
    struct load *load = load_start(&(struct load_options){ .port = proxy.port, .lossy = true });
    bool flows = load_goes_on(load, 1000, scaled_ms(5000));
    int master = cluster_owner(&cluster, slot), replica = cluster_replica_of(&cluster, master);
    assert_true(replica >= 0);
    cluster_kill_node(&cluster, master);
    assert_true(client_open(&c, proxy.port));
    /* The nodes need node-timeout (1.5 s) to notice, and about a second to vote. */
    await_service(&c, scaled_ms(10000));
    flows = flows && load_goes_on(load, 1000, scaled_ms(10000));
    cluster_restart_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
    flows = flows && load_goes_on(load, 1000, scaled_ms(5000));
    assert_true(cluster_is_master(&cluster, replica));
    load_stop(load);
    load_check(load, &cluster);
    assert_true(flows);
    client_close(&c);
}

/* One node hangs and nobody takes over. */
static void test_node_hangs(void **state)
{
    char hung_key[64], fine_key[64], counter[64];
    struct client asking, writing, others;

    (void)state;
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG SET cluster-replica-no-failover yes");
    cluster_key(&cluster, 1, 0, "hung", hung_key);
    cluster_key(&cluster, 1, 0, "counter", counter);
    cluster_key(&cluster, 2, 0, "fine", fine_key);
    int hung = cluster_owner(&cluster, cluster_slot(hung_key));
    assert_true(client_open(&asking, proxy.port));
    assert_true(client_open(&writing, proxy.port));
    assert_true(client_open(&others, proxy.port));
    client_ask_expect(&others, "+OK\r\n", "SET", hung_key, "v");
    client_ask_expect(&others, "+OK\r\n", "SET", fine_key, "v");

    cluster_stop_node(&cluster, hung);
    uint64_t began = now_ms(), slowest = 0;
    assert_true(client_send_command(&asking, "GET", hung_key, NULL));
    assert_true(client_send_command(&writing, "INCR", counter, NULL));
    assert_true(client_send_command(&writing, "GET", fine_key, NULL));
    while (now_ms() - began < DEADLINE_MS / 2) { /* while both still wait */
        uint64_t asked = now_ms();
        client_ask_expect(&others, "$1\r\nv\r\n", "GET", fine_key);
        slowest = now_ms() - asked > slowest ? now_ms() - asked : slowest;
        rest_us(2000); /* the pace */
    }
    /* One that had to wait behind them would have waited until the deadline of the first. */
    assert_in_range(slowest, 0, DEADLINE_MS / 2 - 1);
    client_expect_start(&asking, "-");
    const char *reply = client_expect_start(&writing, "-ERR slotgate: ");
    assert_non_null(strstr(reply, "may have been executed"));
    client_expect(&writing, "$1\r\nv\r\n");
    assert_in_range(now_ms() - began, DEADLINE_MS / 2, scaled_ms(DEADLINE_MS + 1000));
    /* The same again, now that the proxy has seen it hang: still one error each, in time. */
    began = now_ms();
    assert_true(client_send_command(&asking, "GET", hung_key, NULL));
    client_expect_start(&asking, "-");
    assert_in_range(now_ms() - began, 0, scaled_ms(DEADLINE_MS + 1000));

    cluster_continue_node(&cluster, hung);
    await_service(&others, scaled_ms(15000));
    cluster_await_settled(&cluster, 20000);
    client_ask_expect(&asking, "$1\r\nv\r\n", "GET", hung_key);
    assert_in_range(cluster_number(&cluster, hung, "GET %s", counter) + 1, 0, 2);
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG SET cluster-replica-no-failover no");
    client_close(&asking);
    client_close(&writing);
    client_close(&others);
}

/* A node that hangs for less than the deadline costs its clients time and nothing else. */
static void test_short_hang(void **state)
{
    char key[64];
    struct client c;

    (void)state;
    cluster_key(&cluster, 2, 0, "short", key);
    int node = cluster_owner(&cluster, cluster_slot(key));
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, "0");
    cluster_stop_node(&cluster, node);
    for (int i = 0; i < 10; i++)
        assert_true(client_send_command(&c, "INCR", key, NULL));
    assert_true(client_hears_nothing(&c, 400));
    cluster_continue_node(&cluster, node);
    for (int i = 1; i <= 10; i++) {
        char wanted[16];
        client_expect_bytes(&c, wanted, (size_t)snprintf(wanted, sizeof(wanted), ":%d\r\n", i));
    }
    client_close(&c);
}

static void test_all_nodes_away_and_back(void **state)
{
    char key[64];
    struct client c;

    (void)state;
    cluster_key(&cluster, 0, 0, "away", key);
    assert_true(client_open(&c, proxy.port));
    await_service(&c, scaled_ms(5000));
    for (int n = 0; n < cluster.count; n++)
        cluster_kill_node(&cluster, n);
    for (int i = 0; i < 2; i++) {
        uint64_t began = now_ms();
        assert_true(client_send_command(&c, "GET", key, NULL));
        assert_true(client_send_command(&c, "SET", key, "x", NULL));
        client_expect_start(&c, "-ERR slotgate: ");
        client_expect_start(&c, "-ERR slotgate: ");
        assert_in_range(now_ms() - began, 0, scaled_ms(DEADLINE_MS + 1000));
    }
    client_ask_expect(&c, "+PONG\r\n", "PING");
    for (int n = 0; n < cluster.count; n++)
        cluster_restart_node(&cluster, n);
    await_service(&c, scaled_ms(15000));
    cluster_await_settled(&cluster, 20000);
    client_close(&c);
}

static void test_some_seeds_down(void **state)
{
    char seeds[128];
    uint16_t dead[2] = { port_take(), port_take() };
    struct client c;

    (void)state;
    snprintf(seeds, sizeof(seeds), "127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", dead[0], dead[1],
             cluster.node[4].port);
    proxy_start(&second, seeds, quick);
    assert_true(client_open(&c, second.port));
    await_service(&c, scaled_ms(5000));
    client_close(&c);
    /* A seed that hangs is not even refused; it must not hold up the others. */
    assert_true(proxy_stop(&second));
    snprintf(seeds, sizeof(seeds), "127.0.0.1:%d,127.0.0.1:%d", cluster.node[5].port,
             cluster.node[3].port);
    cluster_stop_node(&cluster, 5);
    proxy_launch(&second, seeds, quick, NULL);
    proxy_await_ready(&second, scaled_ms(8000));
    cluster_continue_node(&cluster, 5);
}

/* It waits for the cluster instead of leaving, and listens only once it can serve: a node that has
   come back alone tells a whole map, but it says cluster_state:fail. */
static void test_started_before_the_cluster(void **state)
{
    char seeds[512], one[64];
    struct client c;

    (void)state;
    for (int n = 0; n < cluster.count; n++)
        cluster_kill_node(&cluster, n);
    proxy_launch(&second, cluster_seeds(&cluster, seeds), quick, NULL);
    cluster_restart_node(&cluster, 0);
    cluster_key(&cluster, 0, 0, "", one);
    assert_false(client_open(&c, second.port)); /* one node of six is no cluster */
    client_close(&c);
    for (int n = 1; n < cluster.count; n++)
        cluster_restart_node(&cluster, n);
    proxy_await_ready(&second, scaled_ms(20000));
    assert_true(client_open(&c, second.port));
    await_service(&c, scaled_ms(15000));
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_hang),
        cmocka_unit_test(test_master_killed_under_load),
        cmocka_unit_test(test_node_hangs),
        cmocka_unit_test(test_all_nodes_away_and_back),
        cmocka_unit_test_teardown(test_some_seeds_down, after_each),
        cmocka_unit_test_teardown(test_started_before_the_cluster, after_each),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
