/*
 * --not-ready-after: while no master answers, the port refuses, so that a load balancer takes this
 * instance out; it listens again when one does. Clients that are connected stay.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static void start_proxy(const char *after)
{
    char seeds[512];
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--workers", "2", "--not-ready-after", after,
                                       "--tcp-backlog", "4096", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", 2, scaled_ms(5000));
}

static int stop_proxy(void **state)
{
    (void)state;
    for (int n = 0; n < cluster.count; n++)
        cluster_continue_node(&cluster, n);
    proxy_stop(&proxy);
    cluster_await_settled(&cluster, 20000);
    return 0;
}

static bool accepts(void)
{
    struct client c;
    bool open = client_open(&c, proxy.port);
    client_close(&c);
    return open;
}

static bool refuses(void *arg)
{
    (void)arg;
    return !accepts();
}

static bool answers(void *arg)
{
    (void)arg;
    return proxy_answers(&proxy);
}

static void test_no_master(void **state)
{
    struct client c;

    (void)state;
    start_proxy("1s");
    assert_true(client_open(&c, proxy.port));
    for (int round = 0; round < 2; round++) {
        client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
        for (int n = 0; n < cluster.count; n++)
            cluster_stop_node(&cluster, n);
        assert_true(accepts()); /* not at once: it may only be a moment */
        assert_true(wait_until(refuses, NULL, scaled_ms(5000)));
        client_ask_expect(&c, "+PONG\r\n", "PING"); /* this one stays */
        cluster_continue_node(&cluster, 1);
        assert_true(wait_until(answers, NULL, scaled_ms(6000)));
        cluster_continue_node(&cluster, 0);
        cluster_continue_node(&cluster, 2);
        cluster_await_settled(&cluster, 20000);
    }
    client_close(&c);
}

/* One master that answers is enough. */
static void test_one_master_is_left(void **state)
{
    (void)state;
    start_proxy("1s");
    cluster_stop_node(&cluster, 0);
    cluster_stop_node(&cluster, 2);
    assert_false(wait_until(refuses, NULL, 3000));
}

/* Off, as it is by default: the port stays open whatever happens. */
static void test_off(void **state)
{
    (void)state;
    start_proxy("0");
    for (int n = 0; n < cluster.count; n++)
        cluster_stop_node(&cluster, n);
    assert_false(wait_until(refuses, NULL, 3000));
}

/* A worker that dies meanwhile is replaced by one that does not listen before it can serve, and
   nobody waits in its queue. */
static void test_a_worker_dies_meanwhile(void **state)
{
    pid_t pids[2];

    (void)state;
    start_proxy("0");
    for (int n = 0; n < cluster.count; n++)
        cluster_stop_node(&cluster, n);
    assert_int_equal(proxy_workers(&proxy, pids, 2), 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    assert_true(wait_until(refuses, NULL, scaled_ms(8000)));
    for (int n = 0; n < cluster.count; n++)
        cluster_continue_node(&cluster, n);
    assert_true(wait_until(answers, NULL, scaled_ms(10000)));
}

#define READY(test) cmocka_unit_test_teardown(test, stop_proxy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READY(test_no_master),
        READY(test_one_master_is_left),
        READY(test_off),
        READY(test_a_worker_dies_meanwhile),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
