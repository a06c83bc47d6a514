/*
 * slotgate --check, the health check of a container: what it asks and which answers are good.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/fake_node.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;
static struct process child;
static char seeds[512];

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 1 });
    cluster_seeds(&cluster, seeds);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&cluster);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    if (child.pid != 0)
        process_kill(&child);
    return 0;
}

/* The exit code of the check with these arguments and this environment; what it said on stderr has
   to contain the part. */
static int check(const char *const *arguments, const char *const *env, const char *part)
{
    static int number;
    const char *argv[8] = { proxy_binary(), "--check" };
    char name[32];
    for (size_t n = 2; *arguments != NULL; n++) {
        REQUIRE(n + 1 < ARRAY_LEN(argv));
        argv[n] = *arguments++;
    }
    snprintf(name, sizeof(name), "check-%d", ++number);
    assert_true(process_start(&child, name, argv, env));
    assert_true(process_wait(&child, scaled_ms(10000)));
    char *out = file_text(child.out), *err = file_text(child.err);
    if (out[0] != '\0' || strstr(err, part) == NULL || (part[0] == '\0' && err[0] != '\0'))
        fail_msg("code %d, wanted \"%s\", stdout: %s stderr: %s", child.exit_code, part, out, err);
    free(out);
    free(err);
    return child.exit_code;
}

static int check_port(uint16_t port, const char *part)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", port);
    const char *const arguments[] = { "--bind", "127.0.0.1", "-p", text, NULL };
    return check(arguments, NULL, part);
}

static void test_serving(void **state)
{
    char port[32];
    static const char *const none[] = { NULL };
    static const char *const bind_all[] = { "--bind", "-::*,*", NULL };
    (void)state;
    proxy_start(&proxy, seeds, NULL);
    assert_int_equal(check_port(proxy.port, ""), 0);
    snprintf(port, sizeof(port), "SLOTGATE_PORT=%u", proxy.port);
    /* The whole configuration, of which the check uses a part. */
    const char *const env[] = { port, "SLOTGATE_AUTH_FILE=/nonexistent",
                                "SLOTGATE_CLUSTER_NODES=127.0.0.1:1", NULL };
    assert_int_equal(check(none, env, ""), 0);
    assert_int_equal(check(bind_all, env, "::1"), 0); /* nothing at ::1, but at 127.0.0.1 */
}

static void test_full(void **state)
{
    static const char *const one[] = { "--maxclients", "1", NULL };
    (void)state;
    proxy_start(&proxy, seeds, one);
    struct client c;
    assert_true(client_open(&c, proxy.port));
    assert_int_equal(check_port(proxy.port, ""), 0);
    client_close(&c);
}

/* The client that waited for the port to open may still be counted. */
static bool is_let_in(void *client)
{
    struct client *c = client;
    client_close(c);
    const char *reply = client_open(c, proxy.port) ? client_ask(c, "PING", NULL) : NULL;
    return reply != NULL && reply[0] == '+';
}

/* What a client said before it was refused lies unread in the socket; a close would reset it. */
static void test_full_is_heard(void **state)
{
    static const char *const one[] = { "--maxclients", "1", NULL };
    struct client first = { .fd = -1 }, c;
    pid_t worker;
    (void)state;
    proxy_start(&proxy, seeds, one);
    assert_true(wait_until(is_let_in, &first, scaled_ms(5000)));
    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    process_signal(&proxy.process, SIGSTOP);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "PING", NULL));
    assert_int_equal(kill(worker, SIGCONT), 0);
    process_signal(&proxy.process, SIGCONT);
    client_expect_start(&c, "-ERR max number of clients reached");
    assert_true(client_sees_end(&c));
    client_close(&c);
    client_close(&first);
}

static void test_not_yet_serving(void **state)
{
    uint16_t nobody = port_take();
    char seed[32];
    (void)state;
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", nobody);
    proxy_launch(&proxy, seed, NULL, NULL);
    proxy_await_log(&proxy, "no slot map from node", 1, scaled_ms(10000));
    assert_int_equal(check_port(proxy.port, "Connection refused"), 1);
    port_give_back(nobody);
}

static void test_hanging(void **state)
{
    (void)state;
    pid_t worker;
    proxy_start(&proxy, seeds, NULL);
    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    process_signal(&proxy.process, SIGSTOP); /* first: it would replace a worker that hangs */
    assert_int_equal(kill(worker, SIGSTOP), 0);
    assert_int_equal(check_port(proxy.port, "no answer"), 1);
    assert_int_equal(kill(worker, SIGCONT), 0);
    process_signal(&proxy.process, SIGCONT);
}

static void test_somebody_else(void **state)
{
    uint16_t port = port_take();
    struct fake_node *fake = fake_node_start(port);
    (void)state;
    fake_node_behave_in_everything(fake, FAKE_ANSWER, "-LOADING not yet\r\n");
    assert_int_equal(check_port(port, "not PONG"), 1);
    fake_node_behave_in_everything(fake, FAKE_ANSWER, "-NOAUTH Authentication required.\r\n");
    assert_int_equal(check_port(port, ""), 0);
    fake_node_behave_in_everything(fake, FAKE_BYTE_BY_BYTE, "+PONG\r\n");
    assert_int_equal(check_port(port, ""), 0);
    fake_node_behave_in_everything(fake, FAKE_CLOSE, NULL);
    assert_int_equal(check_port(port, "closed without an answer"), 1);
    fake_node_stop(fake);
    port_give_back(port);
}

static void test_wrong_option(void **state)
{
    static const char *const bad[] = { "-p", "0", NULL };
    (void)state;
    assert_int_equal(check(bad, NULL, "port"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_serving, after_each),
        cmocka_unit_test_teardown(test_full, after_each),
        cmocka_unit_test_teardown(test_full_is_heard, after_each),
        cmocka_unit_test_teardown(test_not_yet_serving, after_each),
        cmocka_unit_test_teardown(test_hanging, after_each),
        cmocka_unit_test_teardown(test_somebody_else, after_each),
        cmocka_unit_test_teardown(test_wrong_option, after_each),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
