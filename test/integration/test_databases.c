/*
 * A cluster that has several databases (Valkey 9, cluster-databases): SELECT is each client's own.
 *
 * One plain Valkey of the same version is the judge. Without that server (./dev servers valkey-9)
 * nothing is tested, and that is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/blocking_case.h"
#include "test/lib/client.h"
#include "test/lib/gather_case.h"
#include "test/lib/server.h"
#include "test/lib/testenv.h"

static int start(void **state)
{
    static const char *const databases[] = { "--cluster-databases", "16", NULL };
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1, .extra = databases },
                 NULL);
    return 0;
}

static void compare(const char *const *words, size_t count)
{
    gather_compare(proxy.port, oracle.port, words, count);
    gather_nothing_left(&cluster);
}

#define COMPARE(...)                                                                               \
    do {                                                                                           \
        static const char *const words[] = { __VA_ARGS__ };                                        \
        compare(words, ARRAY_LEN(words));                                                          \
    } while (0)

/* --- one client ---------------------------------------------------------------------------- */

static void test_select(void **state)
{
    (void)state;
    COMPARE("SET a 0", "SELECT 1", "GET a", "SET a 1", "SELECT 15", "SET a 15", "SELECT 16",
            "SELECT -1", "SELECT x", "SELECT", "GET a", "SELECT 0", "GET a", "SELECT 1", "GET a",
            "RESET", "GET a", "CONFIG GET databases");
    COMPARE("SELECT 2", "MSET a 1 b 2 c 3", "DBSIZE", "MGET a b c", "EXISTS a b c", "SELECT 3",
            "DBSIZE", "MGET a b c", "DEL a b c", "SET x 1", "KEYS *", "RANDOMKEY", "FLUSHDB",
            "DBSIZE", "SELECT 2", "DBSIZE", "FLUSHALL", "DBSIZE");
}

static void test_between_databases(void **state)
{
    (void)state;
    COMPARE("SET a 1", "MOVE a 2", "MOVE a 2", "GET a", "SELECT 2", "GET a", "MOVE a 2",
            "MOVE a 99", "MOVE a x", "MOVE a 0", "SELECT 0", "GET a", "EXISTS a");
    COMPARE("SELECT 1", "SET a 1", "COPY a a DB 4", "COPY a b DB 4", "COPY a b DB 4",
            "COPY a b REPLACE DB 4", "COPY a c DB 99", "COPY a c DB x", "COPY a c", "SELECT 4",
            "GET a", "GET b", "EXISTS c", "SELECT 1", "GET c", "DBSIZE");
}

static void test_several_slots(void **state)
{
    (void)state;
    COMPARE("SELECT 5", "SADD s1 1 2", "SADD s2 2 3", "SINTER s1 s2", "SINTERSTORE s3 s1 s2",
            "SMEMBERS s3", "RENAME s3 s4", "SCARD s4", "DBSIZE", "SELECT 0", "SCARD s4", "DBSIZE",
            "SUNIONSTORE s1 s1 s2", "SELECT 5", "SCARD s1");
    COMPARE("SELECT 6", "MSET k1 a k2 b",
            "EVAL return{redis.call('get',KEYS[1]),redis.call('get',KEYS[2])} 2 k1 k2",
            "EVAL return(redis.call('mset',KEYS[1],'x',KEYS[2],'y')) 2 k1 k2", "MGET k1 k2",
            "SELECT 7", "MGET k1 k2", "LPUSH l 3 1 2", "SORT l BY w* GET # GET v*",
            "LMOVE l m LEFT LEFT", "LRANGE m 0 -1", "LMPOP 2 l m LEFT", "SELECT 6", "EXISTS l m");
}

static void test_transactions(void **state)
{
    (void)state;
    COMPARE("SELECT 1", "MULTI", "SET {a}1 x", "GET {a}1", "EXEC", "MULTI", "SET a 1", "SET b 2",
            "MGET a b", "DBSIZE", "EXEC", "SELECT 0", "DBSIZE");
    COMPARE("MULTI", "SET {a}1 x", "SELECT 2", "SET {a}1 y", "GET {a}1", "SELECT 99", "MOVE {a}1 3",
            "EXEC", "GET {a}1", "SELECT 3", "GET {a}1", "SELECT 0", "GET {a}1");
    COMPARE("SELECT 1", "WATCH {w}", "SET {w} 1", "MULTI", "GET {w}", "EXEC", "WATCH {w}",
            "SELECT 2", "SET {w} 2", "MULTI", "GET {w}", "EXEC", "SELECT 1", "GET {w}", "WATCH {w}",
            "SELECT 2", "WATCH {w}", "SELECT 1", "MULTI", "SET {w} 3", "SELECT 2", "GET {w}",
            "EXEC");
}

static void test_pipeline(void **state)
{
    struct client c;
    char value[16], wanted[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 300; i++) {
        snprintf(value, sizeof(value), "%d", i % 16);
        assert_true(client_send_command(&c, "SELECT", value, NULL));
        assert_true(client_send_command(&c, "SET", "p", value, NULL));
        assert_true(client_send_command(&c, "GET", "p", NULL));
    }
    for (int i = 0; i < 300; i++) {
        snprintf(wanted, sizeof(wanted), "$%d\r\n%d\r\n", i % 16 < 10 ? 1 : 2, i % 16);
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect_bytes(&c, wanted, strlen(wanted));
    }
    client_close(&c);
}

static void test_scan(void **state)
{
    struct client c;
    char cursor[32] = "0", key[16];
    long found = 0;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "FLUSHALL");
    client_ask_expect(&c, "+OK\r\n", "MSET", "zero:1", "a", "zero:2", "b");
    client_ask_expect(&c, "+OK\r\n", "SELECT", "3");
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "three:%d", i);
        client_ask_expect(&c, "+OK\r\n", "SET", key, "v");
    }
    do {
        const char *reply = client_ask(&c, "SCAN", cursor, "COUNT", "7", NULL);
        assert_non_null(reply);
        assert_null(strstr(reply, "zero"));
        for (const char *at = reply; (at = strstr(at, "three")) != NULL; at++)
            found++;
        assert_int_equal(sscanf(reply, "*2 $%*d %31[0-9]", cursor), 1);
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(found, 50);
    client_close(&c);
}

/* --- several clients ----------------------------------------------------------------------- */

static void open_in(struct client *c, const char *database)
{
    assert_true(client_open(c, proxy.port));
    client_ask_expect(c, "+OK\r\n", "SELECT", database);
}

static void test_side_by_side(void **state)
{
    struct client c[16];
    char number[16];
    (void)state;
    for (int i = 0; i < 16; i++) {
        snprintf(number, sizeof(number), "%d", i);
        open_in(&c[i], number);
        client_ask_expect(&c[i], "+OK\r\n", "SET", "side", number);
    }
    for (int i = 0; i < 16; i++) {
        snprintf(number, sizeof(number), "%s%d\r\n", i < 10 ? "$1\r\n" : "$2\r\n", i);
        assert_true(client_send_command(&c[i], "GET", "side", NULL));
        client_expect_bytes(&c[i], number, strlen(number));
    }
    const char *list = client_ask(&c[0], "CLIENT", "LIST", NULL);
    assert_non_null(list);
    assert_non_null(strstr(list, " db=15 "));
    const char *info = client_ask(&c[0], "INFO", "keyspace", NULL);
    assert_non_null(info);
    assert_non_null(strstr(info, "db15:keys="));
    for (int i = 0; i < 16; i++)
        client_close(&c[i]);
}

static void test_watch(void **state)
{
    struct client a, other;
    (void)state;
    open_in(&a, "1");
    assert_true(client_open(&other, proxy.port));
    for (int touched = 0; touched < 2; touched++) {
        client_ask_expect(&other, "+OK\r\n", "SELECT", touched ? "1" : "0");
        client_ask_expect(&a, "+OK\r\n", "WATCH", "watched");
        client_ask_expect(&other, "+OK\r\n", "SET", "watched", "x");
        client_ask_expect(&a, "+OK\r\n", "MULTI");
        client_ask_expect(&a, "+QUEUED\r\n", "SET", "watched", "a");
        assert_true(client_send_command(&a, "EXEC", NULL));
        client_expect_start(&a, touched ? "*-1\r\n" : "*1\r\n+OK\r\n");
    }
    client_ask_expect(&a, "+OK\r\n", "WATCH", "watched"); /* in both databases */
    client_ask_expect(&a, "+OK\r\n", "SELECT", "2");
    client_ask_expect(&a, "+OK\r\n", "WATCH", "watched");
    client_ask_expect(&other, "+OK\r\n", "SELECT", "2");
    client_ask_expect(&other, "+OK\r\n", "SET", "watched", "y");
    client_ask_expect(&a, "+OK\r\n", "MULTI");
    client_ask_expect(&a, "+QUEUED\r\n", "SET", "watched", "a");
    client_ask_expect(&a, "*-1\r\n", "EXEC");
    client_close(&a);
    client_close(&other);
}

/* One slot, and keys of several: an element of another database wakes nobody. */
static void test_blocking(void **state)
{
    struct client waits[3], c;
    (void)state;
    open_in(&c, "1");
    client_ask_expect(&c, ":2\r\n", "RPUSH", "again", "a", "b");
    client_ask_expect(&c, "*2\r\n$5\r\nagain\r\n$1\r\na\r\n", "BLPOP", "again", "0");
    client_ask_expect(&c, "+OK\r\n", "SELECT", "2");
    client_ask_expect(&c, "*-1\r\n", "BLPOP", "again", "0.01"); /* not over that connection */
    client_close(&c);
    open_in(&waits[0], "1");
    open_in(&waits[1], "1");
    assert_true(client_send_command(&waits[0], "BLPOP", "q1", "0", NULL));
    assert_true(client_send_command(&waits[1], "BLPOP", "q2", "q3", "q4", "0", NULL));
    open_in(&waits[2], "2");
    assert_true(client_send_command(&waits[2], "BLPOP", "q2", "q3", "q4", "0", NULL));
    blocking_await(proxy.port, 3);
    open_in(&c, "0");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "q1", "zero");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "q2", "zero");
    client_ask_expect(&c, "+OK\r\n", "SELECT", "1");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "q1", "one");
    client_expect(&waits[0], "*2\r\n$2\r\nq1\r\n$3\r\none\r\n");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "q3", "one");
    client_expect(&waits[1], "*2\r\n$2\r\nq3\r\n$3\r\none\r\n");
    assert_true(client_hears_nothing(&waits[2], 60));
    client_ask_expect(&c, "+OK\r\n", "SELECT", "2");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "q2", "two");
    client_expect(&waits[2], "*2\r\n$2\r\nq2\r\n$3\r\ntwo\r\n");
    client_ask_expect(&c, "+OK\r\n", "SELECT", "0");
    client_ask_expect(&c, ":2\r\n", "EXISTS", "q1", "q2");
    for (int i = 0; i < 3; i++)
        client_close(&waits[i]);
    client_close(&c);
}

/* What leads to another node, or over another connection, leads to the same database. */
static void test_failover(void **state)
{
    struct client c;
    char key[64];
    (void)state;
    open_in(&c, "3");
    cluster_key(&cluster, 0, 1, "k", key);
    client_ask_expect(&c, "+OK\r\n", "SET", key, "three");
    cluster_failover(&cluster, cluster_replica_of(&cluster, 0), "");
    client_ask_expect(&c, "$5\r\nthree\r\n", "GET", key);
    client_ask_expect(&c, ":6\r\n", "APPEND", key, "!");
    char *large = malloc(200001);
    assert_non_null(large);
    memset(large, 'v', 200000);
    large[200000] = '\0';
    client_ask_expect(&c, "+OK\r\n", "SET", key, large); /* over a connection for large ones */
    client_ask_expect(&c, ":200000\r\n", "STRLEN", key);
    client_ask_expect(&c, "+OK\r\n", "SELECT", "0");
    client_ask_expect(&c, ":0\r\n", "EXISTS", key);
    free(large);
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),        cmocka_unit_test(test_between_databases),
        cmocka_unit_test(test_several_slots), cmocka_unit_test(test_transactions),
        cmocka_unit_test(test_pipeline),      cmocka_unit_test(test_scan),
        cmocka_unit_test(test_side_by_side),  cmocka_unit_test(test_watch),
        cmocka_unit_test(test_blocking),      cmocka_unit_test(test_failover),
    };

    if (!server_use("valkey-9")) {
        fprintf(stderr, "skipped: there is no valkey-9; ./dev servers valkey-9\n");
        return 0;
    }
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
