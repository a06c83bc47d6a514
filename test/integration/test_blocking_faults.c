/*
 * Clients that wait while masters die, hand over and hang, while slots move, while clients leave,
 * and in numbers: what arrives later reaches a living client, and nobody else is held up.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/blocking_case.h"
#include "test/lib/testenv.h"

static struct proxy second;

static const char *const quick[] = { "--request-timeout", "2s", NULL };

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1, .partial = true }, quick);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    return 0;
}

static int owner_of(const char *key)
{
    return cluster_owner(&cluster, cluster_slot(key));
}

/* Waits in the background of a test. */
static void begin_wait(struct client *c, const char *command, const char *key, const char *timeout)
{
    assert_true(client_open(c, proxy.port));
    c->timeout_ms = scaled_ms(20000);
    assert_true(client_send_command(c, command, key, timeout, NULL));
}

static void expect_element(struct client *c, const char *key, const char *element)
{
    char wanted[200];

    snprintf(wanted, sizeof(wanted), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(key), key,
             strlen(element), element);
    client_expect_bytes(c, wanted, strlen(wanted));
}

static const char *read_some(struct client *c)
{
    const char *reply = client_read(c, NULL);

    if (reply == NULL)
        fail_msg("no element arrives");
    return reply;
}

struct push {
    struct client *c;
    const char *key, *element;
};

static bool is_pushed(void *arg)
{
    struct push *p = arg;
    const char *reply = client_ask(p->c, "RPUSH", p->key, p->element, NULL);

    assert_non_null(reply);
    return reply[0] == ':';
}

/* Pushes until it is acknowledged. */
static void push(const char *key, const char *element)
{
    struct client c;
    struct push p = { &c, key, element };

    assert_true(client_open(&c, proxy.port));
    assert_true(wait_until(is_pushed, &p, 20000));
    client_close(&c);
}

/* --- masters ---------------------------------------------------------------------------------- */

static void test_master_hands_over(void **state)
{
    struct client waiter[3];
    char key[64];

    (void)state;
    cluster_key(&cluster, 0, 0, "handed", key);
    for (int i = 0; i < 3; i++) {
        begin_wait(&waiter[i], i == 1 ? "BZPOPMIN" : "BLPOP", key, "0");
        blocking_await(proxy.port, i + 1);
    }
    int master = owner_of(key);
    cluster_failover(&cluster, cluster_replica_of(&cluster, master), "");
    push(key, "one");
    push(key, "two");
    assert_non_null(strstr(read_some(&waiter[0]), key)); /* a failover keeps no order of clients */
    assert_non_null(strstr(read_some(&waiter[2]), key));
    for (int i = 0; i < 3; i++)
        client_close(&waiter[i]);
    blocking_await(proxy.port, 0);
    cluster_await_settled(&cluster, 20000);
}

static void test_master_killed(void **state)
{
    struct client waiter, timed;
    char key[64], quiet[64];

    (void)state;
    cluster_key(&cluster, 1, 0, "killed", key);
    cluster_key(&cluster, 1, 1, "quiet", quiet);
    begin_wait(&waiter, "BLPOP", key, "0");
    uint64_t began = now_ms();
    begin_wait(&timed, "BLPOP", quiet, "8");
    blocking_await(proxy.port, 2);
    int master = owner_of(key);
    cluster_kill_node(&cluster, master);
    push(key, "one");
    expect_element(&waiter, key, "one");
    client_expect(&timed, "*-1\r\n"); /* it did not begin to count again */
    assert_in_range(now_ms() - began, 7900, scaled_ms(9500));
    cluster_restart_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
    client_close(&waiter);
    client_close(&timed);
}

static void let_replicas_take_over(bool may)
{
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CONFIG SET cluster-replica-no-failover %s", may ? "no" : "yes");
}

/* Nobody takes over. Who waits already, goes on when the master is back; who comes now gets an
   error in time. */
static void test_master_away_and_back(void **state)
{
    struct client waiter, late;
    char key[64];

    (void)state;
    cluster_key(&cluster, 1, 0, "away", key);
    begin_wait(&waiter, "BLPOP", key, "0");
    blocking_await(proxy.port, 1);
    let_replicas_take_over(false);
    int master = owner_of(key);
    cluster_kill_node(&cluster, master);
    uint64_t began = now_ms();
    begin_wait(&late, "BLPOP", key, "0");
    client_expect_start(&late, "-ERR slotgate: no answer from node 127.0.0.1:");
    assert_in_range(now_ms() - began, 1900,
                    scaled_ms(6000)); /* at worst twice its request-timeout */
    cluster_restart_node(&cluster, master);
    let_replicas_take_over(true);
    push(key, "one");
    expect_element(&waiter, key, "one");
    client_close(&waiter);
    client_close(&late);
    cluster_await_settled(&cluster, 20000);
}

/* A master that hangs says nothing; its replica takes over, and those that wait go there. */
static void test_master_hangs(void **state)
{
    struct client waiter;
    char key[64];

    (void)state;
    cluster_key(&cluster, 2, 0, "hung", key);
    begin_wait(&waiter, "BLPOP", key, "0");
    blocking_await(proxy.port, 1);
    int master = owner_of(key);
    cluster_stop_node(&cluster, master);
    push(key, "one");
    expect_element(&waiter, key, "one");
    cluster_continue_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
    client_close(&waiter);
}

/* "$" is what it was when the command began, also when the proxy comes late to the new master. */
static void test_entries_while_the_proxy_looks_away(void **state)
{
    struct client waiter;
    char key[64];

    (void)state;
    cluster_key(&cluster, 0, 0, "stream", key);
    int master = owner_of(key), replica = cluster_replica_of(&cluster, master);
    cluster_do(&cluster, master, "XADD %s 1-1 f old", key);
    cluster_do(&cluster, master, "WAIT 1 5000");
    assert_true(client_open(&waiter, proxy.port));
    assert_true(client_send_command(&waiter, "XREAD", "BLOCK", "0", "STREAMS", key, "$", NULL));
    blocking_await(proxy.port, 1);
    process_signal_all(&proxy.process, SIGSTOP);
    cluster_failover(&cluster, replica, "");
    cluster_do(&cluster, replica, "XADD %s 2-1 f new", key);
    process_signal_all(&proxy.process, SIGCONT);
    waiter.timeout_ms = scaled_ms(20000);
    const char *reply = client_read(&waiter, NULL);
    assert_non_null(reply);
    assert_non_null(strstr(reply, "2-1"));
    assert_null(strstr(reply, "1-1"));
    client_close(&waiter);
    cluster_await_settled(&cluster, 20000);
}

/* --- slots ------------------------------------------------------------------------------------ */

static void test_slot_moves(void **state)
{
    struct client waiter;
    char key[64];

    (void)state;
    cluster_key(&cluster, 0, 2, "moved", key);
    int slot = cluster_slot(key), from = owner_of(key);
    int to =
        cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 1, 0, "", (char[64]){ 0 })));
    begin_wait(&waiter, "BLPOP", key, "0");
    blocking_await(proxy.port, 1);
    cluster_slot_move(&cluster, slot, to);
    push(key, "one");
    expect_element(&waiter, key, "one");
    client_close(&waiter);
    cluster_slot_move(&cluster, slot, from);
}

/* A slot that is half way: the key is not there yet, so the new node is where one waits. */
static void test_slot_half_way(void **state)
{
    struct client waiter;
    char key[64];

    (void)state;
    cluster_key(&cluster, 0, 3, "half", key);
    int slot = cluster_slot(key), from = owner_of(key);
    int to =
        cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 1, 0, "", (char[64]){ 0 })));
    cluster_slot_open(&cluster, slot, from, to);
    begin_wait(&waiter, "BLPOP", key, "0");
    blocking_await(proxy.port, 1);
    push(key, "one");
    expect_element(&waiter, key, "one");
    assert_true(client_send_command(&waiter, "BLPOP", key, "0", NULL));
    blocking_await(proxy.port, 1);
    cluster_slot_close(&cluster, slot, to);
    push(key, "two");
    expect_element(&waiter, key, "two");
    client_close(&waiter);
    cluster_slot_move(&cluster, slot, from);
    cluster_await_settled(&cluster, 20000);
}

/* --- WAIT ------------------------------------------------------------------------------------- */

static void test_wait(void **state)
{
    struct client c, plain;
    char key[64], id[24];

    (void)state;
    beside_open(&c, &plain);
    oracle_compare_words(&c, &plain, "WAIT x 0");
    oracle_compare_words(&c, &plain, "WAIT 1 x");
    oracle_compare_words(&c, &plain, "WAIT 1 -1");
    oracle_compare_words(&c, &plain, "WAIT 1");
    cluster_key(&cluster, 0, 0, "wait", key);
    client_ask_expect(&c, "+OK\r\n", "SET", key, "v");
    client_ask_expect(&c, ":1\r\n", "WAIT", "1", "10000");
    uint64_t began = now_ms();
    client_ask_expect(&c, ":1\r\n", "WAIT", "2", "300");
    assert_in_range(now_ms() - began, 290, scaled_ms(2000));
    /* One replica hears nothing: the least counts. */
    int deaf = cluster_replica_of(&cluster, owner_of(key));
    cluster_stop_node(&cluster, deaf);
    client_ask_expect(&c, "+OK\r\n", "SET", key, "w");
    client_ask_expect(&c, ":0\r\n", "WAIT", "1", "200");
    snprintf(id, sizeof(id), "%s", client_ask(&c, "CLIENT", "ID", NULL) + 1);
    id[strcspn(id, "\r")] = '\0';
    assert_true(client_send_command(&c, "WAIT", "1", "0", NULL));
    blocking_await(proxy.port, 1);
    struct client other;
    assert_true(client_open(&other, proxy.port));
    client_ask_expect(&other, ":1\r\n", "CLIENT", "UNBLOCK", id, "ERROR");
    client_expect(&c, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    assert_true(client_send_command(&c, "WAIT", "1", "0", NULL));
    blocking_await(proxy.port, 1);
    cluster_continue_node(&cluster, deaf);
    client_expect(&c, ":1\r\n");
    client_close(&other);
    client_close(&plain);
    client_close(&c);
    cluster_await_settled(&cluster, 20000);
}

/* --- clients ---------------------------------------------------------------------------------- */

/* Each way to go frees the connection to the node. */
static void test_clients_leave(void **state)
{
    struct client waiter[4], other;
    char id[24];

    (void)state;
    for (int i = 0; i < 4; i++)
        begin_wait(&waiter[i], "BLPOP", "left", "0");
    assert_true(client_open(&other, proxy.port));
    blocking_await(proxy.port, 4);
    /* Bytes that nobody reads stand before the end of this one. */
    assert_true(client_send_text(&waiter[0], "PING\r\nPING\r\n"));
    client_close(&waiter[0]);
    blocking_await(proxy.port, 3);
    assert_true(client_send_text(&waiter[1], "PING\r\n"));
    client_abort(&waiter[1]);
    client_close(&waiter[2]);
    blocking_await(proxy.port, 1);
    const char *list = client_ask(&other, "CLIENT", "LIST", NULL);
    const char *line = strstr(list, "flags=b");
    assert_non_null(line);
    while (strncmp(line, "id=", 3) != 0)
        line--;
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(line + 3, " "), line + 3);
    client_ask_expect(&other, ":1\r\n", "CLIENT", "KILL", "ID", id);
    assert_true(client_sees_end(&waiter[3]));
    client_close(&waiter[3]);
    blocking_await(proxy.port, 0);
    assert_int_equal(blocking_info(proxy.port, "leases_in_use"), 0);
    client_ask_expect(&other, ":1\r\n", "RPUSH", "left", "a");
    client_ask_expect(&other, "$1\r\na\r\n", "LPOP", "left");
    client_close(&other);
}

enum { CROWD = 1000, DOOMED = CROWD / 2 };

struct crowd {
    struct client client[CROWD];
    long delivered, left, lost;
    atomic_int pushed, seen_by_killed;
};

/* One for each element that is pushed, right where the elements go: every second one that waits.
   One that has got its element by then has got it. */
static void *kill_half(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < DOOMED; i++) {
        struct client *c = &crowd->client[i * 2];
        while (atomic_load(&crowd->pushed) < i)
            rest_us(20); /* a finer poll than wait_until */
        c->timeout_ms = 0;
        if (client_read(c, NULL) != NULL)
            atomic_fetch_add(&crowd->seen_by_killed, 1);
        if (i % 2 == 0)
            client_close(c);
        else
            client_abort(c);
    }
    return NULL;
}

/* Beside them there are the pusher and the one who asks. */
static bool only_the_living_are_left(void *arg)
{
    return blocking_info(*(uint16_t *)arg, "connected_clients") == CROWD - DOOMED + 2;
}

/* A crowd waits, half of it is killed while as many elements arrive as stay alive. Every element
   has been given to somebody alive, or is still there, or was on its way to one of the killed. */
static void let_half_die(struct crowd *crowd, uint16_t port)
{
    struct client pusher;
    pthread_t killer;

    for (int i = 0; i < CROWD; i++) {
        assert_true(client_open(&crowd->client[i], port));
        assert_true(client_send_command(&crowd->client[i], "BLPOP", "crowd", "0", NULL));
    }
    blocking_await(port, CROWD);
    assert_true(client_open(&pusher, port));
    assert_int_equal(pthread_create(&killer, NULL, kill_half, crowd), 0);
    for (int i = 0; i < DOOMED; i++) {
        char element[16];
        snprintf(element, sizeof(element), "%d", i);
        assert_non_null(client_ask(&pusher, "RPUSH", "crowd", element, NULL));
        atomic_store(&crowd->pushed, i + 1);
    }
    pthread_join(killer, NULL);
    const char *left = client_ask(&pusher, "LLEN", "crowd", NULL);
    assert_non_null(left);
    crowd->left = strtol(left + 1, NULL, 10);
    assert_true(wait_until(only_the_living_are_left, &port, 20000));
    for (int i = 1; i < CROWD; i += 2) {
        crowd->client[i].timeout_ms = i == 1 ? scaled_ms(500) : 0;
        if (client_read(&crowd->client[i], NULL) != NULL)
            crowd->delivered++;
        client_close(&crowd->client[i]);
    }
    crowd->delivered += atomic_load(&crowd->seen_by_killed);
    crowd->lost = DOOMED - crowd->delivered - crowd->left;
    client_close(&pusher);
    blocking_await(port, 0);
}

static void test_killed_while_elements_arrive(void **state)
{
    static struct crowd through, direct;

    (void)state;
    let_half_die(&direct, oracle.port);
    let_half_die(&through, proxy.port);
    fprintf(stderr,
            "of %d elements: Redis delivered %ld, kept %ld, lost %ld; proxy %ld, %ld, %ld\n",
            DOOMED, direct.delivered, direct.left, direct.lost, through.delivered, through.left,
            through.lost);
    assert_in_range(through.lost, 0, direct.lost + DOOMED / 10);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void test_limit(void **state)
{
    static const char *const few[] = { "--max-leases", "3", NULL };
    struct client waiter[3], c;
    char seeds[512];

    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds), few);
    for (int i = 0; i < 3; i++) {
        assert_true(client_open(&waiter[i], second.port));
        assert_true(client_send_command(&waiter[i], "BLPOP", "full", "0", NULL));
        blocking_await(second.port, i + 1);
    }
    assert_true(client_open(&c, second.port));
    client_ask_expect(&c, "-ERR slotgate: too many commands wait at the same time (max-leases)\r\n",
                      "BLPOP", "other", "0");
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_ask_expect(&c, ":1\r\n", "RPUSH", "full", "a");
    expect_element(&waiter[0], "full", "a");
    client_ask_expect(&c, "*-1\r\n", "BLPOP", "other", "0.01"); /* there is room again */
    for (int i = 0; i < 3; i++)
        client_close(&waiter[i]);
    client_close(&c);
}

/* Over all nodes, and so over all workers: each of those that wait is a connection there. */
static bool so_many_wait_at_nodes(void *arg)
{
    long sum = 0;

    for (int n = 0; n < cluster.count; n++) {
        redisReply *info = cluster_ask(&cluster, n, "INFO clients");
        const char *found = info != NULL ? strstr(info->str, "blocked_clients:") : NULL;
        sum += found != NULL ? strtol(found + strlen("blocked_clients:"), NULL, 10) : 0;
        freeReplyObject(info);
    }
    return sum == *(const long *)arg;
}

static void expect_gets_beside_them(struct client *c)
{
    enum { GETS = 500 };
    uint64_t began = now_ms();

    client_ask_expect(c, "+OK\r\n", "SET", "k", "v");
    for (int i = 0; i < GETS; i++)
        client_ask_expect(c, "$1\r\nv\r\n", "GET", "k");
    fprintf(stderr, "%d GETs beside them in %d ms\n", GETS, (int)(now_ms() - began));
    assert_in_range(now_ms() - began, 0, scaled_ms(GETS * 5));
}

/* How many this process may have at once; each costs a worker two descriptors, and there are
   several workers. */
static long how_many(long wanted)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (wanted > 100 && (rlim_t)wanted + 600 > limit.rlim_max)
        wanted /= 2;
    fprintf(stderr, "%ld clients wait\n", wanted);
    return wanted;
}

static void test_thousands_wait(void **state)
{
    static const char *const several[] = { "--workers", "3", "--maxclients", "6000", NULL };
    long many = how_many(testenv_sanitized() ? 1000 : 10000), none = 0;
    struct client *waiter = calloc((size_t)many, sizeof(*waiter)), c;
    char key[32], value[32], seeds[512];

    (void)state;
    REQUIRE(waiter != NULL);
    proxy_start(&second, cluster_seeds(&cluster, seeds), several);
    for (int i = 0; i < many; i++) {
        snprintf(key, sizeof(key), "many:%d", i);
        assert_true(client_open(&waiter[i], second.port));
        assert_true(client_send_command(&waiter[i], "BLPOP", key, "0", NULL));
    }
    assert_true(wait_until(so_many_wait_at_nodes, &many, 20000));
    assert_true(client_open(&c, second.port));
    expect_gets_beside_them(&c);
    for (int i = 0; i < many; i++) {
        snprintf(key, sizeof(key), "many:%d", i);
        snprintf(value, sizeof(value), "%d", i);
        client_ask_expect(&c, ":1\r\n", "RPUSH", key, value);
    }
    for (int i = 0; i < many; i++) {
        snprintf(key, sizeof(key), "many:%d", i);
        snprintf(value, sizeof(value), "%d", i);
        expect_element(&waiter[i], key, value);
        client_close(&waiter[i]);
    }
    free(waiter);
    client_close(&c);
    assert_true(wait_until(so_many_wait_at_nodes, &none, 20000));
}

/* SIGTERM: those that wait are served until shutdown-timeout, then closed without an answer, as
   Redis closes them. */
static void test_leaving(void **state)
{
    struct client served, waiter, subscriber, other;
    char seeds[512];

    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--shutdown-timeout", "3s", NULL });
    assert_true(client_open(&served, second.port));
    assert_true(client_open(&waiter, second.port));
    assert_true(client_open(&subscriber, second.port));
    assert_true(client_open(&other, proxy.port));
    assert_non_null(client_ask(&subscriber, "SUBSCRIBE", "farewell", NULL));
    assert_true(client_send_command(&served, "BLPOP", "leaving", "0", NULL));
    assert_true(client_send_command(&waiter, "XREAD", "BLOCK", "60000", "STREAMS", "s", "$", NULL));
    blocking_await(second.port, 2);
    uint64_t began = now_ms();
    process_signal(&second.process, SIGTERM);
    proxy_await_log(&second, "event=\"draining\"", 1, scaled_ms(2000));
    rest_us(1000000); /* longer than those that wait for nothing are kept */
    client_ask_expect(&other, ":1\r\n", "RPUSH", "leaving", "behind", NULL);
    expect_element(&served, "leaving", "behind");
    assert_non_null(client_ask(&other, "PUBLISH", "farewell", "message", NULL));
    client_expect(&subscriber, "*3\r\n$7\r\nmessage\r\n$8\r\nfarewell\r\n$7\r\nmessage\r\n");
    assert_true(proxy_await_end(&second));
    assert_in_range(now_ms() - began, 2000, scaled_ms(5000));
    assert_true(client_sees_end(&waiter));
    assert_true(client_sees_end(&subscriber));
    client_close(&served);
    client_close(&waiter);
    client_close(&subscriber);
    client_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_clients_leave),
        cmocka_unit_test(test_killed_while_elements_arrive),
        cmocka_unit_test_teardown(test_limit, after_each),
        cmocka_unit_test_teardown(test_thousands_wait, after_each),
        cmocka_unit_test_teardown(test_leaving, after_each),
        cmocka_unit_test(test_slot_moves),
        cmocka_unit_test(test_slot_half_way),
        cmocka_unit_test(test_master_hands_over),
        cmocka_unit_test(test_master_killed),
        cmocka_unit_test(test_master_away_and_back),
        cmocka_unit_test(test_master_hangs),
        cmocka_unit_test(test_entries_while_the_proxy_looks_away),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
