/*
 * What PUBLISH and SPUBLISH answer, alone and inside MULTI: the number of clients that hear it, of
 * both workers of a proxy, as one plain Redis with the same subscribers counts them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/sockets.h"
#include "test/lib/testenv.h"

enum { WORKERS = 2, EACH = 3, SUBSCRIBERS = WORKERS * EACH };

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--workers", "2", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", WORKERS, scaled_ms(5000));
    return 0;
}

static void subscribe(struct client *who, const char *how, const char *name)
{
    assert_true(client_send_command(who, how, name, NULL));
    client_expect_start(who, "*3\r\n");
}

static struct client here[SUBSCRIBERS], there[SUBSCRIBERS]; /* at the proxy, at the oracle */

/* The same clients at both; those of the proxy are spread over its workers. */
static int subscribe_all(void **state)
{
    static const char *const wants[EACH][2] = { { "SUBSCRIBE", "news" },
                                                { "PSUBSCRIBE", "n*" },
                                                { "SSUBSCRIBE", "{a}shard" } };
    (void)state;
    for (int i = 0; i < EACH; i++) {
        crowd_open_on_each(&here[i * WORKERS], WORKERS, proxy.port);
        for (int n = i * WORKERS; n < (i + 1) * WORKERS; n++) {
            assert_true(client_open(&there[n], oracle.port));
            subscribe(&here[n], wants[i][0], wants[i][1]);
            subscribe(&there[n], wants[i][0], wants[i][1]);
            subscribe(&here[n], "SSUBSCRIBE", "{b}all");
            subscribe(&there[n], "SSUBSCRIBE", "{b}all");
        }
    }
    return 0;
}

static int leave_all(void **state)
{
    (void)state;
    crowd_close(here, SUBSCRIBERS);
    crowd_close(there, SUBSCRIBERS);
    return 0;
}

static void play(const char *const *words, size_t count)
{
    struct client asks[WORKERS], o;
    crowd_open_on_each(asks, WORKERS, proxy.port);
    for (const char *protocol = "2"; protocol != NULL; protocol = *protocol == '2' ? "3" : NULL) {
        assert_true(client_open(&o, oracle.port));
        assert_non_null(client_ask(&o, "HELLO", protocol, NULL));
        for (int i = 0; i < WORKERS; i++) {
            assert_non_null(client_ask(&asks[i], "HELLO", protocol, NULL));
            for (size_t n = 0; n < count; n++)
                oracle_compare_words(&asks[i], &o, words[n]);
        }
        client_close(&o);
    }
    crowd_close(asks, WORKERS);
}

#define PLAY(...)                                                                                  \
    do {                                                                                           \
        static const char *const words[] = { __VA_ARGS__ };                                        \
        play(words, ARRAY_LEN(words));                                                             \
    } while (0)

static void test_alone(void **state)
{
    (void)state;
    PLAY("PUBLISH news x", "SPUBLISH {a}shard x", "SPUBLISH {b}all x", "SPUBLISH nobody x",
         "PUBLISH nobody x", "PUBLISH other x", "PUBLISH {a}shard x", "SPUBLISH news x",
         "SPUBLISH {b}all x", "SPUBLISH", "SPUBLISH a b c");
}

/* All of it is one block. */
static void test_in_one_slot(void **state)
{
    (void)state;
    PLAY("MULTI", "PUBLISH news x", "EXEC", "MULTI", "DEL {a}l", "LPUSH {a}l x y", "PUBLISH news x",
         "SPUBLISH {a}shard y", "LRANGE {a}l 0 -1", "PUBLISH none z", "INCR {a}l", "PUBLISH no x",
         "EXEC", "MULTI", "SPUBLISH {b}all x", "GET {b}none", "EXEC", "MULTI", "PUBLISH", "EXEC");
}

/* Blocks side by side and one behind the other, and steps between them. */
static void test_in_several_slots(void **state)
{
    (void)state;
    PLAY("MULTI", "DEL {a}l", "PUBLISH news x", "LPUSH {a}l x y", "SPUBLISH {b}all y", "SET {c}k v",
         "PUBLISH none z", "LRANGE {a}l 0 -1", "PUBLISH news x", "EXEC", "MULTI", "GET {a}none",
         "SPUBLISH {a}shard x", "GET {c}k", "CLIENT GETNAME", "PUBLISH news y", "EXEC", "MULTI",
         "SPUBLISH {b}all x", "MSET {a}k 1 {b}k 2", "PUBLISH news x", "SPUBLISH {a}shard x",
         "DEL {a}k {b}k {c}k {a}l", "PUBLISH news z", "EXEC");
}

/* Nobody looks at the number, so nobody is asked for it. */
static void test_unheard(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "CLIENT REPLY SKIP\r\nSPUBLISH {b}all x\r\nPING\r\n"));
    client_expect(&c, "+PONG\r\n");
    assert_true(client_send_text(&c, "CLIENT REPLY OFF\r\nMULTI\r\nPUBLISH news x\r\nEXEC\r\n"
                                     "MULTI\r\nGET {a}x\r\nSPUBLISH {b}all x\r\nEXEC\r\n"
                                     "CLIENT REPLY ON\r\n"));
    client_expect(&c, "+OK\r\n");
    client_close(&c);
}

/* Who is connected to a node itself hears it, too. */
static void test_beside_others(void **state)
{
    struct client direct[3], c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int node = 0; node < 3; node++) {
        assert_true(client_open(&direct[node], cluster.node[node].port));
        assert_true(client_send_command(&direct[node], "SSUBSCRIBE", "{a}shard", NULL));
        assert_non_null(client_read(&direct[node], &(size_t){ 0 }));
    }
    client_ask_expect(&c, ":3\r\n", "SPUBLISH", "{a}shard", "x");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SPUBLISH", "{a}shard", "x");
    client_ask_expect(&c, "*1\r\n:3\r\n", "EXEC");
    for (int node = 0; node < 3; node++)
        client_close(&direct[node]);
    client_close(&c);
}

static int number_of(struct client *c, const char *channel)
{
    const char *reply = client_ask(c, "SPUBLISH", channel, "x", NULL);
    return reply != NULL && *reply == ':' ? atoi(reply + 1) : -1;
}

static bool nobody_hears(void *arg)
{
    return number_of(arg, "{b}all") == 0;
}

/* A subscriber that has left is not counted. */
static void test_after_they_left(void **state)
{
    struct client c;
    (void)state;
    (void)leave_all(NULL);
    assert_true(client_open(&c, proxy.port));
    assert_true(wait_until(nobody_hears, &c, scaled_ms(5000)));
    client_ask_expect(&c, ":0\r\n", "PUBLISH", "news", "x");
    client_ask_expect(&c, ":0\r\n", "SPUBLISH", "{a}shard", "x");
    client_close(&c);
}

/* --- left a moment ago ----------------------------------------------------------------------- */

enum { PUBLISHERS = 3 * WORKERS };

/* Each node reads next what comes over the connection of these GETs, before it reads whatever comes
   over another one meanwhile. */
static void send_gets(struct client *publishers)
{
    for (int node = 0; node < 3; node++) {
        char key[64];
        struct sockets_at at = { .port = cluster.node[node].port };
        cluster_key(&cluster, node, 0, "none", key);
        for (int i = 0; i < PUBLISHERS; i++)
            assert_true(client_send_command(&publishers[i], "GET", key, NULL));
        assert_true(wait_until(sockets_hold, &at, scaled_ms(5000)));
    }
}

static void leave(struct client *who, const char *verb, const char *name)
{
    assert_true(client_send_command(who, verb, name, NULL));
    client_expect_start(who, "*3\r\n");
}

static void leave_and_publish(struct client *who, struct client *publishers)
{
    subscribe(who, "SUBSCRIBE", "left");
    subscribe(who, "PSUBSCRIBE", "le*");
    subscribe(who, "SSUBSCRIBE", "{b}left");
    for (int node = 0; node < 3; node++)
        cluster_stop_node(&cluster, node);
    send_gets(publishers);
    leave(who, "UNSUBSCRIBE", "left");
    leave(who, "PUNSUBSCRIBE", "le*");
    leave(who, "SUNSUBSCRIBE", "{b}left");
    for (int i = 0; i < PUBLISHERS; i++)
        assert_true(client_send_text(&publishers[i], "PUBLISH left x\r\nSPUBLISH {b}left x\r\n"));
    for (int node = 0; node < 3; node++) {
        struct sockets_at at = { .port = cluster.node[node].port };
        assert_true(wait_until(sockets_are_still, &at, scaled_ms(5000)));
        cluster_continue_node(&cluster, node);
    }
    for (int i = 0; i < PUBLISHERS; i++) {
        for (int node = 0; node < 3; node++)
            client_expect(&publishers[i], "$-1\r\n");
        client_expect(&publishers[i], ":0\r\n");
        client_expect(&publishers[i], ":0\r\n");
    }
}

/* Whoever has been told that he has left is not counted, though the nodes still hear us. */
static void test_just_left(void **state)
{
    struct client leaving[WORKERS], stays, publishers[PUBLISHERS];
    (void)state;
    crowd_open_on_each(leaving, WORKERS, proxy.port);
    for (int i = 0; i < PUBLISHERS; i += WORKERS)
        crowd_open_on_each(&publishers[i], WORKERS, proxy.port);
    for (int i = 0; i < WORKERS; i++)
        leave_and_publish(&leaving[i], publishers);
    assert_true(client_open(&stays, proxy.port));
    subscribe(&stays, "SUBSCRIBE", "another");
    leave_and_publish(&leaving[0], publishers);
    client_close(&stays);
    crowd_close(leaving, WORKERS);
    crowd_close(publishers, PUBLISHERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alone, subscribe_all, leave_all),
        cmocka_unit_test_setup_teardown(test_in_one_slot, subscribe_all, leave_all),
        cmocka_unit_test_setup_teardown(test_in_several_slots, subscribe_all, leave_all),
        cmocka_unit_test_setup_teardown(test_unheard, subscribe_all, leave_all),
        cmocka_unit_test_setup_teardown(test_beside_others, subscribe_all, leave_all),
        cmocka_unit_test_setup(test_after_they_left, subscribe_all),
        cmocka_unit_test(test_just_left),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
