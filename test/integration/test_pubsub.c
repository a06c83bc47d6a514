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

#include "test/lib/client.h"
#include "test/lib/oracle.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { CLIENTS = 4 };

static struct redis_cluster cluster;
static struct proxy proxy;
static struct oracle oracle;

static int start(void **state)
{
    char seeds[512];

    (void)state;
    oracle_start(&oracle);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--pubsub-output-limit", "1mb", NULL });
    return 0;
}

static int stop(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    oracle_stop(&oracle);
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
    PLAY("2", { 0, "PING", 1 }, { 0, "SUBSCRIBE a", 1 }, { 0, "PING", 1 }, { 0, "PING hello", 1 },
         { 0, "PING a b", 1 }, { 0, "GET k", 1 }, { 0, "get", 1 }, { 0, "nosuch x", 1 },
         { 0, "CLIENT LIST", 1 }, { 0, "client nosuch", 1 }, { 0, "HELLO 3", 1 },
         { 0, "PUBLISH a b", 1 }, { 0, "MGET a b", 1 }, { 0, "MULTI", 1 }, { 0, "MONITOR", 1 },
         { 0, "SUBSCRIBE", 1 }, { 0, "PSUBSCRIBE p", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 0, "PING", 1 },
         { 0, "RESET", 1 }, { 0, "PING", 1 }, { 1, "PUBLISH a x", 1 }, { 0, "SUBSCRIBE b", 1 });
}

/* Ordinary replies and pushes side by side, and back to RESP2 with subscriptions. CLIENT REPLY does
   not silence pushes. */
static void test_resp3(void **state)
{
    (void)state;
    PLAY("3", { 0, "UNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE", 1 }, { 0, "SUNSUBSCRIBE", 1 },
         { 0, "SUBSCRIBE a b", 2 }, { 0, "PSUBSCRIBE a*", 1 }, { 0, "SSUBSCRIBE s", 1 },
         { 0, "GET none", 1 }, { 0, "PING", 1 }, { 0, "PING x", 1 }, { 1, "PUBLISH a 1", 1 },
         { 0, NULL, 2 }, { 0, "HGETALL none", 1 }, { 1, "SPUBLISH s 1", 1 }, { 0, NULL, 1 },
         { 0, "CLIENT REPLY OFF", 0 }, { 0, "SUBSCRIBE c", 1 }, { 0, "UNSUBSCRIBE c", 1 },
         { 1, "PUBLISH b 2", 1 }, { 0, NULL, 1 }, { 0, "CLIENT REPLY ON", 1 },
         { 2, "SUBSCRIBE a", 1 }, { 1, "PUBLISH a 3", 1 }, { 0, NULL, 2 }, { 2, NULL, 1 },
         { 0, "UNSUBSCRIBE a nope", 2 }, { 0, "SUNSUBSCRIBE", 1 }, { 0, "PUNSUBSCRIBE", 1 },
         { 0, "UNSUBSCRIBE", 1 }, { 0, "UNSUBSCRIBE", 1 }, { 2, "RESET", 1 }, { 2, "PING", 1 },
         { 1, "PUBLISH a 4", 1 }, { 1, "RESET", 1 }, { 1, "HGETALL none", 1 });
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels),       cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_shard_channels), cmocka_unit_test(test_subscriber_mode),
        cmocka_unit_test(test_resp3),          cmocka_unit_test(test_both_protocols),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
