/*
 * What the proxy answers itself, it answers as one Redis would: a plain redis-server is the judge
 * wherever the reply does not name the server. And what a client asks for about itself (its name,
 * its protocol version, silence) holds for that client and for nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

static void compare_all(const char *const *requests, size_t count)
{
    struct client c, o;

    beside_open(&c, &o);
    for (size_t i = 0; i < count; i++)
        oracle_compare_words(&c, &o, requests[i]);
    beside_close(&c, &o);
}

static void ask_and_expect(struct client *c, const char *words, const char *raw)
{
    size_t len;
    char *request = request_of_words(words, &len);

    assert_true(client_send(c, request, len));
    client_expect_bytes(c, raw, strlen(raw));
    free(request);
}

/* The part must stand in the reply; gives the reply. */
static const char *ask_and_find(struct client *c, const char *words, const char *part)
{
    size_t len;
    char *request = request_of_words(words, &len);

    assert_true(client_send(c, request, len));
    const char *reply = client_read(c, NULL);
    free(request);
    if (reply == NULL || strstr(reply, part) == NULL)
        fail_msg("%s: \"%s\" is not in: %s", words, part, reply != NULL ? reply : "nothing");
    return reply;
}

static long long ask_number(struct client *c, const char *words)
{
    return strtoll(ask_and_find(c, words, ":") + 1, NULL, 10);
}

static void test_simple(void **state)
{
    static const char *const requests[] = {
        "PING",
        "ping hello",
        "PING a b",
        "ECHO hello",
        "ECHO",
        "SELECT 0",
        "SELECT abc",
        "SELECT",
        "SELECT 0 0",
        "TIME x",
        "RESET",
        "RESET x",
        "QUIT x y z" /* any number of words is allowed here */,
    };

    (void)state;
    compare_all(requests, ARRAY_LEN(requests));
}

static void test_select_other(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    /* A cluster has one database; Redis says so in one of two ways. */
    const char *reply = client_ask(&c, "SELECT", "1", NULL);
    assert_non_null(reply);
    assert_true(strcmp(reply, "-ERR DB index is out of range\r\n") == 0 ||
                strcmp(reply, "-ERR SELECT is not allowed in cluster mode\r\n") == 0);
    ask_and_expect(&c, "PING", "+PONG\r\n");
    client_close(&c);
}

static void test_quit(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "SET q 1\r\nGET q\r\nQUIT\r\nPING\r\n"));
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$1\r\n1\r\n");
    client_expect(&c, "+OK\r\n");
    assert_true(client_sees_end(&c));
    client_close(&c);
}

static void test_command(void **state)
{
    static const char *const requests[] = {
        "COMMAND COUNT",
        "COMMAND INFO get mget xadd nosuch",
        "COMMAND INFO config|get",
        "COMMAND DOCS get",
        "COMMAND GETKEYS MSET a 1 b 2",
        "COMMAND GETKEYS GET a",
        "COMMAND GETKEYS EVAL x 2 k1 k2 a",
        "COMMAND GETKEYS ZUNIONSTORE d 2 a b",
        "COMMAND GETKEYS XREAD COUNT 1 STREAMS a b 0 0",
        "COMMAND GETKEYS PING",
        "COMMAND GETKEYS nosuch a",
        "COMMAND GETKEYS GET",
        "COMMAND GETKEYS",
    };

    (void)state;
    compare_all(requests, ARRAY_LEN(requests));
}

static void test_hello(void **state)
{
    static const char *const wrong[] = { "HELLO 4", "HELLO abc", "HELLO 2 NOSUCH",
                                         "HELLO 2 SETNAME", "HELLO 3 AUTH x" };
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask_and_find(&c, "HELLO", "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
    ask_and_find(&c, "HELLO", "$5\r\nproto\r\n:2\r\n");
    ask_and_find(&c, "HELLO 3", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
    ask_and_find(&c, "HELLO 3", "$5\r\nproto\r\n:3\r\n");
    ask_and_find(&c, "HELLO", "$7\r\nversion\r\n$");
    ask_and_find(&c, "HELLO", "$2\r\nid\r\n:");
    ask_and_find(&c, "HELLO", "$4\r\nmode\r\n$10\r\nstandalone\r\n");
    ask_and_find(&c, "HELLO", "$4\r\nrole\r\n$6\r\nmaster\r\n");
    ask_and_find(&c, "HELLO", "$7\r\nmodules\r\n*0\r\n");
    ask_and_find(&c, "HELLO 2 SETNAME hugo", "*14\r\n");
    ask_and_expect(&c, "CLIENT GETNAME", "$4\r\nhugo\r\n");
    client_close(&c);
    compare_all(wrong, ARRAY_LEN(wrong));
}

static void test_resp3_types(void **state)
{
    static const char *const requests[] = {
        "HSET h f v",
        "ZADD z 1.5 m 2 n",
        "SADD s a",
        "RPUSH l a",
        "SET str v",
        "PING",
        "HGETALL h",
        "ZSCORE z m",
        "ZSCORE z none",
        "GET none",
        "GET str",
        "SMEMBERS s",
        "LRANGE l 0 -1",
        "ZRANGE z 0 -1 WITHSCORES",
        "ZPOPMIN z",
        "HRANDFIELD h 1 WITHVALUES",
        "HINCRBYFLOAT h n 1.5",
        "EVAL redis.setresp(3);return{double=3.25} 1 s",
        "EVAL redis.setresp(3);return(true) 1 s",
        "LPOP none",
        "HMGET h f none",
        "CLIENT GETNAME",
        "INCR str",
        "COMMAND INFO nosuch",
    };
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    ask_and_find(&c, "HELLO 3", "%7\r\n");
    ask_and_find(&o, "HELLO 3", "%7\r\n");
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    /* The same connection the old way again, and another client never was another way. */
    ask_and_find(&c, "HELLO 2", "*14\r\n");
    ask_and_find(&o, "HELLO 2", "*14\r\n");
    oracle_compare_words(&c, &o, "HGETALL h");
    ask_and_find(&c, "HELLO 3", "%7\r\n");
    struct client other;
    assert_true(client_open(&other, proxy.port));
    ask_and_expect(&other, "GET none", "$-1\r\n");
    ask_and_expect(&c, "GET none", "_\r\n");
    ask_and_expect(&other, "HGETALL none", "*0\r\n");
    ask_and_expect(&c, "HGETALL none", "%0\r\n");
    client_close(&other);
    beside_close(&c, &o);
}

/* HELLO in the middle of a pipeline: what was asked before is answered the old way. */
static void test_hello_in_a_pipeline(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "GET none\r\nHELLO 3\r\nGET none\r\nHELLO 2\r\nGET none\r\n"));
    client_expect(&c, "$-1\r\n");
    client_expect_start(&c, "%7\r\n");
    client_expect(&c, "_\r\n");
    client_expect_start(&c, "*14\r\n");
    client_expect(&c, "$-1\r\n");
    client_close(&c);
}

static void test_reset(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask_and_find(&c, "HELLO 3 SETNAME before", "%7\r\n");
    ask_and_expect(&c, "RESET", "+RESET\r\n");
    ask_and_expect(&c, "CLIENT GETNAME", "$-1\r\n");
    ask_and_expect(&c, "GET none", "$-1\r\n");
    client_close(&c);
}

static void test_client_names(void **state)
{
    static const char *const requests[] = {
        "CLIENT GETNAME",          "CLIENT SETNAME one",    "CLIENT GETNAME",
        "CLIENT SETNAME a\nb",     "CLIENT SETNAME",        "CLIENT GETNAME",
        "CLIENT NO-EVICT on",      "CLIENT NO-EVICT off",   "CLIENT NO-EVICT maybe",
        "CLIENT KILL 127.0.0.1:1", "CLIENT KILL ID 999999", "CLIENT KILL ID abc",
        "CLIENT KILL NOSUCH x",    "CLIENT KILL",           "CLIENT REPLY maybe",
        "CLIENT NOSUCH",           "CLIENT ID x",           "CLIENT LIST TYPE nosuch",
        "CLIENT LIST ID abc",
    };
    struct client c;

    (void)state;
    compare_all(requests, ARRAY_LEN(requests));
    assert_true(client_open(&c, proxy.port));
    /* Newer than the redis-server we test with, but client libraries send them. */
    ask_and_expect(&c, "CLIENT SETINFO LIB-NAME testlib", "+OK\r\n");
    ask_and_expect(&c, "CLIENT SETINFO LIB-VER 1.0", "+OK\r\n");
    ask_and_expect(&c, "CLIENT NO-TOUCH on", "+OK\r\n");
    ask_and_find(&c, "CLIENT INFO", " flags=T ");
    ask_and_expect(&c, "CLIENT NO-EVICT on", "+OK\r\n");
    ask_and_find(&c, "CLIENT INFO", " flags=eT ");
    client_close(&c);
}

static void test_client_list(void **state)
{
    struct client a, b;
    char part[64];

    (void)state;
    assert_true(client_open(&a, proxy.port));
    assert_true(client_open(&b, proxy.port));
    long long id_a = ask_number(&a, "CLIENT ID"), id_b = ask_number(&b, "CLIENT ID");
    assert_true(id_a > 0 && id_b > id_a);
    ask_and_expect(&a, "CLIENT SETNAME anna", "+OK\r\n");
    ask_and_expect(&b, "CLIENT SETNAME bert", "+OK\r\n");
    snprintf(part, sizeof(part), "id=%lld addr=127.0.0.1:", id_a);
    ask_and_find(&a, "CLIENT INFO", part);
    ask_and_find(&a, "CLIENT INFO", " name=anna ");
    ask_and_find(&a, "CLIENT LIST", part);
    ask_and_find(&a, "CLIENT LIST", " name=anna ");
    ask_and_find(&a, "CLIENT LIST", " name=bert ");
    snprintf(part, sizeof(part), "CLIENT LIST ID %lld", id_b);
    const char *reply = ask_and_find(&a, part, " name=bert ");
    assert_null(strstr(reply, "anna"));
    client_close(&a);
    client_close(&b);
}

static void test_client_kill(void **state)
{
    struct client a, b, d;
    char words[96], addr[64];

    (void)state;
    assert_true(client_open(&a, proxy.port));
    assert_true(client_open(&b, proxy.port));
    assert_true(client_open(&d, proxy.port));
    snprintf(words, sizeof(words), "CLIENT KILL ID %lld", ask_number(&b, "CLIENT ID"));
    ask_and_expect(&a, words, ":1\r\n");
    assert_true(client_sees_end(&b));
    const char *at = strstr(ask_and_find(&d, "CLIENT INFO", " addr="), " addr=");
    assert_int_equal(sscanf(at, " addr=%63s", addr), 1);
    snprintf(words, sizeof(words), "CLIENT KILL %s", addr);
    ask_and_expect(&a, words, "+OK\r\n");
    assert_true(client_sees_end(&d));
    /* Itself: the answer still comes, then the end. */
    snprintf(words, sizeof(words), "CLIENT KILL ID %lld SKIPME no", ask_number(&a, "CLIENT ID"));
    ask_and_expect(&a, words, ":1\r\n");
    assert_true(client_sees_end(&a));
    client_close(&a);
    client_close(&b);
    client_close(&d);
}

/* Silence covers the proxy's own answers and the nodes' alike, and errors too. */
static void test_client_reply(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "CLIENT REPLY SKIP\r\nSET skipped 1\r\nECHO one\r\n"
                                     "CLIENT REPLY SKIP\r\nPING\r\nECHO two\r\n"
                                     "CLIENT REPLY SKIP\r\nnosuch\r\nGET skipped\r\n"));
    client_expect(&c, "$3\r\none\r\n");
    client_expect(&c, "$3\r\ntwo\r\n");
    client_expect(&c, "$1\r\n1\r\n");
    assert_true(client_send_text(&c, "GET skipped\r\nCLIENT REPLY OFF\r\nSET skipped 2\r\nPING\r\n"
                                     "GET\r\nMGET a b\r\nCLIENT REPLY ON\r\nGET skipped\r\n"));
    client_expect(&c, "$1\r\n1\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$1\r\n2\r\n");
    client_close(&c);
}

static bool is_listed(struct client *c, const char *which, const char *row)
{
    if (which != NULL)
        return strstr(client_ask(c, "PROXY", "COMMAND", which, NULL), row) != NULL;
    return strstr(client_ask(c, "PROXY", "COMMAND", NULL), row) != NULL;
}

static void test_proxy_command(void **state)
{
    static const char get[] =
        "*8\r\n$3\r\nget\r\n:2\r\n:1\r\n:1\r\n:1\r\n:1\r\n$11\r\nby its keys\r\n$0\r\n\r\n";
    static const char mget[] =
        "*8\r\n$4\r\nmget\r\n:-2\r\n:1\r\n:-1\r\n:1\r\n:1\r\n$5\r\nsplit\r\n";
    static const char shutdown[] =
        "*8\r\n$8\r\nshutdown\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:0\r\n$7\r\nrefused\r\n";
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(is_listed(&c, NULL, get));
    assert_true(is_listed(&c, NULL, mget));
    assert_true(is_listed(&c, NULL, shutdown));
    assert_true(
        is_listed(&c, NULL, "$10\r\nconfig get\r\n:-3\r\n:0\r\n:0\r\n:0\r\n:1\r\n$4\r\nhere\r\n"));
    assert_true(is_listed(&c, NULL, "$6\r\nrename\r\n:3\r\n:1\r\n:2\r\n:1\r\n:1\r\n"));
    assert_true(is_listed(&c, NULL, "$4\r\nmset\r\n:-3\r\n:1\r\n:-1\r\n:2\r\n:1\r\n"));
    assert_false(is_listed(&c, "UNSUPPORTED", get));
    assert_true(is_listed(&c, "unsupported", shutdown));
    assert_false(is_listed(&c, "crossslot-unsupported", mget));
    assert_false(is_listed(&c, "CROSSSLOTS-UNSUPPORTED", shutdown));
    proxy_login_admin(&c);
    ask_and_expect(&c, "CONFIG SET enable-cross-slot no", "+OK\r\n");
    assert_true(is_listed(&c, "CROSSSLOT-UNSUPPORTED", mget));
    assert_false(is_listed(&c, "CROSSSLOT-UNSUPPORTED", get));
    ask_and_expect(&c, "CONFIG SET enable-cross-slot yes", "+OK\r\n");
    ask_and_expect(&c, "PROXY COMMAND NONSENSE", "-ERR syntax error, try PROXY HELP\r\n");
    ask_and_expect(&c, "PROXY NONSENSE", "-ERR unknown subcommand 'NONSENSE'. Try PROXY HELP.\r\n");
    ask_and_find(&c, "PROXY HELP", "+PROXY <subcommand>");
    client_close(&c);
}

static void test_readonly_and_time(void **state)
{
    struct client c;
    long long seconds, microseconds;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    ask_and_expect(&c, "READONLY", "-ERR This instance has cluster support disabled\r\n");
    ask_and_expect(&c, "SET ro 1", "+OK\r\n");
    ask_and_expect(&c, "READWRITE", "-ERR This instance has cluster support disabled\r\n");
    ask_and_expect(&c, "READONLY x", "-ERR wrong number of arguments for 'readonly' command\r\n");
    const char *reply = ask_and_find(&c, "TIME", "*2\r\n$10\r\n");
    assert_int_equal(sscanf(reply, "*2\r\n$10\r\n%lld\r\n$%*d\r\n%lld", &seconds, &microseconds),
                     2);
    assert_in_range(seconds, time(NULL) - 5, time(NULL) + 5);
    assert_in_range(microseconds, 0, 999999);
    client_close(&c);
}

/* Whichever node gets it, the cluster bus carries it to the subscribers of every other. */
static void test_publish(void **state)
{
    struct client c, subscriber[3];

    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&subscriber[i], cluster.node[i].port));
        ask_and_expect(&subscriber[i], "SUBSCRIBE news",
                       "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    }
    assert_in_range(ask_number(&c, "PUBLISH news hello"), 0, 1);
    for (int i = 0; i < 3; i++) {
        client_expect(&subscriber[i], "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
        assert_true(client_hears_nothing(&subscriber[i], 20));
        client_close(&subscriber[i]);
    }
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_select_other),
        cmocka_unit_test(test_quit),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_resp3_types),
        cmocka_unit_test(test_hello_in_a_pipeline),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_client_names),
        cmocka_unit_test(test_client_list),
        cmocka_unit_test(test_client_kill),
        cmocka_unit_test(test_client_reply),
        cmocka_unit_test(test_proxy_command),
        cmocka_unit_test(test_readonly_and_time),
        cmocka_unit_test(test_publish),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
