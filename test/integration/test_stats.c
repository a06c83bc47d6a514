/*
 * The proxy's numbers against what clients did: calls, latencies, errors, redirects, bytes, of each
 * worker and of both together; and that no counter falls when a worker dies or a new program takes
 * over.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/testenv.h"

/* One client on each of the two workers. */
static redisContext *on[2];

static redisContext *dial(void)
{
    redisContext *c = redisConnect("127.0.0.1", proxy.port);
    assert_non_null(c);
    assert_int_equal(c->err, 0);
    return c;
}

static long long number_in(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at == NULL ? -1 : atoll(at + strlen(name));
}

static int worker_of(redisContext *c)
{
    redisReply *r = redisCommand(c, "INFO slotgate");
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    long long n = number_in(r->str, "\nworker:");
    freeReplyObject(r);
    return (int)n;
}

static void close_both(void)
{
    for (int i = 0; i < 2; i++)
        if (on[i] != NULL)
            redisFree(on[i]);
    on[0] = on[1] = NULL;
}

/* New connections are spread evenly, so a few are enough. */
static void open_both(void)
{
    close_both();
    for (int i = 0; i < 20 && (on[0] == NULL || on[1] == NULL); i++) {
        redisContext *c = dial();
        int worker = worker_of(c);
        assert_in_range(worker, 0, 1);
        if (on[worker] != NULL)
            redisFree(on[worker]);
        on[worker] = c;
    }
    for (int i = 0; i < 2; i++) {
        assert_non_null(on[i]);
        freeReplyObject(redisCommand(on[i], "AUTH admin %s", PROXY_ADMIN_PASSWORD));
    }
}

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--workers", "2", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", 2, scaled_ms(5000));
    open_both();
    return 0;
}

static int stop(void **state)
{
    close_both();
    return beside_end(state);
}

/* The number behind that beginning of a line; 0 when there is none. worker: "0", "1" or NULL. */
static double metric(const char *worker, const char *line)
{
    char wanted[160];
    redisReply *r = worker == NULL ? redisCommand(on[0], "PROXY METRICS")
                                   : redisCommand(on[0], "PROXY METRICS %s", worker);
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_STRING);
    snprintf(wanted, sizeof(wanted), "%s ", line);
    const char *at = strstr(r->str, wanted);
    assert_true(at == NULL || at == r->str || at[-1] == '\n');
    double n = 0;
    if (at != NULL) {
        at += strlen(wanted);
        n = atof(strncmp(at, "count=", 6) == 0 ? at + 6 : at);
    }
    freeReplyObject(r);
    return n;
}

#define COUNT(a, b) assert_int_equal((long long)(a), (long long)(b))

static const char calls_of_get[] = "slotgate_requests_total{command=\"get\"}";
static const char failed_gets[] = "slotgate_requests_failed_total{command=\"get\"}";
static const char times_of_get[] = "slotgate_request_duration_seconds{command=\"get\"}";

static void get_keys(redisContext *c, int n)
{
    for (int i = 0; i < n; i++)
        redisAppendCommand(c, "GET stats:%d", i);
    for (int i = 0; i < n; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        assert_int_equal(r->type, REDIS_REPLY_NIL);
        freeReplyObject(r);
    }
}

static double at_nodes(void)
{
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        char line[96];
        snprintf(line, sizeof(line), "slotgate_node_duration_seconds{node=\"127.0.0.1:%u\"}",
                 cluster.node[i].port);
        sum += metric(NULL, line);
    }
    return sum;
}

/* --- connections of one client ---------------------------------------------------------------- */

static void ask(redisContext *c, int type, const char *words)
{
    redisReply *r = redisCommand(c, words);
    assert_non_null(r);
    if (r->type != type)
        fail_msg("%s: a reply of type %d, %s", words, r->type, r->str != NULL ? r->str : "");
    freeReplyObject(r);
}

/* WATCH and its EXEC count at the node; who waits there for an element does not. */
static void test_leases(void **state)
{
    (void)state;
    ask(on[0], REDIS_REPLY_STATUS, "WATCH stats:w"); /* dials */
    ask(on[0], REDIS_REPLY_STATUS, "UNWATCH");
    ask(on[0], REDIS_REPLY_NIL, "BLPOP stats:b 0.01");
    double before = at_nodes();
    ask(on[0], REDIS_REPLY_STATUS, "WATCH stats:w");
    ask(on[0], REDIS_REPLY_STATUS, "MULTI");
    ask(on[0], REDIS_REPLY_STATUS, "SET stats:w 1");
    ask(on[0], REDIS_REPLY_STATUS, "GET stats:w");
    ask(on[0], REDIS_REPLY_ARRAY, "EXEC");
    double after = at_nodes();
    COUNT(after - before, 2);
    ask(on[0], REDIS_REPLY_NIL, "BLPOP stats:b 0.01");
    ask(on[0], REDIS_REPLY_INTEGER, "WAIT 0 10");
    COUNT(at_nodes() - after, 0);
}

/* --- what was done ---------------------------------------------------------------------------- */

static void test_calls_of_both_workers(void **state)
{
    double all = metric(NULL, calls_of_get), nodes = at_nodes();
    double zero = metric("0", calls_of_get), one = metric("1", calls_of_get);
    double times = metric(NULL, times_of_get);
    (void)state;
    get_keys(on[0], 700);
    get_keys(on[1], 300);
    COUNT(metric(NULL, calls_of_get), all + 1000);
    COUNT(metric("0", calls_of_get), zero + 700);
    COUNT(metric("1", calls_of_get), one + 300);
    COUNT(metric(NULL, times_of_get), times + 1000);
    COUNT(at_nodes(), nodes + 1000);
    COUNT(metric(NULL, failed_gets), 0);
    redisReply *r = redisCommand(on[0], "PROXY METRICS 2");
    assert_int_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

/* Gets an error, and that kind of errors goes up by one. */
static void expect_error(const char *words, const char *kind, const char *failed)
{
    char line[64], failed_line[96];
    snprintf(line, sizeof(line), "slotgate_errors_total{kind=\"%s\"}", kind);
    snprintf(failed_line, sizeof(failed_line), "slotgate_requests_failed_total{command=\"%s\"}",
             failed);
    double errors = metric(NULL, line), failures = metric(NULL, failed_line);
    redisReply *r = redisCommand(on[1], words);
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
    if (metric(NULL, line) != errors + 1 || metric(NULL, failed_line) != failures + 1)
        fail_msg("%s: %s and %s have not gone up by one", words, line, failed_line);
}

/* From a node, from a part of a split command, from an operation in steps, from the proxy. */
static void test_errors_by_kind(void **state)
{
    (void)state;
    freeReplyObject(redisCommand(on[0], "DEL list other"));
    freeReplyObject(redisCommand(on[0], "RPUSH list x"));
    expect_error("GET list", "WRONGTYPE", "get");
    expect_error("INCR list", "WRONGTYPE", "incr");
    expect_error("SUNION list other", "WRONGTYPE", "sunion");
    expect_error("MSET a 1 b", "ERR", "mset");
    expect_error("SHUTDOWN", "slotgate", "shutdown");
    expect_error("EVALSHA 0123456789012345678901234567890123456789 0", "NOSCRIPT", "evalsha");
    expect_error("SELECT 99999", "ERR", "select");
    COUNT(metric(NULL, "slotgate_errors_total{kind=\"other\"}"), 0);
}

static bool has(const char *line, double at_least)
{
    return metric(NULL, line) >= at_least;
}

static double moved_before;

static bool moved_is_published(void *arg)
{
    (void)arg;
    return has("slotgate_redirects_moved_total", moved_before + 1);
}

/* A client sees no MOVED, but it is counted. */
static void test_a_moved_slot(void **state)
{
    static const char heard[] = "slotgate_node_errors_total{kind=\"MOVED\"}";
    int slot = cluster_slot("moving"), from = cluster_owner(&cluster, slot);
    double before = metric(NULL, heard);
    (void)state;
    moved_before = metric(NULL, "slotgate_redirects_moved_total");
    cluster_slot_move(&cluster, slot, (from + 1) % 3);
    redisReply *r = redisCommand(on[1], "GET moving");
    assert_int_equal(r->type, REDIS_REPLY_NIL);
    freeReplyObject(r);
    assert_true(wait_until(moved_is_published, NULL, scaled_ms(3000)));
    assert_true(metric(NULL, heard) >= before + 1);
    COUNT(metric(NULL, "slotgate_errors_total{kind=\"MOVED\"}"), 0);
}

static bool two_listen(void *arg)
{
    (void)arg;
    return (int)metric(NULL, "slotgate_workers_listening") == 2;
}

static bool two_clients(void *arg)
{
    (void)arg;
    return (int)metric(NULL, "slotgate_clients") == 2;
}

/* What a client costs, in CLIENT LIST; and that those who left are none any more. */
static void test_clients_and_bytes(void **state)
{
    (void)state;
    double closed = metric(NULL, "slotgate_clients_closed_total{reason=\"closed_by_peer\"}");
    redisContext *c = dial();
    for (int i = 0; i < 5; i++)
        freeReplyObject(redisCommand(c, "ECHO 0123456789"));
    redisReply *r = redisCommand(c, "CLIENT INFO");
    COUNT(number_in(r->str, " tot-cmds="), 5);
    COUNT(number_in(r->str, " tot-net-in="), 5 * 31 + 26);
    COUNT(number_in(r->str, " tot-net-out="), 5 * 17);
    freeReplyObject(r);
    redisFree(c);
    assert_true(wait_until(two_clients, NULL, scaled_ms(3000)));
    assert_true(wait_until(two_listen, NULL, scaled_ms(3000)));
    COUNT(metric(NULL, "slotgate_clients_closed_total{reason=\"closed_by_peer\"}"), closed + 1);
    COUNT(metric(NULL, "slotgate_slots_uncovered"), 0);
    assert_true(metric(NULL, "slotgate_client_received_bytes_total") >
                metric("0", "slotgate_client_received_bytes_total"));
    assert_true(metric(NULL, "slotgate_topology_age_seconds") < 30);
    assert_true(metric(NULL, "slotgate_memory_bytes") > 1e6);
}

/* A client that waits for a script and for a gathered command, and one that does not. */
static void test_times_of_clients(void **state)
{
    static const char *const busy =
        "local function now() local t=redis.call('TIME') return t[1]*1000000+t[2] end "
        "local start=now() while now()-start < 20000 do end return 1";
    redisContext *slow = dial(), *quick = dial();
    (void)state;
    redisReply *r = redisCommand(slow, "CLIENT INFO");
    assert_int_equal(number_in(r->str, " tot-usec="), 0);
    assert_int_equal(number_in(r->str, " max-usec="), 0);
    freeReplyObject(r);
    freeReplyObject(redisCommand(slow, "EVAL %s 1 a", busy));
    freeReplyObject(redisCommand(slow, "EVAL %s 2 a b", busy));
    freeReplyObject(redisCommand(quick, "ECHO x"));
    r = redisCommand(slow, "CLIENT INFO");
    long long sum = number_in(r->str, " tot-usec="), max = number_in(r->str, " max-usec=");
    assert_true(sum >= 40000 && max >= 20000 && max < sum);
    freeReplyObject(r);
    r = redisCommand(quick, "CLIENT INFO");
    assert_int_equal(number_in(r->str, " tot-usec="), 0);
    freeReplyObject(r);
    redisFree(slow);
    redisFree(quick);
}

/* --- LATENCY HISTOGRAM ------------------------------------------------------------------------ */

static long long calls_in(redisContext *c, const char *words, long long *in_buckets)
{
    redisReply *r = redisCommand(c, words);
    long long calls = 0;
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    *in_buckets = 0;
    if (r->elements == 2) {
        const redisReply *one = r->element[1], *buckets = one->element[3];
        calls = one->element[1]->integer;
        *in_buckets = buckets->element[buckets->elements - 1]->integer;
    }
    freeReplyObject(r);
    return calls;
}

/* It is that of both workers, and CONFIG RESETSTAT begins it anew; metrics go on. */
static void test_latency_histogram(void **state)
{
    long long in_buckets;
    double before = metric(NULL, times_of_get);
    (void)state;
    freeReplyObject(redisCommand(on[0], "CONFIG RESETSTAT"));
    COUNT(calls_in(on[1], "LATENCY HISTOGRAM get", &in_buckets), 0);
    get_keys(on[0], 70);
    get_keys(on[1], 30);
    for (int i = 0; i < 2; i++) {
        COUNT(calls_in(on[i], "LATENCY HISTOGRAM GET nosuch", &in_buckets), 100);
        COUNT(in_buckets, 100);
    }
    COUNT(calls_in(on[1], "LATENCY HISTOGRAM config", &in_buckets), 1);
    COUNT(calls_in(on[1], "LATENCY HISTOGRAM Config|ResetStat", &in_buckets), 1);
    COUNT(metric(NULL, times_of_get), before + 100);
}

/* A BLPOP that waits is as long as its wait; one that runs in steps counts once. */
static void test_what_is_long(void **state)
{
    redisReply *r = redisCommand(on[0], "BLPOP nothing:1 0.05");
    (void)state;
    assert_int_equal(r->type, REDIS_REPLY_NIL);
    freeReplyObject(r);
    freeReplyObject(redisCommand(on[0], "SINTERSTORE there a:1 b:2"));
    freeReplyObject(redisCommand(on[0], "MGET a:1 b:2 c:3"));
    r = redisCommand(on[0], "LATENCY HISTOGRAM blpop");
    assert_int_equal(r->elements, 2);
    assert_true(r->element[1]->element[3]->element[0]->integer >= 32768);
    freeReplyObject(r);
    COUNT(metric(NULL, "slotgate_request_duration_seconds{command=\"sinterstore\"}"), 1);
    COUNT(metric(NULL, "slotgate_request_duration_seconds{command=\"mget\"}"), 1);
}

/* --- SLOWLOG ---------------------------------------------------------------------------------- */

/* Microseconds, and where it took them. */
static void test_slow_at_a_node(void **state)
{
    static const char busy[] =
        "local function now() local t=redis.call('TIME') return t[1]*1000000+t[2] end "
        "local start=now() while now()-start < 3000 do end return 1";
    char node[32];
    (void)state;
    freeReplyObject(redisCommand(on[0], "CONFIG SET slowlog-log-slower-than 2500"));
    freeReplyObject(redisCommand(on[0], "SLOWLOG RESET"));
    freeReplyObject(redisCommand(on[0], "EVAL %s 1 slow", busy));
    redisReply *r = redisCommand(on[0], "PROXY SLOWLOG 1"), *six;
    assert_int_equal(r->elements, 1);
    const redisReply *e = r->element[0];
    assert_int_equal(e->elements, 8);
    assert_string_equal(e->element[3]->element[0]->str, "EVAL");
    assert_true(e->element[2]->integer >= 3000 && e->element[2]->integer < 3000000);
    assert_true(e->element[6]->integer >= 3000);
    assert_true(e->element[6]->integer <= e->element[2]->integer);
    int owner = cluster_owner(&cluster, cluster_slot("slow"));
    snprintf(node, sizeof(node), "127.0.0.1:%u", cluster.node[owner].port);
    assert_string_equal(e->element[7]->str, node);
    six = redisCommand(on[0], "SLOWLOG GET 1");
    assert_int_equal(six->element[0]->elements, 6);
    assert_int_equal(six->element[0]->element[2]->integer, e->element[2]->integer);
    freeReplyObject(six);
    freeReplyObject(r);
    freeReplyObject(redisCommand(on[0], "CONFIG SET slowlog-log-slower-than 10000"));
}

/* --- keys ------------------------------------------------------------------------------------- */

static void do_on_both(const char *words)
{
    for (int i = 0; i < 2; i++) {
        redisReply *r = redisCommand(on[i], words);
        assert_non_null(r);
        assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
        freeReplyObject(r);
    }
}

static void ask_often(redisContext *c, const char *words, int n)
{
    for (int i = 0; i < n; i++)
        redisAppendCommand(c, words);
    for (int i = 0; i < n; i++) {
        redisReply *r = NULL;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        freeReplyObject(r);
    }
}

/* With every call looked at the numbers are exact, and they are those of both workers. */
static void test_hot_keys(void **state)
{
    (void)state;
    do_on_both("PROXY CONFIG SET hotkeys-sample 1");
    freeReplyObject(redisCommand(on[0], "PROXY HOTKEYS RESET"));
    ask_often(on[0], "GET hot", 300);
    ask_often(on[1], "INCR hot", 200);
    ask_often(on[1], "GET warm", 100);
    ask_often(on[0], "PING", 400);
    redisReply *r = redisCommand(on[0], "PROXY HOTKEYS");
    assert_int_equal(r->elements, 2);
    assert_string_equal(r->element[0]->element[0]->str, "hot");
    assert_int_equal(r->element[0]->element[1]->integer, 500);
    assert_int_equal(r->element[0]->element[2]->integer, 0);
    assert_string_equal(r->element[1]->element[0]->str, "warm");
    assert_int_equal(r->element[1]->element[1]->integer, 100);
    freeReplyObject(r);
    freeReplyObject(redisCommand(on[0], "PROXY HOTKEYS RESET"));
    r = redisCommand(on[1], "PROXY HOTKEYS");
    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
}

/* A sample of them gives about the same; none at all gives nothing. */
static void test_sampled_keys(void **state)
{
    (void)state;
    do_on_both("PROXY CONFIG SET hotkeys-sample 8");
    freeReplyObject(redisCommand(on[0], "PROXY HOTKEYS RESET"));
    ask_often(on[0], "GET hot", 4000);
    ask_often(on[0], "MGET a b c d", 4000);
    redisReply *r = redisCommand(on[1], "PROXY HOTKEYS 1");
    assert_int_equal(r->elements, 1);
    assert_string_equal(r->element[0]->element[0]->str, "hot");
    assert_in_range(r->element[0]->element[1]->integer, 2500, 5500);
    freeReplyObject(r);
    do_on_both("PROXY CONFIG SET hotkeys-sample 0");
    freeReplyObject(redisCommand(on[0], "PROXY HOTKEYS RESET"));
    ask_often(on[0], "GET hot", 4000);
    r = redisCommand(on[0], "PROXY HOTKEYS");
    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
    do_on_both("PROXY CONFIG SET hotkeys-sample 128");
}

/* Written through one worker, read through the other, in many pieces. */
static void test_big_keys(void **state)
{
    enum { BIG = 300000, LESS = 20000 };
    char *value = malloc(BIG);
    (void)state;
    assert_non_null(value);
    memset(value, 'x', BIG);
    freeReplyObject(redisCommand(on[0], "PROXY BIGKEYS RESET"));
    freeReplyObject(redisCommand(on[0], "SET big %b", value, (size_t)BIG));
    freeReplyObject(redisCommand(on[0], "SET less %b", value, (size_t)LESS));
    freeReplyObject(redisCommand(on[0], "SET small %b", value, (size_t)1000));
    freeReplyObject(redisCommand(on[0], "MSET {m}a %b {m}b x", value, (size_t)LESS));
    freeReplyObject(redisCommand(on[1], "GET big"));
    redisReply *r = redisCommand(on[1], "PROXY BIGKEYS");
    assert_int_equal(r->elements, 2);
    const redisReply *first = r->element[0], *second = r->element[1];
    assert_string_equal(first->element[0]->str, "big");
    assert_in_range(first->element[1]->integer, BIG, BIG + 100);
    assert_int_equal(first->element[2]->integer, BIG + strlen("$300000\r\n\r\n"));
    assert_string_equal(first->element[3]->str, "set");
    assert_string_equal(second->element[0]->str, "less");
    assert_in_range(second->element[1]->integer, LESS, LESS + 100);
    assert_int_equal(second->element[2]->integer, 0);
    freeReplyObject(r);
    freeReplyObject(redisCommand(on[0], "PROXY BIGKEYS RESET"));
    r = redisCommand(on[1], "PROXY BIGKEYS");
    assert_int_equal(r->elements, 0);
    freeReplyObject(r);
    free(value);
}

/* --- what outlives a worker ------------------------------------------------------------------- */

static void test_a_killed_worker(void **state)
{
    static const char requests[] = "slotgate_node_requests_total";
    pid_t pids[8];
    (void)state;
    get_keys(on[0], 100);
    get_keys(on[1], 100);
    double calls = metric(NULL, calls_of_get), sent = metric(NULL, requests);
    assert_int_equal(proxy_workers(&proxy, pids, 8), 2);
    kill(pids[0], SIGKILL);
    proxy_await_log(&proxy, "event=\"listening\"", 3, scaled_ms(8000));
    open_both();
    COUNT(metric(NULL, calls_of_get), calls);
    get_keys(on[0], 50);
    get_keys(on[1], 50);
    COUNT(metric(NULL, calls_of_get), calls + 100);
    COUNT(metric("0", calls_of_get) + metric("1", calls_of_get), calls + 100);
    assert_true(metric(NULL, requests) >= sent);
}

static void test_a_takeover(void **state)
{
    double calls = metric(NULL, calls_of_get);
    double accepted = metric(NULL, "slotgate_clients_accepted_total");
    (void)state;
    close_both();
    kill(proxy.process.pid, SIGUSR2);
    proxy_await_log(&proxy, "event=\"taken over\"", 1, scaled_ms(15000));
    proxy_await_log(&proxy, "event=\"left\"", 2, scaled_ms(8000));
    open_both();
    COUNT(metric(NULL, calls_of_get), calls);
    get_keys(on[0], 10);
    get_keys(on[1], 10);
    COUNT(metric(NULL, calls_of_get), calls + 20);
    assert_true(metric(NULL, "slotgate_clients_accepted_total") > accepted);
    assert_true(wait_until(two_listen, NULL, scaled_ms(3000)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_of_both_workers),
        cmocka_unit_test(test_errors_by_kind),
        cmocka_unit_test(test_a_moved_slot),
        cmocka_unit_test(test_clients_and_bytes),
        cmocka_unit_test(test_times_of_clients),
        cmocka_unit_test(test_latency_histogram),
        cmocka_unit_test(test_what_is_long),
        cmocka_unit_test(test_slow_at_a_node),
        cmocka_unit_test(test_hot_keys),
        cmocka_unit_test(test_sampled_keys),
        cmocka_unit_test(test_big_keys),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_a_killed_worker),
        cmocka_unit_test(test_a_takeover),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
