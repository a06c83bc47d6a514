/*
 * The admin port: what each path answers, who may ask, and that HTTP that is malformed, slow, too
 * large or too much is bounded and leaves the clients of the data port alone.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/crowd.h"
#include "test/lib/http.h"
#include "test/lib/testenv.h"

enum { BODY_ROOM = 256 * 1024, CONNECTIONS = 32 };

static uint16_t admin;
static char body[BODY_ROOM];

static void start_proxy(const char *const *more)
{
    char seeds[512], port[8];
    const char *argv[16] = {
        "--admin-port", port, "--workers", "2", "--topology-interval", "500ms"
    };
    int n = 6;

    admin = port_take();
    snprintf(port, sizeof(port), "%d", admin);
    while (more != NULL && *more != NULL)
        argv[n++] = *more++;
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), argv);
}

static int start(void **state)
{
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .replicas = 1 });
    start_proxy(NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

static int ask(const char *method, const char *target, const char *more)
{
    return http_once(admin, method, target, more, body, sizeof(body));
}

static int get(const char *target)
{
    return ask("GET", target, "");
}

static void expect_in_body(const char *text)
{
    if (strstr(body, text) == NULL)
        fail_msg("no %s in %.2000s", text, body);
}

/* --- paths ------------------------------------------------------------------------------------ */

static void test_health(void **state)
{
    (void)state;
    assert_int_equal(get("/healthz"), 200);
    assert_string_equal(body, "ok\n");
    assert_int_equal(get("/readyz"), 200);
    assert_string_equal(body, "ready\n");
}

/* Nodes tell of their replicas once something has been replicated. */
static bool shows_all_nodes(void *arg)
{
    char node[64];

    (void)arg;
    if (get("/topology") != 200)
        return false;
    for (int i = 0; i < cluster.count; i++) {
        snprintf(node, sizeof(node), "{\"address\":\"127.0.0.1:%d\",\"role\":\"%s\"",
                 cluster.node[i].port, i < 3 ? "master" : "replica");
        if (strstr(body, node) == NULL)
            return false;
    }
    return true;
}

static void test_topology(void **state)
{
    char slots[64];

    (void)state;
    for (int i = 0; i < 3; i++)
        cluster_do(&cluster, i, "SET %s 1", cluster_key(&cluster, i, 0, "shown", slots));
    if (!wait_until(shows_all_nodes, NULL, scaled_ms(8000)))
        fail_msg("not all nodes are in %.2000s", body);
    expect_in_body("\"slots_covered\":16384");
    snprintf(slots, sizeof(slots), "\"slots\":[[%d,%d]]", cluster.node[1].first_slot,
             cluster.node[1].last_slot);
    expect_in_body(slots);
}

static void test_clients(void **state)
{
    struct client c;
    char text[128];

    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "SETNAME", "a\"name\\");
    client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
    snprintf(text, sizeof(text),
             "\"address\":\"127.0.0.1:%u\",\"name\":\"a\\\"name\\\\\",\"library\":\"\","
             "\"user\":\"default\",\"doing\":\"idle\",\"command\":\"set\"",
             client_own_port(&c));
    /* Either worker may be asked, and either may have the client. */
    bool found = false;
    for (int i = 0; i < 50 && !found; i++) {
        assert_int_equal(get("/clients"), 200);
        found = strstr(body, text) != NULL;
    }
    assert_true(found);
    client_close(&c);
}

/* How many clients are shown, and which place that name has among them; -1: none. */
static int top_clients(const char *name, int *place)
{
    char text[64];
    int count = 0;
    snprintf(text, sizeof(text), "\"name\":\"%s\"", name);
    assert_int_equal(get("/top-clients"), 200);
    const char *wanted = strstr(body, text);
    *place = -1;
    for (const char *at = body; (at = strstr(at, "{\"id\":")) != NULL; at++, count++)
        if (wanted != NULL && at < wanted)
            *place = count;
    return count;
}

/* ... and holds much. */
static bool is_first(void *name)
{
    int place;
    top_clients(name, &place);
    const char *held = strstr(body, "\"held_bytes\":");
    return place == 0 && held != NULL && atol(held + strlen("\"held_bytes\":")) > 100000;
}

/* At most twenty of each worker, whatever the number: the one that holds most, then the busiest. */
static void test_top_clients(void **state)
{
    struct client crowd[60], busy, slow;
    int place;

    (void)state;
    crowd_open(crowd, ARRAY_LEN(crowd), proxy.port);
    assert_true(client_open(&busy, proxy.port));
    client_ask_expect(&busy, "+OK\r\n", "CLIENT", "SETNAME", "busy");
    for (int i = 0; i < 2000; i++)
        client_ask_expect(&busy, "+PONG\r\n", "PING");
    assert_int_equal(top_clients("busy", &place), 40);
    assert_in_range(place, 0, 39);

    char *value = malloc(500001);
    assert_non_null(value);
    memset(value, 'v', 500000);
    value[500000] = '\0';
    client_ask_expect(&busy, "+OK\r\n", "SET", "large", value);
    free(value);
    assert_true(client_open_narrow(&slow, proxy.port));
    client_ask_expect(&slow, "+OK\r\n", "CLIENT", "SETNAME", "slow");
    for (int i = 0; i < 40; i++)
        assert_true(client_send_command(&slow, "GET", "large", NULL));
    /* That worker's part of the list begins with it; which worker comes first may change. */
    assert_true(wait_until(is_first, "slow", scaled_ms(5000)));
    crowd_close(crowd, ARRAY_LEN(crowd));
    client_close(&busy);
    client_close(&slow);
}

static void test_config(void **state)
{
    char text[128];

    (void)state;
    assert_int_equal(get("/config"), 200);
    snprintf(text, sizeof(text),
             "\"port\":{\"value\":\"%d\",\"from\":\"command line\",\"live\":\"no\"}", proxy.port);
    expect_in_body(text);
    expect_in_body("\"maxclients\":{\"value\":\"10000\",\"from\":\"default\",\"live\":\"yes\"}");
    expect_in_body("\"auth\":{\"value\":\"\",");
}

/* The number behind this name and these labels; -1: there is none. */
static double metric(const char *series)
{
    size_t len = strlen(series);
    for (const char *at = body; (at = strstr(at, series)) != NULL; at += len)
        if ((at == body || at[-1] == '\n') && at[len] == ' ')
            return strtod(at + len, NULL);
    return -1;
}

static bool counts_requests(void *arg)
{
    assert_int_equal(get("/metrics"), 200);
    return metric("slotgate_requests_total{command=\"get\"}") >= *(double *)arg;
}

/* Every line is a comment or a series with a number; what the clients did is in it. */
static void test_metrics(void **state)
{
    struct client c;
    char series[128];

    (void)state;
    assert_int_equal(get("/metrics"), 200);
    double wanted = metric("slotgate_requests_total{command=\"get\"}");
    wanted = (wanted < 0 ? 0 : wanted) + 20;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "counted", "x");
    for (int i = 0; i < 20; i++)
        client_ask_expect(&c, "$1\r\nx\r\n", "GET", "counted");
    client_ask_expect(&c, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
                      "LPUSH", "counted", "x");
    assert_true(wait_until(counts_requests, &wanted, scaled_ms(3000)));
    assert_true(metric("slotgate_requests_failed_total{command=\"lpush\"}") >= 1);
    assert_true(metric("slotgate_errors_total{kind=\"WRONGTYPE\"}") >= 1);
    assert_true(metric("slotgate_request_duration_seconds_count{command=\"get\"}") >= 20);
    assert_true(metric("slotgate_request_duration_seconds_bucket{command=\"get\",le=\"+Inf\"}") >=
                20);
    assert_true(metric("slotgate_slots_uncovered") == 0);
    assert_true(metric("slotgate_workers") == 2);
    assert_true(metric("slotgate_workers_listening") == 2);
    assert_true(metric("slotgate_worker_clients{worker=\"1\"}") >= 0);
    int owner = cluster_owner(&cluster, cluster_slot("counted"));
    snprintf(series, sizeof(series), "slotgate_node_duration_seconds_count{node=\"127.0.0.1:%d\"}",
             cluster.node[owner].port);
    assert_true(metric(series) >= 20);
    for (char *line = strtok(body, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strncmp(line, "# HELP slotgate_", 16) != 0 &&
            strncmp(line, "# TYPE slotgate_", 16) != 0)
            assert_true(strncmp(line, "slotgate_", 9) == 0 && strrchr(line, ' ') != NULL);
    client_close(&c);
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(get("/status.json"), 200);
    expect_in_body("\"not_ready\":\"\"");
    expect_in_body("\"requests_total\":{");
    expect_in_body("{\"number\":1,\"state\":\"serving\",");
    expect_in_body("\"shards\":[{\"slots\":[[0,5460]]");
}

static void test_slowlog(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "0");
    client_ask_expect(&c, "+OK\r\n", "SET", "slow\xff\"one", "x");
    assert_int_equal(get("/slowlog"), 200);
    expect_in_body("\"command\":[\"SET\",\"slow\\u00ff\\\"one\",\"x\"]");
    expect_in_body("\"node\":\"127.0.0.1:");
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "10000");
    client_close(&c);
}

static bool shows_hot_key(void *arg)
{
    struct client *c = arg;
    for (int i = 0; i < 2000; i++)
        client_ask_expect(c, "$1\r\n1\r\n", "GET", "hot\"key");
    assert_int_equal(get("/hotkeys"), 200);
    return strstr(body, "{\"key\":\"hot\\\"key\",\"length\":7,\"slot\":") != NULL;
}

static void test_keys(void **state)
{
    static char value[20000];
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "hot\"key", "1");
    memset(value, 'x', sizeof(value) - 1);
    client_ask_expect(&c, "+OK\r\n", "SET", "big", value);
    assert_true(wait_until(shows_hot_key, &c, scaled_ms(5000)));
    expect_in_body("\"bigkeys\":[{\"key\":\"big\",");
    expect_in_body("\"command\":\"set\"");
    client_close(&c);
}

/* A browser may load the page's own files and nothing else. */
static void test_page(void **state)
{
    static const char *const files[][2] = { { "/", "text/html; charset=utf-8" },
                                            { "/page.css", "text/css; charset=utf-8" },
                                            { "/page.js", "text/javascript; charset=utf-8" },
                                            { "/icon.svg", "image/svg+xml" } };
    struct http h;

    (void)state;
    assert_true(http_open(&h, admin));
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        assert_int_equal(http_ask(&h, "GET", files[i][0], ""), 200);
        assert_string_equal(http_header(&h, "content-type"), files[i][1]);
        assert_non_null(strstr(http_header(&h, "content-security-policy"), "default-src 'none'"));
        assert_true(h.body_len > 100);
        assert_null(strstr(h.body, "https://"));
    }
    http_close(&h);
}

enum { LEVEL_CLIENTS = 4 };

static bool all_log_debug(void *arg)
{
    struct client *c = arg;
    bool all = true;
    for (int i = 0; i < LEVEL_CLIENTS; i++) {
        const char *reply = client_ask(&c[i], "CONFIG", "GET", "log-level", NULL);
        all = all && reply != NULL && strstr(reply, "debug") != NULL;
    }
    return all;
}

static void test_log_level(void **state)
{
    struct client c[LEVEL_CLIENTS]; /* some at each worker */

    (void)state;
    for (int i = 0; i < LEVEL_CLIENTS; i++)
        assert_true(client_open(&c[i], proxy.port));
    assert_int_equal(ask("POST", "/log-level", "Content-Length: 0\r\n"), 400);
    assert_int_equal(ask("POST", "/log-level?level=loud", "Content-Length: 0\r\n"), 400);
    assert_int_equal(ask("POST", "/log-level?level=debug", "Content-Length: 0\r\n"), 200);
    assert_true(wait_until(all_log_debug, c, scaled_ms(3000)));
    assert_int_equal(ask("POST", "/log-level", "Content-Length: 4\r\n\r\ninfo"), 200);
    for (int i = 0; i < LEVEL_CLIENTS; i++)
        client_close(&c[i]);
}

static void test_methods_and_paths(void **state)
{
    struct http h;

    (void)state;
    assert_int_equal(get("/nowhere"), 404);
    assert_int_equal(get("/healthz/"), 404);
    assert_int_equal(get("/healthz?verbose=1"), 200);
    assert_int_equal(get("http://localhost/healthz"), 200);
    assert_int_equal(get("/drain"), 405);
    assert_int_equal(ask("DELETE", "/config", ""), 405);
    assert_true(http_open(&h, admin));
    assert_int_equal(http_ask(&h, "GET", "/healthz", ""), 200);
    char length[16];
    snprintf(length, sizeof(length), "%s", http_header(&h, "content-length"));
    assert_int_equal(http_ask(&h, "HEAD", "/healthz", ""), 200);
    assert_string_equal(http_header(&h, "content-length"), length);
    assert_int_equal(http_ask(&h, "POST", "/healthz", "Content-Length: 0\r\n"), 405);
    assert_string_equal(http_header(&h, "allow"), "GET, HEAD");
    assert_string_equal(http_header(&h, "connection"), "keep-alive");
    assert_int_equal(http_ask(&h, "GET", "/healthz", "Connection: close\r\n"), 200);
    assert_string_equal(http_header(&h, "connection"), "close");
    assert_true(client_sees_end(&h.raw));
    http_close(&h);
}

static void test_old_clients(void **state)
{
    struct http h;

    (void)state;
    assert_true(http_open(&h, admin));
    assert_true(http_send(&h, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    assert_int_equal(http_read(&h, true), 200);
    assert_string_equal(http_header(&h, "connection"), "keep-alive");
    assert_true(http_send(&h, "GET /healthz HTTP/1.0\r\n\r\n"));
    assert_int_equal(http_read(&h, true), 200);
    assert_string_equal(http_header(&h, "connection"), "close");
    assert_true(client_sees_end(&h.raw));
    http_close(&h);
}

static void test_pipeline(void **state)
{
    enum { REQUESTS = 500 };
    static const char one[] = "GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n"
                              "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n";
    char *all = malloc(sizeof(one) * REQUESTS);
    struct http h;

    (void)state;
    assert_non_null(all);
    for (int i = 0; i < REQUESTS; i++)
        memcpy(all + (size_t)i * (sizeof(one) - 1), one, sizeof(one));
    assert_true(http_open(&h, admin));
    h.raw.deaf = true;
    assert_true(http_send(&h, all));
    for (int i = 0; i < REQUESTS; i++) {
        assert_int_equal(http_read(&h, true), 200);
        assert_int_equal(http_read(&h, true), 404);
    }
    free(all);
    http_close(&h);
}

/* --- what is refused -------------------------------------------------------------------------- */

/* `count` times the letter x stands between the two texts. */
struct bad_request {
    int status;
    const char *before;
    int count;
    const char *after;
};

static const struct bad_request bad_requests[] = {
    { 400, "*1\r\n$4\r\nPING\r\n", 0, "" },
    { 400, "nonsense\r\n\r\n", 0, "" },
    { 400, "GET / HTTP/1.1\r\n\r\n", 0, "" },
    { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0, "" },
    { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 0, "" },
    { 400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 0, "" },
    { 413, "POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n", 0, "" },
    { 417,
      "POST /drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n"
      "Expect: 100-continue\r\n\r\n",
      0, "" },
    { 414, "GET /", 2000, " HTTP/1.1\r\nHost: a\r\n\r\n" },
    { 431, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 9000, "\r\n\r\n" },
    { 413, "POST /drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n",
      70000, "" },
};

static void send_bad(struct http *h, const struct bad_request *bad)
{
    char *request = malloc(strlen(bad->before) + (size_t)bad->count + strlen(bad->after) + 1);
    assert_non_null(request);
    char *at = stpcpy(request, bad->before);
    memset(at, 'x', (size_t)bad->count);
    strcpy(at + bad->count, bad->after);
    assert_true(http_open(h, admin));
    assert_true(http_send(h, request));
    free(request);
}

/* Each ends a second behind its answer, so they go side by side. */
static void test_malformed(void **state)
{
    struct http h[ARRAY_LEN(bad_requests)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        send_bad(&h[i], &bad_requests[i]);
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        if (http_read(&h[i], true) != bad_requests[i].status)
            fail_msg("%d for %.100s", h[i].status, bad_requests[i].before);
    for (size_t i = 0; i < ARRAY_LEN(h); i++) {
        assert_true(client_sees_end(&h[i].raw));
        http_close(&h[i]);
    }
    assert_int_equal(get("/readyz"), 200);
}

/* --- who may ---------------------------------------------------------------------------------- */

static int host(const char *name, const char *target)
{
    char request[512];
    struct http h;
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, name);
    int status = http_open(&h, admin) && http_send(&h, request) ? http_read(&h, true) : 0;
    http_close(&h);
    return status;
}

/* A page of somebody else's that resolves its own name to this machine. */
static void test_rebinding(void **state)
{
    (void)state;
    assert_int_equal(host("evil.example", "/config"), 403);
    assert_int_equal(host("evil.example:9121", "/clients"), 403);
    assert_int_equal(host("127.0.0.1.evil.example", "/topology"), 403);
    assert_int_equal(host("", "/topology"), 403);
    assert_int_equal(host("127.0.0.1:9121", "/config"), 200);
    assert_int_equal(host("[::1]:9121", "/config"), 200);
    assert_int_equal(host("LOCALHOST:1", "/config"), 200);
    assert_int_equal(host("evil.example", "/healthz"), 200);
}

static void test_other_origins(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "/log-level?level=info", "Origin: http://evil.example\r\n"), 403);
    assert_int_equal(ask("POST", "/log-level?level=info", "Origin: null\r\n"), 403);
    assert_int_equal(ask("POST", "/log-level?level=info", "Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_int_equal(ask("POST", "/log-level?level=info", "Origin: http://localhost\r\n"), 200);
    assert_int_equal(ask("POST", "/log-level?level=info",
                         "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n"),
                     200);
}

/* --- slow and many ---------------------------------------------------------------------------- */

/* A head that never ends is answered after five seconds; who never says a word is closed; meanwhile
   others are served on both ports. */
static void test_slow_requests(void **state)
{
    struct http slow, silent;
    struct client c;

    (void)state;
    uint64_t began = now_ms();
    assert_true(http_open(&slow, admin));
    assert_true(http_open(&silent, admin));
    assert_true(http_send(&slow, "GET /config HTTP/1.1\r\nHost: "));
    assert_true(client_open(&c, proxy.port));
    while (now_ms() - began < 4000) {
        assert_true(http_send(&slow, "a"));
        client_ask_expect(&c, "+PONG\r\n", "PING");
        rest_us(100 * 1000); /* a byte now and then, up to the limit */
    }
    assert_int_equal(http_read(&slow, true), 408);
    assert_in_range(now_ms() - began, 4500, 8000);
    assert_true(client_sees_end(&slow.raw));
    assert_true(client_sees_end(&silent.raw));
    http_close(&slow);
    http_close(&silent);
    client_close(&c);
}

static bool is_served(void *arg)
{
    (void)arg;
    return get("/readyz") == 200;
}

/* Both workers are full: one more is told so at once, the data port is unharmed, and when they have
   left there is room again. */
static void test_too_many_connections(void **state)
{
    static struct http h[2 * CONNECTIONS + 8];
    struct client c;
    int refused = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        assert_true(http_open(&h[i], admin));
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "many", "1");
    for (size_t i = 0; i < ARRAY_LEN(h); i++) {
        int status = http_ask(&h[i], "GET", "/healthz", "");
        refused += status != 200;
    }
    assert_in_range(refused, 8, 8 + CONNECTIONS);
    client_ask_expect(&c, "$1\r\n1\r\n", "GET", "many");
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        http_close(&h[i]);
    assert_true(wait_until(is_served, NULL, scaled_ms(3000)));
    client_close(&c);
}

static long memory_of_all(void)
{
    pid_t pids[4];
    long kib = 0;
    int n = proxy_workers(&proxy, pids, 4);
    for (int i = 0; i < n; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/status", (int)pids[i]);
        char *status = file_text(path);
        const char *line = status != NULL ? strstr(status, "VmRSS:") : NULL;
        kib += line != NULL ? strtol(line + 6, NULL, 10) : 0;
        free(status);
    }
    return kib;
}

/* A reader that reads nothing is not sent for ever. */
static void test_answers_that_nobody_reads(void **state)
{
    enum { REQUESTS = 3000 };
    static const char one[] = "GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct http h;
    struct client c;

    (void)state;
    long before = memory_of_all();
    http_open(&h, admin);
    client_close(&h.raw);
    assert_true(client_open_narrow(&h.raw, admin));
    h.raw.deaf = true;
    h.raw.timeout_ms = 500;
    for (int i = 0; i < REQUESTS; i++)
        if (!http_send(&h, one))
            break;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+PONG\r\n", "PING");
    assert_int_equal(get("/readyz"), 200);
    assert_true(memory_of_all() - before < 6 * 1024 * (testenv_sanitized() ? 4 : 1));
    client_close(&c);
    http_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_topology),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_slowlog),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_log_level),
        cmocka_unit_test(test_methods_and_paths),
        cmocka_unit_test(test_old_clients),
        cmocka_unit_test(test_top_clients),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_rebinding),
        cmocka_unit_test(test_other_origins),
        cmocka_unit_test(test_slow_requests),
        cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_answers_that_nobody_reads),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
