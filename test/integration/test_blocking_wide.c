/*
 * Blocking commands whose keys lie in several slots: the same replies as one Redis, in the order of
 * the caller's keys, nothing lost and nothing twice, and soon.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/blocking_case.h"
#include "test/lib/testenv.h"

static struct proxy second;

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1, .partial = true }, NULL);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    return 0;
}

#define COMPARE(...)                                                                               \
    blocking_compare(proxy.port, oracle.port, (const char *const[]){ __VA_ARGS__ },                \
                     ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

static void test_nothing_to_wait_for(void **state)
{
    (void)state;
    COMPARE("= RPUSH b 1 2 3 4 5 6", "= RPUSH c x", "1= BLPOP a b c 0", "1= BRPOP a b c 0",
            "1= BLMPOP 0 3 a b c RIGHT COUNT 2", "1= BLMPOP 1.5 2 c b LEFT",
            "1= BLMOVE b d LEFT RIGHT 0", "1= BRPOPLPUSH b d 0", "= LRANGE d 0 -1",
            "= ZADD z 1 a 2 b 3.5 c 4 d 5 e", "1= BZPOPMIN a2 z 0", "1= BZPOPMAX a2 z 0",
            "1= BZMPOP 0 2 a2 z MIN COUNT 2", "1= BZMPOP 0 2 a2 z MAX", "= XADD s 1-1 f v",
            "= XADD t 2-1 f v", "1= XREAD BLOCK 0 STREAMS s t 0 0",
            "1= XREAD COUNT 1 BLOCK 0 STREAMS s none t 0 $ 0", "= XGROUP CREATE s g 0",
            "= XGROUP CREATE t g 0", "1= XREADGROUP GROUP g me BLOCK 0 STREAMS s t > >",
            "1= XREADGROUP GROUP g me BLOCK 0 STREAMS s t 0 >", "1= PING");
}

static void test_elements_arrive(void **state)
{
    (void)state;
    COMPARE("1< BLPOP a b c 0", "# 1", "= RPUSH b x y", "1>", "= LRANGE b 0 -1", "= DEL b",
            "1< BRPOP a b c 5", "# 1", "= RPUSH c x y", "1>", "= DEL c",
            "1< BLMOVE a b LEFT RIGHT 0", "# 1", "= RPUSH a 1", "1>", "= LRANGE b 0 -1",
            "1< BRPOPLPUSH a b 0", "# 1", "= RPUSH a 2", "1>", "= LRANGE b 0 -1", "= DEL b",
            "1< BLMPOP 0 2 a b LEFT COUNT 5", "# 1", "= RPUSH b 1 2", "1>", "1< BZPOPMIN y z 0",
            "# 1", "= ZADD z 1.5 m", "1>", "1< BZPOPMAX y z 0", "# 1", "= ZADD y 1 m 2 n", "1>",
            "= DEL y", "1< BZMPOP 0 2 y z MIN COUNT 3", "# 1", "= ZADD z 1 m 2.5 n", "1>");
}

static void test_streams(void **state)
{
    (void)state;
    COMPARE("= XADD s 1-1 f v", "1< XREAD BLOCK 0 STREAMS s t $ $", "# 1", "= XADD t 5-1 a b", "1>",
            "1< XREAD COUNT 2 BLOCK 9000 STREAMS s t $ 5-1", "# 1", "= XADD s 6-1 a b", "1>",
            "= XGROUP CREATE s g $", "= XGROUP CREATE t g $",
            "1< XREADGROUP GROUP g c1 COUNT 1 BLOCK 0 STREAMS s t > >", "# 1", "= XADD t 7-1 a b",
            "1>", "= XPENDING t g", "1= XREADGROUP GROUP none c1 BLOCK 0 STREAMS s t > >",
            "1= XREAD BLOCK 30 STREAMS s t $ $",
            "1= XREADGROUP GROUP g c1 BLOCK 30 STREAMS s t > >");
}

static void test_timeouts(void **state)
{
    (void)state;
    COMPARE("1= BLPOP a b 0.05", "1= BRPOP a b c 0.05", "1= BLMOVE a b LEFT LEFT 0.05",
            "1= BRPOPLPUSH a b 0.05", "1= BLMPOP 0.05 2 a b LEFT", "1= BZPOPMIN a b 0.05",
            "1= BZMPOP 0.05 2 a b MIN", "1= BLPOP a b 0.0001", "1= PING");
}

static void test_errors(void **state)
{
    (void)state;
    COMPARE("= SET string v", "= RPUSH list a", "1= BLPOP a string list 0",
            "1= BLPOP list string 0", "= RPUSH list a", "1= BZPOPMIN list z 0",
            "1= BLMOVE string b LEFT LEFT 0", "1= BLMOVE list string LEFT LEFT 0",
            "= LRANGE list 0 -1", "1= BLPOP a b -1", "1= BLPOP a b x",
            "1= BLPOP a b 99999999999999999999", "1= BLMOVE a b LEFT UP 0", "1= BLMPOP 0 2 a b UP",
            "1= BLMPOP 0 2 a b LEFT COUNT 0", "1= BLMPOP 0 2 a b LEFT COUNT",
            "1= BLMPOP x 2 a b LEFT", "1= BZMPOP 0 2 a b LEFT", "1= XREAD BLOCK x STREAMS s t 0 0",
            "1= XREAD BLOCK -1 STREAMS s t 0 0", "1= XREAD BLOCK 0 STREAMS s t bad 0",
            "1= XREAD BLOCK 0 STREAMS string t 0 0", "1< BLPOP x y 0.2", "# 1", "= SET x v", "1>",
            "= DEL list", "1< BLMOVE list string LEFT LEFT 0", "# 1", "= RPUSH list a", "1>",
            "= LRANGE list 0 -1");
}

static void test_order_of_waiters(void **state)
{
    (void)state;
    COMPARE("1< BLPOP a b 0", "# 1", "2< BLPOP b c 0", "# 2", "3< BRPOP c b 0", "# 3",
            "4< BLPOP b d 0", "# 4", "= RPUSH b 1", "1>", "# 3", "= RPUSH b 2", "2>", "# 2",
            "= RPUSH b 3 4", "3>", "4>", "= EXISTS b");
}

static void test_unblock(void **state)
{
    (void)state;
    COMPARE("1< BLPOP a b 0", "# 1", "~ CLIENT UNBLOCK %1", "1>", "1< BLMPOP 0 2 a b LEFT", "# 1",
            "~ CLIENT UNBLOCK %1 ERROR", "1>", "1< XREAD BLOCK 0 STREAMS s t $ $", "# 1",
            "~ CLIENT UNBLOCK %1 TIMEOUT", "1>", "= RPUSH a 1", "= LRANGE a 0 -1");
}

static void test_switched_off(void **state)
{
    static const char *const off[] = { "--enable-cross-slot", "no", NULL };
    static const char error[] = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
    struct client c;
    char seeds[512];

    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds), off);
    assert_true(client_open(&c, second.port));
    client_ask_expect(&c, error, "BLPOP", "a", "b", "0");
    client_ask_expect(&c, error, "BLMOVE", "a", "b", "LEFT", "LEFT", "0");
    client_ask_expect(&c, error, "XREAD", "BLOCK", "0", "STREAMS", "a", "b", "0", "0");
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_close(&c);
}

/* --- nothing lost, nothing twice ----------------------------------------------------------- */

enum { POPPERS = 6, PUSHERS = 3, EACH = 400, ELEMENTS = PUSHERS * EACH };

static atomic_int taken[ELEMENTS];
static atomic_int total;

static const char *const queues[] = { "queue:a", "queue:b", "queue:c", "queue:d" };

static void *pop_all(void *arg)
{
    struct client c;
    bool zset = arg != NULL;

    if (!client_open(&c, proxy.port))
        testenv_problem("no connection");
    while (atomic_load(&total) < ELEMENTS) {
        const char *r = client_ask(&c, zset ? "BZPOPMIN" : "BLPOP", queues[0], queues[1], queues[2],
                                   queues[3], "0.2", NULL);
        if (r == NULL || (r[0] == '-')) {
            testenv_problem("a pop says %s", r == NULL ? "nothing" : r);
            break;
        }
        const char *element = strstr(r, "\r\ne");
        if (element == NULL)
            continue;
        atomic_fetch_add(&taken[strtol(element + 3, NULL, 10)], 1);
        atomic_fetch_add(&total, 1);
    }
    client_close(&c);
    return NULL;
}

struct pusher {
    int from;
    bool zset;
};

static void *push_some(void *arg)
{
    struct pusher *p = arg;
    struct client c;
    char element[16];

    if (!client_open(&c, proxy.port))
        testenv_problem("no connection");
    for (int i = p->from; i < p->from + EACH; i++) {
        snprintf(element, sizeof(element), "e%d", i);
        const char *r = p->zset ? client_ask(&c, "ZADD", queues[i % 4], "1", element, NULL)
                                : client_ask(&c, "RPUSH", queues[i % 4], element, NULL);
        if (r == NULL || r[0] != ':')
            testenv_problem("a push says %s", r == NULL ? "nothing" : r);
        if (i % 16 == 0)
            rest_us(3000); /* so that those who wait wait again */
    }
    client_close(&c);
    return NULL;
}

static void race(bool zset)
{
    pthread_t popper[POPPERS], pusher[PUSHERS];
    struct pusher work[PUSHERS];

    atomic_store(&total, 0);
    for (int i = 0; i < ELEMENTS; i++)
        atomic_store(&taken[i], 0);
    for (int i = 0; i < POPPERS; i++)
        assert_int_equal(pthread_create(&popper[i], NULL, pop_all, zset ? &proxy : NULL), 0);
    for (int i = 0; i < PUSHERS; i++) {
        work[i] = (struct pusher){ i * EACH, zset };
        assert_int_equal(pthread_create(&pusher[i], NULL, push_some, &work[i]), 0);
    }
    for (int i = 0; i < PUSHERS; i++)
        pthread_join(pusher[i], NULL);
    for (int i = 0; i < POPPERS; i++)
        pthread_join(popper[i], NULL);
    for (int i = 0; i < ELEMENTS; i++)
        if (atomic_load(&taken[i]) != 1)
            fail_msg("element %d was taken %d times", i, atomic_load(&taken[i]));
    struct client c;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, ":0\r\n", "EXISTS", queues[0], queues[1], queues[2], queues[3]);
    client_close(&c);
}

static void test_each_element_once(void **state)
{
    (void)state;
    race(false);
    race(true);
}

/* --- moves --------------------------------------------------------------------------------- */

enum { MOVERS = 4, MOVED = 300 };

static atomic_int moving;

static void *move_all(void *arg)
{
    char to[32];
    struct client c;

    snprintf(to, sizeof(to), "moved:%d", *(int *)arg);
    if (!client_open(&c, proxy.port))
        testenv_problem("no connection");
    while (atomic_load(&moving) > 0) {
        const char *r = client_ask(&c, "BLMOVE", "to:move", to, "LEFT", "RIGHT", "0.1", NULL);
        if (r == NULL || r[0] == '-') {
            testenv_problem("a move says %s", r == NULL ? "nothing" : r);
            break;
        }
        if (r[0] == '$')
            atomic_fetch_sub(&moving, 1);
    }
    client_close(&c);
    return NULL;
}

/* Several movers of one list: each element ends in one of their lists, once. */
static void test_each_element_moves_once(void **state)
{
    pthread_t mover[MOVERS];
    int number[MOVERS], seen[MOVED] = { 0 };
    struct client c;

    (void)state;
    atomic_store(&moving, MOVED);
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < MOVERS; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&mover[i], NULL, move_all, &number[i]), 0);
    }
    for (int i = 0; i < MOVED; i++) {
        char element[16];
        snprintf(element, sizeof(element), "e%d", i);
        assert_non_null(client_ask(&c, "RPUSH", "to:move", element, NULL));
    }
    for (int i = 0; i < MOVERS; i++)
        pthread_join(mover[i], NULL);
    client_ask_expect(&c, ":0\r\n", "EXISTS", "to:move");
    for (int i = 0; i < MOVERS; i++) {
        char from[32];
        snprintf(from, sizeof(from), "moved:%d", i);
        const char *r = client_ask(&c, "LRANGE", from, "0", "-1", NULL);
        for (const char *e = r; e != NULL && (e = strstr(e, "\r\ne")) != NULL; e += 3)
            seen[strtol(e + 3, NULL, 10)]++;
    }
    for (int i = 0; i < MOVED; i++)
        if (seen[i] != 1)
            fail_msg("element %d lies in %d lists", i, seen[i]);
    client_close(&c);
}

/* The first of the caller's keys that has something, however many have. */
static void test_priority(void **state)
{
    struct client c, other;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    for (int i = 0; i < 60; i++) {
        for (int q = 3; q >= i % 4; q--)
            client_ask_expect(&other, ":1\r\n", "RPUSH", queues[q], "x");
        for (int q = i % 4; q < 4; q++) {
            const char *r =
                client_ask(&c, "BLPOP", queues[0], queues[1], queues[2], queues[3], "1", NULL);
            assert_non_null(r);
            assert_non_null(strstr(r, queues[q]));
        }
    }
    client_close(&c);
    client_close(&other);
}

/* --- soon ---------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void test_latency(void **state)
{
    enum { ROUNDS = 60 };
    struct client c, other;
    int us[ROUNDS];

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(client_send_command(&c, "BLPOP", "late:a", "late:b", "late:c", "0", NULL));
        blocking_await(proxy.port, 1);
        rest_us(60000 + i * 500); /* long enough that it looks as rarely as it ever does */
        uint64_t began = now_ms();
        client_ask_expect(&other, ":1\r\n", "RPUSH", i % 2 == 0 ? "late:b" : "late:c", "x");
        assert_non_null(client_read(&c, NULL));
        us[i] = (int)(now_ms() - began);
    }
    qsort(us, ROUNDS, sizeof(us[0]), by_size);
    fprintf(stderr, "median %d ms, 90%% %d ms, most %d ms\n", us[ROUNDS / 2], us[ROUNDS * 9 / 10],
            us[ROUNDS - 1]);
    assert_in_range(us[ROUNDS / 2], 0, scaled_ms(49));
    client_close(&c);
    client_close(&other);
}

/* However many wait for the same keys, the keys are asked once. */
static void test_load_is_bounded(void **state)
{
    enum { MANY = 200 };
    static struct client waiter[MANY];
    struct client c;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        assert_true(client_open(&waiter[i], proxy.port));
        assert_true(client_send_command(&waiter[i], "BLPOP", "many:a", "many:b", "0", NULL));
    }
    blocking_await(proxy.port, MANY);
    assert_int_equal(blocking_info(proxy.port, "keys_watched"), 2);
    long before = blocking_info(proxy.port, "requests");
    rest_us(1000000); /* their rate is asked, so it takes a second */
    long asked = blocking_info(proxy.port, "requests") - before;
    fprintf(stderr, "%ld questions in a second\n", asked);
    assert_in_range(asked, 10, 400);
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < MANY; i++)
        assert_non_null(client_ask(&c, "RPUSH", i % 2 == 0 ? "many:a" : "many:b", "x", NULL));
    client_close(&c);
    for (int i = 0; i < MANY; i++) {
        assert_non_null(client_read(&waiter[i], NULL));
        client_close(&waiter[i]);
    }
}

/* --- those who leave ----------------------------------------------------------------------- */

/* A hundred times a client leaves just when an element comes: no element goes with it. */
static void test_clients_leave(void **state)
{
    enum { TIMES = 100 };
    struct client c, other;

    (void)state;
    assert_true(client_open(&other, proxy.port));
    for (int i = 0; i < TIMES; i++) {
        assert_true(client_open(&c, proxy.port));
        assert_true(client_send_command(&c, "BLPOP", "leave:a", "leave:b", "0", NULL));
        blocking_await(proxy.port, 1);
        assert_true(client_send_command(&other, "RPUSH", "leave:b", "x", NULL));
        rest_us(i * 250);        /* up to the time between two looks */
        shutdown(c.fd, SHUT_WR); /* it leaves, and still sees all that was sent to it */
        bool got = client_read(&c, NULL) != NULL;
        client_close(&c);
        client_expect(&other, ":1\r\n");
        blocking_await(proxy.port, 0);
        other.timeout_ms = 5000;
        const char *r = got ? "" : client_ask(&other, "BLPOP", "leave:b", "0.5", NULL);
        if (!got && (r == NULL || r[0] != '*' || r[1] != '2'))
            fail_msg("element %d is lost", i);
    }
    client_close(&other);
}

static bool has_been_put_back(void *arg)
{
    return blocking_info(proxy.port, "blocked_returned") == *(long *)arg;
}

/* The node takes the element, but when it says so the client is gone: everything is put back where
   it was. CLIENT PAUSE holds the pop, and lets the look before it pass. */
static void test_put_back(void **state)
{
    static const char *const ways[][3] = {
        { "BLPOP pb:a pb:b 0", "LRANGE pb:a 0 -1", "RPUSH pb:a 1 2 3" },
        { "BRPOP pb:a pb:b 0", "LRANGE pb:a 0 -1", "RPUSH pb:a 1 2 3" },
        { "BLMPOP 0 2 pb:a pb:b LEFT COUNT 2", "LRANGE pb:a 0 -1", "RPUSH pb:a 1 2 3" },
        { "BLMPOP 0 2 pb:a pb:b RIGHT COUNT 2", "LRANGE pb:a 0 -1", "RPUSH pb:a 1 2 3" },
        { "BZPOPMIN pb:a pb:b 0", "ZRANGE pb:a 0 -1 WITHSCORES", "ZADD pb:a 1 m 2.5 n 3 o" },
        { "BZMPOP 0 2 pb:a pb:b MAX COUNT 2", "ZRANGE pb:a 0 -1 WITHSCORES",
          "ZADD pb:a 1 m 2 n 3 o" },
    };
    struct client c, other;
    char *before = NULL;
    size_t len, before_len;
    int owner = cluster_owner(&cluster, cluster_slot("pb:a"));

    (void)state;
    assert_true(client_open(&other, proxy.port));
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        for (int protocol = 2; protocol <= 3; protocol++) {
            long returned = blocking_info(proxy.port, "blocked_returned") + 1;
            assert_non_null(client_ask(&other, "DEL", "pb:a", NULL));
            char *words = request_of_words(ways[i][2], &len);
            assert_true(client_send(&other, words, len));
            free(words);
            client_expect(&other, ":3\r\n");
            char *look = request_of_words(ways[i][1], &len);
            assert_true(client_send(&other, look, len));
            const char *reply = client_read(&other, &before_len);
            assert_non_null(reply);
            before = malloc(before_len);
            REQUIRE(before != NULL);
            memcpy(before, reply, before_len);
            cluster_do(&cluster, owner, "CLIENT PAUSE 10000 WRITE");
            assert_true(client_open(&c, proxy.port));
            assert_non_null(client_ask(&c, "HELLO", protocol == 3 ? "3" : "2", NULL));
            words = request_of_words(ways[i][0], &len);
            assert_true(client_send(&c, words, len));
            free(words);
            blocking_await(cluster.node[owner].port, 1); /* the pop is held there */
            client_close(&c);
            cluster_do(&cluster, owner, "CLIENT UNPAUSE");
            assert_true(wait_until(has_been_put_back, &returned, scaled_ms(10000)));
            free(look);
            look = request_of_words(ways[i][1], &len);
            assert_true(client_send(&other, look, len));
            client_expect_bytes(&other, before, before_len);
            free(look);
            free(before);
        }
    }
    client_close(&other);
}

/* A master dies while clients wait for keys of all masters. */
static void test_master_killed(void **state)
{
    char a[64], b[64], c[64];
    struct client waiter, pusher;

    (void)state;
    cluster_key(&cluster, 0, 0, "kill", a);
    cluster_key(&cluster, 1, 0, "kill", b);
    cluster_key(&cluster, 2, 0, "kill", c);
    assert_true(client_open(&waiter, proxy.port));
    assert_true(client_open(&pusher, proxy.port));
    waiter.timeout_ms = scaled_ms(20000);
    assert_true(client_send_command(&waiter, "BLPOP", a, b, c, "0", NULL));
    blocking_await(proxy.port, 1);
    int master = cluster_owner(&cluster, cluster_slot(b));
    int replica = cluster_replica_of(&cluster, master);
    cluster_kill_node(&cluster, master);
    cluster_await_master(&cluster, replica, 20000);
    const char *r = "";
    for (int i = 0; i < 5 && r != NULL && r[0] != ':'; i++)
        r = client_ask(&pusher, "RPUSH", b, "x", NULL);
    const char *got = client_read(&waiter, NULL);
    assert_non_null(got);
    assert_non_null(strstr(got, b));
    cluster_restart_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
    client_close(&waiter);
    client_close(&pusher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_wait_for),
        cmocka_unit_test(test_elements_arrive),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_order_of_waiters),
        cmocka_unit_test(test_unblock),
        cmocka_unit_test_teardown(test_switched_off, after_each),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_load_is_bounded),
        cmocka_unit_test(test_each_element_once),
        cmocka_unit_test(test_each_element_moves_once),
        cmocka_unit_test(test_clients_leave),
        cmocka_unit_test(test_put_back),
        cmocka_unit_test(test_master_killed),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
