/*
 * A client of the proxy sees one Redis: values byte for byte, every type, pipelines in order.
 * Where a reply can be compared, a plain redis-server is the judge.
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

/* Sets the bytes under the key and asserts that GET gives exactly them. */
static void set_and_get(struct client *c, const char *key, size_t key_len, const char *value,
                        size_t len)
{
    const char *const set[] = { "SET", key, value };
    const size_t set_len[] = { 3, key_len, len };
    const char *const get[] = { "GET", key };
    const size_t get_len[] = { 3, key_len };
    char *wanted = malloc(len + 64);

    assert_non_null(wanted);
    int head = sprintf(wanted, "$%zu\r\n", len);
    memcpy(wanted + head, value, len);
    memcpy(wanted + head + len, "\r\n", 2);
    assert_true(client_send_argv(c, 3, set, set_len));
    client_expect(c, "+OK\r\n");
    assert_true(client_send_argv(c, 2, get, get_len));
    client_expect_bytes(c, wanted, (size_t)head + len + 2);
    free(wanted);
}

static void test_binary_values(void **state)
{
    static const char tricky[] = "\r\n$5\r\n\0\0-ERR\r\n+OK\r\n*1\r\n\r";
    struct client c;
    char bytes[512];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i < 256 ? i : 511 - i);
    assert_true(client_open(&c, proxy.port));
    set_and_get(&c, "binary", 6, bytes, sizeof(bytes));
    set_and_get(&c, "tricky", 6, tricky, sizeof(tricky) - 1);
    set_and_get(&c, bytes, sizeof(bytes), "value", 5); /* as a key */
    set_and_get(&c, tricky, sizeof(tricky) - 1, "value", 5);
    set_and_get(&c, "empty", 5, "", 0);
    set_and_get(&c, "", 0, "of the empty key", 16);
    client_close(&c);
}

static void test_value_sizes(void **state)
{
    static const size_t sizes[] = { 0,     1,     1023,  1024,  1025,    16383,        16384,
                                    16385, 65535, 65536, 65537, 1 << 20, 5 * (1 << 20) };
    size_t biggest = sizes[ARRAY_LEN(sizes) - 1];
    char *value = malloc(biggest);
    uint32_t seed = 1;
    struct client c;

    (void)state;
    assert_non_null(value);
    for (size_t i = 0; i < biggest; i++) { /* nothing repeats, so a lost or doubled piece shows */
        seed = seed * 1664525u + 1013904223u;
        value[i] = (char)(seed >> 24);
    }
    assert_true(client_open(&c, proxy.port));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int master = 0; master < 3; master++) {
            char key[64], name[32];
            if (sizes[i] > (1 << 20) && master > 0)
                break;
            snprintf(name, sizeof(name), "size%zu", sizes[i]);
            cluster_key(&cluster, master, 0, name, key);
            set_and_get(&c, key, strlen(key), value, sizes[i]);
        }
    }
    client_close(&c);
    free(value);
}

/* Big values between small ones, all in one pipeline: nothing overtakes, nothing gets lost. */
static void test_big_values_in_a_pipeline(void **state)
{
    enum { BIG = 300000, ROUNDS = 8 };
    char *value = malloc(BIG + 1), *wanted = malloc(BIG + 64);
    struct client c;

    (void)state;
    assert_true(value != NULL && wanted != NULL);
    memset(value, 'v', BIG);
    value[BIG] = '\0';
    int len = sprintf(wanted, "$%d\r\n%s\r\n", BIG, value);
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < ROUNDS; i++) {
        char key[32], token[32];
        snprintf(key, sizeof(key), "pipe%d", i);
        snprintf(token, sizeof(token), "token%d", i);
        assert_true(client_send_command(&c, "SET", key, value, NULL));
        assert_true(client_send_command(&c, "ECHO", token, NULL));
        assert_true(client_send_command(&c, "GET", key, NULL));
        assert_true(client_send_command(&c, "STRLEN", key, NULL));
    }
    for (int i = 0; i < ROUNDS; i++) {
        char token[32];
        int n = snprintf(token, sizeof(token), "$6\r\ntoken%d\r\n", i);
        client_expect(&c, "+OK\r\n");
        client_expect_bytes(&c, token, (size_t)n);
        client_expect_bytes(&c, wanted, (size_t)len);
        client_expect(&c, ":300000\r\n");
    }
    client_close(&c);
    free(value);
    free(wanted);
}

static void test_every_type(void **state)
{
    static const char *const requests[] = {
        /* strings and bits */
        "SET s hello",
        "GET s",
        "APPEND s world",
        "STRLEN s",
        "GETRANGE s 1 3",
        "SETRANGE s 2 XX",
        "GETSET s new",
        "SETNX s no",
        "SET s 1 EX 100",
        "TTL s",
        "PERSIST s",
        "TTL s",
        "INCR s",
        "INCRBY s 41",
        "DECR s",
        "INCRBYFLOAT s 0.5",
        "GETEX s",
        "GETDEL s",
        "GET s",
        "SETBIT b 7 1",
        "GETBIT b 7",
        "BITCOUNT b",
        "BITPOS b 1",
        "BITFIELD b SET u8 0 200 GET u8 0",
        /* lists */
        "RPUSH l a b c",
        "LPUSH l z",
        "LRANGE l 0 -1",
        "LLEN l",
        "LINDEX l 1",
        "LSET l 1 A",
        "LINSERT l BEFORE b x",
        "LPOS l b",
        "LREM l 0 x",
        "LPOP l",
        "RPOP l 2",
        "LTRIM l 0 0",
        /* hashes */
        "HSET h f v g w",
        "HGET h f",
        "HGETALL h",
        "HMGET h f nope",
        "HINCRBY h n 5",
        "HEXISTS h f",
        "HLEN h",
        "HKEYS h",
        "HVALS h",
        "HDEL h g",
        "HSTRLEN h f",
        "HSCAN h 0",
        /* sets */
        "SADD set a",
        "SADD set a b",
        "SISMEMBER set a",
        "SMISMEMBER set a x",
        "SCARD set",
        "SREM set b",
        "SMEMBERS set",
        "SPOP set",
        "SSCAN set 0",
        /* sorted sets */
        "ZADD z 1 a 2.5 b 3 c",
        "ZSCORE z b",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZRANK z c",
        "ZINCRBY z 2 a",
        "ZCOUNT z 2 3",
        "ZRANGEBYSCORE z -inf +inf LIMIT 0 1",
        "ZPOPMIN z",
        "ZREM z c",
        "ZCARD z",
        /* streams */
        "XADD x 1-1 f v",
        "XADD x 1-2 f w",
        "XLEN x",
        "XRANGE x - +",
        "XREAD COUNT 1 STREAMS x 0",
        "XGROUP CREATE x g 0",
        "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
        "XPENDING x g",
        "XACK x g 1-1",
        "XDEL x 1-2",
        /* geo and hyperloglog */
        "GEOADD geo 13.361389 38.115556 Palermo",
        "GEOPOS geo Palermo",
        "GEOHASH geo Palermo",
        "PFADD hll a b c",
        "PFCOUNT hll",
        /* keys */
        "TYPE z",
        "OBJECT ENCODING z",
        "EXISTS z",
        "EXPIRE z 100",
        "TTL z",
        "DEL z",
        "EXISTS z",
        "RPUSH sorted 3 1 2",
        "SORT sorted DESC",
        /* several keys in one slot */
        "MSET {t}a 1 {t}b 2",
        "MGET {t}a {t}b {t}c",
        "EXISTS {t}a {t}b {t}a",
        "RENAME {t}a {t}c",
        "COPY {t}c {t}d",
        "SADD {t}s1 a",
        "SADD {t}s2 a",
        "SINTER {t}s1 {t}s2",
        "SUNIONSTORE {t}s3 {t}s1 {t}s2",
        "SMOVE {t}s1 {t}s2 a",
        "LMPOP 2 {t}l {t}m LEFT",
        "DEL {t}a {t}b {t}c",
        "UNLINK {t}d {t}nope",
        /* scripts with their keys named */
        "EVAL return{KEYS[1],ARGV[1],7} 1 {t}k arg",
        "EVAL return{err='MY_own_words'} 1 {t}k",
        "EVALSHA 0000000000000000000000000000000000000000 1 {t}k",
        /* the server's errors come as they are */
        "SET wrong string",
        "LPUSH wrong a",
        "INCR wrong",
        "HGET wrong f",
        "LSET nokey 0 v",
        "SET wrong v EX 0",
        "SET wrong v BOGUS",
        "EXPIRE wrong notanumber",
        "XADD x 0-0 f v",
    };
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    beside_close(&c, &o);
}

static void test_inline(void **state)
{
    static const char *const lines[] = {
        "SET inline value\r\n",          "GET inline\r\n", "get inline\n", "  GET   inline  \r\n",
        "SET q \"a\\x00b\\r\\n c\"\r\n", "GET q\r\n",
    };
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        oracle_compare(&c, &o, lines[i], strlen(lines[i]));
    /* Empty lines and empty arrays get no answer. */
    assert_true(client_send_text(&c, "\r\n\r\n*0\r\n*-1\r\nPING\r\nECHO x\r\n"));
    client_expect(&c, "+PONG\r\n");
    client_expect(&c, "$1\r\nx\r\n");
    beside_close(&c, &o);
}

static void test_one_byte_writes(void **state)
{
    static const char request[] = "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nva\r\ne\r\n"
                                  "*2\r\n$3\r\nGET\r\n$4\r\nslow\r\nGET slow\r\nPING\r\n";
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        assert_true(client_send(&c, request + i, 1));
        rest_us(300); /* so that the proxy sees most of the bytes alone */
    }
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$5\r\nva\r\ne\r\n");
    client_expect(&c, "$5\r\nva\r\ne\r\n");
    client_expect(&c, "+PONG\r\n");
    client_close(&c);
}

static void test_ten_thousand_in_order(void **state)
{
    enum { COUNT = 10000 };
    size_t at = 0, room = COUNT * 96;
    char *all = malloc(room), wanted[64];
    struct client c;

    (void)state;
    assert_non_null(all);
    for (int i = 0; i < COUNT; i++) /* the keys spread over all nodes, an answer of the proxy's own
                                       now and then between theirs */
        if (i % 10 == 9)
            at += (size_t)sprintf(all + at, "*2\r\n$4\r\nECHO\r\n$6\r\n%06d\r\n", i);
        else
            at += (size_t)sprintf(all + at, "*3\r\n$6\r\nGETSET\r\n$6\r\n%06d\r\n$6\r\n%06d\r\n",
                                  i / 2, i);
    assert_true(at <= room);
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send(&c, all, at));
    for (int i = 0; i < COUNT; i++) {
        if (i % 10 == 9)
            sprintf(wanted, "$6\r\n%06d\r\n", i);
        else if (i % 2 == 0) /* the first to touch its key */
            sprintf(wanted, "$-1\r\n");
        else
            sprintf(wanted, "$6\r\n%06d\r\n", i - 1);
        client_expect_bytes(&c, wanted, strlen(wanted));
    }
    client_close(&c);
    free(all);
}

static void test_many_clients(void **state)
{
    enum { CLIENTS = 200, ROUNDS = 5, DEPTH = 10 };
    static struct client c[CLIENTS];
    char key[32], value[32], wanted[64];

    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        assert_true(client_open(&c[i], proxy.port));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            for (int j = 0; j < DEPTH; j++) {
                snprintf(key, sizeof(key), "own:%d:%d", i, j);
                snprintf(value, sizeof(value), "%06d", i * 1000 + round * DEPTH + j);
                assert_true(client_send_command(&c[i], "SET", key, value, NULL));
                assert_true(client_send_command(&c[i], "GET", key, NULL));
            }
        }
        for (int i = 0; i < CLIENTS; i++) {
            for (int j = 0; j < DEPTH; j++) {
                sprintf(wanted, "$6\r\n%06d\r\n", i * 1000 + round * DEPTH + j);
                client_expect(&c[i], "+OK\r\n");
                client_expect_bytes(&c[i], wanted, strlen(wanted));
            }
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

/* Last: the proxy leaves by itself and clean, although clients are still there. */
static void test_leaves_on_sigterm(void **state)
{
    struct client idle, half;

    (void)state;
    assert_true(client_open(&idle, proxy.port));
    assert_true(client_open(&half, proxy.port));
    client_ask_expect(&idle, "+PONG\r\n", "PING");
    client_ask_expect(&half, "+PONG\r\n", "PING");
    assert_true(client_send_text(&half, "*2\r\n$3\r\nGET\r\n$3\r\nab"));
    assert_true(proxy_stop(&proxy));
    assert_true(client_sees_end(&idle));
    client_close(&idle);
    client_close(&half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_values),
        cmocka_unit_test(test_value_sizes),
        cmocka_unit_test(test_big_values_in_a_pipeline),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_one_byte_writes),
        cmocka_unit_test(test_ten_thousand_in_order),
        cmocka_unit_test(test_many_clients),
        cmocka_unit_test(test_leaves_on_sigterm),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
