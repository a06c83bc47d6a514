/*
 * What systemd is told, heard on a socket that stands in for its own: READY when all workers
 * listen, signs of life for its watchdog, RELOADING and STOPPING. Only where libsystemd was there
 * to build.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;
static int heard_at = -1;
static char heard[65536]; /* everything so far, a line each */

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

static void listen_to_it(char variable[160])
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", testenv_dir());
    unlink(a.sun_path);
    heard_at = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(heard_at >= 0);
    assert_int_equal(bind(heard_at, (struct sockaddr *)&a, sizeof(a)), 0);
    snprintf(variable, 160, "NOTIFY_SOCKET=%s", a.sun_path);
    heard[0] = '\0';
}

static int start_proxy(void **state)
{
    char variable[160], seeds[512];

    (void)state;
    listen_to_it(variable);
    proxy_launch(&proxy, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--workers", "2", NULL },
                 (const char *const[]){ variable, "WATCHDOG_USEC=1000000", NULL });
    return 0;
}

static int stop_proxy(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    if (heard_at >= 0)
        close(heard_at);
    heard_at = -1;
    return 0;
}

static void hear(void)
{
    size_t at = strlen(heard);
    ssize_t n;

    while (at + 2 < sizeof(heard) &&
           (n = recv(heard_at, heard + at, sizeof(heard) - at - 2, 0)) > 0) {
        at += (size_t)n;
        heard[at++] = '\n';
        heard[at] = '\0';
    }
}

static int count(const char *text)
{
    int n = 0;

    hear();
    for (const char *at = heard; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

struct awaited {
    const char *text;
    int n;
};

static bool is_heard(void *arg)
{
    const struct awaited *a = arg;
    return count(a->text) >= a->n;
}

static void await(const char *text, int n)
{
    struct awaited a = { text, n };
    if (!wait_until(is_heard, &a, scaled_ms(8000)))
        fail_msg("systemd does not hear %d times: %s; but %s", n, text, heard);
}

static void test_life(void **state)
{
    struct client c;

    (void)state;
    await("READY=1\n", 1);
    assert_true(client_open(&c, proxy.port)); /* so it really listens */
    client_close(&c);
    assert_int_equal(count("READY=1\n"), 1);
    await("STATUS=2 of 2 workers serve\n", 1);
    await("WATCHDOG=1\n", 3);
    process_signal(&proxy.process, SIGHUP);
    await("RELOADING=1\nMONOTONIC_USEC=", 1);
    await("READY=1\n", 2);
    process_signal(&proxy.process, SIGUSR2);
    await("RELOADING=1\n", 2);
    await("READY=1\n", 3);
    int before = count("WATCHDOG=1\n");
    await("WATCHDOG=1\n", before + 2);
    assert_int_equal(count("STOPPING=1\n"), 0);
    process_signal(&proxy.process, SIGTERM);
    await("STOPPING=1\n", 1);
    assert_true(process_wait(&proxy.process, scaled_ms(8000)));
    assert_int_equal(proxy.process.exit_code, 0);
    port_give_back(proxy.port);
    proxy.port = 0;
}

/* A supervisor that hangs says nothing more, and systemd would start it anew. */
static void test_hanging(void **state)
{
    (void)state;
    await("WATCHDOG=1\n", 1);
    process_signal(&proxy.process, SIGSTOP);
    int status; /* what it was saying it says to the end */
    assert_int_equal(waitpid(proxy.process.pid, &status, WUNTRACED), proxy.process.pid);
    assert_true(WIFSTOPPED(status));
    int before = count("WATCHDOG=1\n");
    struct awaited more = { "WATCHDOG=1\n", before + 1 };
    assert_false(wait_until(is_heard, &more, 1500));
    process_signal(&proxy.process, SIGCONT);
    await("WATCHDOG=1\n", before + 1);
}

#define NOTIFY(test) cmocka_unit_test_setup_teardown(test, start_proxy, stop_proxy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTIFY(test_life),
        NOTIFY(test_hanging),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
