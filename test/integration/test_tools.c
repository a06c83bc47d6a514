/*
 * The ways in of other migration tools: what redis-port, RedisShake (v2 and v4) and librdb's
 * rdb-cli send and ask, in their order; a plain redis-server is the judge wherever one can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resp/writer.h"
#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/http.h"
#include "test/lib/testenv.h"

static struct client c, o;
static uint16_t admin;

static int start(void **state)
{
    char port[8];
    (void)state;
    admin = port_take();
    snprintf(port, sizeof(port), "%u", admin);
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--admin-port", port, NULL });
    return 0;
}

static int open_both(void **state)
{
    (void)state;
    beside_open(&c, &o);
    oracle_compare_words(&c, &o, "FLUSHALL");
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    beside_close(&c, &o);
    return 0;
}

static void same(const char *const *lines)
{
    for (; *lines != NULL; lines++)
        oracle_compare_words(&c, &o, *lines);
}

/* The reply of the proxy holds each of the texts. */
static void expect_in_reply(const char *words, const char *const *texts)
{
    size_t len;
    char *request = request_of_words(words, &len);
    assert_true(client_send(&c, request, len));
    const char *reply = client_read(&c, NULL);
    assert_non_null(reply);
    for (; *texts != NULL; texts++)
        if (strstr(reply, *texts) == NULL)
            fail_msg("%s: no %s in %s", words, *texts, reply);
    free(request);
}

/* DUMP of a key that the plain server has for a moment. */
static void dump_of(const char *command, struct writer *payload)
{
    size_t len;
    char *request = request_of_words(command, &len);
    assert_true(client_send(&o, request, len));
    assert_non_null(client_read(&o, NULL));
    free(request);
    const char *reply = client_ask(&o, "DUMP", "payload", NULL);
    assert_int_equal(reply[0], '$');
    size_t size = (size_t)atol(reply + 1);
    writer_init(payload, 2);
    write_raw(payload, (struct span){ strchr(reply, '\n') + 1, size });
    assert_non_null(client_ask(&o, "DEL", "payload", NULL));
}

/* name, key, ttl, the payload, and what follows: the same at both. */
static void restore(const char *name, const char *key, const char *ttl,
                    const struct writer *payload, const char *const *options)
{
    struct writer w;
    size_t count = 4;
    while (options[count - 4] != NULL)
        count++;
    writer_init(&w, 2);
    write_array(&w, count);
    write_bulk_text(&w, name);
    write_bulk_text(&w, key);
    write_bulk_text(&w, ttl);
    write_bulk(&w, writer_span(payload));
    for (; *options != NULL; options++)
        write_bulk_text(&w, *options);
    oracle_compare(&c, &o, w.at, w.len);
    writer_close(&w);
}

/* What /clients tells of our connection. */
static long errors_told(void)
{
    static char body[64 * 1024];
    char address[64];
    assert_int_equal(http_once(admin, "GET", "/clients", "", body, sizeof(body)), 200);
    snprintf(address, sizeof(address), "\"address\":\"127.0.0.1:%u\"", client_own_port(&c));
    const char *at = strstr(body, address);
    assert_non_null(at);
    at = strstr(at, "\"errors\":");
    assert_non_null(at);
    return strtol(at + strlen("\"errors\":"), NULL, 10);
}

/* A tool that reads no error replies: the proxy knows how many it had. */
static void test_errors_are_counted(void **state)
{
    static const char *const stream[] = {
        "SET string v",       /* none */
        "LPUSH string a",     /* of a node */
        "nosuch x",           /* of the proxy */
        "GET",                /* words are missing */
        "RENAME none other",  /* of the proxy's own program over slots */
        "SLOTSRESTORE k 0 v", /* what redis-port sends by default, to Codis */
        "MULTI",
        "LPUSH string", /* in a transaction */
        "EXEC",         /* that is refused, then */
        NULL,
    };
    (void)state;
    assert_int_equal(errors_told(), 0);
    same(stream);
    assert_int_equal(errors_told(), 7);
}

static void test_redis_port(void **state)
{
    static const char *const rewritten[] = {
        "HMSET hash f1 v1 f2 v2",
        "RPUSH list a b c",
        "SADD set a b c",
        "ZADD zset 1 a 2.5 b",
        "SET string v",
        "PEXPIRE hash 100000",
        "DEL list",
        "TTL hash",
        NULL,
    };
    static const char *const stream[] = {
        "ping", "SELECT 0",         "SET a 1",   "MULTI", "INCR a", "INCR a",
        "EXEC", "MSET x 1 y 2 z 3", "DEL x y z", "GET a", "PING",   "PEXPIREAT a 4102444800000",

        NULL,
    };
    struct writer payload;
    (void)state;
    dump_of("SET payload value", &payload);
    oracle_compare_words(&c, &o, "SELECT 0");
    restore("RESTORE", "k1", "0", &payload, (const char *const[]){ "REPLACE", NULL });
    restore("RESTORE", "k1", "100000", &payload, (const char *const[]){ "REPLACE", NULL });
    restore("RESTORE", "k1", "0", &payload, (const char *const[]){ NULL });
    restore("SLOTSRESTORE", "k1", "0", &payload, (const char *const[]){ NULL });
    writer_close(&payload);
    same((const char *const[]){ "GET k1", "TTL k1", NULL });
    same(rewritten);
    same(stream);
    /* One Redis says nothing to that; a tool that passes it on reads no replies. */
    assert_true(client_send_command(&c, "REPLCONF", "GETACK", "*", NULL));
    client_expect_start(&c, "-ERR slotgate: REPLCONF is refused");
    oracle_compare_words(&c, &o, "GET a");
}

static void test_redis_shake_2(void **state)
{
    static const char *const server[] = { "redis_version:", "run_id:", "tcp_port:", NULL };
    static const char *const replication[] = { "role:master", "master_repl_offset:", NULL };
    static const char *const keyspace[] = { "# Keyspace", "db0:keys=", NULL };
    static const char *const all[] = { "redis_version:", "# Keyspace", "role:master", NULL };
    static const char *const answers[] = {
        "PING",
        "SELECT 0",
        "EXISTS k",
        "DEL k",
        "SET k v",
        "EXISTS k",
        "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
        NULL,
    };
    static const char *const checkpoint[] = {
        "MULTI",
        "HSET redis-shake-checkpoint a-offset 17 a-runid b a-version 1",
        "SET k w",
        "EXEC",
        "HGETALL redis-shake-checkpoint",
        NULL,
    };
    struct writer payload;
    (void)state;
    expect_in_reply("INFO", all);
    expect_in_reply("INFO server", server);
    expect_in_reply("INFO Replication", replication);
    oracle_compare_words(&c, &o, "CONFIG GET rdbchecksum");
    same(answers);
    dump_of("RPUSH payload a b", &payload);
    restore("RESTORE", "list", "0", &payload,
            (const char *const[]){ "REPLACE", "IDLETIME", "10", NULL });
    restore("RESTORE", "list", "4102444800000", &payload,
            (const char *const[]){ "REPLACE", "ABSTTL", NULL });
    restore("RESTORE", "list", "0", &payload, (const char *const[]){ NULL });
    writer_close(&payload);
    oracle_compare_words(&c, &o, "SCRIPT LOAD return(1)");
    same(checkpoint);
    expect_in_reply("INFO keyspace", keyspace);
}

/* One command for each element, many in one write, and no reply is read. */
static void test_redis_shake_4(void **state)
{
    static const char *const before[] = {
        "AUTH secret",
        "AUTH default secret",
        "AUTH nobody secret",
        "PING",
        "PING",
        "SELECT 0",
        "SELECT -1",
        "SELECT 16",
        "SELECT a",
        "CONFIG GET maxmemory-policy",
        NULL,
    };
    static const char *const silent[] = {
        "hset h f1 v1",     "hset h f2 v2",   "rpush l a", "sadd s a", "zadd z 1 a", "set k v",
        "pexpire k 100000", "xadd x 1-1 f v", "nosuch x",  "select 0", "ping",       NULL,
    };
    static const char *const replication[] = { "role:master", NULL };
    (void)state;
    same(before);
    /* A cluster has one database; what would go into another one must not go into this. */
    assert_true(client_send_command(&c, "SELECT", "1", NULL));
    client_expect_start(&c, "-ERR");
    expect_in_reply("INFO replication", replication);
    for (int side = 0; side < 2; side++) {
        struct client *to = side == 0 ? &c : &o;
        assert_true(client_send_command(to, "CLIENT", "REPLY", "OFF", NULL));
        for (size_t i = 0; silent[i] != NULL; i++) {
            size_t len;
            char *request = request_of_words(silent[i], &len);
            assert_true(client_send(to, request, len));
            free(request);
        }
        assert_true(client_hears_nothing(to, 50));
        client_ask_expect(to, "+OK\r\n", "CLIENT", "REPLY", "ON");
    }
    same((const char *const[]){ "HGETALL h", "LRANGE l 0 -1", "SMEMBERS s", "ZRANGE z 0 -1",
                                "GET k", "XLEN x", "TTL k", NULL });
}

/* librdb's rdb-cli and RIOT. */
static void test_rdb_cli(void **state)
{
    static const char *const library[] = {
        "FUNCTION LOAD REPLACE "
        "#!lua\tname=lib\nredis.register_function('f',function()return\t1\tend)",
        "FCALL f 0",
        "FUNCTION DELETE lib",
        NULL,
    };
    static const char *const server[] = { "redis_version:", NULL };
    struct writer payload;
    (void)state;
    expect_in_reply("HELLO 3", (const char *const[]){ "%7\r\n", "version", NULL });
    expect_in_reply("HELLO 2", (const char *const[]){ "*14\r\n", "version", NULL });
    expect_in_reply("CLIENT SETINFO LIB-NAME riot", (const char *const[]){ "+OK", NULL });
    expect_in_reply("INFO", server);
    expect_in_reply("INFO server", server);
    oracle_compare_words(&c, &o, "SELECT 0");
    dump_of("SADD payload a b c", &payload);
    restore("RESTORE", "set", "4102444800000", &payload,
            (const char *const[]){ "ABSTTL", "REPLACE", NULL });
    writer_close(&payload);
    same((const char *const[]){ "PEXPIREAT set 4102444800001", "PEXPIRETIME set", "SCARD set",
                                NULL });
    same(library);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors_are_counted, open_both, close_both),
        cmocka_unit_test_setup_teardown(test_redis_port, open_both, close_both),
        cmocka_unit_test_setup_teardown(test_redis_shake_2, open_both, close_both),
        cmocka_unit_test_setup_teardown(test_redis_shake_4, open_both, close_both),
        cmocka_unit_test_setup_teardown(test_rdb_cli, open_both, close_both),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
