/*
 * Several workers: as many processes as asked for share the port, clients have ids of their own
 * over all of them, SIGTERM ends all with exit 0, and the death of one ends the program with
 * exit 1.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { WORKERS = 3, CLIENTS = 40 };

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

static int start_proxy(void **state)
{
    char seeds[512];
    (void)state;
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--workers", "3", NULL });
    return 0;
}

static int stop_proxy(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    return 0;
}

/* The processes that the supervisor started; gives how many. */
static int workers_of(pid_t supervisor, pid_t *pids)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)supervisor, (int)supervisor);
    FILE *file = fopen(path, "re");
    int n = 0, pid;
    assert_non_null(file);
    while (n < WORKERS + 1 && fscanf(file, "%d", &pid) == 1)
        pids[n++] = pid;
    fclose(file);
    return n;
}

/* A worker may begin to listen a little after the first one has answered. */
static bool each_has_served(void *arg)
{
    bool *served = arg, all = true;
    struct client c;
    assert_true(client_open(&c, proxy.port));
    const char *reply = client_ask(&c, "CLIENT", "ID", NULL);
    assert_non_null(reply);
    served[(atoll(reply + 1) - 1) % WORKERS] = true;
    client_close(&c);
    for (int i = 0; i < WORKERS; i++)
        all = all && served[i];
    return all;
}

static void test_clients_over_all_workers(void **state)
{
    struct client c[CLIENTS];
    long long id[CLIENTS];
    pid_t pids[WORKERS + 1];
    bool served[WORKERS] = { false };
    (void)state;
    assert_int_equal(workers_of(proxy.process.pid, pids), WORKERS);
    assert_true(wait_until(each_has_served, served, scaled_ms(5000)));
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&c[i], proxy.port));
        const char *reply = client_ask(&c[i], "CLIENT", "ID", NULL);
        assert_non_null(reply);
        id[i] = atoll(reply + 1);
        for (int j = 0; j < i; j++)
            assert_true(id[j] != id[i]);
        assert_string_equal(client_ask(&c[i], "SET", "shared", "1", NULL), "+OK\r\n");
    }
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

static void test_a_worker_dies(void **state)
{
    pid_t pids[WORKERS + 1];
    (void)state;
    assert_int_equal(workers_of(proxy.process.pid, pids), WORKERS);
    assert_int_equal(kill(pids[1], SIGKILL), 0);
    assert_true(process_wait(&proxy.process, scaled_ms(5000)));
    assert_int_equal(proxy.process.exit_code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clients_over_all_workers, start_proxy, stop_proxy),
        cmocka_unit_test_setup(test_a_worker_dies, start_proxy),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
