/*
 * MULTI and EXEC through the proxy: the same bytes as from one Redis, and one block at one node.
 *
 * A plain redis-server is the judge of every reply. What only a cluster can do to a transaction (a
 * redirect of a part, a node lost under a block) is judged by books: see test_transaction_load.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/gather_case.h"
#include "test/lib/testenv.h"

static struct proxy strict;

static int start(void **state)
{
    static const char *const no_cross[] = { "--enable-cross-slot", "no", NULL };
    static const char *const yes_cross[] = { "--enable-cross-slot", "yes", NULL };
    char seeds[512];

    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 }, yes_cross);
    proxy_start(&strict, cluster_seeds(&cluster, seeds), no_cross);
    return 0;
}

static int stop(void **state)
{
    proxy_stop(&strict);
    return beside_end(state);
}

static void compare(const char *const *words, size_t count)
{
    gather_compare(proxy.port, oracle.port, words, count);
}

#define COMPARE(...)                                                                               \
    do {                                                                                           \
        static const char *const words[] = { __VA_ARGS__ };                                        \
        compare(words, ARRAY_LEN(words));                                                          \
    } while (0)

/* --- the same bytes ------------------------------------------------------------------------ */

static void test_one_slot(void **state)
{
    (void)state;
    COMPARE("MULTI", "SET {a}1 x", "INCR {a}2", "GET {a}1", "LPUSH {a}1 y", "HSET {a}h f v",
            "HGETALL {a}h", "MGET {a}1 {a}2 {a}3", "DEL {a}1 {a}2", "EXISTS {a}1", "EXEC",
            "GET {a}1");
    COMPARE("MULTI", "EXEC", "EXEC", "MULTI", "DISCARD", "DISCARD", "EXEC");
    COMPARE("MULTI", "SET {a}1 x", "DISCARD", "GET {a}1", "EXEC");
    COMPARE("MULTI", "PING", "ECHO x", "PING hello", "EXEC");
    COMPARE("MULTI", "PING", "SET {a}1 1", "PUBLISH c m", "UNWATCH", "INCR {a}1", "EXEC");
    COMPARE("MULTI", "SET {a}1 1 XX XX NX", "INCR {a}1", "SORT {a}l LIMIT x y", "EXEC");
    COMPARE("MULTI", "BLPOP {a}l 0", "BLMOVE {a}l {a}m LEFT RIGHT 0", "WAIT 0 0",
            "XREAD BLOCK 0 STREAMS {a}s $", "EXEC");
    COMPARE("RPUSH {a}l 1 2", "MULTI", "BLPOP {a}l 0", "BLPOP {a}l 0", "BLPOP {a}l 0", "EXEC");
    COMPARE("MULTI", "EVAL return{KEYS[1],1.5} 1 {a}1", "EVAL return(1) x", "EVALSHA abc 0",
            "EVAL return(redis.call('incr',KEYS[1])) 1 {a}n", "EXEC");
}

static void test_errors(void **state)
{
    (void)state;
    COMPARE("EXEC", "DISCARD", "MULTI x", "EXEC x", "MULTI", "MULTI", "SET a 1", "EXEC", "GET a");
    COMPARE("MULTI", "WATCH a", "SET a 1", "EXEC");
    COMPARE("MULTI", "WATCH", "SET a 1", "EXEC", "GET a");
    COMPARE("MULTI", "NOSUCH a b", "SET a 1", "EXEC", "GET a");
    COMPARE("MULTI", "SET a 1", "NOSUCH a b", "EXEC", "GET a");
    COMPARE("MULTI", "GET", "EXEC", "EXEC");
    COMPARE("MULTI", "EXEC x", "SET a 2", "EXEC");
    COMPARE("MULTI", "DISCARD x", "EXEC");
    COMPARE("MULTI", "MULTI x", "EXEC");
    COMPARE("MULTI", "CONFIG NOSUCH", "EXEC");
    COMPARE("MULTI", "SAVE", "SET a 1", "DISCARD", "GET a");
    COMPARE("MULTI", "SHUTDOWN NOSAVE", "EXEC", "MULTI", "SYNC", "EXEC", "MULTI", "PSYNC a 1",
            "EXEC");
    COMPARE("MULTI", "SET a 1", "RESET", "EXEC", "GET a");
    COMPARE("UNWATCH", "UNWATCH x", "MULTI", "UNWATCH", "EXEC");
}

static void test_what_the_proxy_answers(void **state)
{
    (void)state;
    COMPARE("MULTI", "SET {a}1 x", "CLIENT SETNAME me", "GET {a}1", "CLIENT GETNAME", "SELECT 0",
            "SELECT 99", "APPEND {a}1 y", "CLIENT REPLY ON", "HELLO 9", "HELLO x", "EXEC",
            "CLIENT GETNAME", "GET {a}1");
    COMPARE("MULTI", "CLIENT GETNAME", "CLIENT SETNAME a\x01z", "EXEC");
    COMPARE("MULTI", "SELECT 0", "CLIENT NO-EVICT ON", "PING", "ECHO a", "EXEC");
    COMPARE("MULTI", "SET {a}1 1", "DBSIZE", "SET {a}2 1", "DBSIZE", "FLUSHALL", "DBSIZE",
            "GET {a}1", "EXEC");
    COMPARE("MULTI", "SCRIPT LOAD return(7)", "EVALSHA b5f7ac7a0c4b8e5e4f6c8a7bd2c2d1c9e1c0e7f3 0",
            "SCRIPT EXISTS x", "EXEC");
    COMPARE("MULTI", "RANDOMKEY", "KEYS *", "SET x 1", "KEYS *", "RANDOMKEY", "EXEC");
}

static bool one_waits(void *context)
{
    const char *info = client_ask(context, "INFO", "clients", NULL);
    return info != NULL && strstr(info, "\r\nblocked_clients:1\r\n") != NULL;
}

/* What asks a node first has its reply inside EXEC's, too, and what cannot stand there is refused.
 */
static void unblock_inside(uint16_t port)
{
    struct client waiting, c;
    char number[24];
    assert_true(client_open(&waiting, port));
    assert_true(client_open(&c, port));
    long long id = strtoll(client_ask(&waiting, "CLIENT", "ID", NULL) + 1, NULL, 10);
    snprintf(number, sizeof(number), "%lld", id);
    assert_true(client_send_command(&waiting, "BLPOP", "nothing", "0", NULL));
    assert_true(wait_until(one_waits, &c, scaled_ms(10000)));
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "CLIENT", "UNBLOCK", number);
    client_ask_expect(&c, "+QUEUED\r\n", "ECHO", "x");
    client_ask_expect(&c, "*2\r\n:1\r\n$1\r\nx\r\n", "EXEC");
    client_ask_expect(&c, "$1\r\ny\r\n", "ECHO", "y");
    client_expect(&waiting, "*-1\r\n");
    client_close(&waiting);
    client_close(&c);
}

static void test_what_asks_nodes(void **state)
{
    struct client c;
    (void)state;
    unblock_inside(oracle.port);
    unblock_inside(proxy.port);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "-ERR Command not allowed inside a transaction\r\n", "PROXY", "FENCE");
    client_ask_expect(&c, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                      "EXEC");
    client_close(&c);
}

static void test_several_slots(void **state)
{
    (void)state;
    COMPARE("MULTI", "SET a 1", "SET b 2", "SET c 3", "INCR a", "GET b", "LPUSH c x", "GET a",
            "PING", "EXEC", "MGET a b c");
    COMPARE("MULTI", "MSET a 1 b 2 c 3", "INCR a", "MGET c b a nokey", "DEL a b c", "GET a",
            "EXEC");
    COMPARE("MULTI", "SADD s1 1 2", "SADD s2 2 3", "SUNION s1 s2", "SINTERSTORE s3 s1 s2",
            "SMEMBERS s3", "RENAME s3 s4", "SCARD s4", "EXEC", "SMEMBERS s4");
    COMPARE("MULTI", "SET a 1", "CLIENT GETNAME", "SET b 1", "FLUSHALL", "GET a", "SET c 1",
            "GET c", "DBSIZE", "EXEC");
    COMPARE("MULTI", "RENAME nokey1 nokey2", "SET a 1", "SINTER a b", "MSET a 1 b", "EXEC");
    COMPARE("XADD s 1-1 f v", "XADD t 1-1 f v", "MULTI", "XREAD STREAMS s t 0 0", "SET a 1",
            "EXEC");
    COMPARE("MULTI", "SUNION a b", "SUNION c d", "EXEC");
}

/* --- one block ----------------------------------------------------------------------------- */

/* Sends words as requests in one write. */
static void send_all(struct client *c, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len;
        char *request = request_of_words(words[i], &len);
        assert_true(client_send(c, request, len));
        free(request);
    }
}

static void test_order_in_a_pipeline(void **state)
{
    static const char *const words[] = { "SET {a}1 1", "GET b",      "MULTI",    "INCR {a}1",
                                         "INCR {a}1",  "EXEC",       "GET {a}1", "MULTI",
                                         "SET b 1",    "INCR {a}1",  "EXEC",     "INCR {a}1",
                                         "MULTI",      "NOSUCH",     "EXEC",     "MGET {a}1 b",
                                         "MULTI",      "SUNION d e", "DBSIZE",   "INCR {a}1",
                                         "EXEC",       "GET {a}1",   "PING" };
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct client c, o;
        beside_open(&c, &o);
        oracle_compare_words(&c, &o, "FLUSHALL");
        send_all(&c, words, ARRAY_LEN(words));
        send_all(&o, words, ARRAY_LEN(words));
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            size_t len;
            const char *wanted = client_read(&o, &len);
            assert_non_null(wanted);
            client_expect_bytes(&c, wanted, len);
        }
        beside_close(&c, &o);
    }
}

/* Thousands of commands, and one of a megabyte: larger than any buffer on the way. */
static void test_large_blocks(void **state)
{
    enum { COMMANDS = 20000, LARGE = 1 << 20 };
    char *value = malloc(LARGE + 1), number[32];
    struct client c;
    (void)state;
    assert_non_null(value);
    memset(value, 'v', LARGE);
    value[LARGE] = '\0';
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "{a}n", "0");
    assert_true(client_send_command(&c, "MULTI", NULL));
    for (int i = 0; i < COMMANDS; i++)
        assert_true(client_send_command(&c, "INCR", "{a}n", NULL));
    assert_true(client_send_command(&c, "SET", "{a}v", value, NULL));
    assert_true(client_send_command(&c, "STRLEN", "{a}v", NULL));
    assert_true(client_send_command(&c, "EXEC", NULL));
    client_expect(&c, "+OK\r\n");
    for (int i = 0; i < COMMANDS + 2; i++)
        client_expect(&c, "+QUEUED\r\n");
    size_t len;
    const char *reply = client_read(&c, &len);
    assert_non_null(reply);
    snprintf(number, sizeof(number), "*%d\r\n:1\r\n:2\r\n", COMMANDS + 2);
    assert_memory_equal(reply, number, strlen(number));
    snprintf(number, sizeof(number), ":%d\r\n+OK\r\n:%d\r\n", COMMANDS, LARGE);
    assert_string_equal(reply + len - strlen(number), number);
    /* A reply that is larger than what any connection holds back. */
    assert_true(client_send_command(&c, "MULTI", NULL));
    for (int i = 0; i < 8; i++)
        assert_true(client_send_command(&c, "GET", "{a}v", NULL));
    assert_true(client_send_command(&c, "EXEC", NULL));
    client_expect(&c, "+OK\r\n");
    for (int i = 0; i < 8; i++)
        client_expect(&c, "+QUEUED\r\n");
    reply = client_read(&c, &len);
    assert_non_null(reply);
    assert_int_equal(len, 4 + 8 * (LARGE + 12));
    for (int i = 0; i < 8; i++)
        assert_memory_equal(reply + 4 + i * (LARGE + 12) + 10, value, LARGE);
    client_close(&c);
    free(value);
}

static void test_too_large(void **state)
{
    static const char *const small[] = { "--client-query-buffer-limit", "1mb", NULL };
    char seeds[512], value[60001];
    struct proxy bounded;
    struct client c;
    (void)state;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    proxy_start(&bounded, cluster_seeds(&cluster, seeds), small);
    assert_true(client_open(&c, bounded.port));
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    for (int i = 0; i < 17; i++)
        client_ask_expect(&c, "+QUEUED\r\n", "SET", "a", value);
    client_ask_expect(&c,
                      "-ERR slotgate: the transaction is larger than client-query-buffer-limit\r\n",
                      "SET", "a", value);
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "a", "1");
    client_ask_expect(&c, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                      "EXEC");
    client_ask_expect(&c, "$-1\r\n", "GET", "no such key");
    client_close(&c);
    assert_true(proxy_stop(&bounded));
}

static void test_switched_off(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, strict.port));
    client_ask_expect(&c, "+OK\r\n", "MSET", "{x}1", "0", "{x}2", "0");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "{x}1", "1");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "{y}1", "1");
    client_ask_expect(&c, "-CROSSSLOT Keys in request don't hash to the same slot\r\n", "EXEC");
    client_ask_expect(&c, "$1\r\n0\r\n", "GET", "{x}1");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "-CROSSSLOT Keys in request don't hash to the same slot\r\n", "SUNION",
                      "{x}1", "{y}1");
    client_ask_expect(&c, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                      "EXEC");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "{x}1");
    client_ask_expect(&c, "+QUEUED\r\n", "CLIENT", "GETNAME");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "{x}2");
    client_ask_expect(&c, "*3\r\n:1\r\n$-1\r\n:1\r\n", "EXEC");
    client_close(&c);
}

/* Whoever leaves in the middle, or resets, has executed nothing and left nothing behind. */
static void test_clients_that_leave(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "{leave}n", "0");
    for (int i = 0; i < 200; i++) {
        struct client one;
        assert_true(client_open(&one, proxy.port));
        assert_true(client_send_command(&one, "MULTI", NULL));
        assert_true(client_send_command(&one, "INCR", "{leave}n", NULL));
        assert_true(client_send_text(&one, "*3\r\n$3\r\nSET\r\n$3\r\nx"));
        if (i % 3 == 0)
            client_expect(&one, "+OK\r\n");
        if (i % 2 == 0)
            client_abort(&one);
        else if (i % 5 == 0)
            assert_true(client_send_text(&one, "\r\n$1\r\n1\r\nQUIT\r\nEXEC\r\n"));
        client_close(&one);
    }
    client_ask_expect(&c, "$1\r\n0\r\n", "GET", "{leave}n");
    client_close(&c);
}

/* What would change the connection in the middle of EXEC's reply. */
static void test_refused(void **state)
{
    static const char *const words[] = { "MONITOR",          "HELLO 3",
                                         "CLIENT REPLY OFF", "CLIENT REPLY SKIP",
                                         "REPLICAOF no one", "BLPOP a b 0" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct client c;
        assert_true(client_open(&c, proxy.port));
        client_ask_expect(&c, "+OK\r\n", "MULTI");
        send_all(&c, &words[i], 1);
        client_expect_start(&c, i == 5 ? "-CROSSSLOT " : "-ERR slotgate: ");
        client_ask_expect(&c, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                          "EXEC");
        client_ask_expect(&c, "+PONG\r\n", "PING");
        client_close(&c);
    }
}

/* What the node alone can refuse, it refuses when the client has been told QUEUED. */
static void test_refused_by_the_node(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int n = 0; n < 3; n++)
        cluster_do(&cluster, n, "CONFIG SET maxmemory 1");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "GET", "{oom}1");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "{oom}1", "x");
    client_ask_expect(&c, "-EXECABORT Transaction discarded because of previous errors.\r\n",
                      "EXEC");
    for (int n = 0; n < 3; n++)
        cluster_do(&cluster, n, "CONFIG SET maxmemory 0");
    client_close(&c);
}

/* CLIENT REPLY before MULTI is about what comes behind it, as with one Redis. */
static void test_replies_switched_off(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "MSET", "{off}n", "0", "off", "0");
    assert_true(client_send_command(&c, "CLIENT", "REPLY", "OFF", NULL));
    for (int i = 0; i < 3; i++) {
        assert_true(client_send_command(&c, "MULTI", NULL));
        assert_true(client_send_command(&c, "INCR", "{off}n", NULL));
        if (i > 0)
            assert_true(client_send_command(&c, "INCR", "off", NULL));
        if (i > 1)
            assert_true(client_send_command(&c, "DBSIZE", NULL));
        assert_true(client_send_command(&c, "EXEC", NULL));
    }
    assert_true(client_send_command(&c, "CLIENT", "REPLY", "ON", NULL));
    client_expect(&c, "+OK\r\n");
    client_ask_expect(&c, "*2\r\n$1\r\n3\r\n$1\r\n2\r\n", "MGET", "{off}n", "off");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "{off}n");
    assert_true(client_send_command(&c, "EXEC", NULL));
    client_expect(&c, "*1\r\n:4\r\n");
    client_close(&c);
}

/* --- the order of blocks ------------------------------------------------------------------- */

static bool queue_is_filled(void *queue)
{
    return cluster_number(&cluster, 2, "LLEN %s", queue) > 0;
}

/* A node that holds back writes for a while; whoever sees the entry of the queue all the same must
   see the job that it names. */
static void expect_job_before_entry(bool watched)
{
    char job[64], info[64], queue[64], now[32];
    struct client c;
    snprintf(now, sizeof(now), "%llu", (unsigned long long)now_ms());
    cluster_key(&cluster, 0, 7, "job", job);
    cluster_key(&cluster, 1, 7, "info", info);
    cluster_key(&cluster, 2, 7, "queue", queue);
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", job, "old");
    assert_non_null(client_ask(&c, "DEL", queue, NULL));
    if (watched)
        client_ask_expect(&c, "+OK\r\n", "WATCH", queue, job);
    cluster_do(&cluster, 0, "CLIENT PAUSE 500 WRITE");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", job, now);
    client_ask_expect(&c, "+QUEUED\r\n", "SET", info, now);
    client_ask_expect(&c, "+QUEUED\r\n", "GET", job);
    client_ask_expect(&c, "+QUEUED\r\n", "RPUSH", queue, "entry");
    client_ask_expect(&c, "+QUEUED\r\n", "GET", info);
    assert_true(client_send_command(&c, "EXEC", NULL));
    assert_true(wait_until(queue_is_filled, queue, scaled_ms(10000)));
    redisReply *seen = cluster_ask(&cluster, 0, "GET %s", job);
    assert_non_null(seen);
    assert_string_equal(seen->str, now);
    freeReplyObject(seen);
    client_expect_start(&c, "*5\r\n+OK\r\n+OK\r\n$");
    client_close(&c);
}

static void test_entry_comes_behind_its_job(void **state)
{
    (void)state;
    expect_job_before_entry(false);
    expect_job_before_entry(true);
}

/* What EXEC answers to SET of the job and INCR of the info in that order, and then a command of
   three slots, which is a step, and the queue's entry. */
static void exec_with_step(struct client *c, bool job_first, const char *job, const char *info,
                           const char *queue)
{
    client_ask_expect(c, "+OK\r\n", "MULTI");
    if (job_first)
        client_ask_expect(c, "+QUEUED\r\n", "SET", job, "1");
    client_ask_expect(c, "+QUEUED\r\n", "INCR", info);
    if (!job_first)
        client_ask_expect(c, "+QUEUED\r\n", "SET", job, "1");
    client_ask_expect(c, "+QUEUED\r\n", "CLIENT", "GETNAME");
    client_ask_expect(c, "+QUEUED\r\n", "DEL", "x", "y", "z");
    client_ask_expect(c, "+QUEUED\r\n", "RPUSH", queue, "entry");
    assert_true(client_send_command(c, "EXEC", NULL));
}

static void test_beginning_refused(void **state)
{
    static const char *const held_back =
        "-ERR slotgate: not executed, because the beginning of the transaction failed\r\n";
    static const char *const refused =
        "-EXECABORT Transaction discarded because of previous errors.\r\n";
    char job[64], info[64], queue[64], wanted[1024];
    struct client c;
    (void)state;
    cluster_key(&cluster, 0, 8, "job", job);
    cluster_key(&cluster, 1, 8, "info", info);
    cluster_key(&cluster, 2, 8, "queue", queue);
    assert_true(client_open(&c, proxy.port));
    cluster_do(&cluster, 0, "CONFIG SET maxmemory 1");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", job, "1");
    client_ask_expect(&c, "+QUEUED\r\n", "RPUSH", queue, "entry");
    assert_true(client_send_command(&c, "EXEC", NULL));
    client_expect_bytes(&c, refused, strlen(refused));
    exec_with_step(&c, true, job, info, queue);
    snprintf(wanted, sizeof(wanted), "*5\r\n%s%s$-1\r\n%s%s", refused, held_back, held_back,
             held_back);
    client_expect_bytes(&c, wanted, strlen(wanted));
    client_ask_expect(&c, ":0\r\n", "EXISTS", queue, info);
    /* But what has been begun is done as far as it can be. */
    exec_with_step(&c, false, job, info, queue);
    snprintf(wanted, sizeof(wanted), "*5\r\n:1\r\n%s$-1\r\n:0\r\n:1\r\n", refused);
    client_expect_bytes(&c, wanted, strlen(wanted));
    cluster_do(&cluster, 0, "CONFIG SET maxmemory 0");
    client_close(&c);
}

static void test_client_list(void **state)
{
    struct client a, b;
    (void)state;
    assert_true(client_open(&a, proxy.port));
    assert_true(client_open(&b, proxy.port));
    client_ask_expect(&a, "+OK\r\n", "CLIENT", "SETNAME", "inside");
    client_ask_expect(&a, "+OK\r\n", "MULTI");
    client_ask_expect(&a, "+QUEUED\r\n", "GET", "x");
    assert_true(client_send_command(&b, "CLIENT", "LIST", NULL));
    const char *line = strstr(client_expect_start(&b, "$"), "name=inside ");
    assert_non_null(line);
    assert_non_null(strstr(line, " flags=x "));
    assert_non_null(strstr(line, " multi=1 "));
    client_close(&a);
    client_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_slot),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_what_the_proxy_answers),
        cmocka_unit_test(test_what_asks_nodes),
        cmocka_unit_test(test_several_slots),
        cmocka_unit_test(test_order_in_a_pipeline),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_clients_that_leave),
        cmocka_unit_test(test_refused_by_the_node),
        cmocka_unit_test(test_replies_switched_off),
        cmocka_unit_test(test_entry_comes_behind_its_job),
        cmocka_unit_test(test_beginning_refused),
        cmocka_unit_test(test_client_list),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
