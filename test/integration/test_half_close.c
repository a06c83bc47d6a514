/*
 * A client that has said its last word, but reads on (shutdown, as `printf ... | nc` does), gets
 * all that it has asked for, by TCP and by TLS. Nothing behind QUIT is executed, whatever the proxy
 * was busy with.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/certs.h"
#include "test/lib/testenv.h"

static const char *folder;

static int start(void **state)
{
    char seeds[512], cert[320], key[320];
    (void)state;
    folder = certs_make("good", "IP:127.0.0.1");
    snprintf(cert, sizeof(cert), "%s", certs_file(folder, "server.crt"));
    snprintf(key, sizeof(key), "%s", certs_file(folder, "server.key"));
    oracle_start(&oracle);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    /* clang-format off */
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "optional", "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-auth-clients", "no", NULL });
    /* clang-format on */
    return 0;
}

static void open_client(struct client *c, uint16_t port)
{
    assert_true(client_open(c, port));
}

static void say_last_word(struct client *c, const char *text)
{
    assert_true(client_send_text(c, text));
    assert_int_equal(shutdown(c->fd, SHUT_WR), 0);
}

/* The same replies as from one Redis, and then the end. */
static void test_all_is_answered(void **state)
{
    static const struct {
        const char *requests;
        int replies;
    } cases[] = {
        { "PING\r\n", 1 },
        { "SET a 1\r\nGET a\r\nSET b 2\r\nGET b\r\nGET c\r\n", 5 },
        { "MSET a 1 b 2 c 3\r\nMGET a b c\r\nDEL a b c\r\nDBSIZE\r\n", 4 },
        { "SADD s1 a\r\nSADD s2 b\r\nSUNIONSTORE s3 s1 s2\r\nSCARD s3\r\nDEL s1 s2 s3\r\n", 5 },
        { "MULTI\r\nSET a 1\r\nSET b 2\r\nEXEC\r\nDEL a b\r\n", 5 },
        { "WATCH a b\r\nMULTI\r\nSET a 1\r\nEXEC\r\nDEL a b\r\n", 5 },
        { "GET a\r\nSUBSCRIBE channel\r\n", 2 },
        { "GET a\r\nBLPOP nothing 0\r\n", 1 },
        { "GET a\r\nGET b\r\nBLPOP nothing 0\r\nPING\r\n", 2 },
        { "GET a\r\nGET a\r\nSET a", 2 }, /* half a request is none */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct client c, o;
        open_client(&c, proxy.port);
        open_client(&o, oracle.port);
        say_last_word(&c, cases[i].requests);
        say_last_word(&o, cases[i].requests);
        for (int k = 0; k < cases[i].replies; k++) {
            size_t a_len, b_len;
            const char *a = client_read(&c, &a_len), *b = client_read(&o, &b_len);
            if (a == NULL || b == NULL || a_len != b_len || memcmp(a, b, a_len) != 0)
                fail_msg("%s, reply %d: %s instead of %s", cases[i].requests, k,
                         a != NULL ? a : client_state_text(&c), b != NULL ? b : "nothing");
        }
        assert_true(client_sees_end(&c));
        client_close(&c);
        client_close(&o);
    }
}

enum { VALUE = 2000, MANY = 5000 };

/* More than is taken at once, and more than the sockets hold. */
static void test_long_pipeline(void **state)
{
    static char value[VALUE + 1], expected[VALUE + 32];
    struct client c;
    (void)state;
    memset(value, 'v', VALUE);
    int len = snprintf(expected, sizeof(expected), "$%d\r\n%s\r\n", VALUE, value);
    open_client(&c, proxy.port);
    client_ask_expect(&c, "+OK\r\n", "SET", "long", value);
    c.deaf = true;
    for (int i = 0; i < MANY - 1; i++)
        assert_true(client_send_text(&c, "GET long\r\n"));
    say_last_word(&c, "GET long\r\n");
    for (int i = 0; i < MANY; i++)
        client_expect_bytes(&c, expected, (size_t)len);
    assert_true(client_sees_end(&c));
    client_close(&c);
}

static void test_a_node_that_hangs(void **state)
{
    char key[64];
    struct client c;
    (void)state;
    cluster_key(&cluster, 1, 0, "hangs", key);
    cluster_stop_node(&cluster, 1);
    open_client(&c, proxy.port);
    assert_true(client_send_command(&c, "SET", key, "1", NULL));
    say_last_word(&c, "PING\r\n");
    assert_true(client_hears_nothing(&c, 300));
    cluster_continue_node(&cluster, 1);
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "+PONG\r\n");
    assert_true(client_sees_end(&c));
    client_close(&c);
}

static bool one_is_connected(void *context)
{
    const char *info = client_ask(context, "INFO", "clients", NULL);
    return info != NULL && strstr(info, "\r\nconnected_clients:1\r\n") != NULL;
}

static bool nobody_waits(void *context)
{
    const char *info = client_ask(context, "INFO", "clients", NULL);
    return info != NULL && strstr(info, "\r\nblocked_clients:0\r\n") != NULL;
}

/* Nothing is taken out of a list for somebody who may have left. */
static void test_who_waits_has_left(void **state)
{
    struct client c, other;
    (void)state;
    open_client(&c, proxy.port);
    open_client(&other, proxy.port);
    say_last_word(&c, "BLPOP list 0\r\n");
    assert_true(client_sees_end(&c));
    client_close(&c);
    assert_true(wait_until(nobody_waits, &other, scaled_ms(10000)));
    client_ask_expect(&other, ":1\r\n", "RPUSH", "list", "element");
    client_ask_expect(&other, ":1\r\n", "LLEN", "list");
    client_close(&other);
}

static void test_nobody_stays(void **state)
{
    struct client c, other;
    (void)state;
    open_client(&other, proxy.port);
    for (int i = 0; i < 20; i++) {
        open_client(&c, proxy.port);
        assert_true(client_send_text(&c, "GET a\r\nGET b\r\nMGET a b c\r\nSUBSCRIBE x\r\n"));
        client_close(&c);
    }
    assert_true(wait_until(one_is_connected, &other, scaled_ms(10000)));
    client_close(&other);
}

enum { GONE = 4 };

/* They have said their last word, and the proxy has read it. */
static bool all_gone_are_ending(void *context)
{
    int n = 0;
    const char *list = client_ask(context, "CLIENT", "LIST", NULL);
    for (; list != NULL && (list = strstr(list, " flags=c ")) != NULL; list++)
        n++;
    return n == GONE;
}

/* Those that wait for an answer, and probably have left, make room for others. */
static void test_room_for_others(void **state)
{
    char key[64];
    struct client admin, gone[GONE], c;
    (void)state;
    cluster_key(&cluster, 1, 0, "hangs", key);
    open_client(&admin, proxy.port);
    proxy_login_admin(&admin);
    client_ask_expect(&admin, "+OK\r\n", "CONFIG", "SET", "maxclients", "5");
    cluster_stop_node(&cluster, 1);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
        open_client(&gone[i], proxy.port);
        assert_true(client_send_command(&gone[i], "GET", key, NULL));
        say_last_word(&gone[i], "PING\r\n");
    }
    assert_true(wait_until(all_gone_are_ending, &admin, 5000));
    open_client(&c, proxy.port);
    client_ask_expect(&c, "+PONG\r\n", "PING");
    assert_true(client_sees_end(&gone[0]));
    assert_true(client_hears_nothing(&gone[1], 100));
    cluster_continue_node(&cluster, 1);
    for (size_t i = 1; i < ARRAY_LEN(gone); i++) {
        client_expect(&gone[i], "$1\r\n1\r\n");
        client_expect(&gone[i], "+PONG\r\n");
        assert_true(client_sees_end(&gone[i]));
    }
    client_ask_expect(&admin, "+OK\r\n", "CONFIG", "SET", "maxclients", "10000");
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        client_close(&gone[i]);
    client_close(&c);
    client_close(&admin);
}

/* The proxy reads on when the union is done, and finds QUIT while a GET is under way. */
static void test_nothing_behind_quit(void **state)
{
    char key[64];
    struct client c, other;
    (void)state;
    cluster_key(&cluster, 1, 0, "hangs", key);
    open_client(&c, proxy.port);
    open_client(&other, proxy.port);
    client_ask_expect(&c, "+OK\r\n", "SET", key, "1");
    char one[64], two[64], text[512];
    cluster_key(&cluster, 0, 0, "one", one);
    cluster_key(&cluster, 2, 0, "two", two);
    client_ask_expect(&c, ":1\r\n", "SADD", one, "a");
    client_ask_expect(&c, ":1\r\n", "SADD", two, "b");
    cluster_stop_node(&cluster, 1);
    snprintf(text, sizeof(text), "SUNIONSTORE %s %s %s\r\nGET %s\r\nQUIT\r\n", two, one, two, key);
    assert_true(client_send_text(&c, text));
    client_expect(&c, ":2\r\n");
    assert_true(client_send_command(&c, "SET", one, "written behind QUIT", NULL));
    assert_true(client_hears_nothing(&c, 300));
    cluster_continue_node(&cluster, 1);
    client_expect(&c, "$1\r\n1\r\n");
    client_expect(&c, "+OK\r\n");
    assert_true(client_sees_end(&c));
    client_ask_expect(&other, "+set\r\n", "TYPE", one);
    client_close(&c);
    client_close(&other);
}

/* --- TLS -------------------------------------------------------------------------------------- */

/* Sends the text and close_notify in one packet, and gives all that comes back; 0: no orderly end.
 */
static size_t ask_by_tls(const char *text, char *out, size_t room)
{
    struct client c;
    size_t len = 0, n;
    int yes = 1, no = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    open_client(&c, proxy.port);
    struct timeval patience = { .tv_sec = 10 };
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(fcntl(c.fd, F_SETFL, 0), 0); /* it blocks */
    SSL_set_fd(ssl, c.fd);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &yes, sizeof(yes)), 0);
    assert_int_equal(SSL_write(ssl, text, (int)strlen(text)), (int)strlen(text));
    assert_int_equal(SSL_shutdown(ssl), 0);
    assert_int_equal(setsockopt(c.fd, IPPROTO_TCP, TCP_CORK, &no, sizeof(no)), 0);
    while (len < room - 1 && SSL_read_ex(ssl, out + len, room - 1 - len, &n) == 1)
        len += n;
    out[len] = '\0';
    bool orderly = (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    SSL_free(ssl);
    SSL_CTX_free(context);
    client_close(&c);
    return orderly ? len : 0;
}

static void test_by_tls(void **state)
{
    static const struct {
        const char *requests, *replies;
    } cases[] = {
        { "PING\r\nQUIT\r\n", "+PONG\r\n+OK\r\n" },
        { "SET t 1\r\nGET t\r\nDEL t\r\n", "+OK\r\n$1\r\n1\r\n:1\r\n" },
        { "SADD t1 a\r\nSADD t2 b\r\nSUNIONSTORE t3 t1 t2\r\nDEL t1 t2 t3\r\n",
          ":1\r\n:1\r\n:2\r\n:3\r\n" },
        { "PING\r\n*1\r\n$x\r\n", "+PONG\r\n-ERR Protocol error: invalid bulk length\r\n" },
    };
    char out[512];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(ask_by_tls(cases[i].requests, out, sizeof(out)), strlen(cases[i].replies));
        assert_string_equal(out, cases[i].replies);
    }
}

/* The union is still under way when the end comes, so the BLPOP begins behind the end. */
static void test_who_waits_by_tls(void **state)
{
    char out[64];
    struct client other;
    (void)state;
    open_client(&other, proxy.port);
    (void)ask_by_tls("SUNION t1 t2\r\nBLPOP tls-list 0\r\n", out, sizeof(out));
    assert_string_equal(out, "*0\r\n");
    assert_true(wait_until(one_is_connected, &other, 5000));
    client_ask_expect(&other, ":1\r\n", "RPUSH", "tls-list", "element");
    client_ask_expect(&other, ":1\r\n", "LLEN", "tls-list");
    client_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_answered),     cmocka_unit_test(test_long_pipeline),
        cmocka_unit_test(test_a_node_that_hangs),   cmocka_unit_test(test_who_waits_has_left),
        cmocka_unit_test(test_nobody_stays),        cmocka_unit_test(test_room_for_others),
        cmocka_unit_test(test_nothing_behind_quit), cmocka_unit_test(test_by_tls),
        cmocka_unit_test(test_who_waits_by_tls),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
