/*
 * PROXY FENCE with several workers and during a takeover: it ends the connections of that name at
 * the one worker that is meant, answers when nothing of them can be executed any more, and nobody
 * else notices.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/keyslot.h"
#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/sockets.h"
#include "test/lib/testenv.h"

enum { WORKERS = 3, ID_ROOM = 32 };

/* One on each worker: of the name that is fenced, and others. */
static struct client ours[WORKERS], others[WORKERS];
static char ids[WORKERS][ID_ROOM]; /* of the workers, as PROXY FENCE tells them */

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--workers", "3", "--worker-timeout", "20s",
                                        "--enable-cross-slot", "yes", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", WORKERS, scaled_ms(5000));
    return 0;
}

/* "+ID\r\n" */
static void take_id(struct client *c, char id[ID_ROOM])
{
    const char *reply = client_ask(c, "PROXY", "FENCE", NULL);
    assert_non_null(reply);
    assert_int_equal(reply[0], '+');
    snprintf(id, ID_ROOM, "%.*s", (int)strcspn(reply + 1, "\r"), reply + 1);
}

static int connect_all(void **state)
{
    (void)state;
    redisReply *reply;
    for (int i = 0; i < 3; i++) {
        reply = cluster_ask(&cluster, i, "FLUSHALL");
        freeReplyObject(reply);
    }
    crowd_open_on_each(others, WORKERS, proxy.port);
    crowd_open_on_each(ours, WORKERS, proxy.port);
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&ours[i], "+OK\r\n", "CLIENT", "SETNAME", "mover");
        client_ask_expect(&others[i], "+OK\r\n", "CLIENT", "SETNAME", "somebody");
        take_id(&ours[i], ids[i]);
    }
    return 0;
}

static int leave_all(void **state)
{
    (void)state;
    crowd_close(ours, WORKERS);
    crowd_close(others, WORKERS);
    return 0;
}

static long long counter(const char *key)
{
    return cluster_number(&cluster,
                          cluster_owner(&cluster, keyslot_of((struct span){ key, strlen(key) })),
                          "GET %s", key);
}

/* --- which worker -------------------------------------------------------------------------- */

static void test_the_worker_that_is_meant(void **state)
{
    (void)state;
    assert_string_not_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[1], ids[2]);
    for (int i = 0; i < WORKERS; i++) {
        struct client *asker = &others[(i + 1) % WORKERS];
        client_ask_expect(asker, "+OK\r\n", "PROXY", "FENCE", "mover", ids[i]);
        assert_true(client_sees_end(&ours[i]));
        if (i + 1 < WORKERS)
            client_ask_expect(&ours[i + 1], "+PONG\r\n", "PING");
    }
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&others[i], "+PONG\r\n", "PING");
}

/* It may ask for itself, and is not ended. */
static void test_its_own_worker(void **state)
{
    struct client again[WORKERS];
    (void)state;
    crowd_open_on_each(again, WORKERS, proxy.port);
    client_ask_expect(&again[1], "+OK\r\n", "CLIENT", "SETNAME", "mover");
    client_ask_expect(&again[1], "+OK\r\n", "PROXY", "FENCE", "mover", ids[1]);
    assert_true(client_sees_end(&ours[1]));
    client_ask_expect(&again[1], "+PONG\r\n", "PING");
    client_ask_expect(&ours[0], "+PONG\r\n", "PING");
    crowd_close(again, WORKERS);
}

static void test_nobody_of_that_name(void **state)
{
    (void)state;
    client_ask_expect(&others[0], "+OK\r\n", "PROXY", "FENCE", "stranger", ids[1]);
    client_ask_expect(&others[0],
                      "-NOTHERE no worker of this slotgate that can be asked has this id\r\n",
                      "PROXY", "FENCE", "mover", "0123456789abcdef");
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&ours[i], "+PONG\r\n", "PING");
}

/* --- what it waits for --------------------------------------------------------------------- */

/* A command that a node has not even read is under way: no answer before it is executed, and
   nothing is executed after the answer. */
static void hold_and_fence(struct client *ours_there, const char *id, struct client *asker)
{
    enum { HELD = 100, AT_NODE = 64 }; /* more than a client may have under way at first */
    static const char incr[] = "*2\r\n$4\r\nINCR\r\n$4\r\nheld\r\n";
    int node = cluster_owner(&cluster, keyslot_of(SPAN("held")));
    cluster_do(&cluster, node, "SET held 0");
    client_ask_expect(ours_there, ":1\r\n", "INCR", "held");
    cluster_stop_node(&cluster, node);
    char all[HELD * (sizeof(incr) - 1) + 1];
    for (int i = 0; i < HELD; i++)
        memcpy(all + (size_t)i * (sizeof(incr) - 1), incr, sizeof(incr));
    client_send_text(ours_there, all); /* at once: what comes later would wait for its turn */
    client_send_command(ours_there, "MULTI", NULL);
    client_send_command(ours_there, "SET", "never", "x", NULL);
    /* That nothing more comes could not be told: the workers ask that node for themselves, too. */
    struct sockets_at at = { .port = cluster.node[node].port,
                             .more_than = (long)(AT_NODE * (sizeof(incr) - 1) - 1) };
    assert_true(wait_until(sockets_hold, &at, scaled_ms(5000)));
    client_send_command(asker, "PROXY", "FENCE", "mover", id, NULL);
    assert_true(client_hears_nothing(asker, 150));
    cluster_continue_node(&cluster, node);
    client_expect(asker, "+OK\r\n");
    long long there = counter("held");
    assert_in_range(there, 1, HELD + 1);
    assert_true(client_sees_end(ours_there) || ours_there->state == CLIENT_OPEN);
    rest_us(100 * 1000); /* that nothing comes later is what is tested */
    assert_int_equal(counter("held"), there);
    client_ask_expect(asker, "$-1\r\n", "GET", "never");
}

static void test_commands_at_a_hanging_node(void **state)
{
    struct client again[WORKERS];
    (void)state;
    hold_and_fence(&ours[2], ids[2], &others[0]);
    crowd_open_on_each(again, WORKERS, proxy.port);
    hold_and_fence(&ours[1], ids[1], &again[1]); /* asked by a client of the same worker */
    crowd_close(again, WORKERS);
}

/* --- who does not notice ------------------------------------------------------------------- */

enum { ONE_SLOT, MANY_SLOTS, STREAM, WATCHING, SUBSCRIBER, WAITERS };

static void begin_to_wait(struct client *c)
{
    client_send_command(&c[ONE_SLOT], "BLPOP", "list", "0", NULL);
    client_send_command(&c[MANY_SLOTS], "BLPOP", "list:1", "list:2", "list:3", "0", NULL);
    client_send_command(&c[STREAM], "XREAD", "BLOCK", "0", "STREAMS", "stream", "$", NULL);
    client_ask_expect(&c[WATCHING], "+OK\r\n", "WATCH", "watched");
    client_ask_expect(&c[WATCHING], "$-1\r\n", "GET", "watched");
    client_send_command(&c[SUBSCRIBER], "SUBSCRIBE", "news", NULL);
    assert_non_null(client_read(&c[SUBSCRIBER], NULL));
}

static void expect_all_served(struct client *c, struct client *by)
{
    client_ask_expect(by, ":1\r\n", "RPUSH", "list", "a");
    client_expect(&c[ONE_SLOT], "*2\r\n$4\r\nlist\r\n$1\r\na\r\n");
    client_ask_expect(by, ":1\r\n", "RPUSH", "list:2", "b");
    client_expect(&c[MANY_SLOTS], "*2\r\n$6\r\nlist:2\r\n$1\r\nb\r\n");
    client_ask_expect(by, "$3\r\n1-1\r\n", "XADD", "stream", "1-1", "f", "v");
    client_expect_start(&c[STREAM], "*1\r\n*2\r\n$6\r\nstream\r\n");
    client_ask_expect(&c[WATCHING], "+OK\r\n", "MULTI");
    client_ask_expect(&c[WATCHING], "+QUEUED\r\n", "SET", "watched", "1");
    client_ask_expect(&c[WATCHING], "*1\r\n+OK\r\n", "EXEC");
    client_ask_expect(by, ":1\r\n", "PUBLISH", "news", "still");
    client_expect_start(&c[SUBSCRIBER], "*3\r\n$7\r\nmessage\r\n");
}

/* On the worker that is fenced others wait, each kind on a connection to a node of its own. */
static void test_others_wait_on(void **state)
{
    struct client waiting[WAITERS];
    struct client each[WORKERS];
    (void)state;
    for (int i = 0; i < WAITERS; i++) {
        crowd_open_on_each(each, WORKERS, proxy.port);
        waiting[i] = each[1];
        client_close(&each[0]);
        client_close(&each[2]);
    }
    begin_to_wait(waiting);
    client_ask_expect(&ours[1], "+OK\r\n", "SET", "key", "value");
    client_ask_expect(&others[0], "+OK\r\n", "PROXY", "FENCE", "mover", ids[1]);
    assert_true(client_sees_end(&ours[1]));
    client_ask_expect(&others[2], "+OK\r\n", "PROXY", "FENCE", "mover", ids[1]);
    expect_all_served(waiting, &others[0]);
    for (int i = 0; i < WAITERS; i++)
        client_close(&waiting[i]);
}

/* --- a takeover ---------------------------------------------------------------------------- */

/* While they leave, the old ones still take what had come to their ports. */
static bool is_on_a_new_one(void *client)
{
    struct client *c = client;
    char id[ID_ROOM];
    client_close(c);
    assert_true(client_open(c, proxy.port));
    take_id(c, id);
    for (int i = 0; i < WORKERS; i++)
        if (strcmp(id, ids[i]) == 0)
            return false;
    return true;
}

/* The workers of before are found by those that have come, as long as they are there; when they are
   gone, any other one can be told so. */
static void test_takeover(void **state)
{
    struct client later = { .fd = -1 };
    (void)state;
    client_ask_expect(&ours[0], "+OK\r\n", "MULTI"); /* so that the old ones stay */
    client_ask_expect(&ours[0], "+QUEUED\r\n", "SET", "never", "x");
    client_ask_expect(&ours[1], "+OK\r\n", "MULTI");
    process_signal(&proxy.process, SIGUSR2);
    proxy_await_log(&proxy, "event=\"taken over\"", 1, scaled_ms(15000));
    proxy_await_log(&proxy, "event=\"listening\"", 2 * WORKERS, scaled_ms(15000));
    assert_true(wait_until(is_on_a_new_one, &later, scaled_ms(5000)));
    client_ask_expect(&later, "+OK\r\n", "PROXY", "FENCE", "mover", ids[0]);
    assert_true(client_sees_end(&ours[0]));
    client_ask_expect(&ours[1], "+QUEUED\r\n", "SET", "never", "x");
    client_ask_expect(&later, "+OK\r\n", "PROXY", "FENCE", "mover", ids[1]);
    assert_true(client_sees_end(&ours[1]));
    client_ask_expect(&later, "$-1\r\n", "GET", "never");
    proxy_await_workers(&proxy, WORKERS, scaled_ms(20000));
    client_ask_expect(&later,
                      "-NOTHERE no worker of this slotgate that can be asked has this id\r\n",
                      "PROXY", "FENCE", "mover", ids[0]);
    client_ask_expect(&later, "+OK\r\n", "PROXY", "FENCE", "mover", ids[0], "FORCE");
    client_ask_expect(&later, "+PONG\r\n", "PING");
    client_close(&later);
}

#define FENCE(test) cmocka_unit_test_setup_teardown(test, connect_all, leave_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCE(test_the_worker_that_is_meant),
        FENCE(test_its_own_worker),
        FENCE(test_nobody_of_that_name),
        FENCE(test_commands_at_a_hanging_node),
        FENCE(test_others_wait_on),
        FENCE(test_takeover), /* the last one: other workers serve behind it */
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
