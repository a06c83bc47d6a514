/*
 * Reads from replicas, --read-from: what goes to them and what never does, what a client may build
 * on all the same, and that a replica that lags, hangs or dies costs nobody an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/load.h"
#include "test/lib/testenv.h"

enum { MASTERS = 3 };

/* A node tells of a replica only once that has got something. */
static bool replicas_are_told(void *arg)
{
    (void)arg;
    for (int n = 0; n < cluster.count; n++) {
        redisReply *r = cluster_ask(&cluster, n, "CLUSTER SLOTS");
        assert_non_null(r);
        size_t ranges = 0;
        for (size_t i = 0; i < r->elements; i++)
            ranges += r->element[i]->elements >= 4; /* from, to, master, replica */
        freeReplyObject(r);
        if (ranges < MASTERS)
            return false;
    }
    return true;
}

static int start(void **state)
{
    static const char *const anywhere[] = { "--bind", "0.0.0.0", NULL }; /* for test_zones */
    char key[64];
    (void)state;
    cluster_start(&cluster, &(struct cluster_options){
                                .masters = MASTERS, .replicas = 1, .extra = anywhere });
    for (int i = 0; i < MASTERS; i++)
        cluster_do(&cluster, i, "SET %s v", cluster_key(&cluster, i, 0, "first", key));
    assert_true(wait_until(replicas_are_told, NULL, scaled_ms(10000)));
    return 0;
}

static int before_each(void **state)
{
    (void)state;
    cluster_await_settled(&cluster, 20000);
    assert_true(wait_until(replicas_are_told, NULL, scaled_ms(10000)));
    return 0;
}

/* A proxy that has found every replica well. more: further arguments, or NULL. */
static void start_proxy(const char *policy, const char *more, const char *value)
{
    char seeds[512];
    const char *const words[] = { "--read-from", policy, more, value, NULL };
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), words);
    if (strcmp(policy, "master") != 0)
        proxy_await_log(&proxy, "replica is read from", MASTERS, scaled_ms(5000));
}

/* --- what the nodes were asked ---------------------------------------------------------------- */

/* The calls of a command that clients sent to a node since forget_calls; a replica also counts what
   its master sends. */
static long calls_of(int node, const char *command)
{
    char name[64];
    long calls = 0;
    redisReply *r = cluster_ask(&cluster, node, "INFO commandstats");
    assert_non_null(r);
    snprintf(name, sizeof(name), "cmdstat_%s:calls=", command);
    const char *at = strstr(r->str, name);
    if (at != NULL)
        calls = strtol(at + strlen(name), NULL, 10);
    freeReplyObject(r);
    return calls;
}

static long calls(const char *command, bool masters)
{
    long sum = 0;
    for (int n = 0; n < cluster.count; n++)
        sum += cluster_is_master(&cluster, n) == masters ? calls_of(n, command) : 0;
    return sum;
}

static void forget_calls(void)
{
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG RESETSTAT");
}

/* No node has refused anything. */
static void expect_no_errors(void)
{
    for (int n = 0; n < cluster.count; n++) {
        redisReply *r = cluster_ask(&cluster, n, "INFO errorstats");
        assert_non_null(r);
        if (strstr(r->str, "READONLY") != NULL || strstr(r->str, "MOVED") != NULL)
            fail_msg("node %d: %s", n, r->str);
        freeReplyObject(r);
    }
}

/* 90 writes by one client, and by another 90 reads one after the other, over all masters, and 90 in
   one pipeline. */
static void write_and_read(struct client *writer)
{
    char key[64];
    struct client reader;
    assert_true(client_open(&reader, proxy.port));
    for (int i = 0; i < 90; i++) {
        cluster_key(&cluster, i % MASTERS, i, "spread", key);
        client_ask_expect(writer, "+OK\r\n", "SET", key, "v");
        assert_non_null(client_ask(&reader, "GET", key, NULL));
    }
    for (int i = 0; i < 90; i++) {
        cluster_key(&cluster, i % MASTERS, i, "spread", key);
        assert_true(client_send_command(&reader, "GET", key, NULL));
    }
    for (int i = 0; i < 90; i++)
        assert_non_null(client_read(&reader, NULL));
    client_close(&reader);
}

static void test_what_goes_where(void **state)
{
    struct client c;
    (void)state;
    start_proxy("prefer-replica", NULL, NULL);
    forget_calls();
    assert_true(client_open(&c, proxy.port));
    write_and_read(&c);
    assert_int_equal(calls("get", true), 0);
    assert_int_equal(calls("get", false), 180);
    assert_int_equal(calls("set", true), 90);
    client_close(&c);

    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "*3\r\n$-1\r\n$-1\r\n$-1\r\n", "MGET", "{a}x", "{b}x", "{c}x");
    assert_int_equal(calls("mget", true), 0);
    assert_int_equal(calls("mget", false), 3);
    /* What only looks like a read, and what belongs together. */
    client_ask_expect(&c, ":0\r\n", "PFCOUNT", "hll");
    client_ask_expect(&c, ":0\r\n", "TOUCH", "t");
    client_ask_expect(&c, "$-1\r\n", "EVAL_RO", "return redis.call('get',KEYS[1])", "1", "e");
    client_ask_expect(&c, "$-1\r\n", "OBJECT", "IDLETIME", "o");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "STRLEN", "m");
    client_ask_expect(&c, "*1\r\n:0\r\n", "EXEC");
    assert_non_null(client_ask(&c, "SCAN", "0", NULL));
    static const char *const at_masters[] = { "pfcount",         "touch",  "eval_ro",
                                              "object|idletime", "strlen", "scan" };
    for (size_t i = 0; i < ARRAY_LEN(at_masters); i++) {
        if (calls(at_masters[i], true) == 0 || calls(at_masters[i], false) != 0)
            fail_msg("%s went to a replica", at_masters[i]);
    }
    expect_no_errors();
    client_close(&c);
}

static void test_resp3(void **state)
{
    struct client c;
    char key[64];
    (void)state;
    start_proxy("replica", NULL, NULL);
    assert_true(client_open(&c, proxy.port));
    assert_non_null(client_ask(&c, "HELLO", "3", NULL));
    client_ask_expect(&c, ":1\r\n", "HSET", cluster_key(&cluster, 0, 0, "three", key), "f", "v");
    assert_non_null(client_ask(&c, "HGETALL", key, NULL)); /* the first one behind a write */
    forget_calls();
    for (int i = 0; i < 30; i++) {
        const char *reply = client_ask(&c, "HGETALL", key, NULL);
        assert_non_null(reply);
        assert_true(reply[0] == '%');
    }
    /* With `replica` a read waits until the connection stands. */
    assert_int_equal(calls("hgetall", true), 0);
    assert_int_equal(calls("hgetall", false), 30);
    client_close(&c);
}

static void test_changed_at_run_time(void **state)
{
    struct client c;
    (void)state;
    start_proxy("master", NULL, NULL);
    forget_calls();
    assert_true(client_open(&c, proxy.port));
    write_and_read(&c);
    assert_int_equal(calls("get", false), 0);
    proxy_login_admin(&c);
    client_ask_expect(&c,
                      "-ERR CONFIG SET failed (possibly related to argument 'read-from') - "
                      "read-from az-affinity needs zone\r\n",
                      "CONFIG", "SET", "read-from", "az-affinity");
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "read-from", "replica");
    proxy_await_log(&proxy, "replica is read from", MASTERS, scaled_ms(5000));
    forget_calls();
    write_and_read(&c);
    assert_int_equal(calls("get", true), 0);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "read-from", "master");
    forget_calls();
    write_and_read(&c);
    assert_int_equal(calls("get", false), 0);
    client_close(&c);
}

/* --- staleness -------------------------------------------------------------------------------- */

static void break_replication(int replica, bool broken)
{
    cluster_do(&cluster, replica, "CONFIG SET masterauth %s", broken ? "wrong" : "");
    if (broken)
        cluster_do(&cluster, replica, "CLIENT KILL TYPE master");
}

struct expected {
    struct client *c;
    const char *key, *reply;
};

static bool answers(void *arg)
{
    struct expected *e = arg;
    const char *reply = client_ask(e->c, "GET", e->key, NULL);
    return reply != NULL && strcmp(reply, e->reply) == 0;
}

/* Sends the requests of one pipeline at once. */
static void send_pipeline(struct client *c, const char *const (*words)[4])
{
    char bytes[1024];
    size_t len = 0;
    for (; (*words)[0] != NULL; words++) {
        int count = 0;
        while (count < 4 && (*words)[count] != NULL)
            count++;
        len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "*%d\r\n", count);
        for (int i = 0; i < count; i++)
            len += (size_t)snprintf(bytes + len, sizeof(bytes) - len, "$%zu\r\n%s\r\n",
                                    strlen((*words)[i]), (*words)[i]);
    }
    assert_true(client_send(c, bytes, len));
}

/* The replica of master 0 has no link to it: what is read there is old, for as long as we like. */
static void test_own_writes(void **state)
{
    struct client c, other;
    char key[64];
    (void)state;
    int master = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 0, 0, "own", key)));
    int replica = cluster_replica_of(&cluster, master);
    start_proxy("prefer-replica", "--replica-max-lag", "60s");
    assert_true(client_open(&c, proxy.port) && client_open(&other, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", key, "old");
    struct expected old = { &other, key, "$3\r\nold\r\n" };
    assert_true(wait_until(answers, &old, scaled_ms(5000)));
    break_replication(replica, true);
    client_ask_expect(&c, "+OK\r\n", "SET", key, "new");
    client_ask_expect(&other, "$3\r\nold\r\n", "GET", key); /* the replica speaks */
    client_ask_expect(&c, "$3\r\nnew\r\n", "GET", key);     /* the first read behind a write */
    client_ask_expect(&c, "$3\r\nold\r\n", "GET", key);

    /* In one pipeline nothing is older than what stands before it, and nothing newer. */
    send_pipeline(&c, (const char *const[][4]){ { "GET", key },
                                                { "SET", key, "newer" },
                                                { "GET", key },
                                                { "MGET", key, "{other}k" },
                                                { "FLUSHALL" },
                                                { "GET", key },
                                                { "SET", key, "last" },
                                                { "STRLEN", key },
                                                { "GET", key },
                                                { NULL } });
    client_expect(&c, "$3\r\nold\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$5\r\nnewer\r\n");
    client_expect(&c, "*2\r\n$5\r\nnewer\r\n$-1\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$-1\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, ":4\r\n");
    client_expect(&c, "$4\r\nlast\r\n");
    client_ask_expect(&c, "$3\r\nold\r\n", "GET", key);
    /* What is watched is read at the master, and in a transaction, too. */
    client_ask_expect(&c, "+OK\r\n", "WATCH", key);
    client_ask_expect(&c, "$4\r\nlast\r\n", "GET", key);
    client_ask_expect(&c, "$4\r\nlast\r\n", "GET", key);
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "GET", key);
    client_ask_expect(&c, "+QUEUED\r\n", "MGET", key, "{other}k");
    client_ask_expect(&c, "+QUEUED\r\n", "GET", key);
    client_ask_expect(&c, "*3\r\n$4\r\nlast\r\n*2\r\n$4\r\nlast\r\n$-1\r\n$4\r\nlast\r\n", "EXEC");
    client_ask_expect(&other, "$3\r\nold\r\n", "GET", key);

    /* Once it lags too far it is left alone, and when it has caught up it is not. */
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "replica-max-lag", "2s");
    struct expected last = { &other, key, "$4\r\nlast\r\n" };
    assert_true(wait_until(answers, &last, scaled_ms(8000)));
    proxy_await_log(&proxy, "reason=lag", 1, scaled_ms(1000));
    forget_calls();
    client_ask_expect(&other, "$4\r\nlast\r\n", "GET", key);
    assert_int_equal(calls_of(replica, "get"), 0);
    break_replication(replica, false);
    proxy_await_log(&proxy, "replica is read from", MASTERS + 1, scaled_ms(15000));
    forget_calls();
    client_ask_expect(&other, "$4\r\nlast\r\n", "GET", key);
    assert_int_equal(calls_of(replica, "get"), 1);
    client_close(&c);
    client_close(&other);
}

/* A replica that is well by its offset and refuses to answer: the master answers at once. */
static void test_replica_refuses(void **state)
{
    struct client c, writer;
    char key[64];
    (void)state;
    int master = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 2, 0, "refused", key)));
    int replica = cluster_replica_of(&cluster, master);
    start_proxy("prefer-replica", "--replica-max-lag", "60s");
    assert_true(client_open(&c, proxy.port) && client_open(&writer, proxy.port));
    cluster_do(&cluster, replica, "CONFIG SET replica-serve-stale-data no");
    break_replication(replica, true);
    client_ask_expect(&writer, "+OK\r\n", "SET", key, "v");
    for (int i = 0; i < 100; i++)
        assert_true(client_send_command(&c, "GET", key, NULL)); /* each gets MASTERDOWN there */
    for (int i = 0; i < 100; i++)
        client_expect(&c, "$1\r\nv\r\n");
    proxy_await_log(&proxy, "reason=cannot_serve", 1, scaled_ms(5000));
    cluster_do(&cluster, replica, "CONFIG SET replica-serve-stale-data yes");
    break_replication(replica, false);
    client_close(&c);
    client_close(&writer);
}

/* --- trouble under load ----------------------------------------------------------------------- */

static void check_load(struct load *load, bool flows)
{
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    assert_string_equal(tally.first_error, "");
}

static struct load *start_load(void)
{
    return load_start(
        &(struct load_options){ .port = proxy.port, .replicas = true, .depth = 24, .clients = 8 });
}

/* A replica hangs, goes on, dies, and comes back. Nobody gets an error. */
static void test_replica_hangs_and_dies(void **state)
{
    char key[64];
    (void)state;
    int master = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 1, 0, "", key)));
    int replica = cluster_replica_of(&cluster, master);
    start_proxy("prefer-replica", NULL, NULL);
    struct load *load = start_load();
    bool flows = load_goes_on(load, 1000, scaled_ms(5000));
    cluster_stop_node(&cluster, replica);
    flows = flows && load_goes_on(load, 1000, scaled_ms(8000));
    proxy_await_log(&proxy, "replica is not read from", 1, scaled_ms(8000));
    flows = flows && load_goes_on(load, 2000, scaled_ms(8000));
    cluster_continue_node(&cluster, replica);
    proxy_await_log(&proxy, "replica is read from", MASTERS + 1, scaled_ms(15000));
    flows = flows && load_goes_on(load, 1000, scaled_ms(5000));
    cluster_kill_node(&cluster, replica);
    flows = flows && load_goes_on(load, 2000, scaled_ms(8000));
    proxy_await_log(&proxy, "replica is not read from", 2, scaled_ms(8000));
    cluster_restart_node(&cluster, replica);
    proxy_await_log(&proxy, "replica is read from", MASTERS + 2, scaled_ms(30000));
    flows = flows && load_goes_on(load, 1000, scaled_ms(5000));
    check_load(load, flows);
}

/* Replica and master change places, and connections are cut all the while. */
static void test_failovers(void **state)
{
    char key[64];
    (void)state;
    start_proxy("replica", NULL, NULL);
    struct load *load = start_load();
    bool flows = load_goes_on(load, 1000, scaled_ms(5000));
    for (int i = 0; flows && i < 3; i++) {
        int master = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, i, 0, "", key)));
        int replica = cluster_replica_of(&cluster, master);
        assert_true(replica >= 0);
        cluster_failover(&cluster, replica, "");
        flows = load_goes_on(load, 500, scaled_ms(8000));
        cluster_await_settled(&cluster, 20000);
        cluster_do(&cluster, master, "CLIENT KILL TYPE normal"); /* a replica by now */
        flows = flows && load_goes_on(load, 500, scaled_ms(8000));
    }
    check_load(load, flows);
}

/* A slot goes back and forth between two masters. */
static void test_slots_move(void **state)
{
    static char tags_text[4][16];
    static const char *tags[4];
    char tag[16];
    (void)state;
    for (int i = 0; i < 4; i++)
        tags[i] = cluster_tag(&cluster, i % 2, i / 2, tags_text[i]);
    start_proxy("prefer-replica", NULL, NULL);
    struct load *load = load_start(&(struct load_options){ .port = proxy.port,
                                                           .replicas = true,
                                                           .depth = 24,
                                                           .keys = 2,
                                                           .tags = tags,
                                                           .tag_count = 4 });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    for (int i = 0; flows && i < 4; i++) {
        int slot = cluster_slot(tags[0]);
        int from = cluster_owner(&cluster, slot);
        int to = cluster_owner(&cluster, cluster_slot(cluster_tag(&cluster, 1 + i % 2, 0, tag)));
        if (from != to)
            cluster_slot_move(&cluster, slot, to);
        flows = load_goes_on(load, 500, scaled_ms(8000));
    }
    check_load(load, flows);
}

/* --- zones ------------------------------------------------------------------------------------ */

/* Masters are told as 127.0.0.2 from now on, replicas as 127.0.0.3. */
static void announce_addresses(void)
{
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG SET cluster-announce-ip 127.0.0.%d",
                   cluster_is_master(&cluster, n) ? 2 : 3);
}

static bool all_are_told(void *arg)
{
    (void)arg;
    for (int n = 0; n < cluster.count; n++) {
        redisReply *r = cluster_ask(&cluster, n, "CLUSTER NODES");
        assert_non_null(r);
        bool done = strstr(r->str, "127.0.0.1") == NULL;
        freeReplyObject(r);
        if (!done)
            return false;
    }
    return true;
}

static void read_from_zone(struct client *c, const char *zone, bool masters)
{
    client_ask_expect(c, "+OK\r\n", "CONFIG", "SET", "zone", zone, "read-from", "az-affinity");
    proxy_await_log(&proxy, "zone=b", MASTERS, scaled_ms(5000));
    struct client fresh;
    assert_true(client_open(&fresh, proxy.port));
    forget_calls();
    write_and_read(&fresh);
    assert_int_equal(calls("get", masters), 180);
    assert_int_equal(calls("get", !masters), 0);
    client_close(&fresh);
}

static void test_zones(void **state)
{
    char seeds[512];
    struct client c;
    const char *const words[] = { "--read-from", "az-affinity",
                                  "--zone",      "a",
                                  "--zone-map",  "127.0.0.0/8=c,127.0.0.2/32=a,127.0.0.3/32=b",
                                  "--log-level", "debug",
                                  NULL };
    (void)state;
    announce_addresses();
    assert_true(wait_until(all_are_told, NULL, scaled_ms(10000)));
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), words);
    proxy_await_log(&proxy, "replica is read from", MASTERS, scaled_ms(5000));
    assert_true(client_open(&c, proxy.port));
    proxy_login_admin(&c);
    read_from_zone(&c, "a", true);  /* the masters' zone */
    read_from_zone(&c, "b", false); /* the replicas' */
    read_from_zone(&c, "d", false); /* nobody's: as prefer-replica */
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_goes_where, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_resp3, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_changed_at_run_time, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_own_writes, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_replica_refuses, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_failovers, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_slots_move, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_replica_hangs_and_dies, before_each, beside_end_proxy),
        cmocka_unit_test_setup_teardown(test_zones, before_each, beside_end_proxy),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
