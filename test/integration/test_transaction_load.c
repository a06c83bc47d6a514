/*
 * Transactions while the cluster changes: all or nothing, never twice.
 *
 * Writers do MULTI, INCR a, INCR b, EXEC on two keys of one slot; readers read both with MULTI,
 * MGET, EXEC. Whatever happens to slots, nodes and connections:
 *   a == b always, seen by any reader                      (one block, atomic)
 *   acknowledged <= a <= acknowledged + uncertain          (never executed twice)
 * Pushers send pipelines of RPUSH n; MULTI; RPUSH n+1; RPUSH n+2; EXEC; RPUSH n+3 ... of rising
 * numbers on lists of their own: the lists rise (order holds between blocks and the rest).
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

enum {
    TAGS = 6,
    WRITERS = 8,
    READERS = 3,
    PUSHERS = 3,
    GROUPS = 6,
    REST_US = 2000,
    HALF_WAY_MS = 200
};

static char tags[TAGS][16]; /* two in the first share of each master */
static int tag_slot[TAGS];

/* What the writers know, and what anybody has seen that must not be. */
struct books {
    atomic_bool stop;
    atomic_ullong acknowledged[TAGS], uncertain[TAGS], refused, reads, pushed;
    atomic_ullong wrong;
    pthread_mutex_t lock;
    char first_wrong[300];
};

static struct books books;

struct worker {
    pthread_t thread;
    int number;
};

static void wrong(const char *what, const char *reply)
{
    pthread_mutex_lock(&books.lock);
    if (books.wrong++ == 0)
        snprintf(books.first_wrong, sizeof(books.first_wrong), "%s: %.200s", what,
                 reply != NULL ? reply : "no reply");
    pthread_mutex_unlock(&books.lock);
}

static int start(void **state)
{
    (void)state;
    pthread_mutex_init(&books.lock, NULL);
    beside_start_alone(&(struct cluster_options){ .masters = 3, .replicas = 1 }, NULL);
    for (int i = 0; i < TAGS; i++) {
        cluster_tag(&cluster, i % 3, i / 3, tags[i]);
        tag_slot[i] = cluster_slot(tags[i]);
    }
    return 0;
}

/* --- writers and readers ------------------------------------------------------------------- */

static bool send_words(struct client *c, const char *format, const char *tag)
{
    char words[200], request[400];
    size_t len = 0, count = 1;
    snprintf(words, sizeof(words), format, tag, tag, tag);
    for (const char *p = words; *p != '\0'; p++)
        count += *p == ' ';
    len = (size_t)snprintf(request, sizeof(request), "*%zu\r\n", count);
    char *save, *word = strtok_r(words, " ", &save);
    for (; word != NULL; word = strtok_r(NULL, " ", &save))
        len += (size_t)snprintf(request + len, sizeof(request) - len, "$%zu\r\n%s\r\n",
                                strlen(word), word);
    return client_send(c, request, len);
}

static bool reopen(struct client *c)
{
    client_close(c);
    bool open = client_open(c, proxy.port);
    c->timeout_ms = scaled_ms(20000);
    return open;
}

/* Reads replies, the last of which is EXEC's; NULL: the connection broke. */
static const char *read_exec(struct client *c, int before)
{
    size_t len;
    for (int i = 0; i < before; i++)
        if (client_read(c, &len) == NULL)
            return NULL;
    return client_read(c, &len);
}

static void judge_write(int tag, const char *reply)
{
    long long a = 0, b = -1;
    if (reply != NULL && sscanf(reply, "*2\r\n:%lld\r\n:%lld\r\n", &a, &b) == 2 && a == b)
        books.acknowledged[tag]++;
    else if (reply == NULL || strstr(reply, "may have been executed") != NULL)
        books.uncertain[tag]++;
    else if (reply[0] == '-')
        books.refused++;
    else
        wrong("EXEC of a writer", reply);
}

static void *write_on(void *arg)
{
    struct worker *w = arg;
    struct client c = { .fd = -1 };
    bool open = reopen(&c);
    for (int round = w->number; !books.stop && open; round++) {
        int tag = round % TAGS;
        bool sent = send_words(&c, "MULTI", tags[tag]) && send_words(&c, "INCR {%s}a", tags[tag]) &&
                    send_words(&c, "INCR {%s}b", tags[tag]) && send_words(&c, "EXEC", tags[tag]);
        const char *reply = sent ? read_exec(&c, 3) : NULL;
        judge_write(tag, reply);
        if (reply == NULL)
            open = reopen(&c);
        rest_us(REST_US);
    }
    client_close(&c);
    return NULL;
}

static void judge_read(const char *reply)
{
    if (reply == NULL || reply[0] == '-')
        return;
    /* *1 *2 $n a $n b: the two halves have to be the same bytes */
    const char *pair = strstr(reply, "*2\r\n");
    size_t half = pair != NULL ? (strlen(pair) - 4) / 2 : 0;
    if (half == 0 || memcmp(pair + 4, pair + 4 + half, half) != 0)
        wrong("a reader saw", reply);
    books.reads++;
}

static void *read_on(void *arg)
{
    struct worker *w = arg;
    struct client c = { .fd = -1 };
    bool open = reopen(&c);
    for (int round = w->number; !books.stop && open; round++) {
        const char *tag = tags[round % TAGS];
        bool sent = send_words(&c, "MULTI", tag) && send_words(&c, "MGET {%s}a {%s}b", tag) &&
                    send_words(&c, "EXEC", tag);
        const char *reply = sent ? read_exec(&c, 2) : NULL;
        judge_read(reply);
        if (reply == NULL)
            open = reopen(&c);
        rest_us(REST_US);
    }
    client_close(&c);
    return NULL;
}

/* One after the other: a command, a block of two, a command, and so on. */
static bool push_pipeline(struct client *c, const char *tag, int list, unsigned *number)
{
    for (int i = 0; i < GROUPS; i++) {
        char alone[80], inside[80];
        snprintf(alone, sizeof(alone), "RPUSH {%%s}list%d %u", list, ++*number);
        if (!send_words(c, alone, tag) || !send_words(c, "MULTI", tag))
            return false;
        for (int j = 0; j < 2; j++) {
            snprintf(inside, sizeof(inside), "RPUSH {%%s}list%d %u", list, ++*number);
            if (!send_words(c, inside, tag))
                return false;
        }
        if (!send_words(c, "EXEC", tag))
            return false;
    }
    return true;
}

static void *push_on(void *arg)
{
    struct worker *w = arg;
    struct client c = { .fd = -1 };
    unsigned number = 0;
    bool open = reopen(&c);
    for (int round = w->number; !books.stop && open; round++) {
        bool sent = push_pipeline(&c, tags[round % TAGS], w->number, &number);
        if (!sent || read_exec(&c, GROUPS * 5 - 1) == NULL)
            open = reopen(&c);
        else
            books.pushed += GROUPS;
        rest_us(REST_US);
    }
    client_close(&c);
    return NULL;
}

static struct worker workers[WRITERS + READERS + PUSHERS];

/* The numbers in one pusher's list rise. */
static void check_list(struct client *c, const char *tag, int list)
{
    char key[80];
    size_t len;
    long last = 0;
    snprintf(key, sizeof(key), "{%.40s}list%d", tag, list);
    assert_true(client_send_command(c, "LRANGE", key, "0", "-1", NULL));
    const char *reply = client_read(c, &len);
    assert_non_null(reply);
    for (const char *p = strstr(reply, "\r\n$"); p != NULL; p = strstr(p, "\r\n$")) {
        p = strstr(p + 2, "\r\n") + 2;
        long n = strtol(p, NULL, 10);
        if (n <= last)
            fail_msg("%ld stands behind %ld in %s", n, last, key);
        last = n;
    }
}

static void begin(void)
{
    static struct books none;
    pthread_mutex_t lock = books.lock;
    struct client c;
    books = none;
    books.lock = lock;
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < TAGS; i++) {
        char a[80], b[80];
        snprintf(a, sizeof(a), "{%.40s}a", tags[i]);
        snprintf(b, sizeof(b), "{%.40s}b", tags[i]);
        client_ask_expect(&c, "+OK\r\n", "MSET", a, "0", b, "0");
        for (int list = 0; list < WRITERS + READERS + PUSHERS; list++) {
            snprintf(a, sizeof(a), "{%.40s}list%d", tags[i], list);
            assert_non_null(client_ask(&c, "DEL", a, NULL));
        }
    }
    client_close(&c);
    for (int i = 0; i < WRITERS + READERS + PUSHERS; i++) {
        workers[i].number = i;
        pthread_create(&workers[i].thread, NULL,
                       i < WRITERS             ? write_on
                       : i < WRITERS + READERS ? read_on
                                               : push_on,
                       &workers[i]);
    }
}

static unsigned long long written(void)
{
    unsigned long long sum = 0;
    for (int i = 0; i < TAGS; i++)
        sum += books.acknowledged[i];
    return sum;
}

static bool wrote_enough(void *arg)
{
    return written() >= *(unsigned long long *)arg || books.wrong > 0;
}

static bool goes_on(unsigned long long more, int timeout_ms)
{
    more += written();
    return wait_until(wrote_enough, &more, timeout_ms);
}

/* lossy: a master was killed, and what it had not replicated is gone. */
static void end(bool lossy)
{
    struct client c;
    books.stop = true;
    for (int i = 0; i < WRITERS + READERS + PUSHERS; i++)
        pthread_join(workers[i].thread, NULL);
    print_message("%llu written, %llu read, %llu pushed, %llu refused\n", written(), books.reads,
                  books.pushed, books.refused);
    if (books.wrong > 0)
        fail_msg("%llu wrong, the first: %s", books.wrong, books.first_wrong);
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = scaled_ms(20000);
    for (int i = 0; i < TAGS; i++) {
        char a[80], b[80];
        size_t len;
        snprintf(a, sizeof(a), "{%.40s}a", tags[i]);
        snprintf(b, sizeof(b), "{%.40s}b", tags[i]);
        assert_true(client_send_command(&c, "INCRBY", a, "0", NULL));
        assert_true(client_send_command(&c, "INCRBY", b, "0", NULL));
        const char *reply = client_read(&c, &len);
        unsigned long long value_a = strtoull(reply + 1, NULL, 10);
        reply = client_read(&c, &len);
        unsigned long long value_b = strtoull(reply + 1, NULL, 10);
        assert_int_equal(value_a, value_b);
        assert_true(lossy || value_a >= books.acknowledged[i]);
        assert_true(value_a <= books.acknowledged[i] + books.uncertain[i]);
        for (int list = WRITERS + READERS; list < WRITERS + READERS + PUSHERS; list++)
            check_list(&c, tags[i], list);
    }
    assert_true(books.pushed > 0);
    client_close(&c);
}

/* --- what happens meanwhile ---------------------------------------------------------------- */

static void test_calm(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(2000, scaled_ms(20000));
    end(false);
    assert_true(flows);
    assert_int_equal(books.refused, 0);
}

/* Each slot goes to the next master and on, key by key, so that for a while a is here and b there.
 */
static void test_slots_move(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(200, scaled_ms(20000));
    for (int round = 0; round < 2 && flows; round++) {
        for (int i = 0; i < TAGS && flows; i++) {
            char a[80];
            int from = cluster_owner(&cluster, tag_slot[i]), to = (from + 1) % 3;
            snprintf(a, sizeof(a), "{%.40s}a", tags[i]);
            cluster_slot_open(&cluster, tag_slot[i], from, to);
            flows = flows && goes_on(20, scaled_ms(20000));
            cluster_key_move(&cluster, a, from, to);
            (void)goes_on(20, HALF_WAY_MS); /* TRYAGAIN: all may have to wait for the other key */
            while (cluster_slot_move_keys(&cluster, tag_slot[i], from, to, 100) > 0) {
            }
            flows = flows && goes_on(20, scaled_ms(20000));
            cluster_slot_close(&cluster, tag_slot[i], to);
            flows = flows && goes_on(20, scaled_ms(20000));
        }
    }
    end(false);
    assert_true(flows);
    assert_int_equal(books.refused, 0);
}

static void test_connections_cut(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(200, scaled_ms(20000));
    for (int cut = 0; cut < 20 && flows; cut++) {
        for (int n = 0; n < cluster.count; n++)
            cluster_do(&cluster, n, "CLIENT KILL TYPE normal");
        flows = goes_on(100, scaled_ms(20000));
    }
    end(false);
    assert_true(flows);
}

static void test_masters_hand_over(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(200, scaled_ms(20000));
    for (int i = 0; i < 3 && flows; i++) {
        int replica = cluster_replica_of(&cluster, cluster_owner(&cluster, tag_slot[i]));
        cluster_failover(&cluster, replica, "");
        flows = goes_on(200, scaled_ms(20000));
    }
    end(false);
    assert_true(flows);
    cluster_await_settled(&cluster, 20000);
}

static void test_master_killed(void **state)
{
    (void)state;
    begin();
    bool flows = goes_on(200, scaled_ms(20000));
    int master = cluster_owner(&cluster, tag_slot[0]);
    int replica = cluster_replica_of(&cluster, master);
    cluster_kill_node(&cluster, master);
    cluster_await_master(&cluster, replica, 20000);
    flows = flows && goes_on(400, scaled_ms(20000));
    end(true);
    assert_true(flows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm),
        cmocka_unit_test(test_slots_move),
        cmocka_unit_test(test_connections_cut),
        cmocka_unit_test(test_masters_hand_over),
        cmocka_unit_test(test_master_killed),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
