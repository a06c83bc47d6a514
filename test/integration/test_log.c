/*
 * The log: whatever happens, every line of --log-format json is one sound object that says who,
 * where and why; a health probe leaves no line.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/json_line.h"
#include "test/lib/load.h"
#include "test/lib/testenv.h"

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .replicas = 1 });
    return 0;
}

static void start_proxy(const char *level)
{
    char seeds[512];
    const char *const words[] = { "--log-format",          "json", "--log-level", level,
                                  "--client-output-limit", "64kb", NULL };
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), words);
}

/* The first line whose event is that, or NULL; ends at '\n'. */
static const char *line_of(const char *log, const char *event, size_t *len)
{
    char found[128];
    for (const char *end; (end = strchr(log, '\n')) != NULL; log = end + 1) {
        *len = (size_t)(end - log);
        if (json_line_get(log, *len, "event", found, sizeof(found)) && strcmp(found, event) == 0)
            return log;
    }
    return NULL;
}

/* Asserts that there is such a line and that it has these fields; the list ends with NULL. */
static void expect_line(const char *log, const char *event, const char *const *keys)
{
    char value[256];
    size_t len;
    const char *line = line_of(log, event, &len);
    if (line == NULL)
        fail_msg("no line \"%s\"", event);
    for (; *keys != NULL; keys++)
        if (!json_line_get(line, len, *keys, value, sizeof(value)) || strcmp(value, "") == 0)
            fail_msg("no %s: %.*s", *keys, (int)len, line);
}

/* A client that asks for much and reads nothing. */
static void be_slow(void)
{
    static char big[256 * 1024];
    struct client c;
    const char *const words[] = { "SET", "big", big };
    const size_t len[] = { 3, 3, sizeof(big) };
    memset(big, 'b', sizeof(big));
    assert_true(client_open_narrow(&c, proxy.port));
    assert_true(client_send_argv(&c, 3, words, len));
    client_expect(&c, "+OK\r\n");
    c.deaf = true;
    for (int i = 0; i < 64; i++)
        client_send_text(&c, "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n");
    proxy_await_log(&proxy, "output limit", 1, scaled_ms(10000));
    client_close(&c);
}

static void change_options(void)
{
    struct client c;
    assert_true(client_open(&c, proxy.port));
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "request-timeout", "4s");
    client_ask_expect(&c, "*2\r\n$10\r\nlog-format\r\n$4\r\njson\r\n", "CONFIG", "GET",
                      "log-format");
    client_close(&c);
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "configuration reloaded", 1, scaled_ms(5000));
}

static void test_every_line_parses(void **state)
{
    static const char *const lost[] = { "node", "reason", "pending", NULL };
    static const char *const slow[] = { "id", "addr", "bytes", NULL };
    static const char *const changed[] = { "name", "id", "addr", NULL };
    static const char *const map[] = { "node", "shards", "slots", "epoch", NULL };
    static const char *const closed[] = { "id", "reason", "age_ms", "commands", NULL };
    char key[64];
    (void)state;
    start_proxy("debug");
    struct load *load = load_start(&(struct load_options){ .port = proxy.port, .lossy = true });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    int master = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 0, 0, "", key)));
    int replica = cluster_replica_of(&cluster, master);
    assert_true(replica >= 0);
    cluster_failover(&cluster, replica, "");
    proxy_await_log(&proxy, "slot map changed", 2, scaled_ms(10000));
    cluster_kill_node(&cluster, master);
    be_slow();
    change_options();
    flows = flows && load_goes_on(load, 500, scaled_ms(5000));
    load_stop(load);
    proxy_stop(&proxy);
    char *log = proxy_log(&proxy);
    json_lines_check(log, 10);
    expect_line(log, "node connection lost", lost);
    expect_line(log, "client closed: its output limit is reached", slow);
    expect_line(log, "option changed", changed);
    expect_line(log, "slot map changed", map);
    expect_line(log, "client closed", closed);
    free(log);
    load_check(load, &cluster);
    assert_true(flows);
}

/* --- health probes -------------------------------------------------------------------------- */

static void probe(int kind)
{
    struct client c;
    assert_true(client_open(&c, proxy.port));
    if (kind == 2)
        client_ask_expect(&c, "+PONG\r\n", "PING");
    if (kind == 1)
        client_abort(&c);
    else
        client_close(&c);
}

/* A client that comes after them has been served, so all that they cause has been logged. */
static void probe_often(void)
{
    struct client c;
    for (int i = 0; i < 60; i++)
        probe(i % 3);
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&c, proxy.port));
        client_ask_expect(&c, "+PONG\r\n", "PING");
        client_close(&c);
    }
}

static void test_probes_leave_no_line(void **state)
{
    (void)state;
    start_proxy("info");
    proxy_await_log(&proxy, "listening", 1, scaled_ms(5000));
    char *before = proxy_log(&proxy);
    probe_often();
    char *after = proxy_log(&proxy);
    assert_string_equal(after, before);
    free(before);
    free(after);
}

/* They may be seen at level debug, and then with the probe's address. */
static void test_probes_at_debug(void **state)
{
    static const char *const accepted[] = { "id", "addr", NULL };
    char value[64];
    (void)state;
    start_proxy("debug");
    proxy_await_log(&proxy, "listening", 1, scaled_ms(5000));
    char *before = proxy_log(&proxy);
    probe_often();
    char *after = proxy_log(&proxy);
    const char *fresh = after + strlen(before);
    json_lines_check(fresh, 2);
    expect_line(fresh, "client accepted", accepted);
    for (const char *end; (end = strchr(fresh, '\n')) != NULL; fresh = end + 1) {
        assert_true(json_line_get(fresh, (size_t)(end - fresh), "level", value, sizeof(value)));
        assert_string_equal(value, "debug");
    }
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_probes_leave_no_line, beside_end_proxy),
        cmocka_unit_test_teardown(test_probes_at_debug, beside_end_proxy),
        cmocka_unit_test_teardown(test_every_line_parses, beside_end_proxy),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
