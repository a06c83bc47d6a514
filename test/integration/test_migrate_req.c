/*
 * net.ipv4.tcp_migrate_req: two proxies share a port, one of them is stuck and dies. With the
 * setting of deploy/sysctl.d the connections in its queue go to the other one, without it they are
 * reset. In a network namespace of its own, because the setting belongs to one.
 */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/namespace.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { CLIENTS = 60 };

static const char sysctl_name[] = "net.ipv4.tcp_migrate_req";
static const char sysctl_path[] = "/proc/sys/net/ipv4/tcp_migrate_req";

static struct redis_cluster cluster;
static struct proxy stuck, other;

static bool raise_loopback(void)
{
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

static int start(void **state)
{
    (void)state;
    namespace_enter(CLONE_NEWNET);
    assert_true(raise_loopback());
    cluster_start(&cluster, &(struct cluster_options){ .masters = 2 });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

/* What the file that we ship says. */
static char shipped_value(void)
{
    char *text = file_text(SYSCTL_FILE);
    char *line = text != NULL ? strstr(text, sysctl_name) : NULL;
    char *equals = line != NULL ? strchr(line, '=') : NULL;
    char value = equals != NULL ? equals[1 + strspn(equals + 1, " ")] : '?';

    free(text);
    return value;
}

static void set_sysctl(char value)
{
    assert_true(file_put(sysctl_path, (char[]){ value, '\0' }));
}

/* Counts the clients that the other proxy serves, of those that both have in their queues when one
   of them dies. */
static void run_with(char setting, int *served)
{
    static struct client c[CLIENTS];
    char seeds[512], port[8];
    pid_t worker;

    set_sysctl(setting);
    proxy_start(&stuck, cluster_seeds(&cluster, seeds), NULL);
    snprintf(port, sizeof(port), "%d", stuck.port);
    proxy_launch(&other, cluster_seeds(&cluster, seeds), (const char *const[]){ "-p", port, NULL },
                 NULL);
    port_give_back(other.port);
    other.port = stuck.port;
    proxy_await_log(&other, "event=\"listening\"", 1, scaled_ms(8000));
    assert_int_equal(proxy_workers(&stuck, &worker, 1), 1);
    process_signal(&stuck.process, SIGSTOP); /* the supervisor would replace its worker */
    assert_int_equal(kill(worker, SIGSTOP), 0);
    crowd_open(c, CLIENTS, stuck.port);
    for (int i = 0; i < CLIENTS; i++)
        assert_true(client_send_command(&c[i], "PING", NULL));
    kill(worker, SIGKILL);
    process_kill(&stuck.process);
    *served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        const char *reply = client_read(&c[i], NULL);
        *served += reply != NULL && strcmp(reply, "+PONG\r\n") == 0;
    }
    crowd_close(c, CLIENTS);
    assert_true(proxy_stop(&other));
    stuck.port = 0;
}

static void test_the_queue_of_a_dead_proxy(void **state)
{
    int served;

    (void)state;
    assert_int_equal(shipped_value(), '1');
    run_with('0', &served);
    fprintf(stderr, "without the setting %d of %d clients were served\n", served, CLIENTS);
    assert_in_range(served, 1, CLIENTS - 1);
    run_with(shipped_value(), &served);
    fprintf(stderr, "with it %d of %d\n", served, CLIENTS);
    assert_int_equal(served, CLIENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_queue_of_a_dead_proxy),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
