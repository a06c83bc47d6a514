/*
 * SIGHUP: the options are read anew. What may change does so in every worker, of the rest the log
 * says so, and a wrong file changes nothing.
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

enum { WORKERS = 2, CLIENTS = 4 };

static struct redis_cluster cluster;
static struct proxy proxy;
static struct client clients[CLIENTS];

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster,
                  &(struct cluster_options){ .masters = 2, .password = "first-password" });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static const char *write_config(const char *more)
{
    char text[1024], seeds[512];
    snprintf(text, sizeof(text),
             "port %d\nbind 127.0.0.1\nworkers 2\nauth-file %s/password\ncluster-nodes %s\n%s\n",
             proxy.port, testenv_dir(), cluster_seeds(&cluster, seeds), more);
    return testenv_file("reload.conf", text);
}

static int start_proxy(void **state)
{
    static int number;
    char name[32];

    (void)state;
    proxy = (struct proxy){ .port = port_take() };
    testenv_file("password", "first-password\n");
    const char *file = write_config("request-timeout 2s\nmax-pipeline 100");
    snprintf(name, sizeof(name), "reload-%d", ++number);
    assert_true(
        process_start(&proxy.process, name,
                      (const char *const[]){ proxy_binary(), "-c", file, "--max-pipeline", "200",
                                             "--admin-password", PROXY_ADMIN_PASSWORD, NULL },
                      (const char *const[]){ "SLOTGATE_NODE_BUFFER_LIMIT=1mb", NULL }));
    proxy_await_ready(&proxy, scaled_ms(8000));
    proxy_await_log(&proxy, "event=\"listening\"", WORKERS, scaled_ms(5000));
    crowd_open(clients, CLIENTS, proxy.port); /* evenly spread, so each worker has two */
    return 0;
}

static int stop_proxy(void **state)
{
    (void)state;
    crowd_close(clients, CLIENTS);
    proxy_stop(&proxy);
    return 0;
}

struct expected {
    const char *name, *value;
};

static bool all_have(void *arg)
{
    const struct expected *e = arg;
    char reply[128];
    bool all = true;

    snprintf(reply, sizeof(reply), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(e->name), e->name,
             strlen(e->value), e->value);
    for (int i = 0; i < CLIENTS; i++) {
        const char *got = client_ask(&clients[i], "CONFIG", "GET", e->name, NULL);
        assert_non_null(got);
        all = all && strcmp(got, reply) == 0;
    }
    return all;
}

static void expect_everywhere(const char *name, const char *value)
{
    struct expected e = { name, value };
    if (!wait_until(all_have, &e, scaled_ms(3000)))
        fail_msg("%s is not %s in every worker", name, value);
}

static void test_what_may_change(void **state)
{
    (void)state;
    expect_everywhere("request-timeout", "2s");
    expect_everywhere("max-pipeline", "200");
    write_config("request-timeout 3s\nmax-pipeline 300\nnode-buffer-limit 9mb\ntcp-backlog 77");
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "event=\"configuration reloaded\" changed=1", 1, scaled_ms(3000));
    expect_everywhere("request-timeout", "3s");
    /* The command line and the environment are as strong as they were at the start. */
    expect_everywhere("max-pipeline", "200");
    expect_everywhere("node-buffer-limit", "1048576");
    /* What cannot change is named, in one line and not once per worker. */
    expect_everywhere("tcp-backlog", "511");
    assert_int_equal(proxy_log_count(&proxy, "option not changed"), 1);
    assert_int_equal(proxy_log_count(&proxy, "SIGUSR2 or a restart\" name=tcp-backlog"), 1);
}

/* What a client has set by CONFIG SET is gone, as after a new start; new workers have it too. */
static void test_what_clients_have_set(void **state)
{
    pid_t pids[WORKERS];

    (void)state;
    proxy_login_admin(&clients[0]);
    client_ask_expect(&clients[0], "+OK\r\n", "CONFIG", "SET", "request-timeout", "7s");
    write_config("request-timeout 4s");
    process_signal(&proxy.process, SIGHUP);
    expect_everywhere("request-timeout", "4s");
    assert_int_equal(proxy_workers(&proxy, pids, WORKERS), WORKERS);
    crowd_close(clients, CLIENTS);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    proxy_await_log(&proxy, "event=\"listening\"", 2 * WORKERS, scaled_ms(5000));
    crowd_open(clients, CLIENTS, proxy.port);
    expect_everywhere("request-timeout", "4s");
}

static void test_a_wrong_file(void **state)
{
    (void)state;
    write_config("request-timeout 3s\nmax-pipeline plenty");
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "configuration not reloaded: nothing has changed", 1, scaled_ms(3000));
    assert_int_equal(proxy_log_count(&proxy, "plenty"), 1);
    client_ask_expect(&clients[0], "+OK\r\n", "SET", "a", "b");
    expect_everywhere("request-timeout", "2s");
    write_config("request-timeout 6s");
    process_signal(&proxy.process, SIGHUP);
    expect_everywhere("request-timeout", "6s");
}

static bool sets(void *arg)
{
    const char *reply = client_ask(arg, "SET", "password", "new", NULL);
    return reply != NULL && strcmp(reply, "+OK\r\n") == 0;
}

/* The nodes' password changes; the file too, and the proxy is told. Its connections are cut, and
   the new ones need the new password. */
static void test_a_new_password(void **state)
{
    (void)state;
    client_ask_expect(&clients[0], "+OK\r\n", "SET", "password", "old");
    testenv_file("password", "second-password\n");
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "event=\"configuration reloaded\" changed=1", 1, scaled_ms(3000));
    for (int n = 0; n < cluster.count; n++) {
        cluster_do(&cluster, n,
                   "CONFIG SET requirepass second-password masterauth second-password");
        cluster_do(&cluster, n, "CLIENT KILL TYPE normal SKIPME yes");
    }
    for (int i = 0; i < CLIENTS; i++)
        assert_true(wait_until(sets, &clients[i], scaled_ms(5000)));
    char *log = proxy_log(&proxy);
    assert_null(strstr(log, "second-password"));
    free(log);
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG SET requirepass first-password masterauth first-password");
}

#define RELOAD(test) cmocka_unit_test_setup_teardown(test, start_proxy, stop_proxy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RELOAD(test_what_may_change),
        RELOAD(test_what_clients_have_set),
        RELOAD(test_a_wrong_file),
        RELOAD(test_a_new_password),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
