/*
 * CONFIG GET and SET as one Redis has them, CLUSTER with and without the facade, and the small
 * commands that frameworks look at first (ROLE, ACL, DEBUG).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

/* Opens a client that speaks the protocol. */
static void open_client(struct client *c, uint16_t port, int protocol)
{
    char number[4];
    assert_true(client_open(c, port));
    snprintf(number, sizeof(number), "%d", protocol);
    assert_non_null(client_ask(c, "HELLO", number, NULL));
}

/* The same words to both, in RESP2 and again in RESP3. */
static void compare_all(uint16_t port, const char *const *words, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        open_client(&c, port, protocol);
        open_client(&o, oracle.port, protocol);
        for (size_t i = 0; i < count; i++)
            oracle_compare_words(&c, &o, words[i]);
        client_close(&c);
        client_close(&o);
    }
}

/* Asks with words and asserts what comes. */
static void ask(struct client *c, const char *words, const char *wanted)
{
    size_t len;
    char *request = request_of_words(words, &len);
    assert_true(client_send(c, request, len));
    free(request);
    client_expect_bytes(c, wanted, strlen(wanted));
}

static redisReply *ask_hiredis(redisContext *r, const char *words)
{
    redisReply *reply = redisCommand(r, words);
    assert_non_null(reply);
    return reply;
}

static const char *value_in(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (strcmp(map->element[i]->str, name) == 0)
            return map->element[i + 1]->str;
    return NULL;
}

/* --- CONFIG ----------------------------------------------------------------------------------- */

static void test_config_as_one_redis(void **state)
{
    static const char *const words[] = {
        "CONFIG GET maxmemory",
        "CONFIG GET MAXMEMORY",
        "CONFIG GET nosuch",
        "CONFIG GET",
        "CONFIG GET save",
        "CONFIG GET append?nly",
        "CONFIG GET appendfsync",
        "CONFIG GET maxmemory-pol[ij]cy nosuch",
        "CONFIG GET maxmemory-policy MAXMEMORY-POLICY *emory-polic*",
        "CONFIG GET requirepass",
        "CONFIG GET cluster-enabled",
        "CONFIG GET timeout",
        "CONFIG GET tcp-backlog",
        "CONFIG GET proto-max-bulk-len",
        "CONFIG GET client-query-buffer-limit",
        "CONFIG GET maxclients",
        "CONFIG GET loglevel",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET nosuch 1",
        "CONFIG SET maxmemory",
        "CONFIG SET maxmemory 0",
        "CONFIG SET maxmemory 0 appendonly no hz 10",
        "CONFIG SET maxmemory 0 timeout",
        "CONFIG SET databases 1",
        "CONFIG SET dir /tmp",
        "CONFIG SET timeout 0 timeout 0",
        "CONFIG SET maxmemory 0 nosuch 2",
        "CONFIG SET notify-keyspace-events nonsense",
        "CONFIG SET notify-keyspace-events KEA",
        "CONFIG GET notify-keyspace-events",
        "CONFIG SET notify-keyspace-events nKgx$",
        "CONFIG GET notify*",
        "CONFIG SET maxmemory 0 notify-keyspace-events Ex",
        "CONFIG GET NOTIFY-keyspace-EVENTS",
        "CONFIG RESETSTAT",
        "CONFIG REWRITE",
        "CONFIG REWRITE x",
        "CONFIG NOSUCH",
    };
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client o;
        assert_true(client_open(&o, oracle.port));
        ask(&o, "CONFIG SET notify-keyspace-events K", "+OK\r\n");
        client_close(&o);
        assert_true(client_open(&o, proxy.port));
        ask(&o, "CONFIG SET notify-keyspace-events K", "+OK\r\n");
        client_close(&o);
    }
    compare_all(proxy.port, words, ARRAY_LEN(words));
}

/* Each name that Redis has, and nothing else but what is ours. */
static void test_all_names(void **state)
{
    static const char *const ours[] = { "cluster-nodes",      "auth",         "request-timeout",
                                        "enable-cross-slot",  "max-pipeline", "workers",
                                        "topology-interval",  "log-level",    "cluster-facade",
                                        "client-output-limit" };
    (void)state;
    redisContext *p = redisConnect("127.0.0.1", proxy.port);
    redisContext *o = redisConnect("127.0.0.1", oracle.port);
    redisReply *have = ask_hiredis(p, "CONFIG GET *"), *want = ask_hiredis(o, "CONFIG GET *");
    for (size_t i = 0; i < want->elements; i += 2)
        if (value_in(have, want->element[i]->str) == NULL)
            fail_msg("CONFIG GET * lacks %s", want->element[i]->str);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (value_in(have, ours[i]) == NULL)
            fail_msg("CONFIG GET * lacks our %s", ours[i]);
    for (size_t i = 0; i < have->elements; i += 2)
        for (size_t j = 0; j < i; j += 2)
            assert_string_not_equal(have->element[i]->str, have->element[j]->str);
    assert_int_equal(atoi(value_in(have, "port")), proxy.port);
    assert_string_equal(value_in(have, "databases"), "1");
    assert_string_equal(value_in(have, "save"), "");
    assert_string_equal(value_in(have, "appendonly"), "no");
    freeReplyObject(have);
    freeReplyObject(want);
    redisFree(p);
    redisFree(o);
}

static void test_own_options(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask(&c, "CONFIG SET loglevel notice enable-cross-slot no",
        "-NOPERM slotgate: setting the proxy's own options is for the admin: AUTH admin PASSWORD"
        "\r\n");
    proxy_login_admin(&c);
    ask(&c, "CONFIG SET enable-cross-slot no max-pipeline 77", "+OK\r\n");
    ask(&c, "CONFIG GET max-pipeline", "*2\r\n$12\r\nmax-pipeline\r\n$2\r\n77\r\n");
    ask(&c, "MGET a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    /* All or nothing. */
    ask(&c, "CONFIG SET enable-cross-slot yes max-pipeline many",
        "-ERR CONFIG SET failed (possibly related to argument 'max-pipeline') - \"many\" is not a "
        "whole number from 1 to 1000000\r\n");
    ask(&c, "MGET a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    ask(&c, "CONFIG SET max-pipeline 1024 workers 3",
        "-ERR CONFIG SET failed (possibly related to argument 'workers') - can't set immutable "
        "config\r\n");
    ask(&c, "CONFIG GET max-pipeline", "*2\r\n$12\r\nmax-pipeline\r\n$2\r\n77\r\n");
    assert_true(client_send_command(&c, "CONFIG", "SET", "topology-min-interval", "1h", NULL));
    client_expect_start(&c, "-ERR CONFIG SET failed (possibly related to argument "
                            "'topology-min-interval') - ");
    ask(&c, "CONFIG SET auth (hidden)",
        "-ERR CONFIG SET failed (possibly related to argument 'auth') - can't set immutable "
        "config\r\n");
    ask(&c, "CONFIG SET enable-cross-slot yes max-pipeline 1024 loglevel notice", "+OK\r\n");
    ask(&c, "MGET a b", "*2\r\n$-1\r\n$-1\r\n");
    client_close(&c);
}

static void test_secrets_stay_hidden(void **state)
{
    static const char secret[] = "open-sesame";
    struct redis_cluster locked;
    struct proxy p;
    char seeds[512];
    (void)state;
    cluster_start(&locked, &(struct cluster_options){ .masters = 1, .password = secret });
    proxy_start(&p, cluster_seeds(&locked, seeds), (const char *const[]){ "--auth", secret, NULL });
    struct client c;
    assert_true(client_open(&c, p.port));
    const char *all = client_ask(&c, "CONFIG", "GET", "*", NULL);
    assert_non_null(all);
    assert_null(strstr(all, secret));
    ask(&c, "CONFIG GET auth", "*2\r\n$4\r\nauth\r\n$8\r\n(hidden)\r\n");
    client_close(&c);
    assert_true(proxy_stop(&p));
    cluster_stop(&locked);
}

/* --- notify-keyspace-events ------------------------------------------------------------------- */

static void expect_events(struct redis_cluster *cl, const char *wanted)
{
    for (int i = 0; i < cl->count; i++) {
        redisReply *r = cluster_ask(cl, i, "CONFIG GET notify-keyspace-events");
        assert_non_null(r);
        assert_string_equal(value_in(r, "notify-keyspace-events"), wanted);
        freeReplyObject(r);
    }
}

static void test_events_reach_every_master(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask(&c, "CONFIG SET notify-keyspace-events gKE$", "+OK\r\n");
    expect_events(&cluster, "g$KE");
    assert_true(client_send_text(&c, "CLIENT REPLY SKIP\r\n"));
    assert_true(client_send_text(&c, "CONFIG SET notify-keyspace-events Ex\r\n"));
    ask(&c, "CONFIG GET notify-keyspace-events",
        "*2\r\n$22\r\nnotify-keyspace-events\r\n$2\r\nxE\r\n");
    expect_events(&cluster, "xE");
    ask(&c, "CONFIG SET notify-keyspace-events nope",
        "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid "
        "event class character. Use 'Ag$lshzxeKEtmdn'.\r\n");
    client_close(&c);
}

/* As a managed Redis, which has no CONFIG: accepted, and a line in the log. */
static void test_events_where_forbidden(void **state)
{
    struct redis_cluster managed;
    struct proxy p;
    struct client c;
    char seeds[512];
    (void)state;
    cluster_start(&managed, &(struct cluster_options){
                                .masters = 2,
                                .extra = (const char *const[]){ "--rename-command", "CONFIG",
                                                                "hidden-config", NULL } });
    proxy_start(&p, cluster_seeds(&managed, seeds), NULL);
    assert_true(client_open(&c, p.port));
    ask(&c, "CONFIG SET notify-keyspace-events KEx", "+OK\r\n");
    ask(&c, "CONFIG GET notify-keyspace-events",
        "*2\r\n$22\r\nnotify-keyspace-events\r\n$3\r\nxKE\r\n");
    client_close(&c);
    assert_true(proxy_stop(&p));
    char *log = proxy_log(&p);
    assert_non_null(strstr(log, "servers forbid CONFIG SET"));
    free(log);
    cluster_stop(&managed);
}

/* --- small ones ------------------------------------------------------------------------------- */

static void test_small_ones(void **state)
{
    static const char *const words[] = {
        "ROLE",
        "ROLE x",
        "ACL WHOAMI",
        "ACL LIST",
        "ACL USERS",
        "ACL GETUSER default",
        "ACL GETUSER nobody",
        "ACL CAT",
        "ACL CAT nosuch",
        "ACL LOG",
        "ACL LOG 5",
        "ACL LOG RESET",
        "MODULE LIST",
        "CLUSTER INFO",
        "CLUSTER SLOTS",
        "CLUSTER HELP",
        "CLUSTER ADDSLOTS 1",
        "CLUSTER COUNTKEYSINSLOT 1",
        "CLUSTER GETKEYSINSLOT 1 1",
        "CLUSTER RESET",
        "CLUSTER FAILOVER",
        "CLUSTER NOSUCH",
        "CLUSTER KEYSLOT",
        "CLUSTER",
        "ASKING",
    };
    (void)state;
    compare_all(proxy.port, words, ARRAY_LEN(words));
}

static void test_debug(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask(&c, "SET debugged 1", "+OK\r\n");
    assert_true(client_send_command(&c, "DEBUG", "OBJECT", "debugged", NULL));
    client_expect_start(&c, "+Value at:"); /* the nodes of the tests allow it */
    ask(&c, "DEBUG OBJECT nosuch", "-ERR no such key\r\n");
    assert_true(client_send_text(&c, "DEBUG SLEEP 9\r\nDEBUG JMAP\r\nDEBUG OBJECT\r\nPING\r\n"));
    for (int i = 0; i < 3; i++)
        client_expect_start(&c, "-ERR slotgate: DEBUG is refused: ");
    client_expect(&c, "+PONG\r\n");
    client_close(&c);
}

/* --- the facade ------------------------------------------------------------------------------- */

static void run(char *out, size_t cap, const char *fmt, uint16_t port)
{
    char line[256];
    snprintf(line, sizeof(line), fmt, port);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    size_t len = fread(out, 1, cap - 1, f);
    out[len] = '\0';
    pclose(f);
}

static void test_facade(void **state)
{
    struct proxy p;
    struct client c;
    char seeds[512], text[4096], wanted[128];
    (void)state;
    proxy_start(&p, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--cluster-facade", "yes", NULL });
    for (int protocol = 2; protocol <= 3; protocol++) {
        open_client(&c, p.port, protocol);
        snprintf(wanted, sizeof(wanted),
                 "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:%u\r\n$40\r\n", p.port);
        assert_true(client_send_command(&c, "CLUSTER", "SLOTS", NULL));
        client_expect_start(&c, wanted);
        assert_true(client_send_command(&c, "CLUSTER", "SHARDS", NULL));
        client_expect_start(&c, protocol == 2 ? "*1\r\n*4\r\n$5\r\nslots\r\n"
                                              : "*1\r\n%2\r\n$5\r\nslots\r\n");
        assert_true(client_send_command(&c, "CLUSTER", "INFO", NULL));
        const char *info = client_expect_start(&c, protocol == 2 ? "$" : "=");
        assert_non_null(strstr(info, "cluster_state:ok\r\n"));
        assert_true(client_send_command(&c, "CLUSTER", "NODES", NULL));
        snprintf(wanted, sizeof(wanted), " 127.0.0.1:%u@%u myself,master - 0 0 1 connected 0-16383",
                 p.port, p.port + 10000);
        assert_non_null(strstr(client_expect_start(&c, protocol == 2 ? "$" : "="), wanted));
        ask(&c, "SET {tag}x 1", "+OK\r\n");
        ask(&c, "CLUSTER KEYSLOT {tag}x", ":8338\r\n");
        ask(&c, "CLUSTER COUNTKEYSINSLOT 8338", ":1\r\n");
        ask(&c, "SET {tag}slotgate:tmp:0123456789abcdef0123456789abcdef:0000001 x PX 60000",
            "+OK\r\n");
        ask(&c, "CLUSTER GETKEYSINSLOT 8338 10", "*1\r\n$6\r\n{tag}x\r\n");
        ask(&c, "DEL {tag}slotgate:tmp:0123456789abcdef0123456789abcdef:0000001", ":1\r\n");
        ask(&c, "CLUSTER COUNTKEYSINSLOT 99999", "-ERR Invalid slot\r\n");
        ask(&c, "CLUSTER LINKS", "*0\r\n");
        ask(&c, "CLUSTER REPLICAS nobody", "-ERR Unknown node nobody\r\n");
        assert_true(client_send_command(&c, "CLUSTER", "RESET", NULL));
        client_expect_start(&c, "-ERR slotgate: CLUSTER RESET is refused: ");
        client_close(&c);
    }
    assert_true(client_open(&c, p.port));
    ask(&c, "CONFIG GET cluster-enabled", "*2\r\n$15\r\ncluster-enabled\r\n$3\r\nyes\r\n");
    proxy_login_admin(&c);
    ask(&c, "CONFIG SET cluster-facade no", "+OK\r\n");
    ask(&c, "CLUSTER SLOTS", "-ERR This instance has cluster support disabled\r\n");
    ask(&c, "CONFIG SET cluster-facade yes", "+OK\r\n");
    client_close(&c);
    run(text, sizeof(text), "redis-cli -c -p %u set facade 5", p.port);
    assert_string_equal(text, "OK\n");
    run(text, sizeof(text), "redis-cli -c -p %u get facade", p.port);
    assert_string_equal(text, "5\n");
    run(text, sizeof(text), "redis-cli --cluster check 127.0.0.1:%u", p.port);
    assert_non_null(strstr(text, "[OK] All 16384 slots covered."));
    assert_true(proxy_stop(&p));
}

static void test_announce(void **state)
{
    struct proxy p;
    struct client c;
    char seeds[512];
    (void)state;
    proxy_start(&p, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--cluster-facade", "yes", "--announce",
                                       "redis.example:7777", NULL });
    assert_true(client_open(&c, p.port));
    assert_true(client_send_command(&c, "CLUSTER", "SLOTS", NULL));
    client_expect_start(
        &c, "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$13\r\nredis.example\r\n:7777\r\n$40\r\n");
    assert_non_null(strstr(client_ask(&c, "INFO", "cluster", NULL), "cluster_enabled:1\r\n"));
    client_close(&c);
    assert_true(proxy_stop(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_as_one_redis),
        cmocka_unit_test(test_all_names),
        cmocka_unit_test(test_own_options),
        cmocka_unit_test(test_secrets_stay_hidden),
        cmocka_unit_test(test_events_reach_every_master),
        cmocka_unit_test(test_events_where_forbidden),
        cmocka_unit_test(test_small_ones),
        cmocka_unit_test(test_debug),
        cmocka_unit_test(test_facade),
        cmocka_unit_test(test_announce),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
