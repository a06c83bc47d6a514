/*
 * Publish and subscribe as one Redis has it: scripts of several clients, reply by reply, with a
 * plain redis-server as the judge. What nodes may do to it is in test_pubsub_nodes.c.
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

enum { CLIENTS = 4 };

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--pubsub-output-limit", "1mb", NULL });
    return 0;
}

/* One of the clients sends the words (NULL: nothing) and then reads so many replies or pushes. */
struct step {
    int who;
    const char *words;
    int replies;
};

static void send_words(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);

    assert_true(client_send(c, request, len));
    free(request);
}

static void play(const char *protocol, const struct step *steps, size_t count)
{
    struct client ours[CLIENTS], theirs[CLIENTS];

    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_open(&ours[i], proxy.port));
        assert_true(client_open(&theirs[i], oracle.port));
        assert_non_null(client_ask(&ours[i], "HELLO", protocol, NULL));
        assert_non_null(client_ask(&theirs[i], "HELLO", protocol, NULL));
    }
    for (size_t i = 0; i < count; i++) {
        const struct step *s = &steps[i];
        if (s->words != NULL) {
            send_words(&theirs[s->who], s->words);
            send_words(&ours[s->who], s->words);
        }
        for (int n = 0; n < s->replies; n++) {
            size_t len;
            const char *wanted = client_read(&theirs[s->who], &len);
            if (wanted == NULL)
                fail_msg("step %zu: Redis itself gives no reply %d", i, n);
            client_expect_at(&ours[s->who], wanted, len, s->words != NULL ? s->words : "(a push)",
                             (int)i);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        assert_true(client_hears_nothing(&theirs[i], 1));
        assert_true(client_hears_nothing(&ours[i], 20));
        client_close(&ours[i]);
        client_close(&theirs[i]);
    }
}

/* What nobody heard is published in a channel that no later one subscribes to: the cluster bus may
   bring it to another node behind that. */
#define PLAY(protocol, ...)                                                                        \
    play(protocol, (const struct step[]){ __VA_ARGS__ },                                           \
         sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step))

static void test_channels(void **state)
{
    (void)state;
    PLAY("2", { 0, "SUBSCRIBE a b a", 3 }, { 0, "SUBSCRIBE b c", 2 }, { 1, "PUBLISH a hello", 1 },
         { 0, NULL, 1 }, { 1, "PUBLISH nobody x", 1 }, { 2, "SUBSCRIBE a", 1 },
         { 1, "PUBLISH a again", 1 }, { 0, NULL, 1 }, { 2, NULL, 1 }, { 0, "UNSUBSCRIBE a zz", 2 },
         { 1, "PUBLISH a third", 1 }, { 2, NULL, 1 }, { 0, "UNSUBSCRIBE b", 1 },
         { 0, "UNSUBSCRIBE", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 0, "GET k", 1 },
         { 2, "UNSUBSCRIBE", 1 }, { 1, "PUBLISH a fourth", 1 });
}

static void test_patterns(void **state)
{
    (void)state;
    PLAY("2", { 0, "PSUBSCRIBE n.* n.?", 2 }, { 1, "PUBLISH n.xx hello", 1 }, { 0, NULL, 1 },
         { 0, "SUBSCRIBE n.xx", 1 }, { 1, "PUBLISH n.xx hello", 1 }, { 0, NULL, 2 },
         { 0, "PUNSUBSCRIBE n.?", 1 }, { 0, "PUNSUBSCRIBE none", 1 }, { 1, "PUBSUB NUMPAT", 1 },
         { 2, "PSUBSCRIBE n.*", 1 }, { 1, "PUBSUB NUMPAT", 1 }, { 1, "PUBSUB NUMSUB n.xx n.yy", 1 },
         { 1, "PUBSUB CHANNELS", 1 }, { 1, "PUBSUB CHANNELS n*", 1 },
         { 1, "PUBSUB CHANNELS m*", 1 }, { 0, "PUNSUBSCRIBE", 1 }, { 1, "PUBLISH n.xx bye", 1 },
         { 0, NULL, 1 }, { 2, NULL, 1 }, { 0, "UNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE", 1 });
}

static void test_shard_channels(void **state)
{
    (void)state;
    PLAY("2", { 0, "SSUBSCRIBE s1 s2 s3 s4 s1", 5 }, { 1, "SPUBLISH s1 one", 1 }, { 0, NULL, 1 },
         { 1, "SPUBLISH s4 four", 1 }, { 0, NULL, 1 }, { 0, "SUBSCRIBE s1", 1 },
         { 1, "PUBLISH s1 classic", 1 }, { 0, NULL, 1 }, { 1, "PUBSUB SHARDNUMSUB s1 s2 none", 1 },
         { 1, "PUBSUB SHARDCHANNELS s3", 1 }, { 1, "PUBSUB NUMSUB s1", 1 },
         { 0, "SUNSUBSCRIBE s1 s2 none", 3 }, { 0, "SUNSUBSCRIBE s3", 1 }, { 0, "SUNSUBSCRIBE", 1 },
         { 0, "SUNSUBSCRIBE", 1 }, { 0, "GET k", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 0, "GET k", 1 },
         { 1, "SPUBLISH s4 none", 1 });
}

static void test_subscriber_mode(void **state)
{
    (void)state;
    PLAY("2", { 0, "PING", 1 }, { 0, "SUBSCRIBE mode", 1 }, { 0, "PING", 1 },
         { 0, "PING hello", 1 }, { 0, "PING a b", 1 }, { 0, "GET k", 1 }, { 0, "get", 1 },
         { 0, "nosuch x", 1 }, { 0, "CLIENT LIST", 1 }, { 0, "client nosuch", 1 },
         { 0, "HELLO 3", 1 }, { 0, "PUBLISH mode b", 1 }, { 0, "MGET a b", 1 }, { 0, "MULTI", 1 },
         { 0, "MONITOR", 1 }, { 0, "SUBSCRIBE", 1 }, { 0, "PSUBSCRIBE p", 1 },
         { 0, "UNSUBSCRIBE", 1 }, { 0, "PING", 1 }, { 0, "RESET", 1 }, { 0, "PING", 1 },
         { 1, "PUBLISH mode x", 1 }, { 0, "SUBSCRIBE b", 1 });
}

/* Each of them is an element of EXEC's reply; of several channels, too many, as in Redis. */
static void in_a_transaction(const char *protocol)
{
    PLAY(protocol, { 0, "MULTI", 1 }, { 0, "SUBSCRIBE a b", 1 }, { 0, "PING", 1 },
         { 0, "PING x", 1 }, { 0, "ECHO x", 1 }, { 0, "EXEC", 2 }, { 0, "PING", 1 },
         { 1, "PUBLISH a m", 1 }, { 0, NULL, 1 }, { 0, "UNSUBSCRIBE b", 1 },
         { 0, "UNSUBSCRIBE", 1 }, { 0, "PING", 1 });
    PLAY(protocol, { 0, "MULTI", 1 }, { 0, "SET x 1", 1 }, { 0, "SUBSCRIBE left", 1 },
         { 0, "SET y 2", 1 }, { 0, "PSUBSCRIBE p*", 1 }, { 0, "UNSUBSCRIBE", 1 },
         { 0, "CLIENT GETNAME", 1 }, { 0, "GET x", 1 }, { 0, "PING", 1 }, { 0, "EXEC", 1 },
         { 1, "PUBLISH left m", 1 }, { 1, "PUBLISH pa m", 1 }, { 0, NULL, 1 },
         { 0, "PUNSUBSCRIBE", 1 }, { 0, "GET y", 1 });
    PLAY(protocol, { 0, "MULTI", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE p", 1 },
         { 0, "SSUBSCRIBE s", 1 }, { 0, "SUNSUBSCRIBE", 1 }, { 0, "EXEC", 1 }, { 0, "PING", 1 });
    PLAY(protocol, { 0, "MULTI", 1 }, { 0, "SUBSCRIBE", 1 }, { 0, "EXEC", 1 },
         { 0, "SUBSCRIBE z", 1 }, { 0, "MULTI", 1 }, { 0, "SUBSCRIBE a", 1 }, { 0, "EXEC", 1 },
         { 1, "PUBLISH a m", 1 }, { 0, NULL, 1 }, { 1, "PUBLISH z m", 1 }, { 0, NULL, 1 });
    PLAY(protocol, { 1, "SUBSCRIBE a", 1 }, { 0, "MULTI", 1 }, { 0, "SUBSCRIBE a", 1 },
         { 0, "GET x", 1 }, { 0, "DISCARD", 1 }, { 2, "PUBLISH a m", 1 }, { 1, NULL, 1 },
         { 0, "MULTI", 1 }, { 0, "SUBSCRIBE a", 1 }, { 0, "DBSIZE", 1 }, { 0, "EXEC", 1 },
         { 2, "PUBLISH a m", 1 }, { 0, NULL, 1 }, { 1, NULL, 1 });
}

static void test_in_a_transaction(void **state)
{
    (void)state;
    in_a_transaction("2");
    in_a_transaction("3");
}

/* Nothing that a node is asked: on the shared connection it would wait, too. */
static bool two_are_subscribed(void *other)
{
    const char *list = client_ask(other, "CLIENT", "LIST", NULL);
    const char *one = list != NULL ? strstr(list, " sub=1 ") : NULL;
    return one != NULL && strstr(one + 1, " sub=1 ") != NULL;
}

/* A message that comes while a node holds up the rest of EXEC waits for its end. */
static void test_message_during_exec(void **state)
{
    struct client c, first, other;
    char key[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&first, proxy.port));
    assert_true(client_open(&other, proxy.port));
    client_ask_expect(&first, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "SUBSCRIBE", "a");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SUBSCRIBE", "a");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", cluster_key(&cluster, 0, 0, "k", key), "v");
    cluster_do(&cluster, 0, "CLIENT PAUSE 500 WRITE");
    assert_true(client_send_command(&c, "EXEC", NULL));
    assert_true(wait_until(two_are_subscribed, &other, scaled_ms(10000)));
    cluster_do(&cluster, 1, "PUBLISH a m");
    client_expect(&first, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
    client_expect(&c, "*2\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n");
    client_expect(&c, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n");
    client_close(&c);
    client_close(&first);
    client_close(&other);
}

/* Ordinary replies and pushes side by side, and back to RESP2 with subscriptions. CLIENT REPLY does
   not silence pushes. */
static void test_resp3(void **state)
{
    (void)state;
    PLAY("3", { 0, "UNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE", 1 }, { 0, "SUNSUBSCRIBE", 1 },
         { 0, "SUBSCRIBE r s", 2 }, { 0, "PSUBSCRIBE r*", 1 }, { 0, "SSUBSCRIBE s", 1 },
         { 0, "GET none", 1 }, { 0, "PING", 1 }, { 0, "PING x", 1 }, { 1, "PUBLISH r 1", 1 },
         { 0, NULL, 2 }, { 0, "HGETALL none", 1 }, { 1, "SPUBLISH s 1", 1 }, { 0, NULL, 1 },
         { 0, "CLIENT REPLY OFF", 0 }, { 0, "SUBSCRIBE c", 1 }, { 0, "UNSUBSCRIBE c", 1 },
         { 1, "PUBLISH s 2", 1 }, { 0, NULL, 1 }, { 0, "CLIENT REPLY ON", 1 },
         { 2, "SUBSCRIBE r", 1 }, { 1, "PUBLISH r 3", 1 }, { 0, NULL, 2 }, { 2, NULL, 1 },
         { 0, "UNSUBSCRIBE r nope", 2 }, { 0, "SUNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE", 1 },
         { 0, "UNSUBSCRIBE", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 2, "RESET", 1 }, { 2, "PING", 1 },
         { 1, "PUBLISH r 4", 1 }, { 1, "RESET", 1 }, { 1, "HGETALL none", 1 });
}

static void test_both_protocols(void **state)
{
    struct client three, two, publisher;

    (void)state;
    assert_true(client_open(&three, proxy.port));
    assert_true(client_open(&two, proxy.port));
    assert_true(client_open(&publisher, proxy.port));
    assert_non_null(client_ask(&three, "HELLO", "3", NULL));
    client_ask_expect(&three, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "SUBSCRIBE", "a");
    client_ask_expect(&two, "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "SUBSCRIBE", "a");
    client_ask_expect(&publisher, ":2\r\n", "PUBLISH", "a", "x");
    client_expect(&three, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    client_expect(&two, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
    assert_non_null(client_ask(&three, "HELLO", "2", NULL));
    client_ask_expect(&publisher, ":2\r\n", "PUBLISH", "a", "y");
    client_expect(&three, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
    client_expect(&two, "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\ny\r\n");
    client_ask_expect(&three, "*2\r\n$4\r\npong\r\n$0\r\n\r\n", "PING");
    client_close(&three);
    client_close(&two);
    client_close(&publisher);
}

/* --- readers that do not read, and large replies ---------------------------------------------- */

static bool was_closed(void *arg)
{
    const char *reply = client_ask(arg, "PUBSUB", "NUMSUB", "flood", NULL);

    return reply != NULL && strcmp(reply, "*2\r\n$5\r\nflood\r\n:1\r\n") == 0;
}

/* The one who does not read is cut off; the other one misses nothing. */
static void test_slow_subscriber(void **state)
{
    enum { MESSAGES = 400, SIZE = 20000 };
    struct client slow, fast, publisher;
    static char text[SIZE + 1];

    (void)state;
    assert_true(client_open_narrow(&slow, proxy.port));
    assert_true(client_open(&fast, proxy.port));
    assert_true(client_open(&publisher, proxy.port));
    client_ask_expect(&slow, "*3\r\n$9\r\nsubscribe\r\n$5\r\nflood\r\n:1\r\n", "SUBSCRIBE",
                      "flood");
    client_ask_expect(&fast, "*3\r\n$9\r\nsubscribe\r\n$5\r\nflood\r\n:1\r\n", "SUBSCRIBE",
                      "flood");
    memset(text, 'x', SIZE);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(text, 12, "%010d", i);
        text[10] = 'x';
        assert_non_null(client_ask(&publisher, "PUBLISH", "flood", text, NULL));
        client_expect_start(&fast, "*3\r\n$7\r\nmessage\r\n$5\r\nflood\r\n$20000\r\n");
        assert_non_null(strstr(fast.reply, text));
    }
    assert_true(wait_until(was_closed, &publisher, scaled_ms(10000)));
    char *log = proxy_log(&proxy);
    assert_non_null(strstr(log, "its output limit is reached"));
    free(log);
    client_close(&slow);
    client_close(&fast);
    client_close(&publisher);
}

/* Messages that come while a large reply is on its way stand behind it, whole and in order. */
static void test_large_reply_and_messages(void **state)
{
    enum { SIZE = 16 << 20, MESSAGES = 400 };
    static char value[SIZE];
    char seeds[512];
    struct client c, other;
    struct proxy roomy;

    (void)state;
    proxy_start(&roomy, cluster_seeds(&cluster, seeds), NULL);
    memset(value, 'v', SIZE);
    assert_true(client_open(&c, roomy.port));
    assert_true(client_open(&other, roomy.port));
    assert_true(client_send_argv(&other, 3, (const char *const[]){ "SET", "large", value },
                                 (const size_t[]){ 3, 5, SIZE }));
    client_expect(&other, "+OK\r\n");
    assert_non_null(client_ask(&c, "HELLO", "3", NULL));
    client_ask_expect(&c, ">3\r\n$9\r\nsubscribe\r\n$1\r\nl\r\n:1\r\n", "SUBSCRIBE", "l");
    for (int round = 0; round < 5; round++) {
        assert_true(client_send_command(&c, "GET", "large", NULL));
        int pushes = 0, replies = 0, last = -1;
        for (int i = 0; i < MESSAGES; i++) {
            char text[12];
            snprintf(text, sizeof(text), "%d", i);
            client_ask_expect(&other, ":1\r\n", "PUBLISH", "l", text); /* for as long as it takes */
        }
        while (pushes < MESSAGES || replies < 1) {
            size_t len;
            const char *reply = client_read(&c, &len);
            assert_non_null(reply);
            if (reply[0] == '$') {
                assert_int_equal(len, SIZE + 13);
                replies++;
                continue;
            }
            int n = (int)strtol(strchr(strrchr(reply, '$'), '\n') + 1, NULL, 10);
            assert_int_equal(n, last + 1);
            last = n;
            pushes++;
        }
        assert_int_equal(replies, 1);
    }
    client_close(&c);
    client_close(&other);
    assert_true(proxy_stop(&roomy));
}

/* EXEC that answers phase by phase: messages stand before or behind its whole reply. */
static void test_exec_in_phases(void **state)
{
    enum { ROUNDS = 200 };
    struct client c, other;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    assert_non_null(client_ask(&c, "HELLO", "3", NULL));
    client_ask_expect(&c, ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", "SUBSCRIBE", "a");
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(client_send_text(&other, "PUBLISH a x\r\nPUBLISH a x\r\nPUBLISH a x\r\n"));
        assert_true(client_send_text(&c, "MULTI\r\nDBSIZE\r\nSET p1 v\r\nDBSIZE\r\nGET p1\r\n"
                                         "EXEC\r\n"));
        for (int replies = 0, pushes = 0; replies < 6 || pushes < 3;) {
            const char *reply = client_read(&c, NULL);
            assert_non_null(reply);
            if (reply[0] == '>') {
                assert_string_equal(reply, ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n");
                pushes++;
            } else if (++replies == 6) {
                int before, after;
                assert_int_equal(
                    sscanf(reply, "*4\r\n:%d\r\n+OK\r\n:%d\r\n$1\r\nv\r\n", &before, &after), 2);
            }
        }
        for (int n = 0; n < 3; n++)
            client_expect_start(&other, ":");
    }
    client_close(&c);
    client_close(&other);
}

/* A pipeline in which subscribing waits for nothing but its turn. */
static void test_pipelined(void **state)
{
    struct client c;
    char name[32], raw[96];

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "SET k v\r\nGET k\r\n"));
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "pipe:%04d", i);
        assert_true(client_send_command(&c, i % 3 == 2 ? "SSUBSCRIBE" : "SUBSCRIBE", name, NULL));
    }
    assert_true(client_send_text(&c, "PING\r\nUNSUBSCRIBE pipe:0000\r\nRESET\r\nGET k\r\n"));
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$1\r\nv\r\n");
    for (int i = 0, plain = 0, shard = 0; i < 2000; i++) {
        int n = i % 3 == 2
                    ? snprintf(raw, sizeof(raw),
                               "*3\r\n$10\r\nssubscribe\r\n$9\r\npipe:%04d\r\n:%d\r\n", i, ++shard)
                    : snprintf(raw, sizeof(raw),
                               "*3\r\n$9\r\nsubscribe\r\n$9\r\npipe:%04d\r\n:%d\r\n", i, ++plain);
        client_expect_bytes(&c, raw, (size_t)n);
    }
    client_expect(&c, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    client_expect(&c, "*3\r\n$11\r\nunsubscribe\r\n$9\r\npipe:0000\r\n:1333\r\n");
    client_expect(&c, "+RESET\r\n");
    client_expect(&c, "$1\r\nv\r\n");
    client_close(&c);
}

static void test_client_errors(void **state)
{
    static const char *const requests[] = {
        "CLIENT KILL USER nobody",
        "CLIENT KILL TYPE nosuch",
        "CLIENT KILL TYPE replica",
        "CLIENT KILL TYPE master",
        "CLIENT KILL ID 0",
        "CLIENT KILL ID x",
        "CLIENT KILL ID 999999",
        "CLIENT KILL SKIPME maybe",
        "CLIENT KILL ADDR",
        "CLIENT KILL 1.2.3.4:5",
        "CLIENT KILL LADDR 1.2.3.4:5 USER default",
        "CLIENT KILL ADDR 1:1 ID",
        "CLIENT LIST TYPE nosuch",
        "CLIENT LIST TYPE slave",
        "CLIENT LIST ID",
        "CLIENT LIST ID x",
        "CLIENT LIST x",
        "CLIENT NO-EVICT on",
        "CLIENT NO-EVICT x",
        "CLIENT TRACKING x",
        "PUBSUB CHANNELS a b",
        "PUBSUB NUMPAT x",
        "PUBSUB nosuch",
        "PUBSUB NUMSUB",
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "PUBLISH a",
        "SPUBLISH a b c",
        "UNSUBSCRIBE",
        "MONITOR x",
        "SELECT 0",
    };
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    client_ask_expect(&c, "-ERR DB index is out of range\r\n", "SELECT", "1");
    client_ask_expect(&c, "-ERR slotgate: CLIENT TRACKING is not supported yet\r\n", "CLIENT",
                      "TRACKING", "ON");
    beside_close(&c, &o);
}

/* CLIENT LIST and KILL know who is subscribed. */
static void test_client_list(void **state)
{
    struct client c, other;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    assert_non_null(client_ask(&other, "SUBSCRIBE", "a", NULL));
    assert_non_null(client_ask(&other, "PSUBSCRIBE", "p*", NULL));
    assert_non_null(client_ask(&other, "PSUBSCRIBE", "q*", NULL));
    assert_non_null(client_ask(&other, "SSUBSCRIBE", "s", NULL));
    const char *list = client_ask(&c, "CLIENT", "LIST", "TYPE", "pubsub", NULL);
    assert_non_null(list);
    assert_non_null(strstr(list, "flags=P db=0 sub=1 psub=2 ssub=1 "));
    assert_null(strstr(list, "flags=N"));
    list = client_ask(&c, "CLIENT", "LIST", "TYPE", "normal", NULL);
    assert_null(strstr(list, "flags=P"));
    assert_non_null(strstr(list, "flags=N"));
    client_ask_expect(&c, ":1\r\n", "CLIENT", "KILL", "TYPE", "pubsub");
    assert_true(client_sees_end(&other));
    client_close(&other);
    client_close(&c);
}

/* --- who is counted hears ------------------------------------------------------------------ */

struct counted {
    struct client *c;
    const char *channel;
};

static bool is_counted(void *arg)
{
    struct counted *a = arg;
    char expected[80];
    const char *reply = client_ask(a->c, "PUBSUB", "NUMSUB", a->channel, NULL);
    assert_non_null(reply);
    snprintf(expected, sizeof(expected), "*2\r\n$%zu\r\n%s\r\n:1\r\n", strlen(a->channel),
             a->channel);
    return strcmp(reply, expected) == 0;
}

/* Whoever has seen a subscriber in PUBSUB NUMSUB may rely on it that it gets what is published,
   although its SUBSCRIBE was not answered when the count was asked for the first time. */
static void test_counted_means_heard(void **state)
{
    enum { TIMES = 200 };
    struct client publisher;
    char first[32], last[32];

    (void)state;
    assert_true(client_open(&publisher, proxy.port));
    for (int i = 0; i < TIMES; i++) {
        struct client subscriber;
        struct counted last_one = { &publisher, last };
        snprintf(first, sizeof(first), "heard:first:%d", i);
        snprintf(last, sizeof(last), "heard:last:%d", i);
        assert_true(client_open(&subscriber, proxy.port));
        assert_true(client_send_command(&subscriber, "SUBSCRIBE", first, last, NULL));
        for (int asked = 0; !is_counted(&last_one); asked++) /* at once: in between it is wrong */
            assert_true(asked < 100000);
        client_ask_expect(&publisher, ":1\r\n", "PUBLISH", first, "x");
        client_expect_start(&subscriber, "*3\r\n$9\r\nsubscribe\r\n");
        client_expect_start(&subscriber, "*3\r\n$9\r\nsubscribe\r\n");
        client_expect_start(&subscriber, "*3\r\n$7\r\nmessage\r\n");
        client_close(&subscriber);
    }
    client_close(&publisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_shard_channels),
        cmocka_unit_test(test_subscriber_mode),
        cmocka_unit_test(test_resp3),
        cmocka_unit_test(test_in_a_transaction),
        cmocka_unit_test(test_message_during_exec),
        cmocka_unit_test(test_both_protocols),
        cmocka_unit_test(test_slow_subscriber),
        cmocka_unit_test(test_large_reply_and_messages),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_exec_in_phases),
        cmocka_unit_test(test_client_list),
        cmocka_unit_test(test_client_errors),
        cmocka_unit_test(test_counted_means_heard),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
