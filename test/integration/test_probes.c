/*
 * Health probes leave no line in the log: a balancer's bare TCP connect in all its forms, PING,
 * `slotgate --check`, and the admin port's pages, whatever the proxy asks of its clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/certs.h"
#include "test/lib/http.h"
#include "test/lib/testenv.h"

static uint16_t admin;

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 1 });
    admin = port_take();
    return 0;
}

static int stop(void **state)
{
    port_give_back(admin);
    return beside_end(state);
}

/* As a balancer does it: a connection without a word, ended in one way or another. */
static void knock(uint16_t port, int how)
{
    struct client c;
    assert_true(client_open(&c, port));
    if (how == 1)
        assert_true(shutdown(c.fd, SHUT_WR) == 0 && client_sees_end(&c));
    if (how == 2)
        client_abort(&c);
    else
        client_close(&c);
}

static void check(void)
{
    static int number;
    struct process child;
    char port[8], name[32];
    snprintf(port, sizeof(port), "%u", proxy.port);
    snprintf(name, sizeof(name), "probe-%d", ++number);
    const char *const argv[] = {
        proxy_binary(), "--check", "--bind", "127.0.0.1", "-p", port, NULL
    };
    assert_true(process_start(&child, name, argv, NULL));
    assert_true(process_wait(&child, scaled_ms(10000)));
    assert_int_equal(child.exit_code, 0);
}

static void ask_admin(void)
{
    static const char *const paths[] = { "/healthz", "/readyz", "/metrics" };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_int_equal(http_once(admin, "GET", paths[i], "", NULL, 0), 200);
}

static void probe(void)
{
    struct client c;
    for (int i = 0; i < 30; i++) {
        knock(proxy.port, i % 3);
        knock(admin, i % 3);
    }
    check();
    check();
    assert_true(client_open(&c, proxy.port));
    assert_non_null(client_ask(&c, "PING", NULL));
    client_close(&c);
}

/* What a probe causes is done when a later client of the same kind is served and gone. */
static void expect_silence(const char *const *extra)
{
    char seeds[512], number[8];
    const char *words[16] = { "--admin-port", number };
    size_t count = 2;
    snprintf(number, sizeof(number), "%u", admin);
    while (*extra != NULL)
        words[count++] = *extra++;
    proxy_launch(&proxy, cluster_seeds(&cluster, seeds), words, NULL);
    proxy_await_log(&proxy, "event=\"listening\"", 1, scaled_ms(10000));
    char *before = proxy_log(&proxy);
    probe();
    ask_admin();
    check();
    char *after = proxy_log(&proxy);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void test_plain(void **state)
{
    (void)state;
    expect_silence((const char *const[]){ NULL });
}

static void test_password(void **state)
{
    (void)state;
    expect_silence((const char *const[]){ "--requirepass", "sesame", NULL });
}

/* Nobody may do anything without a login, not even PING. */
static void test_users(void **state)
{
    (void)state;
    const char *file = testenv_file("none.acl", "user default on nopass -@all\n");
    expect_silence((const char *const[]){ "--acl-file", file, NULL });
}

static void test_tls(void **state)
{
    (void)state;
    const char *dir = certs_make("good", "IP:127.0.0.1");
    const char *cert = certs_file(dir, "server.crt"), *key = certs_file(dir, "server.key");
    expect_silence((const char *const[]){ "--tls-clients", "yes", "--tls-cert-file", cert,
                                          "--tls-key-file", key, "--tls-auth-clients", "no",
                                          NULL });
    free((char *)dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_plain, beside_end_proxy),
        cmocka_unit_test_teardown(test_password, beside_end_proxy),
        cmocka_unit_test_teardown(test_users, beside_end_proxy),
        cmocka_unit_test_teardown(test_tls, beside_end_proxy),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
