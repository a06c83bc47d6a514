/*
 * Commands about all keys of all shards: SCAN with one cursor, through writes, a failover, a
 * resharding and a change of the proxy; RANDOMKEY, KEYS, DBSIZE.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { KEYS = 3000, STEPS_MAX = 20000 };

static struct redis_cluster cluster;
static struct proxy proxy, second;
static redisContext *c;

static void fill(void)
{
    for (int i = 0; i < KEYS; i++)
        redisAppendCommand(c, i % 10 == 0 ? "LPUSH stays:%d x" : "SET stays:%d x", i);
    for (int i = 0; i < KEYS; i++) {
        redisReply *r;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        freeReplyObject(r);
    }
}

static int start(void **state)
{
    char seeds[512];

    (void)state;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .replicas = 1 });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), NULL);
    proxy_start(&second, cluster_seeds(&cluster, seeds), NULL);
    c = redisConnect("127.0.0.1", proxy.port);
    assert_non_null(c);
    fill();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(c);
    proxy_stop(&second);
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

/* A scan under way: how often each key has come. */
struct scan {
    char cursor[32];
    const char *options;
    unsigned times[KEYS];
    unsigned steps, others; /* replies; keys that are not of ours */
};

static struct scan *scan_begin(const char *options)
{
    struct scan *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    strcpy(s->cursor, "0");
    s->options = options;
    return s;
}

static void check_cursor(const char *cursor)
{
    char again[32];
    unsigned long long n = strtoull(cursor, NULL, 10);
    snprintf(again, sizeof(again), "%llu", n);
    assert_string_equal(cursor, again);
    assert_true(n < 1ull << 53);
}

/* One call. False: that was the last one. */
static bool scan_step(struct scan *s, redisContext *to)
{
    char words[128];
    snprintf(words, sizeof(words), "SCAN %s %s", s->cursor, s->options);
    redisReply *r = redisCommand(to, words);
    assert_non_null(r);
    if (r->type != REDIS_REPLY_ARRAY)
        fail_msg("%s: %s", words, r->str);
    assert_int_equal(r->elements, 2);
    for (size_t i = 0; i < r->element[1]->elements; i++) {
        int n;
        if (sscanf(r->element[1]->element[i]->str, "stays:%d", &n) == 1)
            s->times[n]++;
        else
            s->others++;
    }
    snprintf(s->cursor, sizeof(s->cursor), "%s", r->element[0]->str);
    check_cursor(s->cursor);
    freeReplyObject(r);
    if (++s->steps > STEPS_MAX)
        fail_msg("the scan never ends");
    return strcmp(s->cursor, "0") != 0;
}

/* Every key came, and no more often than that (0: as often as it likes). */
static void scan_end(struct scan *s, unsigned at_most)
{
    for (int i = 0; i < KEYS; i++) {
        if (s->times[i] == 0)
            fail_msg("stays:%d never came", i);
        if (at_most != 0 && s->times[i] > at_most)
            fail_msg("stays:%d came %u times", i, s->times[i]);
    }
    free(s);
}

static void test_every_count(void **state)
{
    static const char *const options[] = {
        "", "COUNT 1", "COUNT 2", "COUNT 7", "COUNT 1000", "COUNT 100000000", "MATCH st*s:*"
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        struct scan *s = scan_begin(options[i]);
        while (scan_step(s, c)) {
        }
        scan_end(s, 1);
    }
}

static void test_match_and_type(void **state)
{
    (void)state;
    struct scan *s = scan_begin("TYPE list COUNT 50");
    while (scan_step(s, c)) {
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(s->times[i], i % 10 == 0);
    free(s);
    s = scan_begin("MATCH stays:1?");
    while (scan_step(s, c)) {
    }
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(s->times[i], i >= 10 && i < 20);
    free(s);
}

/* The two instances take turns: neither knows what the other one did. */
static void test_continued_elsewhere(void **state)
{
    (void)state;
    redisContext *other = redisConnect("127.0.0.1", second.port);
    struct scan *s = scan_begin("COUNT 20");
    while (scan_step(s, s->steps % 2 == 0 ? other : c)) {
    }
    scan_end(s, 1);
    redisFree(other);
}

static void take_replies(int count)
{
    for (int i = 0; i < count; i++) {
        redisReply *r;
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        freeReplyObject(r);
    }
}

/* Keys come and go meanwhile, enough to make the nodes' tables grow eightfold and shrink again. */
static void test_under_writes(void **state)
{
    enum { COME = 20, GO = 100 }; /* at each step */
    (void)state;
    struct scan *s = scan_begin("COUNT 10");
    int n = 0;
    do {
        for (int i = 0; i < COME; i++, n++)
            redisAppendCommand(c, "SET comes:%d x", n);
        take_replies(COME);
    } while (scan_step(s, c));
    scan_end(s, 0);
    print_message("  %d keys have come\n", n);
    assert_true(n > 4 * KEYS);
    s = scan_begin("COUNT 50");
    bool goes_on = true;
    while (goes_on || n > 0) {
        int many = n < GO ? n : GO;
        for (int i = 0; i < many; i++)
            redisAppendCommand(c, "DEL comes:%d", --n);
        take_replies(many);
        goes_on = goes_on && scan_step(s, c);
    }
    scan_end(s, 0);
}

/* Each shard changes its master in the middle of its scan, and is scanned to the end. */
static void test_failover(void **state)
{
    (void)state;
    struct scan *s = scan_begin("COUNT 5");
    unsigned next = 100;
    int shard = 0;
    char key[64];
    while (scan_step(s, c)) {
        if (s->steps < next || shard == 3)
            continue;
        int master =
            cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, shard, 0, "", key)));
        cluster_failover(&cluster, cluster_replica_of(&cluster, master), "");
        cluster_await_settled(&cluster, 20000);
        shard++;
        next = s->steps + 100;
    }
    assert_int_equal(shard, 3);
    scan_end(s, 0);
}

/* A master dies; the scan waits for the one that takes over, and leaves nothing out. */
static void test_master_dies(void **state)
{
    (void)state;
    char key[64];
    int slot = cluster_slot(cluster_key(&cluster, 0, 0, "", key));
    struct scan *s = scan_begin("COUNT 20");
    for (int i = 0; i < 10; i++)
        assert_true(scan_step(s, c));
    int master = cluster_owner(&cluster, slot), replica = cluster_replica_of(&cluster, master);
    cluster_kill_node(&cluster, master);
    cluster_await_master(&cluster, replica, 20000);
    while (scan_step(s, c)) {
    }
    scan_end(s, 0);
    cluster_restart_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
}

/* The last shard gets the very first slot, so that it stands first in the order of shards, when the
   scan has passed that place. */
static void test_resharding(void **state)
{
    (void)state;
    char key[64];
    int first = cluster_owner(&cluster, 0);
    int last = cluster_owner(&cluster, cluster_slot(cluster_key(&cluster, 2, 0, "", key)));
    struct scan *s = scan_begin("COUNT 20");
    for (int i = 0; i < 80; i++)
        assert_true(scan_step(s, c));
    cluster_slot_move(&cluster, 0, last);
    cluster_await_settled(&cluster, 20000);
    while (scan_step(s, c)) {
    }
    scan_end(s, 0);
    s = scan_begin("COUNT 20");
    for (int i = 0; i < 80; i++)
        assert_true(scan_step(s, c));
    cluster_slot_move(&cluster, 0, first);
    cluster_await_settled(&cluster, 20000);
    while (scan_step(s, c)) {
    }
    scan_end(s, 0);
}

/* Any number is taken for a cursor, as Redis does; one that is not ours begins again. */
static void test_foreign_cursors(void **state)
{
    static const char *const cursors[] = { "1", "9007199254740991", "18446744073709551615", "007" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cursors); i++) {
        struct scan *s = scan_begin("COUNT 500");
        strcpy(s->cursor, cursors[i]);
        while (scan_step(s, c)) {
        }
        scan_end(s, 1);
    }
}

static void test_keys_and_dbsize(void **state)
{
    (void)state;
    redisReply *r = redisCommand(c, "DBSIZE");
    assert_int_equal(r->integer, KEYS);
    freeReplyObject(r);
    r = redisCommand(c, "KEYS stays:*");
    assert_int_equal(r->elements, KEYS);
    freeReplyObject(r);
}

/* Nine of ten keys are in one shard: it has to speak nine times of ten, not once in three. */
static void test_randomkey_by_weight(void **state)
{
    enum { ASKED = 2000 };
    char key[64];
    unsigned heavy = 0;
    (void)state;
    freeReplyObject(redisCommand(c, "FLUSHALL"));
    redisReply *r = redisCommand(c, "RANDOMKEY");
    assert_int_equal(r->type, REDIS_REPLY_NIL);
    freeReplyObject(r);
    for (int i = 0; i < 100; i++) {
        int shard = i < 90 ? 1 : 2;
        char name[32];
        snprintf(name, sizeof(name), "%d:%d", shard, i);
        freeReplyObject(redisCommand(c, "SET %s x", cluster_key(&cluster, shard, 0, name, key)));
    }
    for (int i = 0; i < ASKED; i++)
        redisAppendCommand(c, "RANDOMKEY");
    for (int i = 0; i < ASKED; i++) {
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        assert_int_equal(r->type, REDIS_REPLY_STRING);
        heavy += strstr(r->str, "}1:") != NULL;
        freeReplyObject(r);
    }
    assert_in_range(heavy, ASKED * 85 / 100, ASKED * 95 / 100);
}

/* How many keys a scan shows; none may be a temporary one. */
static size_t count_by_scan(const char *options)
{
    char cursor[32] = "0";
    size_t found = 0;
    do {
        redisReply *r = redisCommand(c, "SCAN %s COUNT %s", cursor, options);
        assert_int_equal(r->elements, 2);
        snprintf(cursor, sizeof(cursor), "%s", r->element[0]->str);
        found += r->element[1]->elements;
        for (size_t i = 0; i < r->element[1]->elements; i++)
            assert_null(strstr(r->element[1]->element[i]->str, ":0000007"));
        freeReplyObject(r);
    } while (strcmp(cursor, "0") != 0);
    return found;
}

/* Copies that a proxy makes for commands over several slots are nobody's keys. */
static void test_temporary_keys_are_hidden(void **state)
{
    enum { TEMPORARY = 60, OTHERS = 5 };
    redisReply *r;
    (void)state;
    freeReplyObject(redisCommand(c, "FLUSHALL"));
    for (int i = 0; i < TEMPORARY; i++)
        freeReplyObject(redisCommand(c, "SET {%03d}slotgate:tmp:%032x:0000007 x EX 100", i, i));
    r = redisCommand(c, "RANDOMKEY");
    assert_int_equal(r->type, REDIS_REPLY_NIL);
    freeReplyObject(r);
    assert_int_equal(count_by_scan("10"), 0);
    for (int i = 0; i < OTHERS; i++)
        freeReplyObject(redisCommand(c, "SET {%03d}slotgate:tmp:%d x", i, i));
    assert_int_equal(count_by_scan("1"), OTHERS);
    assert_int_equal(count_by_scan("1000"), OTHERS);
    r = redisCommand(c, "KEYS *");
    assert_int_equal(r->elements, OTHERS);
    freeReplyObject(r);
    for (int i = 0; i < 50; i++) {
        r = redisCommand(c, "RANDOMKEY");
        assert_int_equal(r->type, REDIS_REPLY_STRING);
        assert_null(strstr(r->str, ":0000007"));
        freeReplyObject(r);
    }
    r = redisCommand(c, "DBSIZE"); /* the nodes' own numbers */
    assert_int_equal(r->integer, TEMPORARY + OTHERS);
    freeReplyObject(r);
    freeReplyObject(redisCommand(c, "FLUSHALL"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_count),
        cmocka_unit_test(test_match_and_type),
        cmocka_unit_test(test_continued_elsewhere),
        cmocka_unit_test(test_foreign_cursors),
        cmocka_unit_test(test_keys_and_dbsize),
        cmocka_unit_test(test_under_writes),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_resharding),
        cmocka_unit_test(test_master_dies),
        cmocka_unit_test(test_randomkey_by_weight),
        cmocka_unit_test(test_temporary_keys_are_hidden),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
