/*
 * TLS on both sides: nodes that speak it, clients that must, may or show a certificate, and what
 * goes wrong. Clients go through a tunnel (certs.h), so that all that tests know of them holds.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/certs.h"
#include "test/lib/load.h"
#include "test/lib/testenv.h"

static const char *good, *foreign;
static char ca[320], cert[320], key[320];

static void set_paths(const char *dir)
{
    snprintf(ca, sizeof(ca), "%s", certs_file(dir, "ca.crt"));
    snprintf(cert, sizeof(cert), "%s", certs_file(dir, "server.crt"));
    snprintf(key, sizeof(key), "%s", certs_file(dir, "server.key"));
}

static int start(void **state)
{
    char seeds[512], node_cert[320], node_key[320];
    (void)state;
    good = certs_make("good", "IP:127.0.0.1");
    foreign = certs_make("foreign", "DNS:elsewhere.example");
    set_paths(good);
    snprintf(node_cert, sizeof(node_cert), "%s", certs_file(good, "client.crt"));
    snprintf(node_key, sizeof(node_key), "%s", certs_file(good, "client.key"));
    cluster_start(&cluster,
                  &(struct cluster_options){ .masters = 3, .replicas = 1, .tls_dir = good });
    /* clang-format off */
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "optional", "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-ca-cert-file", ca, "--tls-auth-clients", "optional", "--tls-cluster", "yes",
        "--tls-client-cert-file", node_cert, "--tls-client-key-file", node_key, NULL });
    /* clang-format on */
    return 0;
}

static int end(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    free((char *)good);
    free((char *)foreign);
    return 0;
}

/* --- both sides ------------------------------------------------------------------------------- */

/* The nodes are known by their ports for TLS, and not by the others. */
static void test_nodes_by_tls(void **state)
{
    struct client c;
    char text[32];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "PROXY", "CLUSTER", "NODES", NULL));
    const char *nodes = client_read(&c, &(size_t){ 0 });
    assert_non_null(nodes);
    for (int n = 0; n < cluster.options.masters; n++) {
        snprintf(text, sizeof(text), "127.0.0.1:%d\r\n", cluster.node[n].tls_port);
        assert_non_null(strstr(nodes, text));
        snprintf(text, sizeof(text), "127.0.0.1:%d\r\n", cluster.node[n].port);
        assert_null(strstr(nodes, text));
    }
    client_close(&c);
}

static char *big_value(size_t len)
{
    char *value = malloc(len);
    assert_non_null(value);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)(i * 2654435761u >> 13);
    return value;
}

/* Values of many sizes around those of a record, there and back. */
static void ask_all_sizes(uint16_t port)
{
    static const size_t sizes[] = { 0,     1,      1000,    15359,   15360,  15361,  16383,
                                    16384, 65535,  65536,   65537,   200000, 300001, 1000000,
                                    4096,  262144, 1 << 20, 3500000, 8000000 };
    struct client c;
    size_t len;
    char *value = big_value(8000000), head[32];
    assert_true(client_open(&c, port));
    c.timeout_ms = scaled_ms(20000);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const char *argv[] = { "SET", i % 2 == 0 ? "even" : "odd", value };
        assert_true(client_send_argv(&c, 3, argv, (size_t[]){ 3, strlen(argv[1]), sizes[i] }));
        client_expect(&c, "+OK\r\n");
        assert_true(client_send_argv(&c, 2, (const char *[]){ "GET", argv[1] },
                                     (size_t[]){ 3, strlen(argv[1]) }));
        const char *reply = client_read(&c, &len);
        assert_non_null(reply);
        int n = snprintf(head, sizeof(head), "$%zu\r\n", sizes[i]);
        assert_int_equal(len, (size_t)n + sizes[i] + 2);
        assert_memory_equal(reply, head, (size_t)n);
        assert_memory_equal(reply + n, value, sizes[i]);
    }
    free(value);
    client_close(&c);
}

static void test_values(void **state)
{
    struct tunnel t;
    (void)state;
    ask_all_sizes(proxy.port);
    tunnel_start(&t, proxy.port, good, false);
    ask_all_sizes(t.port);
    tunnel_stop(&t);
}

/* More than fits: the proxy stops reading, and goes on with what it had decrypted already. */
static void test_long_pipeline(void **state)
{
    enum { MANY = 30000 };
    struct tunnel t;
    struct client c;
    char wanted[64], *all = malloc(MANY * 64);
    size_t len = 0;
    (void)state;
    assert_non_null(all);
    tunnel_start(&t, proxy.port, good, true);
    assert_true(client_open(&c, t.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < MANY; i++)
        len += (size_t)sprintf(all + len, "ECHO line-%d-of-the-pipeline\r\n", i);
    assert_true(client_send(&c, all, len));
    for (int i = 0; i < MANY; i++) {
        int n = sprintf(wanted, "line-%d-of-the-pipeline", i);
        char raw[96];
        int total = sprintf(raw, "$%d\r\n%s\r\n", n, wanted);
        client_expect_bytes(&c, raw, (size_t)total);
    }
    free(all);
    client_close(&c);
    tunnel_stop(&t);
}

/* A large command that must wait ends what is read; behind it lies one that has come in with it,
   and nothing comes any more that would make the proxy look. */
static void test_rest_behind_a_pause(void **state)
{
    enum { LARGE = 100000 };
    struct tunnel t;
    struct client c;
    char *all = malloc(LARGE + 300);
    (void)state;
    assert_non_null(all);
    tunnel_start(&t, proxy.port, good, false);
    assert_true(client_open(&c, t.port));
    for (int round = 0; round < 20; round++) {
        size_t n = (size_t)sprintf(all,
                                   "GET nothing\r\n*6\r\n$4\r\nEVAL\r\n$15\r\n"
                                   "return #ARGV[1]\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\nb\r\n$%d\r\n",
                                   LARGE);
        memset(all + n, 'x', LARGE);
        n += LARGE;
        n += (size_t)sprintf(all + n, "\r\nPING\r\n");
        assert_true(client_send(&c, all, n));
        client_expect(&c, "$-1\r\n");
        client_expect(&c, ":100000\r\n");
        client_expect(&c, "+PONG\r\n");
    }
    free(all);
    client_close(&c);
    tunnel_stop(&t);
}

/* What has connections of its own: leases, feeds, both protocols, bulk. */
static void test_all_kinds_of_connections(void **state)
{
    struct tunnel t;
    struct client c, other;
    (void)state;
    tunnel_start(&t, proxy.port, good, false);
    assert_true(client_open(&c, t.port));
    assert_true(client_open(&other, t.port));
    client_ask_expect(&c, "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", "SUBSCRIBE", "news");
    client_ask_expect(&other, ":1\r\n", "PUBLISH", "news", "hello");
    client_expect(&c, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    client_close(&c);
    assert_true(client_open(&c, t.port));
    assert_true(client_send_command(&c, "HELLO", "3", NULL));
    client_expect_start(&c, "%7\r\n");
    client_ask_expect(&c, "_\r\n", "GET", "nothing");
    assert_true(client_send_command(&c, "BLPOP", "list", "0", NULL));
    assert_true(client_hears_nothing(&c, 50));
    client_ask_expect(&other, ":1\r\n", "RPUSH", "list", "x");
    client_expect(&c, "*2\r\n$4\r\nlist\r\n$1\r\nx\r\n");
    client_ask_expect(&c, "+OK\r\n", "WATCH", "a");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "a", "1");
    client_ask_expect(&c, "*1\r\n+OK\r\n", "EXEC");
    client_ask_expect(&c, "+OK\r\n", "MSET", "a", "1", "b", "2", "c", "3");
    client_close(&c);
    client_close(&other);
    tunnel_stop(&t);
}

/* Slots move, masters hand over, links break: the same promises as without. */
static void test_promises(void **state)
{
    struct tunnel t;
    (void)state;
    tunnel_start(&t, proxy.port, good, false);
    struct load *l = load_start(&(struct load_options){ .port = t.port });
    for (int slot = 0; slot < 6; slot++) {
        int number = slot * 2700, from = cluster_owner(&cluster, number);
        cluster_slot_move(&cluster, number, from == 0 ? 1 : 0);
        assert_true(load_goes_on(l, 50, scaled_ms(5000)));
    }
    for (int n = 0; n < 3; n++)
        cluster_do(&cluster, n, "CLIENT KILL TYPE normal SKIPME yes");
    assert_true(load_goes_on(l, 200, scaled_ms(5000)));
    cluster_failover(&cluster, 3, "");
    assert_true(load_goes_on(l, 200, scaled_ms(10000)));
    load_check(l, &cluster);
    tunnel_stop(&t);
}

/* --- who is let in ---------------------------------------------------------------------------- */

static bool speaks(uint16_t port, const char *dir, bool with_cert)
{
    struct tunnel t;
    struct client c;
    tunnel_start(&t, port, dir, with_cert);
    assert_true(client_open(&c, t.port));
    const char *reply = client_ask(&c, "PING", NULL);
    bool ok = reply != NULL && strcmp(reply, "+PONG\r\n") == 0;
    client_close(&c);
    tunnel_stop(&t);
    return ok;
}

static void test_clients_must(void **state)
{
    struct proxy p;
    struct client c;
    char seeds[512];
    (void)state;
    /* clang-format off */
    proxy_launch(&p, cluster_seeds(&cluster, seeds), (const char *const[]){
        "--tls-clients", "yes", "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-ca-cert-file", ca, "--tls-cluster", "yes", "--tls-client-cert-file", cert,
        "--tls-client-key-file", key, NULL }, NULL);
    /* clang-format on */
    proxy_await_log(&p, "event=\"listening\"", 1, scaled_ms(5000));
    assert_true(client_open(&c, p.port));
    client_ask_expect(&c, "-ERR slotgate: this port speaks TLS only\r\n", "PING");
    assert_true(client_sees_end(&c));
    client_close(&c);
    assert_true(speaks(p.port, good, true));
    assert_false(speaks(p.port, good, false)); /* tls-auth-clients is yes by default */
    assert_false(speaks(p.port, foreign, true));
    assert_true(proxy_log_count(&p, "event=\"TLS failed\"") >= 1);
    /* No line for a probe that says nothing. */
    char peer[48];
    assert_true(client_open(&c, p.port));
    snprintf(peer, sizeof(peer), "127.0.0.1:%u ", client_own_port(&c));
    client_close(&c);
    assert_true(speaks(p.port, good, true));
    assert_int_equal(proxy_log_count(&p, peer), 0);
    assert_true(proxy_stop(&p));
}

/* What begins as TLS and is none ends that connection and nothing else. */
static void test_garbage(void **state)
{
    static const char *const starts[] = { "\x16", "\x16garbage", "\x16\x03\x01\x02\x01\x01\x01" };
    struct client c, other;
    char junk[3000];
    (void)state;
    memset(junk, 'x', sizeof(junk));
    assert_true(client_open(&other, proxy.port));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        assert_true(client_open(&c, proxy.port));
        assert_true(client_send_text(&c, starts[i]));
        (void)client_send(&c, junk, sizeof(junk)); /* it may be closed by now */
        while (client_read(&c, &(size_t){ 0 }) != NULL)
            ;
        assert_int_not_equal(c.state, CLIENT_TIMEOUT);
        client_close(&c);
        client_ask_expect(&other, "+PONG\r\n", "PING");
    }
    client_close(&other);
}

/* --- which nodes are trusted ------------------------------------------------------------------ */

static void expect_no_cluster(const char *const *extra, const char *reason)
{
    struct proxy p;
    char seeds[512];
    proxy_launch(&p, cluster_seeds(&cluster, seeds), extra, NULL);
    proxy_await_log(&p, reason, 1, scaled_ms(5000));
    assert_int_equal(proxy_log_count(&p, "event=\"listening\""), 0);
    assert_true(proxy_stop(&p));
}

static void test_wrong_nodes(void **state)
{
    char foreign_ca[320];
    (void)state;
    snprintf(foreign_ca, sizeof(foreign_ca), "%s", certs_file(foreign, "ca.crt"));
    /* clang-format off */
    expect_no_cluster((const char *const[]){
        "--tls-cluster", "yes", "--tls-ca-cert-file", foreign_ca, NULL },
        "reason=\"self-signed certificate in certificate chain\"");
    expect_no_cluster((const char *const[]){
        "--tls-cluster", "yes", "--tls-ca-cert-file", ca, "--tls-cluster-name", "elsewhere", NULL },
        "reason=\"hostname mismatch\"");
    /* clang-format on */
    /* Plain words to a port for TLS. */
    expect_no_cluster(NULL, "no slot map from node");
}

/* --- new certificates ------------------------------------------------------------------------- */

static char *serial_of(uint16_t port)
{
    static char text[2][128];
    static int at;
    char line[600];
    snprintf(line, sizeof(line),
             "openssl s_client -connect 127.0.0.1:%d </dev/null 2>/dev/null | openssl x509 -noout "
             "-serial",
             port);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    at = !at;
    assert_non_null(fgets(text[at], sizeof(text[at]), f));
    pclose(f);
    return text[at];
}

static void copy_file(const char *from, const char *to)
{
    char *text = file_text(from);
    assert_non_null(text);
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    free(text);
}

static bool has_other_serial(void *arg)
{
    return strcmp(serial_of(proxy.port), arg) != 0;
}

static void test_new_certificate(void **state)
{
    struct tunnel t;
    struct client c;
    char before[128];
    (void)state;
    const char *later = certs_make("later", "IP:127.0.0.1");
    snprintf(before, sizeof(before), "%s", serial_of(proxy.port));
    tunnel_start(&t, proxy.port, good, false);
    assert_true(client_open(&c, t.port));
    client_ask_expect(&c, "+PONG\r\n", "PING");
    /* A key that does not fit: nothing changes. */
    copy_file(certs_file(later, "server.crt"), cert);
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "configuration not reloaded", 1, scaled_ms(5000));
    assert_string_equal(serial_of(proxy.port), before);
    copy_file(certs_file(later, "server.key"), key);
    process_signal(&proxy.process, SIGHUP);
    assert_true(wait_until(has_other_serial, before, scaled_ms(5000)));
    client_ask_expect(&c, "+PONG\r\n", "PING"); /* who is in stays */
    client_close(&c);
    tunnel_stop(&t);
    free((char *)later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_by_tls),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_long_pipeline),
        cmocka_unit_test(test_rest_behind_a_pause),
        cmocka_unit_test(test_all_kinds_of_connections),
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_clients_must),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_wrong_nodes),
        cmocka_unit_test(test_new_certificate),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, end));
}
