/*
 * The admin port over the life of a proxy: before it serves, with a worker that hangs, over a
 * takeover, while it drains; tokens and other addresses than the loopback.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/http.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;
static uint16_t admin;
static char body[64 * 1024];

static int start(void **state)
{
    (void)state;
    admin = port_take();
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static atomic_bool probing;

static int stop_proxy(void **state)
{
    (void)state;
    atomic_store(&probing, false);
    proxy_stop(&proxy);
    return 0;
}

static void launch(const char *seeds, const char *const *more)
{
    char port[8];
    const char *argv[16] = { "--admin-port", port };
    int n = 2;

    snprintf(port, sizeof(port), "%d", admin);
    while (more != NULL && *more != NULL)
        argv[n++] = *more++;
    proxy_launch(&proxy, seeds, argv, NULL);
}

static void start_proxy(const char *const *more)
{
    char seeds[512];

    launch(cluster_seeds(&cluster, seeds), more);
    proxy_await_ready(&proxy, scaled_ms(8000));
}

static int ask(const char *method, const char *target, const char *more)
{
    return http_once(admin, method, target, more, body, sizeof(body));
}

static bool readyz_is(void *arg)
{
    return ask("GET", "/readyz", "") == *(int *)arg;
}

static void await_readyz(int status)
{
    if (!wait_until(readyz_is, &status, scaled_ms(8000)))
        fail_msg("/readyz is not %d but: %s", status, body);
}

/* --- before it serves ---------------------------------------------------------------------- */

static void test_before_the_cluster(void **state)
{
    char seed[32];

    (void)state;
    uint16_t nobody = port_take();
    snprintf(seed, sizeof(seed), "127.0.0.1:%d", nobody);
    launch(seed, NULL);
    await_readyz(503);
    assert_non_null(strstr(body, "no slot map yet"));
    assert_int_equal(ask("GET", "/healthz", ""), 200);
    assert_int_equal(ask("GET", "/topology", ""), 200);
    port_give_back(nobody);
}

/* --- a worker that hangs ------------------------------------------------------------------- */

static void test_a_worker_hangs(void **state)
{
    pid_t pids[4];

    (void)state;
    start_proxy((const char *const[]){ "--workers", "2", "--worker-timeout", "30s", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", 2, scaled_ms(5000));
    assert_int_equal(proxy_workers(&proxy, pids, 4), 2);
    kill(pids[0], SIGSTOP);
    uint64_t began = now_ms();
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask("GET", "/readyz", ""), 200);
    assert_true(now_ms() - began < (uint64_t)scaled_ms(3000));
    kill(pids[0], SIGCONT);
}

/* --- takeover ------------------------------------------------------------------------------ */

struct probe {
    pthread_t thread;
    uint64_t asked, wrong;
    int first_wrong; /* status */
    char said[200];
};

static void *probe(void *arg)
{
    struct probe *p = arg;
    for (; atomic_load(&probing); p->asked++) {
        char text[sizeof(p->said)];
        int status = http_once(admin, "GET", "/readyz", "", text, sizeof(text));
        if (status == 200 || p->wrong++ > 0)
            continue;
        p->first_wrong = status;
        memcpy(p->said, text, sizeof(text));
    }
    return NULL;
}

/* At no moment is a probe refused or told something else, and a connection that is kept alive ends
   between two requests. */
static void test_takeovers(void **state)
{
    enum { PROBES = 4 };
    static struct probe probes[PROBES]; /* their threads may outlive a test that fails */
    struct http kept;

    (void)state;
    start_proxy((const char *const[]){ "--workers", "2", "--shutdown-timeout", "4s", NULL });
    await_readyz(200);
    assert_true(http_open(&kept, admin));
    assert_int_equal(http_ask(&kept, "GET", "/healthz", ""), 200);
    atomic_store(&probing, true);
    for (int i = 0; i < PROBES; i++)
        assert_int_equal(pthread_create(&probes[i].thread, NULL, probe, &probes[i]), 0);
    for (int n = 1; n <= 3; n++) {
        process_signal(&proxy.process, SIGUSR2);
        proxy_await_log(&proxy, "event=\"taken over\"", n, scaled_ms(15000));
        proxy_await_log(&proxy, "event=\"left\"", 2 * n, scaled_ms(8000));
    }
    atomic_store(&probing, false);
    for (int i = 0; i < PROBES; i++)
        assert_int_equal(pthread_join(probes[i].thread, NULL), 0);
    for (int i = 0; i < PROBES; i++) {
        if (probes[i].wrong > 0)
            fail_msg("%llu of %llu probes were wrong, the first one: %d %s",
                     (unsigned long long)probes[i].wrong, (unsigned long long)probes[i].asked,
                     probes[i].first_wrong, probes[i].said);
        assert_true(probes[i].asked > 10);
    }
    assert_true(client_sees_end(&kept.raw));
    http_close(&kept);
}

/* Nobody else may have the port meanwhile, so a second proxy does not start on it. */
static void test_port_is_ours_alone(void **state)
{
    struct proxy second, first;
    char seeds[512], port[8];

    (void)state;
    start_proxy(NULL);
    first = proxy;
    snprintf(port, sizeof(port), "%d", admin);
    proxy_launch(&second, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--admin-port", port, NULL }, NULL);
    assert_true(process_wait(&second.process, scaled_ms(5000)));
    assert_int_equal(second.process.exit_code, 1);
    assert_int_equal(proxy_log_count(&second, "cannot bind"), 1);
    port_give_back(second.port);
    assert_int_equal(ask("GET", "/readyz", ""), 200);
    assert_int_equal(first.process.pid, proxy.process.pid);
}

/* --- draining ------------------------------------------------------------------------------ */

static bool has_ended(void *arg)
{
    (void)arg;
    return process_ended(&proxy.process);
}

/* It is told over HTTP to go, and says so until the last client, who waits, has left. */
static void test_drain(void **state)
{
    struct client c;

    (void)state;
    start_proxy((const char *const[]){ "--workers", "2", "--shutdown-timeout", "3s", NULL });
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    assert_int_equal(ask("POST", "/drain", "Content-Length: 0\r\n"), 202);
    proxy_await_log(&proxy, "drain asked for over HTTP", 1, scaled_ms(5000));
    assert_true(client_sees_end(&c));
    client_close(&c);
    assert_true(wait_until(has_ended, NULL, scaled_ms(6000)));
    assert_int_equal(proxy.process.exit_code, 0);
    assert_int_equal(ask("GET", "/healthz", ""), 0);
    port_give_back(proxy.port);
    proxy.port = 0;
}

static void test_says_that_it_drains(void **state)
{
    struct client c;

    (void)state;
    start_proxy((const char *const[]){ "--shutdown-timeout", "4s", NULL });
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
    /* A node that hangs keeps the reply back, so the client stays. */
    for (int i = 0; i < 3; i++)
        cluster_stop_node(&cluster, i);
    assert_true(client_send_command(&c, "GET", "k", NULL));
    process_signal(&proxy.process, SIGTERM);
    await_readyz(503);
    assert_string_equal(body, "not ready: draining\n");
    assert_int_equal(ask("GET", "/healthz", ""), 200);
    assert_int_equal(ask("POST", "/drain", "Content-Length: 0\r\n"), 202);
    for (int i = 0; i < 3; i++)
        cluster_continue_node(&cluster, i);
    client_expect(&c, "$1\r\nv\r\n");
    client_close(&c);
    assert_true(wait_until(has_ended, NULL, scaled_ms(6000)));
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
}

/* For shutdown-delay it serves on, new clients as well, and only /readyz tells; a second SIGTERM
   changes nothing, nor does Ctrl-C, which a terminal says to the workers, too. */
static void test_tells_before_it_leaves(void **state)
{
    struct client c;

    (void)state;
    start_proxy((const char *const[]){ "--workers", "2", "--shutdown-delay", "3s", NULL });
    assert_int_equal(ask("GET", "/readyz", ""), 200);
    uint64_t began = now_ms();
    process_signal(&proxy.process, SIGTERM);
    await_readyz(503);
    assert_string_equal(body, "not ready: leaves soon\n");
    proxy_await_log(&proxy, "event=\"will leave\"", 1, scaled_ms(1000));
    process_signal(&proxy.process, SIGTERM);
    assert_int_equal(kill(-proxy.process.pid, SIGINT), 0);
    int served = 0;
    while (now_ms() - began < 1500) {
        assert_true(client_open(&c, proxy.port));
        client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
        client_close(&c);
        assert_int_equal(ask("GET", "/readyz", ""), 503);
        served++;
    }
    assert_true(served > 0);
    assert_false(has_ended(NULL));
    assert_true(wait_until(has_ended, NULL, scaled_ms(6000)));
    assert_true(now_ms() - began >= 3000);
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
}

/* Nobody has to hear of the end of one that serves nobody. */
static void test_no_delay_before_it_serves(void **state)
{
    char seed[32];

    (void)state;
    uint16_t nobody = port_take();
    snprintf(seed, sizeof(seed), "127.0.0.1:%d", nobody);
    launch(seed, (const char *const[]){ "--shutdown-delay", "1m", NULL });
    await_readyz(503);
    process_signal(&proxy.process, SIGTERM);
    assert_true(wait_until(has_ended, NULL, scaled_ms(6000)));
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
    port_give_back(nobody);
}

/* --- no master ----------------------------------------------------------------------------- */

static void test_no_master_answers(void **state)
{
    (void)state;
    start_proxy((const char *const[]){ "--not-ready-after", "1s", NULL });
    await_readyz(200);
    for (int i = 0; i < 3; i++)
        cluster_stop_node(&cluster, i);
    await_readyz(503);
    assert_string_equal(body, "not ready: no master answers\n");
    assert_int_equal(ask("GET", "/healthz", ""), 200);
    for (int i = 0; i < 3; i++)
        cluster_continue_node(&cluster, i);
    await_readyz(200);
}

/* --- tokens -------------------------------------------------------------------------------- */

static void test_token(void **state)
{
    (void)state;
    start_proxy((const char *const[]){ "--admin-token", "open-sesame", NULL });
    assert_int_equal(ask("GET", "/config", ""), 401);
    assert_int_equal(ask("GET", "/config", "Authorization: Bearer open-sesamf\r\n"), 401);
    assert_int_equal(ask("GET", "/config", "Authorization: Basic open-sesame\r\n"), 401);
    assert_int_equal(ask("POST", "/drain", "Content-Length: 0\r\n"), 401);
    assert_int_equal(ask("GET", "/readyz", ""), 200);
    assert_int_equal(ask("GET", "/config", "Authorization: Bearer open-sesame\r\n"), 200);
    assert_null(strstr(body, "sesame"));
    assert_non_null(strstr(body, "\"admin-token\":{\"value\":\"(hidden)\""));
    assert_int_equal(proxy_log_count(&proxy, "sesame"), 0);
}

/* 127.0.0.2 is loopback, too, so another address of this machine is needed. */
static bool other_address(char out[64])
{
    FILE *file = popen("hostname -I", "re");
    bool found = file != NULL && fscanf(file, "%63s", out) == 1 && strchr(out, ':') == NULL;
    if (file != NULL)
        pclose(file);
    return found;
}

static int ask_at(const char *address, const char *method, const char *target)
{
    char command[512];
    int status = 0;
    snprintf(command, sizeof(command),
             "curl -s -o /dev/null -w '%%{http_code}' -m 5 -X %s http://%s:%d%s", method, address,
             admin, target);
    FILE *file = popen(command, "re");
    if (file == NULL || fscanf(file, "%d", &status) != 1)
        status = 0;
    if (file != NULL)
        pclose(file);
    return status;
}

static void test_beyond_the_loopback(void **state)
{
    char address[64];

    (void)state;
    start_proxy((const char *const[]){ "--admin-bind", "*", NULL });
    assert_int_equal(ask("GET", "/config", ""), 200);
    if (!other_address(address))
        return; /* a machine that has nothing but a loopback */
    assert_int_equal(ask_at(address, "GET", "/healthz"), 200);
    assert_int_equal(ask_at(address, "GET", "/config"), 403);
    assert_int_equal(ask_at(address, "POST", "/drain"), 403);
}

#define LIFE(test) cmocka_unit_test_teardown(test, stop_proxy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIFE(test_before_the_cluster),
        LIFE(test_a_worker_hangs),
        LIFE(test_takeovers),
        LIFE(test_port_is_ours_alone),
        LIFE(test_drain),
        LIFE(test_says_that_it_drains),
        LIFE(test_tells_before_it_leaves),
        LIFE(test_no_delay_before_it_serves),
        LIFE(test_no_master_answers),
        LIFE(test_token),
        LIFE(test_beyond_the_loopback),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
