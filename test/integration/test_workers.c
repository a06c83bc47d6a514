/*
 * Several workers: as many processes as asked for share the port, clients have ids of their own
 * over all of them and are spread evenly; a worker that dies or hangs is replaced, and who waited
 * for it is served; one that dies again and again ends the program with exit 1.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/careful.h"
#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { WORKERS = 4, CLIENTS = 40, PIDS_MAX = 300 };

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

static void start_workers(const char *number, int expected, const char *const *more)
{
    const char *argv[16] = { "--workers", number };
    char seeds[512];
    int n = 2;

    while (more != NULL && *more != NULL)
        argv[n++] = *more++;
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), argv);
    /* Each worker listens a little before or after the others. */
    proxy_await_log(&proxy, "event=\"listening\"", expected, scaled_ms(5000));
}

static int start_four(void **state)
{
    (void)state;
    start_workers("4", WORKERS, NULL);
    return 0;
}

static int start_four_watched(void **state)
{
    (void)state;
    start_workers("4", WORKERS, (const char *const[]){ "--worker-timeout", "1500ms", NULL });
    return 0;
}

static int stop_proxy(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    return 0;
}

static void expect_workers(int count)
{
    pid_t pids[PIDS_MAX];
    assert_int_equal(proxy_workers(&proxy, pids, PIDS_MAX), count);
}

/* --- spread ----------------------------------------------------------------------------------- */

static void test_clients_over_all_workers(void **state)
{
    struct client c[CLIENTS];
    long long id[CLIENTS];

    (void)state;
    expect_workers(WORKERS);
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&c[i], proxy.port));
        const char *reply = client_ask(&c[i], "CLIENT", "ID", NULL);
        assert_non_null(reply);
        id[i] = atoll(reply + 1);
        for (int j = 0; j < i; j++)
            assert_true(id[j] != id[i]);
        assert_string_equal(client_ask(&c[i], "SET", "shared", "1", NULL), "+OK\r\n");
    }
    crowd_close(c, CLIENTS);
}

/* The kernel's hash alone gives the busiest of four about 1.5 times its share of 20. */
static void test_even_spread(void **state)
{
    static struct client c[200];
    static const struct {
        int clients, most;
    } cases[] = { { 20, 6 }, { 60, 17 }, { 200, 54 } };
    int per_worker[CROWD_WORKERS_MAX], open = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int n = cases[i].clients;
        crowd_open(c + open, n - open, proxy.port);
        open = n;
        int most = crowd_spread(c, n, per_worker);
        fprintf(stderr, "%d clients on %d workers: %d %d %d %d, max/mean %.2f\n", n, WORKERS,
                per_worker[0], per_worker[1], per_worker[2], per_worker[3],
                (double)most * WORKERS / n);
        assert_in_range(most, n / WORKERS, cases[i].most);
    }
    crowd_close(c, open);
}

/* A connection that was handed over is still the client's own: its address is the true one. */
static void test_address_of_a_client_handed_over(void **state)
{
    struct client c[CLIENTS];
    char expected[64];
    long long taken = 0;

    (void)state;
    crowd_open(c, CLIENTS, proxy.port);
    for (int i = 0; i < CLIENTS; i++) {
        uint16_t port = client_own_port(&c[i]);
        snprintf(expected, sizeof(expected), " addr=127.0.0.1:%u laddr=127.0.0.1:%u ", port,
                 proxy.port);
        const char *info = client_ask(&c[i], "CLIENT", "INFO", NULL);
        assert_non_null(info);
        if (strstr(info, expected) == NULL)
            fail_msg("no %s in %s", expected, info);
        taken += client_info(&c[i], "slotgate", "clients_taken_over");
    }
    assert_true(taken > 0);
    crowd_close(c, CLIENTS);
}

/* --- death and hanging ------------------------------------------------------------------------ */

struct replaced {
    pid_t old;
    int count;
};

static bool is_replaced(void *arg)
{
    const struct replaced *r = arg;
    pid_t pids[PIDS_MAX];
    int n = proxy_workers(&proxy, pids, PIDS_MAX);
    bool gone = true;

    for (int i = 0; i < n; i++)
        gone = gone && pids[i] != r->old;
    return gone && n == r->count;
}

/* Clients that wait in the queue of a worker which never comes back to them are served by the one
   that replaces it. */
static void test_a_worker_dies(void **state)
{
    struct client c[CLIENTS];
    pid_t pids[WORKERS];

    (void)state;
    assert_int_equal(proxy_workers(&proxy, pids, WORKERS), WORKERS);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(kill(pids[i], SIGSTOP), 0);
    crowd_open(c, CLIENTS, proxy.port);
    crowd_send(c, CLIENTS, "PING");
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(kill(pids[i], SIGKILL), 0);
    crowd_expect(c, CLIENTS, "+PONG\r\n");
    proxy_await_workers(&proxy, WORKERS, scaled_ms(5000));
    crowd_close(c, CLIENTS);
    assert_true(proxy_stop(&proxy));
}

/* Ids stay unique, also when a worker begins anew. */
static void test_ids_after_a_death(void **state)
{
    struct client c[2];
    pid_t pids[1];

    (void)state;
    start_workers("1", 1, NULL);
    assert_true(client_open(&c[0], proxy.port));
    long long first = atoll(client_ask(&c[0], "CLIENT", "ID", NULL) + 1);
    assert_int_equal(proxy_workers(&proxy, pids, 1), 1);
    assert_int_equal(kill(pids[0], SIGKILL), 0);
    assert_true(wait_until(is_replaced, &(struct replaced){ pids[0], 1 }, scaled_ms(5000)));
    assert_true(client_open(&c[1], proxy.port));
    assert_true(atoll(client_ask(&c[1], "CLIENT", "ID", NULL) + 1) > first);
    crowd_close(c, 2);
}

/* It still gets its share of the connects, so it has to go; that takes worker-timeout, 1.5 s, and
   the time in which the machine makes another one. */
static void test_a_worker_hangs(void **state)
{
    struct client c[CLIENTS];
    pid_t pids[WORKERS];

    (void)state;
    assert_int_equal(proxy_workers(&proxy, pids, WORKERS), WORKERS);
    assert_int_equal(kill(pids[2], SIGSTOP), 0);
    uint64_t began = now_ms();
    crowd_open(c, CLIENTS, proxy.port);
    crowd_send(c, CLIENTS, "PING");
    assert_true(wait_until(is_replaced, &(struct replaced){ pids[2], WORKERS }, scaled_ms(5000)));
    crowd_expect(c, CLIENTS, "+PONG\r\n");
    fprintf(stderr, "a hung worker was replaced, and its clients served, after %d ms\n",
            (int)(now_ms() - began));
    crowd_close(c, CLIENTS);
}

static bool kill_workers(void *arg)
{
    pid_t pids[WORKERS];
    int n = proxy_workers(&proxy, pids, WORKERS);

    (void)arg;
    if (proxy_log_count(&proxy, "workers_die_at_once") > 0)
        return true;
    for (int i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    return false;
}

static void test_workers_die_at_once(void **state)
{
    (void)state;
    assert_true(wait_until(kill_workers, NULL, scaled_ms(10000)));
    assert_true(process_wait(&proxy.process, scaled_ms(5000)));
    assert_int_equal(proxy.process.exit_code, 1);
    port_give_back(proxy.port);
    proxy.port = 0;
}

/* --- how many --------------------------------------------------------------------------------- */

static void test_auto(void **state)
{
    cpu_set_t all, one;
    size_t cpu = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    assert_in_range(CPU_COUNT(&all), 1, 256);
    start_workers("auto", CPU_COUNT(&all), NULL);
    expect_workers(CPU_COUNT(&all));
    assert_true(proxy_stop(&proxy));
    while (!CPU_ISSET(cpu, &all))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    start_workers("auto", 1, NULL);
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
    expect_workers(1);
}

/* --- limits ----------------------------------------------------------------------------------- */

static int count_answer(struct client *c, const char *start)
{
    const char *reply = client_read(c, NULL);
    if (reply == NULL)
        fail_msg("neither served nor refused: %s", client_state_text(c));
    return strncmp(reply, start, strlen(start)) == 0;
}

/* Few descriptors: who cannot be served is told so. Nobody is left waiting or closed in silence. */
static void test_few_descriptors(void **state)
{
    enum { MANY = 300 };
    static struct client c[MANY];
    char port[8], seeds[512];
    int served = 0, refused = 0;

    (void)state;
    proxy = (struct proxy){ .port = port_take() };
    snprintf(port, sizeof(port), "%d", proxy.port);
    assert_true(process_start(&proxy.process, "few-descriptors",
                              (const char *const[]){ "prlimit", "--nofile=300:300", proxy_binary(),
                                                     "-p", port, "--bind", "127.0.0.1",
                                                     cluster_seeds(&cluster, seeds), NULL },
                              NULL));
    proxy_await_ready(&proxy, scaled_ms(8000));
    crowd_open(c, MANY, proxy.port);
    for (int i = 0; i < MANY; i++) {
        (void)!client_send_command(&c[i], "PING", NULL); /* it may have been refused already */
        int yes = count_answer(&c[i], "+PONG");
        served += yes;
        refused += !yes && strcmp(c[i].reply, "-ERR max number of clients reached\r\n") == 0;
    }
    assert_int_equal(served + refused, MANY);
    assert_in_range(served, 50, 299);
    crowd_close(c, MANY);
}

/* --- age -------------------------------------------------------------------------------------- */

/* Idle clients go at their age, give or take a tenth; one that is owed a reply gets it first. */
static void test_connection_age(void **state)
{
    enum { IDLE = 10 };
    struct client c[IDLE], busy;
    char key[64];

    (void)state;
    start_workers("1", 1, (const char *const[]){ "--max-connection-age", "2s", NULL });
    uint64_t began = now_ms();
    crowd_open(c, IDLE, proxy.port);
    crowd_send(c, IDLE, "PING");
    crowd_expect(c, IDLE, "+PONG\r\n");
    assert_true(client_open(&busy, proxy.port));
    cluster_key(&cluster, 0, 0, "age", key);
    client_ask_expect(&busy, "+OK\r\n", "SET", key, "1");
    cluster_stop_node(&cluster, 0);
    assert_true(client_send_command(&busy, "INCR", key, NULL));
    assert_true(client_send_command(&busy, "ECHO", "behind", NULL));
    for (int i = 0; i < IDLE; i++) {
        assert_true(client_sees_end(&c[i]));
        assert_in_range(now_ms() - began, 1700, scaled_ms(4000));
    }
    assert_true(client_hears_nothing(&busy, 500));
    cluster_continue_node(&cluster, 0);
    client_expect(&busy, ":2\r\n");
    client_expect(&busy, "$6\r\nbehind\r\n");
    assert_true(client_sees_end(&busy));
    crowd_close(c, IDLE);
    client_close(&busy);
    cluster_await_settled(&cluster, 20000);
}

/* Old age interrupts nobody who looks before sending. */
static void test_age_of_clients_at_work(void **state)
{
    (void)state;
    start_workers("1", 1, (const char *const[]){ "--max-connection-age", "500ms", NULL });
    struct careful *c = careful_start(proxy.port, 12);
    assert_int_equal(careful_end(c, scaled_ms(5000)), 0);
}

/* A client that has something here which would be lost in silence stays, however old it is. What
   these wait for comes from a node: another client might be too old by then. */
static void test_age_of_clients_with_a_state(void **state)
{
    struct client multi, watch, waits, listens, plain;

    (void)state;
    start_workers("1", 1, (const char *const[]){ "--max-connection-age", "1s", NULL });
    assert_true(client_open(&multi, proxy.port));
    assert_true(client_open(&watch, proxy.port));
    assert_true(client_open(&waits, proxy.port));
    assert_true(client_open(&listens, proxy.port));
    client_ask_expect(&listens, "*3\r\n$9\r\nsubscribe\r\n$3\r\nage\r\n:1\r\n", "SUBSCRIBE", "age");
    client_ask_expect(&multi, "+OK\r\n", "MULTI");
    client_ask_expect(&multi, "+QUEUED\r\n", "SET", "age", "1");
    client_ask_expect(&watch, "+OK\r\n", "WATCH", "age");
    assert_true(client_send_command(&waits, "BLPOP", "age:list", "0", NULL));
    assert_true(client_open(&plain, proxy.port));
    assert_true(client_sees_end(&plain)); /* it came last */
    client_ask_expect(&multi, "*1\r\n+OK\r\n", "EXEC");
    assert_true(client_sees_end(&multi));
    client_ask_expect(&watch, "+OK\r\n", "UNWATCH");
    assert_true(client_sees_end(&watch));
    client_close(&plain);
    cluster_do(&cluster, cluster_owner(&cluster, cluster_slot("age:list")), "RPUSH age:list x");
    client_expect(&waits, "*2\r\n$8\r\nage:list\r\n$1\r\nx\r\n");
    assert_true(client_sees_end(&waits));
    cluster_do(&cluster, 0, "PUBLISH age x");
    client_expect(&listens, "*3\r\n$7\r\nmessage\r\n$3\r\nage\r\n$1\r\nx\r\n");
    client_close(&listens);
    client_close(&multi);
    client_close(&watch);
    client_close(&waits);
}

/* --- process 1 -------------------------------------------------------------------------------- */

static pid_t only_child(pid_t parent)
{
    struct proxy p = { .process = { .pid = parent } };
    pid_t pids[PIDS_MAX];

    return proxy_workers(&p, pids, PIDS_MAX) == 1 ? pids[0] : 0;
}

static bool has_reaped(void *arg)
{
    return only_child(*(pid_t *)arg) != 0;
}

struct family {
    pid_t parent, first, second; /* the second one is found */
};

static bool has_two_children(void *arg)
{
    struct family *f = arg;
    struct proxy p = { .process = { .pid = f->parent } };
    pid_t pids[PIDS_MAX];

    if (proxy_workers(&p, pids, PIDS_MAX) != 2)
        return false;
    f->second = pids[0] == f->first ? pids[1] : pids[0];
    return true;
}

/* As the first process of a container it gets the orphans of others, and reaps them. */
static void test_process_1(void **state)
{
    char port[8], seeds[512], inside[16];
    struct process orphan;

    (void)state;
    proxy = (struct proxy){ .port = port_take() };
    snprintf(port, sizeof(port), "%d", proxy.port);
    assert_true(process_start(
        &proxy.process, "process-1",
        (const char *const[]){ "unshare", "--user", "--map-root-user", "--pid", "--fork",
                               "--mount-proc", proxy_binary(), "-p", port, "--bind", "127.0.0.1",
                               cluster_seeds(&cluster, seeds), NULL },
        NULL));
    proxy_await_ready(&proxy, scaled_ms(8000));
    pid_t supervisor = only_child(proxy.process.pid);
    assert_true(supervisor != 0);
    struct family family = { supervisor, only_child(supervisor), 0 };
    assert_true(family.first != 0);
    snprintf(inside, sizeof(inside), "%d", (int)supervisor);
    assert_true(process_start(&orphan, "orphan",
                              (const char *const[]){ "nsenter", "-t", inside, "-U", "-p",
                                                     "--preserve-credentials", "sh", "-c",
                                                     "sleep 100 &", NULL },
                              NULL));
    assert_true(wait_until(has_two_children, &family, scaled_ms(3000)));
    assert_int_equal(kill(family.second, SIGKILL), 0);
    assert_true(wait_until(has_reaped, &supervisor, scaled_ms(3000)));
    assert_true(process_wait(&orphan, scaled_ms(3000)));
    assert_true(proxy_answers(&proxy));
    assert_int_equal(kill(supervisor, SIGTERM), 0);
    assert_true(process_wait(&proxy.process, scaled_ms(5000)));
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clients_over_all_workers, start_four, stop_proxy),
        cmocka_unit_test_setup_teardown(test_even_spread, start_four, stop_proxy),
        cmocka_unit_test_setup_teardown(test_address_of_a_client_handed_over, start_four,
                                        stop_proxy),
        cmocka_unit_test_setup_teardown(test_a_worker_dies, start_four, stop_proxy),
        cmocka_unit_test_teardown(test_ids_after_a_death, stop_proxy),
        cmocka_unit_test_setup_teardown(test_a_worker_hangs, start_four_watched, stop_proxy),
        cmocka_unit_test_setup_teardown(test_workers_die_at_once, start_four, stop_proxy),
        cmocka_unit_test_teardown(test_auto, stop_proxy),
        cmocka_unit_test_teardown(test_few_descriptors, stop_proxy),
        cmocka_unit_test_teardown(test_connection_age, stop_proxy),
        cmocka_unit_test_teardown(test_age_of_clients_at_work, stop_proxy),
        cmocka_unit_test_teardown(test_age_of_clients_with_a_state, stop_proxy),
        cmocka_unit_test_teardown(test_process_1, stop_proxy),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
