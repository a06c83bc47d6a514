/*
 * Whoever is sent away gets to read why, with all that was owed before, also when he talks on
 * without a look at what comes, by TCP, by TLS and by HTTP; that costs the proxy no memory, and no
 * connection for long.
 */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/certs.h"
#include "test/lib/testenv.h"

enum { VALUE = 1000000, VALUES = 16, TALK = 1 << 20, TALKS = 40 };

static const char protocol_error[] = "-ERR Protocol error: invalid bulk length\r\n";
static const char bad[] = "*1\r\n$x\r\n";
static char value[VALUE + 1], expected[VALUE + 32], talk[TALK + 1];
static size_t expected_len;
static uint16_t admin_port;
static const char *folder;
static char cert[320], key[320];

static int start(void **state)
{
    char seeds[512], port[8];
    (void)state;
    folder = certs_make("good", "IP:127.0.0.1");
    snprintf(cert, sizeof(cert), "%s", certs_file(folder, "server.crt"));
    snprintf(key, sizeof(key), "%s", certs_file(folder, "server.key"));
    memset(value, 'v', VALUE);
    memset(talk, 't', TALK);
    expected_len = (size_t)snprintf(expected, sizeof(expected), "$%d\r\n%s\r\n", VALUE, value);
    admin_port = port_take();
    snprintf(port, sizeof(port), "%u", admin_port);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 2 });
    /* clang-format off */
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "optional", "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-auth-clients", "no", "--admin-port", port, NULL });
    /* clang-format on */
    return 0;
}

static void open_client(struct client *c)
{
    assert_true(client_open(c, proxy.port));
    c->deaf = true;
}

/* It may be cut short: that is not what this is about. */
static void talk_on(struct client *c, int times)
{
    for (int i = 0; i < times && client_send(c, talk, TALK); i++)
        ;
    if (c->state == CLIENT_CLOSED)
        c->state = CLIENT_OPEN;
}

static bool nobody_else_is_there(void *context)
{
    const char *info = client_ask(context, "INFO", "clients", NULL);
    return info != NULL && strstr(info, "\r\nconnected_clients:1\r\n") != NULL;
}

/* Nobody but this one is connected after a while, whatever they do. */
static void await_others_gone(void)
{
    struct client other;
    open_client(&other);
    assert_true(wait_until(nobody_else_is_there, &other, scaled_ms(10000)));
    client_close(&other);
}

/* In one piece: once there are replies that nobody reads, no more is read of who owes that. */
static const char *gets_and(const char *last)
{
    static char text[512];
    size_t at = 0;
    for (int i = 0; i < VALUES; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "GET large\r\n");
    snprintf(text + at, sizeof(text) - at, "%s", last);
    return text;
}

static void behind_large_replies(const char *last, const char *words)
{
    struct client c;
    open_client(&c);
    client_ask_expect(&c, "+OK\r\n", "SET", "large", value);
    long before = proxy_rss_kib(&proxy);
    assert_true(client_send_text(&c, gets_and(last)));
    for (int i = 0; i < TALKS; i++)
        assert_true(client_send(&c, talk, TALK));
    assert_true(proxy_rss_kib(&proxy) - before <
                (VALUES + 16) * 1024 * (testenv_sanitized() ? 3 : 1));
    for (int i = 0; i < VALUES; i++)
        client_expect_bytes(&c, expected, expected_len);
    client_expect_bytes(&c, words, strlen(words));
    assert_true(client_sees_end(&c));
    client_close(&c);
}

static void test_protocol_error_behind_large_replies(void **state)
{
    (void)state;
    behind_large_replies(bad, protocol_error);
}

static void test_quit_behind_large_replies(void **state)
{
    (void)state;
    behind_large_replies("QUIT\r\n", "+OK\r\n");
}

static void test_protocol_error(void **state)
{
    struct client c;
    (void)state;
    open_client(&c);
    assert_true(client_send_text(&c, bad));
    talk_on(&c, TALKS);
    client_expect_bytes(&c, protocol_error, strlen(protocol_error));
    client_close(&c);
}

/* Who stays nevertheless is closed after a second. */
static void test_who_stays(void **state)
{
    static const char text[] = "GET large\r\n*1\r\n$x\r\n and so on";
    struct client c[8];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        open_client(&c[i]);
        assert_true(client_send_text(&c[i], text));
    }
    await_others_gone();
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        client_expect_bytes(&c[i], expected, expected_len);
        client_expect_bytes(&c[i], protocol_error, strlen(protocol_error));
        assert_true(client_sees_end(&c[i]));
        client_close(&c[i]);
    }
}

/* Too many: also who talks before anybody has listened reads why, and who is sent away takes no
   place from others. */
static void test_too_many(void **state)
{
    struct client admin, another, c[20];
    struct proxy plain;
    char seeds[512];
    (void)state;
    proxy_start(&plain, cluster_seeds(&cluster, seeds), NULL);
    assert_true(client_open(&admin, plain.port));
    proxy_login_admin(&admin);
    client_ask_expect(&admin, "+OK\r\n", "CONFIG", "SET", "maxclients", "1");
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        assert_true(client_open(&c[i], plain.port));
        c[i].deaf = true;
        talk_on(&c[i], 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        client_expect(&c[i], "-ERR max number of clients reached\r\n");
    client_ask_expect(&admin, "+OK\r\n", "CONFIG", "SET", "maxclients", "2");
    assert_true(client_open(&another, plain.port));
    client_ask_expect(&another, "+PONG\r\n", "PING");
    client_close(&another);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        client_close(&c[i]);
    client_close(&admin);
    assert_true(proxy_stop(&plain));
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* Large replies and an error behind them, to one that first writes all it has to say. */
static void test_by_tls(void **state)
{
    static char in[1 << 16];
    struct client c;
    size_t n, len = 0;
    (void)state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    open_client(&c);
    assert_int_equal(fcntl(c.fd, F_SETFL, 0), 0); /* it blocks */
    struct timeval patience = { .tv_sec = 20 };
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    SSL_set_fd(ssl, c.fd);
    assert_int_equal(SSL_connect(ssl), 1);
    const char *text = gets_and(bad);
    assert_int_equal(SSL_write_ex(ssl, text, strlen(text), &n), 1);
    for (int i = 0; i < TALKS; i++)
        assert_int_equal(SSL_write_ex(ssl, talk, TALK, &n), 1);
    while (SSL_read_ex(ssl, in, sizeof(in), &n) == 1)
        len += n;
    assert_int_equal(len, VALUES * expected_len + strlen(protocol_error));
    assert_true((SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
    SSL_free(ssl);
    SSL_CTX_free(context);
    client_close(&c);
}

static void test_plain_where_tls_must_be(void **state)
{
    struct proxy strict;
    struct client c;
    char seeds[512];
    (void)state;
    /* clang-format off */
    proxy_launch(&strict, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "yes", "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-auth-clients", "no", NULL }, NULL);
    /* clang-format on */
    proxy_await_log(&strict, "listening", 1, 10000);
    assert_true(client_open(&c, strict.port));
    c.deaf = true;
    talk_on(&c, TALKS);
    client_expect(&c, "-ERR slotgate: this port speaks TLS only\r\n");
    client_close(&c);
    assert_true(proxy_stop(&strict));
}

/* --- HTTP ------------------------------------------------------------------------------------- */

static void expect_refusal(const char *head, const char *answer)
{
    struct client c;
    char got[64] = "";
    assert_true(client_open(&c, admin_port));
    c.deaf = true;
    assert_true(client_send_text(&c, head));
    talk_on(&c, TALKS);
    struct timeval patience = { .tv_sec = 10 };
    assert_int_equal(fcntl(c.fd, F_SETFL, 0), 0);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(recv(c.fd, got, strlen(answer), MSG_WAITALL), strlen(answer));
    assert_string_equal(got, answer);
    client_close(&c);
}

static void test_by_http(void **state)
{
    (void)state;
    expect_refusal(
        "POST /log-level HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999\r\n\r\n",
        "HTTP/1.1 413 ");
    expect_refusal("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ", "HTTP/1.1 431 ");
    expect_refusal("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                   "HTTP/1.1 200 ");
}

/* Talks while the proxy drains, and has its replies. */
static void test_drain(void **state)
{
    struct client c;
    (void)state;
    open_client(&c);
    for (int i = 0; i < VALUES; i++)
        assert_true(client_send_text(&c, "GET large\r\n"));
    process_signal(&proxy.process, SIGTERM);
    proxy_await_log(&proxy, "draining", 1, 10000);
    for (int i = 0; i < VALUES; i++)
        client_expect_bytes(&c, expected, expected_len);
    client_close(&c);
    assert_true(proxy_await_end(&proxy));
}

static bool one_waits(void *context)
{
    const char *info = client_ask(context, "INFO", "clients", NULL);
    return info != NULL && strstr(info, "\r\nblocked_clients:1\r\n") != NULL;
}

/* Who waits and talks on is told the end like others, and nothing is taken for him behind that. */
static void test_drain_of_who_waits(void **state)
{
    struct client c, other;
    struct proxy second;
    char seeds[512], list[64];
    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--shutdown-timeout", "3s", NULL });
    assert_true(client_open(&c, second.port));
    assert_true(client_open(&other, second.port));
    cluster_key(&cluster, 0, 0, "list", list);
    assert_true(client_send_command(&c, "BLPOP", list, "0", NULL));
    assert_true(client_send_command(&c, "PING", NULL));
    assert_true(wait_until(one_waits, &other, scaled_ms(10000)));
    client_close(&other);
    process_signal(&second.process, SIGTERM);
    assert_true(client_sees_end(&c));
    cluster_do(&cluster, 0, "RPUSH %s element", list);
    assert_true(process_wait(&second.process, scaled_ms(10000)));
    assert_int_equal(second.process.exit_code, 0);
    port_give_back(second.port);
    second.port = 0;
    assert_int_equal(cluster_number(&cluster, 0, "LLEN %s", list), 1);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_protocol_error_behind_large_replies),
        cmocka_unit_test(test_quit_behind_large_replies),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_who_stays),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_by_tls),
        cmocka_unit_test(test_plain_where_tls_must_be),
        cmocka_unit_test(test_by_http),
        cmocka_unit_test(test_drain_of_who_waits),
        cmocka_unit_test(test_drain),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
