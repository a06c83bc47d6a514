/*
 * SIGUSR2: a new program takes over the sockets. Nobody is refused and nobody gets an error, time
 * and again; and when the new program is no good, the old one goes on.
 */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/careful.h"
#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum {
    TAKEOVERS = 10,
    THREADS = 4,
    CLOSE_TO_QUIET_MS = 350,
    NOT_AT_ONCE_MS = 200 /* of the second that it takes; a part is over when the log is read */
};

static struct redis_cluster cluster;
static struct proxy proxy;
static char program[200], config[200];

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

static void point_program_at(const char *target)
{
    char fresh[220];
    snprintf(program, sizeof(program), "%s/gate", testenv_dir());
    snprintf(fresh, sizeof(fresh), "%s.new", program);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, program), 0);
}

static void write_config(const char *more)
{
    char text[1024], seeds[512];
    snprintf(text, sizeof(text), "port %d\nbind 127.0.0.1\ncluster-nodes %s\n%s\n", proxy.port,
             cluster_seeds(&cluster, seeds), more);
    snprintf(config, sizeof(config), "%s", testenv_file("gate.conf", text));
}

/* Started by a path of its own, so that another program may stand there later. */
static void start_proxy(const char *more)
{
    static int number;
    char name[32];
    proxy = (struct proxy){ .port = port_take() };
    point_program_at(proxy_binary());
    write_config(more);
    snprintf(name, sizeof(name), "gate-%d", ++number);
    assert_true(process_start(&proxy.process, name,
                              (const char *const[]){ program, "-c", config, NULL }, NULL));
    proxy_await_ready(&proxy, scaled_ms(8000));
}

static int stop_proxy(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    return 0;
}

static void take_over(int n)
{
    process_signal(&proxy.process, SIGUSR2);
    proxy_await_log(&proxy, "event=\"taken over\"", n, scaled_ms(15000));
}

/* --- nobody notices --------------------------------------------------------------------------- */

struct hammer {
    pthread_t thread;
    int number;
    uint64_t rounds, errors;
    char first_error[200];
};

static atomic_bool hammering;

static void note_error(struct hammer *h, const char *what, const struct client *c)
{
    if (h->errors++ == 0)
        snprintf(h->first_error, sizeof(h->first_error), "%s: %s, round %llu", what,
                 client_state_text(c), (unsigned long long)h->rounds);
}

/* Connects, sets, leaves; again and again. */
static void *hammer(void *arg)
{
    struct hammer *h = arg;
    struct client c;
    char key[32];

    for (; atomic_load(&hammering); h->rounds++) {
        snprintf(key, sizeof(key), "hammer:%d:%d", h->number, (int)(h->rounds % 1000));
        if (!client_open(&c, proxy.port)) {
            note_error(h, "connect", &c);
        } else {
            const char *reply = client_ask(&c, "SET", key, "1", NULL);
            if (reply == NULL || strcmp(reply, "+OK\r\n") != 0)
                note_error(h, reply == NULL ? "SET" : reply, &c);
        }
        client_close(&c);
    }
    return NULL;
}

static int descriptors_of_supervisor(void)
{
    char path[64];
    int n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)proxy.process.pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/* It closes what belonged to a worker a little after it has reaped it. */
static bool has_descriptors(void *arg)
{
    return descriptors_of_supervisor() == *(int *)arg;
}

static void test_nobody_notices(void **state)
{
    struct hammer h[THREADS] = { 0 };
    pid_t before;

    (void)state;
    start_proxy("workers 2\nshutdown-timeout 4s");
    before = proxy.process.pid;
    atomic_store(&hammering, true);
    for (int i = 0; i < THREADS; i++) {
        h[i].number = i;
        assert_int_equal(pthread_create(&h[i].thread, NULL, hammer, &h[i]), 0);
    }
    int descriptors = descriptors_of_supervisor();
    for (int n = 1; n <= TAKEOVERS; n++)
        take_over(n);
    proxy_await_log(&proxy, "event=\"left\"", 2 * TAKEOVERS, scaled_ms(8000));
    atomic_store(&hammering, false);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(h[i].thread, NULL), 0);
        fprintf(stderr, "client %d: %llu rounds, %llu errors %s\n", i,
                (unsigned long long)h[i].rounds, (unsigned long long)h[i].errors, h[i].first_error);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_true(h[i].rounds > 100);
        assert_int_equal(h[i].errors, 0);
    }
    assert_false(process_ended(&proxy.process));
    assert_int_equal(proxy.process.pid, before);
    proxy_await_workers(&proxy, 2, scaled_ms(5000));
    if (!wait_until(has_descriptors, &descriptors, scaled_ms(5000)))
        fail_msg("%d descriptors instead of %d", descriptors_of_supervisor(), descriptors);
}

/* A client that stays is served on by its old worker; once it has been quiet it is closed between
   two requests, and connects anew to a new one. Ids go on. */
static void test_a_client_that_stays(void **state)
{
    struct client c, later;

    (void)state;
    start_proxy("workers 1\nshutdown-timeout 6s");
    assert_true(client_open(&c, proxy.port));
    long long id = atoll(client_ask(&c, "CLIENT", "ID", NULL) + 1);
    long long old = client_info(&c, "server", "process_id");
    process_signal(&proxy.process, SIGUSR2);
    uint64_t last = now_ms(), began = last;
    for (int i = 0; i < 40 && now_ms() - last < CLOSE_TO_QUIET_MS;) {
        last = now_ms();
        assert_int_equal(client_info(&c, "server", "process_id"), old);
        rest_us(20000); /* never quiet for long, if the machine lets us */
        i += proxy_log_count(&proxy, "event=\"taken over\"") > 0;
        assert_true(now_ms() - began < (uint64_t)scaled_ms(15000));
    }
    assert_true(client_sees_end(&c));
    proxy_await_log(&proxy, "event=\"taken over\"", 1, scaled_ms(15000));
    assert_true(client_open(&later, proxy.port));
    assert_true(client_info(&later, "server", "process_id") != old);
    assert_true(atoll(client_ask(&later, "CLIENT", "ID", NULL) + 1) > id);
    client_close(&c);
    client_close(&later);
}

/* One that waits, and one in a transaction, are not idle. */
static void test_clients_with_a_state(void **state)
{
    struct client waits, multi;

    (void)state;
    start_proxy("workers 1\nshutdown-timeout 6s");
    assert_true(client_open(&waits, proxy.port));
    assert_true(client_open(&multi, proxy.port));
    client_ask_expect(&multi, "+OK\r\n", "MULTI");
    client_ask_expect(&multi, "+QUEUED\r\n", "RPUSH", "taken:over", "x");
    assert_true(client_send_command(&waits, "BLPOP", "taken:over", "0", NULL));
    take_over(1);
    assert_true(client_hears_nothing(&waits, 1500));
    client_ask_expect(&multi, "*1\r\n:1\r\n", "EXEC");
    client_expect(&waits, "*2\r\n$10\r\ntaken:over\r\n$1\r\nx\r\n");
    assert_true(client_sees_end(&waits));
    assert_true(client_sees_end(&multi));
    client_close(&waits);
    client_close(&multi);
}

/* One that waits for ever does not keep the old worker for ever. */
static void test_a_client_that_waits_for_ever(void **state)
{
    struct client c;

    (void)state;
    start_proxy("workers 1\nshutdown-timeout 2s");
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "BLPOP", "never", "0", NULL));
    take_over(1);
    uint64_t began = now_ms();
    assert_true(client_sees_end(&c));
    assert_in_range(now_ms() - began, NOT_AT_ONCE_MS, scaled_ms(3500));
    client_close(&c);
    proxy_await_log(&proxy, "event=\"left\"", 1, scaled_ms(4000));
}

/* The old worker does not wait for ever for one that never stops: it ends at shutdown-timeout. */
static void test_a_client_that_never_stops(void **state)
{
    struct client c;
    bool open = true;

    (void)state;
    start_proxy("workers 1\nshutdown-timeout 2s");
    assert_true(client_open(&c, proxy.port));
    process_signal(&proxy.process, SIGUSR2);
    uint64_t began = now_ms();
    /* Not even while the new program starts, or it would go as one that is quiet. */
    while (open && proxy_log_count(&proxy, "event=\"taken over\"") == 0 &&
           now_ms() - began < (uint64_t)scaled_ms(15000))
        open = client_ask(&c, "SET", "k", "v", NULL) != NULL;
    assert_true(open);
    began = now_ms();
    while (open && now_ms() - began < (uint64_t)scaled_ms(4000))
        open = client_ask(&c, "SET", "k", "v", NULL) != NULL;
    assert_false(open);
    assert_in_range(now_ms() - began, NOT_AT_ONCE_MS, scaled_ms(3500));
    client_close(&c);
    proxy_await_log(&proxy, "event=\"left\"", 1, scaled_ms(4000));
}

/* The same for clients that look before they send: they lose nothing. */
static void test_careful_clients_that_never_stop(void **state)
{
    (void)state;
    start_proxy("workers 1\nshutdown-timeout 2s");
    struct careful *c = careful_start(proxy.port, 12);
    assert_true(wait_until(careful_work, c, scaled_ms(5000)));
    take_over(1);
    assert_int_equal(careful_end(c, scaled_ms(4000)), 0);
    proxy_await_log(&proxy, "event=\"left\"", 1, scaled_ms(4000));
}

/* --- another config --------------------------------------------------------------------------- */

static void expect_workers(int n)
{
    proxy_await_workers(&proxy, n, scaled_ms(5000));
    assert_true(proxy_answers(&proxy));
}

static void test_more_and_fewer_workers(void **state)
{
    (void)state;
    start_proxy("workers 1");
    write_config("workers 3");
    take_over(1);
    proxy_await_log(&proxy, "event=\"left\"", 1, scaled_ms(5000));
    expect_workers(3);
    write_config("workers 2");
    take_over(2);
    proxy_await_log(&proxy, "event=\"left\"", 4, scaled_ms(5000));
    expect_workers(2);
}

static bool is_refused(void *arg)
{
    struct client c;
    bool open = client_open(&c, *(uint16_t *)arg);
    client_close(&c);
    return !open;
}

static void test_another_port(void **state)
{
    uint16_t old;

    (void)state;
    start_proxy("workers 2");
    old = proxy.port;
    proxy.port = port_take();
    write_config("workers 2");
    take_over(1);
    assert_true(proxy_answers(&proxy));
    assert_true(wait_until(is_refused, &old, scaled_ms(3000)));
    port_give_back(old);
}

/* --- what is no good -------------------------------------------------------------------------- */

static void expect_failure(const char *more)
{
    pid_t before[4], after[4];
    struct client c;

    proxy_await_workers(&proxy, 2, scaled_ms(5000)); /* one of them may serve before */
    assert_int_equal(proxy_workers(&proxy, before, 4), 2);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+PONG\r\n", "PING");
    process_signal(&proxy.process, SIGUSR2);
    proxy_await_log(&proxy, "takeover failed: the old program goes on", 1, scaled_ms(8000));
    client_ask_expect(&c, "+OK\r\n", "SET", "still", "here");
    client_close(&c);
    proxy_await_workers(&proxy, 2, scaled_ms(5000));
    assert_int_equal(proxy_workers(&proxy, after, 4), 2);
    assert_memory_equal(before, after, 2 * sizeof(pid_t));
    /* And the next one, with all in order, succeeds. */
    point_program_at(proxy_binary());
    write_config(more);
    take_over(1);
    assert_true(proxy_answers(&proxy));
}

static void test_wrong_config(void **state)
{
    (void)state;
    start_proxy("workers 2");
    write_config("workers 2\nno-such-option 1");
    expect_failure("workers 2");
}

static void test_program_that_ends(void **state)
{
    (void)state;
    start_proxy("workers 2");
    point_program_at("/bin/false");
    expect_failure("workers 2");
}

static void test_program_that_crashes(void **state)
{
    const char *script = testenv_file("crash.sh", "#!/bin/sh\nkill -SEGV $$\n");

    (void)state;
    assert_int_equal(chmod(script, 0700), 0);
    start_proxy("workers 2");
    point_program_at(script);
    expect_failure("workers 2");
}

static void test_no_program(void **state)
{
    (void)state;
    start_proxy("workers 2");
    point_program_at("/nowhere/at/all");
    expect_failure("workers 2");
}

/* New workers that die before they serve: the cluster cannot be reached with the new config. */
static void test_workers_that_never_serve(void **state)
{
    pid_t old[4], all[8];

    (void)state;
    start_proxy("workers 2");
    proxy_await_workers(&proxy, 2, scaled_ms(5000)); /* one of them may serve before */
    assert_int_equal(proxy_workers(&proxy, old, 4), 2);
    write_config("workers 2\nauth-user nobody\nauth wrong-password");
    process_signal(&proxy.process, SIGUSR2);
    proxy_await_log(&proxy, "login refused", 1, scaled_ms(5000));
    proxy_await_workers(&proxy, 4, scaled_ms(5000)); /* whoever started the new ones has ended */
    int n = proxy_workers(&proxy, all, 8), killed = 0;
    for (int i = 0; i < n; i++)
        if (all[i] != old[0] && all[i] != old[1])
            killed += kill(all[i], SIGKILL) == 0;
    assert_true(killed > 0);
    proxy_await_log(&proxy, "takeover failed: the old program goes on", 1, scaled_ms(5000));
    assert_true(proxy_answers(&proxy));
    proxy_await_log(&proxy, "event=\"left\"", 2 - killed, scaled_ms(5000));
    proxy_await_workers(&proxy, 2, scaled_ms(5000));
}

#define TAKEOVER(test) cmocka_unit_test_teardown(test, stop_proxy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TAKEOVER(test_nobody_notices),
        TAKEOVER(test_a_client_that_stays),
        TAKEOVER(test_clients_with_a_state),
        TAKEOVER(test_a_client_that_waits_for_ever),
        TAKEOVER(test_a_client_that_never_stops),
        TAKEOVER(test_careful_clients_that_never_stop),
        TAKEOVER(test_more_and_fewer_workers),
        TAKEOVER(test_another_port),
        TAKEOVER(test_wrong_config),
        TAKEOVER(test_program_that_ends),
        TAKEOVER(test_program_that_crashes),
        TAKEOVER(test_no_program),
        TAKEOVER(test_workers_that_never_serve),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
