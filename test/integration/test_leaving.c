/*
 * SIGTERM: the proxy takes no new clients, finishes what was asked, closes its clients and leaves
 * with 0, whatever they are doing. Every way to be connected has its test, each with a new proxy.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test/lib/careful.h"
#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/load.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 2 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static int before_each(void **state)
{
    char seeds[512];

    (void)state;
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), NULL);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    for (int n = 0; n < cluster.count; n++)
        cluster_continue_node(&cluster, n);
    proxy_stop(&proxy);
    return 0;
}

static void test_without_clients(void **state)
{
    (void)state;
    assert_true(proxy_stop(&proxy));
}

static void test_with_idle_clients(void **state)
{
    enum { CLIENTS = 50 };
    static struct client c[CLIENTS];

    (void)state;
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&c[i], proxy.port));
        if (i % 2 == 0)
            client_ask_expect(&c[i], "+PONG\r\n", "PING");
        if (i % 3 == 0)
            client_ask_expect(&c[i], "+OK\r\n", "WATCH", i % 2 == 0 ? "a" : "b");
        if (i % 5 == 0)
            client_ask_expect(&c[i], "+OK\r\n", "MULTI");
    }
    assert_true(proxy_stop(&proxy));
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_sees_end(&c[i]));
        client_close(&c[i]);
    }
}

static bool refuses(void *arg)
{
    struct client c;
    bool refused = !client_open(&c, proxy.port);

    (void)arg;
    client_close(&c);
    return refused;
}

/* A node that hangs keeps a request on the way. It is answered before the proxy leaves, and new
   clients are refused meanwhile. */
static void test_with_requests_on_the_way(void **state)
{
    char key[64];
    struct client c;

    (void)state;
    cluster_key(&cluster, 0, 0, "leaving", key);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, "1");
    cluster_stop_node(&cluster, 0);
    assert_true(client_send_command(&c, "INCR", key, NULL));
    assert_true(client_send_command(&c, "ECHO", "behind", NULL));
    assert_true(client_hears_nothing(&c, 100));
    process_signal(&proxy.process, SIGTERM);
    assert_true(wait_until(refuses, NULL, scaled_ms(2000)));
    assert_true(client_hears_nothing(&c, 100));
    cluster_continue_node(&cluster, 0);
    client_expect(&c, ":2\r\n");
    client_expect(&c, "$6\r\nbehind\r\n");
    assert_true(client_sees_end(&c));
    assert_true(process_wait(&proxy.process, scaled_ms(10000)));
    assert_int_equal(proxy.process.exit_code, 0);
    proxy.port = 0;
    client_close(&c);
}

/* EXEC in several phases, of which a part of the reply is out: the rest comes, too. */
static void test_inside_exec(void **state)
{
    char key[64];
    struct client c;

    (void)state;
    cluster_key(&cluster, 0, 0, "exec", key);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "DBSIZE");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", key, "1");
    client_ask_expect(&c, "+QUEUED\r\n", "DBSIZE");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", key);
    cluster_stop_node(&cluster, 0);
    assert_true(client_send_command(&c, "EXEC", NULL));
    assert_false(client_hears_nothing(&c, scaled_ms(5000))); /* the header */
    process_signal(&proxy.process, SIGTERM);
    assert_true(wait_until(refuses, NULL, scaled_ms(2000)));
    cluster_continue_node(&cluster, 0);
    const char *reply = client_expect_start(&c, "*4\r\n:");
    assert_non_null(strstr(reply, "\r\n+OK\r\n:"));
    assert_string_equal(reply + strlen(reply) - 4, ":2\r\n");
    assert_true(client_sees_end(&c));
    assert_true(process_wait(&proxy.process, scaled_ms(10000)));
    assert_int_equal(proxy.process.exit_code, 0);
    proxy.port = 0;
    client_close(&c);
}

/* A node that never answers cannot keep it for ever: the request's own deadline ends it. */
static void test_with_a_node_that_hangs(void **state)
{
    char key[64];
    struct client c;

    (void)state;
    cluster_key(&cluster, 0, 0, "leaving", key);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, "1");
    cluster_stop_node(&cluster, 0);
    assert_true(client_send_command(&c, "GET", key, NULL));
    assert_true(client_hears_nothing(&c, 100));
    uint64_t began = now_ms();
    assert_true(proxy_stop(&proxy));
    assert_in_range(now_ms() - began, 0, scaled_ms(8000)); /* --request-timeout is 5s */
    cluster_continue_node(&cluster, 0);
    client_close(&c);
    cluster_await_settled(&cluster, 20000);
}

static void test_with_half_requests(void **state)
{
    static const char *const halves[] = { "*", "*2\r\n$3\r\nGE",
                                          "*2\r\n$3\r\nGET\r\n$900000\r\nxxx",
                                          "GET inline-without-end" };
    struct client c[ARRAY_LEN(halves)];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        assert_true(client_open(&c[i], proxy.port));
        client_ask_expect(&c[i], "+PONG\r\n", "PING");
        assert_true(client_send_text(&c[i], halves[i]));
    }
    assert_true(proxy_stop(&proxy));
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        assert_true(client_sees_end(&c[i]));
        client_close(&c[i]);
    }
}

/* A client that never reads its replies cannot keep it either. */
static void test_with_a_client_that_does_not_read(void **state)
{
    static const char *const hurry[] = { "--shutdown-timeout", "2s", NULL };
    char key[64], seeds[512], *value = malloc(1000001);
    struct client c;

    (void)state;
    assert_true(proxy_stop(&proxy));
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), hurry);
    assert_non_null(value);
    memset(value, 'v', 1000000);
    value[1000000] = '\0';
    cluster_key(&cluster, 1, 0, "leaving", key);
    assert_true(client_open_narrow(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, value);
    c.deaf = true;
    for (int i = 0; i < 20; i++)
        assert_true(client_send_command(&c, "GET", key, NULL));
    uint64_t began = now_ms();
    assert_true(proxy_stop(&proxy));
    assert_in_range(now_ms() - began, 0, scaled_ms(5000));
    client_close(&c);
    free(value);
}

/* More clients than one turn accepts have connected and asked, and nobody has looked at them yet:
   each is still served, and new ones are refused. */
static void test_with_clients_that_wait(void **state)
{
    enum { CLIENTS = 200 };
    static struct client c[CLIENTS];
    pid_t worker;

    (void)state;
    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    crowd_open(c, CLIENTS, proxy.port);
    crowd_send(c, CLIENTS, "PING");
    process_signal(&proxy.process, SIGTERM);
    assert_int_equal(kill(worker, SIGTERM), 0); /* at the latest now it has been told */
    assert_int_equal(kill(worker, SIGCONT), 0);
    crowd_expect(c, CLIENTS, "+PONG\r\n");
    assert_true(process_wait(&proxy.process, scaled_ms(10000)));
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
    crowd_close(c, CLIENTS);
}

static atomic_bool told_to_end;

static void on_sigterm(int signum)
{
    (void)signum;
    atomic_store(&told_to_end, true);
}

/* Whoever adopts orphans is told nothing in the place of their supervisor. */
static void adopt(bool orphans)
{
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, orphans), 0);
    signal(SIGTERM, orphans ? on_sigterm : SIG_DFL);
}

/* The supervisor is killed: its worker does not go on alone, but finishes what was asked. */
static void test_without_its_supervisor(void **state)
{
    char key[64], other[64];
    struct client c, boss;
    pid_t worker;

    (void)state;
    cluster_key(&cluster, 0, 0, "leaving", key);
    cluster_key(&cluster, 0, 0, "nothing", other);
    adopt(true);
    assert_true(client_open(&boss, proxy.port));
    proxy_login_admin(&boss);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, "1");
    cluster_stop_node(&cluster, 0);
    assert_true(client_send_command(&c, "INCR", key, NULL));
    assert_true(client_send_command(&boss, "GET", other, NULL));
    assert_true(client_hears_nothing(&c, 100));
    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    process_signal(&proxy.process, SIGKILL);
    assert_true(process_wait(&proxy.process, scaled_ms(2000)));
    assert_true(client_send_command(&boss, "PROXY", "SHUTDOWN", NULL));
    assert_true(wait_until(refuses, NULL, scaled_ms(2000)));
    cluster_continue_node(&cluster, 0);
    client_expect(&c, ":2\r\n");
    assert_true(client_sees_end(&c));
    client_expect(&boss, "$-1\r\n");
    client_expect_start(&boss, "-ERR slotgate: there is no supervisor to tell");
    assert_false(atomic_load(&told_to_end));
    proxy_await_log(&proxy, "event=\"left\"", 1, scaled_ms(5000));
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    adopt(false);
    client_close(&boss);
    port_give_back(proxy.port);
    proxy.port = 0;
    client_close(&c);
}

/* Clients that work without a pause hear of the end with a reply, and so lose nothing. */
static void test_with_clients_at_work(void **state)
{
    char seeds[512];

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct careful *c = careful_start(proxy.port, 12);
        assert_true(wait_until(careful_work, c, scaled_ms(5000)));
        assert_true(proxy_stop(&proxy));
        assert_int_equal(careful_end(c, scaled_ms(2000)), 0);
        proxy_start(&proxy, cluster_seeds(&cluster, seeds), NULL);
    }
}

/* A second SIGTERM while it drains changes nothing about the clean end. */
static void test_told_twice(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+PONG\r\n", "PING");
    process_signal(&proxy.process, SIGTERM);
    process_signal(&proxy.process, SIGTERM);
    assert_true(process_wait(&proxy.process, scaled_ms(10000)));
    assert_int_equal(proxy.process.exit_code, 0);
    proxy.port = 0;
    client_close(&c);
}

/* Before it ever listened, because no seed answers. A signal before the program has come so far
   that it minds signals would just kill it. */
static void test_before_it_serves(void **state)
{
    char seed[32];

    (void)state;
    assert_true(proxy_stop(&proxy));
    snprintf(seed, sizeof(seed), "127.0.0.1:%d", port_take());
    proxy_launch(&proxy, seed, NULL, NULL);
    proxy_await_log(&proxy, "no slot map from node", 1, scaled_ms(10000));
    assert_true(refuses(NULL));
    assert_false(process_wait(&proxy.process, 300));
    assert_true(proxy_stop(&proxy));
}

#define LEAVING(test) cmocka_unit_test_setup_teardown(test, before_each, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEAVING(test_without_clients),
        LEAVING(test_with_idle_clients),
        LEAVING(test_with_requests_on_the_way),
        LEAVING(test_inside_exec),
        LEAVING(test_with_a_node_that_hangs),
        LEAVING(test_with_half_requests),
        LEAVING(test_with_a_client_that_does_not_read),
        LEAVING(test_with_clients_that_wait),
        LEAVING(test_without_its_supervisor),
        LEAVING(test_with_clients_at_work),
        LEAVING(test_told_twice),
        LEAVING(test_before_it_serves),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
