/*
 * WATCH: a transaction that depends on what nobody has touched meanwhile.
 *
 * Two clients' commands in a given order, beside one Redis: the same bytes. Then optimistic locking
 * by many clients while the cluster changes: each adds one by WATCH, GET, MULTI, SET, EXEC, and no
 * acknowledged addition may be lost: the value is what was acknowledged, or up to as much more as
 * was uncertain.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

enum { TAGS = 3, WRITERS = 10, REST_US = 500 };

static char tags[TAGS][16]; /* one of each master */

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1 }, NULL);
    for (int i = 0; i < TAGS; i++)
        cluster_tag(&cluster, i, 0, tags[i]);
    return 0;
}

/* --- the same bytes as from one Redis ------------------------------------------------------ */

/* Each line is said by the client with its first digit, "1 GET a", to the proxy and to one Redis.
 */
static void compare(const char *const *lines, size_t count)
{
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c[2], o[2];
        char hello[16];
        snprintf(hello, sizeof(hello), "HELLO %d", protocol);
        for (int i = 0; i < 2; i++) {
            assert_true(client_open(&c[i], proxy.port));
            assert_true(client_open(&o[i], oracle.port));
            assert_non_null(client_ask(&c[i], "HELLO", hello + 6, NULL));
            assert_non_null(client_ask(&o[i], "HELLO", hello + 6, NULL));
        }
        oracle_compare_words(&c[0], &o[0], "FLUSHALL");
        for (size_t i = 0; i < count; i++) {
            int who = lines[i][0] - '0';
            print_message("  %s\n", lines[i]);
            oracle_compare_words(&c[who], &o[who], lines[i] + 2);
        }
        for (int i = 0; i < 2; i++) {
            client_close(&c[i]);
            client_close(&o[i]);
        }
    }
}

#define COMPARE(...)                                                                               \
    do {                                                                                           \
        static const char *const lines[] = { __VA_ARGS__ };                                        \
        compare(lines, ARRAY_LEN(lines));                                                          \
    } while (0)

static void test_one_key(void **state)
{
    (void)state;
    COMPARE("0 WATCH a", "0 GET a", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a", "1 SET a 2", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 SET a 1", "0 WATCH a", "0 SET a 2", "0 MULTI", "0 SET a 3", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a", "0 MULTI", "1 SET a 2", "0 SET a 1", "0 EXEC", "0 GET a", "0 MULTI",
            "0 SET a 3", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH {a}1 {a}2", "1 SET {a}2 2", "0 MULTI", "0 SET {a}1 1", "0 EXEC", "0 GET {a}1");
    COMPARE("0 WATCH {a}1", "0 WATCH {a}2", "0 WATCH {a}1", "1 DEL {a}2", "0 MULTI", "0 GET {a}1",
            "0 EXEC");
    COMPARE("0 WATCH {a}1", "1 SET {a}2 x", "0 MULTI", "0 SET {a}1 1", "0 GET {a}2", "0 EXEC");
}

static void test_its_end(void **state)
{
    (void)state;
    COMPARE("0 WATCH a", "1 SET a 2", "0 UNWATCH", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a", "1 SET a 2", "0 MULTI", "0 DISCARD", "0 MULTI", "0 SET a 1", "0 EXEC");
    COMPARE("0 WATCH a", "1 SET a 2", "0 EXEC", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a", "1 SET a 2", "0 MULTI", "0 NOSUCH", "0 EXEC", "0 MULTI", "0 GET a",
            "0 EXEC");
    COMPARE("0 WATCH a", "1 SET a 2", "0 EXEC x", "0 MULTI", "0 GET a", "0 EXEC");
    COMPARE("0 WATCH a", "1 SET a 2", "0 RESET", "0 MULTI", "0 SET a 1", "0 EXEC");
    COMPARE("0 WATCH a", "0 MULTI", "0 WATCH b", "0 UNWATCH", "0 GET a", "0 EXEC");
    COMPARE("0 WATCH", "0 WATCH a", "0 MULTI", "0 EXEC", "0 WATCH a", "1 SET a 1", "0 MULTI",
            "0 EXEC", "0 MULTI", "0 EXEC");
}

static void test_several_slots(void **state)
{
    (void)state;
    COMPARE("0 WATCH a b c", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a b c", "1 SET b 2", "0 MULTI", "0 SET a 1", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a", "0 WATCH b", "1 SET a 2", "0 MULTI", "0 SET b 1", "0 EXEC", "0 GET b");
    COMPARE("0 WATCH a", "1 SET a 2", "0 MULTI", "0 SET b 1", "0 SET c 1", "0 EXEC", "0 GET b");
    COMPARE("0 WATCH a b", "0 MULTI", "0 SET b 1", "0 SET c 1", "0 EXEC", "0 MGET a b c");
    COMPARE("0 WATCH a b", "1 DEL a b", "1 SET c 1", "0 MULTI", "0 DBSIZE", "0 CLIENT GETNAME",
            "0 FLUSHALL", "0 EXEC", "0 MGET a b c");
    COMPARE("0 WATCH a b", "1 SET a 1", "0 MULTI", "0 DBSIZE", "0 CLIENT GETNAME", "0 EXEC");
    COMPARE("0 WATCH a", "0 MULTI", "0 PING", "0 SET b 1", "0 CLIENT GETNAME", "0 SET a 1",
            "0 GET b", "0 ECHO x", "0 LPUSH a x", "0 EXEC", "0 MGET a b");
    COMPARE("0 WATCH a", "1 SET a 2", "0 MULTI", "0 SET b 1", "0 SET a 1", "0 EXEC", "0 MGET a b");
    COMPARE("0 WATCH a", "0 MULTI", "0 CLIENT GETNAME", "0 SET a 1", "0 EXEC", "0 WATCH a",
            "0 MULTI", "0 SELECT 0", "0 SELECT 99", "0 EXEC", "0 GET a");
    COMPARE("0 WATCH a b", "0 MULTI", "0 PING", "0 ECHO x", "0 EXEC", "0 WATCH a b", "1 SET b 2",
            "0 MULTI", "0 PING", "0 EXEC");
    COMPARE("0 WATCH a b c d e f g h", "0 MULTI", "0 EXEC", "0 WATCH a b c d e f g h", "1 SET h 1",
            "0 MULTI", "0 EXEC");
}

/* Expiry touches, too; and a script in the transaction that the watching connection never saw. */
static void test_scripts_and_errors(void **state)
{
    (void)state;
    COMPARE("0 SET {a}n 5", "0 EVAL return(redis.call('incr',KEYS[1])) 1 {a}n", "0 WATCH {a}n",
            "0 MULTI", "0 EVALSHA a79a73d4efb6d4d8861290b54f6770d6422c2144 1 {a}n",
            "0 EVAL return(redis.call('incr',KEYS[1])) 1 {a}n", "0 INCR {a}n", "0 LPUSH {a}n x",
            "0 EXEC", "0 GET {a}n");
}

/* All in one write: WATCH is answered before what stands behind it is looked at. */
static void test_in_a_pipeline(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 100; i++) {
        assert_true(client_send_text(&c, "SET p x\r\nWATCH p q\r\nGET p\r\nMULTI\r\nSET p 1\r\n"
                                         "EXEC\r\nGET p\r\nWATCH p\r\nSET p 2\r\nMULTI\r\nGET p\r\n"
                                         "EXEC\r\nGET p\r\n"));
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "$1\r\nx\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+QUEUED\r\n");
        client_expect(&c, "*1\r\n+OK\r\n");
        client_expect(&c, "$1\r\n1\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+OK\r\n");
        client_expect(&c, "+QUEUED\r\n");
        client_expect(&c, "*-1\r\n");
        client_expect(&c, "$1\r\n2\r\n");
    }
    client_close(&c);
}

/* Thousands of slots, over three connections. */
static void test_many_keys(void **state)
{
    enum { KEYS = 3000 }; /* a node takes quadratic time over the keys of one connection */
    static char name[KEYS + 1][12];
    static const char *argv[KEYS + 1];
    static size_t len[KEYS + 1];
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i <= KEYS; i++) {
        len[i] = (size_t)snprintf(name[i], sizeof(name[i]), i == 0 ? "WATCH" : "w%d", i);
        argv[i] = name[i];
    }
    for (int touched = 0; touched < 2; touched++) {
        assert_true(client_send_argv(&c, KEYS + 1, argv, len));
        client_expect(&c, "+OK\r\n");
        if (touched)
            client_ask_expect(&c, "+OK\r\n", "SET", "w2999", "x");
        client_ask_expect(&c, "+OK\r\n", "MULTI");
        client_ask_expect(&c, "+QUEUED\r\n", "STRLEN", "w7");
        client_ask_expect(&c, touched ? "*-1\r\n" : "*1\r\n:0\r\n", "EXEC");
    }
    client_close(&c);
}

struct attempt {
    struct client *c;
    const char *key;
};

static bool watched(void *arg)
{
    struct attempt *t = arg;
    const char *reply = client_ask(t->c, "WATCH", t->key, NULL);
    assert_non_null(reply);
    return strcmp(reply, "+OK\r\n") == 0;
}

/* The proxy may not have heard yet that the client before has left. */
static void watch_when_there_is_room(struct client *c, const char *key)
{
    struct attempt t = { c, key };
    assert_true(wait_until(watched, &t, scaled_ms(10000)));
}

/* The connections come back and are used again; a client that leaves gives its own back. */
static void test_many_that_leave(void **state)
{
    static const char *const few[] = { "--max-leases", "4", NULL };
    char seeds[512];
    struct proxy small;
    struct client c;
    (void)state;
    proxy_start(&small, cluster_seeds(&cluster, seeds), few);
    for (int i = 0; i < 60; i++) {
        assert_true(client_open(&c, small.port));
        watch_when_there_is_room(&c, i % 2 == 0 ? "a" : "b");
        if (i % 3 == 0)
            client_ask_expect(&c, "+OK\r\n", "MULTI");
        if (i % 3 == 1)
            client_ask_expect(&c, "+OK\r\n", "UNWATCH");
        if (i % 5 == 0)
            client_abort(&c);
        client_close(&c);
    }
    struct client all[5];
    for (int i = 0; i < 5; i++)
        assert_true(client_open(&all[i], small.port));
    for (int i = 0; i < 4; i++)
        watch_when_there_is_room(&all[i], "a");
    client_ask_expect(&all[4],
                      "-ERR slotgate: too many connections are lent to clients (max-leases)\r\n",
                      "WATCH", "a");
    /* Nothing is watched, so nothing stands in the way. Of two the second fails, and the first is
       lost, too. */
    client_ask_expect(&all[4], "+OK\r\n", "MULTI");
    client_ask_expect(&all[4], "+QUEUED\r\n", "ECHO", "x");
    client_ask_expect(&all[4], "*1\r\n$1\r\nx\r\n", "EXEC");
    client_ask_expect(&all[1],
                      "-ERR slotgate: too many connections are lent to clients (max-leases)\r\n",
                      "WATCH", "b");
    client_ask_expect(&all[1], "+OK\r\n", "MULTI");
    client_ask_expect(&all[1], "+QUEUED\r\n", "ECHO", "x");
    client_ask_expect(&all[1], "*-1\r\n", "EXEC");
    client_ask_expect(&all[0], "+OK\r\n", "UNWATCH");
    for (int i = 0; i < 5; i++)
        client_close(&all[i]);
    assert_true(proxy_stop(&small));
}

/* --- optimistic locking -------------------------------------------------------------------- */

static struct {
    atomic_bool stop;
    atomic_ullong acknowledged[TAGS], uncertain[TAGS], aborted, errors, wrong;
    pthread_mutex_t lock;
    char first_wrong[300];
} books;

static pthread_t threads[WRITERS];

static void wrong(const char *what, const char *reply)
{
    pthread_mutex_lock(&books.lock);
    if (books.wrong++ == 0)
        snprintf(books.first_wrong, sizeof(books.first_wrong), "%s: %.200s", what,
                 reply != NULL ? reply : "no reply");
    pthread_mutex_unlock(&books.lock);
}

static bool reopen(struct client *c)
{
    client_close(c);
    bool open = client_open(c, proxy.port);
    c->timeout_ms = scaled_ms(20000);
    return open;
}

static void judge(int tag, const char *reply)
{
    if (reply != NULL && strstr(reply, "\r\n+OK\r\n") != NULL)
        books.acknowledged[tag]++;
    else if (reply == NULL || strstr(reply, "may have been executed") != NULL)
        books.uncertain[tag]++;
    else if (strcmp(reply, "*-1\r\n") == 0)
        books.aborted++;
    else if (reply[0] == '-')
        books.errors++;
    else
        wrong("EXEC", reply);
}

/* MULTI, SET and EXEC in one write; wide: with a key of another slot, and what the proxy answers.
 */
static const char *set_if_untouched(struct client *c, const char *key, const char *value, bool wide)
{
    size_t len;
    int replies = wide ? 4 : 2;
    bool sent = client_send_command(c, "MULTI", NULL);
    if (wide)
        sent = sent && client_send_command(c, "GET", "elsewhere", NULL) &&
               client_send_command(c, "CLIENT", "ID", NULL);
    sent = sent && client_send_command(c, "SET", key, value, NULL) &&
           client_send_command(c, "EXEC", NULL);
    for (int i = 0; i < replies && sent; i++)
        sent = client_read(c, &len) != NULL;
    return sent ? client_read(c, &len) : NULL;
}

/* One try to add one; false: the connection broke. */
static bool add_one(struct client *c, int tag, bool wide)
{
    char key[80], value[32];
    long long n = 0;
    snprintf(key, sizeof(key), "{%s}n", tags[tag]);
    const char *reply = client_ask(c, "WATCH", key, NULL);
    if (reply == NULL || reply[0] != '+') {
        books.errors++;
        return reply != NULL;
    }
    reply = client_ask(c, "GET", key, NULL);
    if (reply == NULL)
        return false;
    if (sscanf(reply, "$%*d\r\n%lld", &n) != 1) {
        books.errors++;
        return client_ask(c, "UNWATCH", NULL) != NULL;
    }
    snprintf(value, sizeof(value), "%lld", n + 1);
    reply = set_if_untouched(c, key, value, wide);
    judge(tag, reply);
    return reply != NULL;
}

static void *add_on(void *arg)
{
    struct client c = { .fd = -1 };
    bool open = reopen(&c), wide = (intptr_t)arg % 2 == 1;
    for (int round = (int)(intptr_t)arg; !books.stop && open; round++) {
        if (!add_one(&c, round % TAGS, wide))
            open = reopen(&c);
        rest_us(REST_US);
    }
    client_close(&c);
    return NULL;
}

static void begin(void)
{
    struct client c;
    memset(&books, 0, sizeof(books));
    pthread_mutex_init(&books.lock, NULL);
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < TAGS; i++) {
        char key[80];
        snprintf(key, sizeof(key), "{%.40s}n", tags[i]);
        client_ask_expect(&c, "+OK\r\n", "SET", key, "0");
    }
    client_close(&c);
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, add_on, (void *)(intptr_t)i);
}

static unsigned long long added(void)
{
    unsigned long long sum = 0;
    for (int i = 0; i < TAGS; i++)
        sum += books.acknowledged[i];
    return sum;
}

static bool added_enough(void *arg)
{
    return added() >= *(unsigned long long *)arg || books.wrong > 0;
}

static bool goes_on(unsigned long long more, int timeout_ms)
{
    more += added();
    return wait_until(added_enough, &more, timeout_ms);
}

static void end(bool lossy)
{
    struct client c;
    books.stop = true;
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%llu added, %llu aborted, %llu errors\n", added(), books.aborted, books.errors);
    if (books.wrong > 0)
        fail_msg("%llu wrong, the first: %s", books.wrong, books.first_wrong);
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < TAGS; i++) {
        char key[80];
        snprintf(key, sizeof(key), "{%.40s}n", tags[i]);
        const char *reply = client_ask(&c, "INCRBY", key, "0", NULL);
        assert_non_null(reply);
        unsigned long long value = strtoull(reply + 1, NULL, 10);
        assert_true(lossy || value >= books.acknowledged[i]);
        assert_true(value <= books.acknowledged[i] + books.uncertain[i]);
    }
    client_close(&c);
}

static void test_no_increment_is_lost(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(1000, scaled_ms(30000));
    end(false);
    assert_true(flows);
    assert_true(books.aborted > 0);
    assert_int_equal(books.errors, 0);
}

static void test_slots_move(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(100, scaled_ms(20000));
    for (int round = 0; round < 2 && flows; round++) {
        for (int i = 0; i < TAGS && flows; i++) {
            char key[80];
            snprintf(key, sizeof(key), "{%.40s}n", tags[i]);
            int slot = cluster_slot(key), from = cluster_owner(&cluster, slot);
            int to = (from + 1) % 3;
            cluster_slot_open(&cluster, slot, from, to);
            flows = flows && goes_on(30, scaled_ms(20000));
            cluster_key_move(&cluster, key, from, to);
            flows = flows && goes_on(30, scaled_ms(20000));
            cluster_slot_close(&cluster, slot, to);
            flows = flows && goes_on(30, scaled_ms(20000));
        }
    }
    end(false);
    assert_true(flows);
    assert_int_equal(books.errors, 0);
}

static void test_connections_cut(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(100, scaled_ms(20000));
    for (int cut = 0; cut < 15 && flows; cut++) {
        for (int n = 0; n < cluster.count; n++)
            cluster_do(&cluster, n, "CLIENT KILL TYPE normal");
        flows = goes_on(50, scaled_ms(20000));
    }
    end(false);
    assert_true(flows);
}

static void test_masters_hand_over(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(100, scaled_ms(20000));
    for (int i = 0; i < 3 && flows; i++) {
        char key[80];
        snprintf(key, sizeof(key), "{%.40s}n", tags[i]);
        int replica = cluster_replica_of(&cluster, cluster_owner(&cluster, cluster_slot(key)));
        cluster_failover(&cluster, replica, "");
        flows = goes_on(100, scaled_ms(20000));
    }
    end(false);
    assert_true(flows);
    cluster_await_settled(&cluster, 20000);
}

static void test_master_killed(void **state)
{
    char key[80];
    (void)state;
    begin();
    bool flows = goes_on(100, scaled_ms(20000));
    snprintf(key, sizeof(key), "{%s}n", tags[0]);
    int master = cluster_owner(&cluster, cluster_slot(key));
    int replica = cluster_replica_of(&cluster, master);
    cluster_kill_node(&cluster, master);
    cluster_await_master(&cluster, replica, 20000);
    flows = flows && goes_on(200, scaled_ms(20000));
    end(true);
    assert_true(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_key),           cmocka_unit_test(test_its_end),
        cmocka_unit_test(test_several_slots),     cmocka_unit_test(test_scripts_and_errors),
        cmocka_unit_test(test_in_a_pipeline),     cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_many_that_leave),   cmocka_unit_test(test_no_increment_is_lost),
        cmocka_unit_test(test_slots_move),        cmocka_unit_test(test_connections_cut),
        cmocka_unit_test(test_masters_hand_over), cmocka_unit_test(test_master_killed),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
