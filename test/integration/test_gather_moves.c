/*
 * Commands that carry a value or an element to another slot (proxy/gather_move.c and
 * gather_element.c): the same replies as from one Redis, and nothing is lost when the proxy dies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/gather_case.h"
#include "test/lib/testenv.h"

static void test_rename_and_copy(void **state)
{
    static const char *const words[] = {
        "RENAME nokey b",
        "SET a 1",
        "RENAME a b",
        "EXISTS a",
        "GET b",
        "SADD other 1 2",
        "RENAME b other",
        "GET other",
        "OBJECT ENCODING other",
        "EXPIRE other 100",
        "RENAME other c",
        "TTL c",
        "SET d 5",
        "RENAMENX c d",
        "GET d",
        "GET c",
        "RENAMENX c e",
        "GET e",
        "TTL e",
        "EXISTS c",
        "RENAMENX nokey f",
        "RENAMENX nokey d",
        "COPY nokey f",
        "COPY nokey f REPLACE",
        "COPY d f",
        "GET f",
        "COPY d e",
        "GET e",
        "COPY d e REPLACE",
        "GET e",
        "TTL e",
        "COPY d g NONSENSE",
        "COPY d g DB",
        "COPY d g DB x",
        "COPY d g DB 0 REPLACE",
        "COPY d h REPLACE REPLACE",
        "EXISTS d",
        "RPUSH l a b c",
        "PEXPIRE l 100000000",
        "COPY l m",
        "LRANGE m 0 -1",
        "EXPIRETIME nokey",
        "OBJECT ENCODING m",
        "HSET h1 f v g w",
        "RENAME h1 h2",
        "HGETALL h2",
        "OBJECT ENCODING h2",
        "XADD x1 1-1 f v",
        "XGROUP CREATE x1 grp 0",
        "RENAME x1 x2",
        "XINFO STREAM x2",
        "XRANGE x2 - +",
        "SADD ints 1 2 3",
        "COPY ints ints2",
        "OBJECT ENCODING ints2",
        "ZADD z1 1 a 2 b",
        "RENAME z1 z2",
        "ZRANGE z2 0 -1 WITHSCORES",
        "OBJECT ENCODING z2",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

static void test_elements(void **state)
{
    static const char *const words[] = {
        "SMOVE nokey b x",
        "SADD a 1 2 3",
        "SMOVE a b 1",
        "SMEMBERS a",
        "SMEMBERS b",
        "SMOVE a b 9",
        "SADD b 2",
        "SMOVE a b 2",
        "SMEMBERS a",
        "SMOVE a b 3",
        "EXISTS a",
        "SMEMBERS b",
        "SET text v",
        "SMOVE text b 1",
        "SMOVE b text 1",
        "SMOVE b text nomember",
        "SMOVE nokey text 1",
        "LMOVE nokey l2 LEFT RIGHT",
        "RPUSH l1 1 2 3 4 5",
        "LMOVE l1 l2 LEFT RIGHT",
        "LMOVE l1 l2 RIGHT LEFT",
        "LMOVE l1 l2 left left",
        "LRANGE l1 0 -1",
        "LRANGE l2 0 -1",
        "RPOPLPUSH l1 l2",
        "RPOPLPUSH l1 l2",
        "RPOPLPUSH l1 l2",
        "LRANGE l2 0 -1",
        "EXISTS l1",
        "LMOVE l2 l1 UP RIGHT",
        "LMOVE l2 l1 LEFT DOWN",
        "LMOVE l2 text LEFT RIGHT",
        "LMOVE text l2 LEFT RIGHT",
        "LMOVE nokey text LEFT RIGHT",
        "RPOPLPUSH nokey text",
        "LRANGE l2 0 -1",
        "MSETNX m1 1 m2 2 m3 3",
        "MGET m1 m2 m3",
        "MSETNX m4 4 m2 5",
        "MGET m4 m2",
        "MSETNX m4 4 m5",
        "MSETNX m6 1 m6 2 m7 3",
        "MGET m6 m7",
        "MSETNX m9 1 m10 2 m9 3 m7 4",
        "MSETNX m9 1 m10 2 m9 3",
        "MGET m9 m10",
        "MSETNX text 1 m8 2",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

/* To the millisecond, the same moment. */
static void test_time_to_live_moves_along(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "SET ttl:a v PX 1234567\r\n"));
    client_expect(&c, "+OK\r\n");
    long long at = gather_number(&c, "PEXPIRETIME ttl:a");
    assert_true(client_send_text(&c, "RENAME ttl:a ttl:b\r\nCOPY ttl:b ttl:c\r\n"
                                     "RENAMENX ttl:b ttl:d\r\n"));
    client_expect(&c, "+OK\r\n");
    client_expect(&c, ":1\r\n");
    client_expect(&c, ":1\r\n");
    assert_int_equal(gather_number(&c, "PEXPIRETIME ttl:c"), at);
    assert_int_equal(gather_number(&c, "PEXPIRETIME ttl:d"), at);
    /* A script that changes the value leaves the time to live alone. */
    assert_int_equal(gather_number(&c, "EVAL return(redis.call('APPEND',KEYS[2],'w')) 2 x ttl:c"),
                     2);
    assert_int_equal(gather_number(&c, "PEXPIRETIME ttl:c"), at);
    client_close(&c);
}

static void test_binary(void **state)
{
    static const char value[] = "a\0b\r\nc\xff{}";
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (int i = 0; i < 3; i++) {
        const char *const argv[3][5] = { { "RPUSH", value, value },
                                         { "LMOVE", value, "plain", "LEFT", "LEFT" },
                                         { "RENAME", "plain", value } };
        const size_t n = sizeof(value) - 1;
        const size_t len[3][5] = { { 5, n, n }, { 5, n, 5, 4, 4 }, { 6, 5, n } };
        size_t count = i == 1 ? 5 : 3, want_len;
        assert_true(client_send_argv(&o, count, argv[i], len[i]));
        assert_true(client_send_argv(&c, count, argv[i], len[i]));
        const char *want = client_read(&o, &want_len);
        assert_non_null(want);
        client_expect_bytes(&c, want, want_len);
    }
    beside_close(&c, &o);
}

/* --- concurrent clients ----------------------------------------------------------------------- */

enum { RACERS = 4, RACE_ELEMENTS = 400 };

/* Several clients move elements off one list: each arrives exactly once. */
static void test_movers_race(void **state)
{
    struct client c[RACERS];
    char words[64];
    int moved = 0;
    (void)state;
    for (int i = 0; i < RACERS; i++)
        assert_true(client_open(&c[i], proxy.port));
    assert_non_null(client_ask(&c[0], "DEL", "race:from", "race:to", NULL));
    for (int i = 0; i < RACE_ELEMENTS; i++) {
        snprintf(words, sizeof(words), "RPUSH race:from %d", i);
        assert_int_equal(gather_number(&c[0], words), i + 1);
    }
    for (int round = 0; round < RACE_ELEMENTS && moved < RACE_ELEMENTS; round++) {
        for (int i = 0; i < RACERS; i++)
            assert_true(client_send_text(&c[i], "LMOVE race:from race:to LEFT RIGHT\r\n"));
        for (int i = 0; i < RACERS; i++) {
            const char *reply = client_read(&c[i], &(size_t){ 0 });
            assert_non_null(reply);
            moved += reply[0] == '$' && reply[1] != '-';
        }
    }
    assert_int_equal(gather_number(&c[0], "LLEN race:from"), 0);
    assert_int_equal(gather_number(&c[0], "LLEN race:to"), RACE_ELEMENTS);
    for (int i = 0; i < RACE_ELEMENTS; i++) {
        snprintf(words, sizeof(words), "LREM race:to 0 %d", i);
        assert_int_equal(gather_number(&c[0], words), 1);
    }
    for (int i = 0; i < RACERS; i++)
        client_close(&c[i]);
}

/* Clients of MSETNX over the same keys, in different orders: one of them gets them all, or nobody
   does, and no value is written over. */
static void test_msetnx_races(void **state)
{
    enum { ROUNDS = 100 };
    static const char *const orders[RACERS] = { "nx:1 %d nx:2 %d nx:3 %d",
                                                "nx:3 %d nx:2 %d nx:1 %d",
                                                "nx:2 %d nx:3 %d nx:1 %d",
                                                "nx:1 %d nx:3 %d nx:2 %d" };
    struct client c[RACERS];
    int won = 0;
    (void)state;
    for (int i = 0; i < RACERS; i++)
        assert_true(client_open(&c[i], proxy.port));
    for (int round = 0; round < ROUNDS; round++) {
        int winners = 0, winner = -1;
        assert_non_null(client_ask(&c[0], "DEL", "nx:1", "nx:2", "nx:3", NULL));
        for (int i = 0; i < RACERS; i++) {
            char pairs[64], text[96];
            snprintf(pairs, sizeof(pairs), orders[i], i, i, i);
            snprintf(text, sizeof(text), "MSETNX %s\r\n", pairs);
            assert_true(client_send_text(&c[i], text));
        }
        for (int i = 0; i < RACERS; i++) {
            const char *reply = client_read(&c[i], &(size_t){ 0 });
            assert_non_null(reply);
            assert_true(reply[0] == ':');
            winners += reply[1] == '1';
            winner = reply[1] == '1' ? i : winner;
        }
        assert_true(winners <= 1);
        won += winners;
        for (int key = 1; key <= 3 && winners == 0; key++) {
            char text[32];
            snprintf(text, sizeof(text), "EXISTS nx:%d", key);
            assert_int_equal(gather_number(&c[0], text), 0);
        }
        for (int key = 1; key <= 3 && winners == 1; key++) {
            char text[32];
            snprintf(text, sizeof(text), "INCRBY nx:%d 0", key);
            assert_int_equal(gather_number(&c[0], text), winner);
        }
    }
    print_message("  %d of %d rounds had a winner\n", won, ROUNDS);
    for (int i = 0; i < RACERS; i++)
        client_close(&c[i]);
}

/* A key that is written while it is renamed back and forth: no write that was acknowledged is
   lost. */
static void test_rename_under_writes(void **state)
{
    struct client mover, writer;
    long long pushed = 0, found = 0;
    (void)state;
    assert_true(client_open(&mover, proxy.port));
    assert_true(client_open(&writer, proxy.port));
    assert_non_null(client_ask(&writer, "DEL", "hot:a", "hot:b", NULL));
    for (int i = 0; i < 500; i++) {
        char words[64];
        assert_true(client_send_text(&mover, "RENAME hot:a hot:b\r\n"));
        for (int j = 0; j < 3; j++) {
            snprintf(words, sizeof(words), "SADD hot:a %d", i * 3 + j);
            pushed += gather_number(&writer, words) == 1;
        }
        assert_non_null(client_read(&mover, &(size_t){ 0 }));
        assert_true(gather_number(&writer, "SUNIONSTORE hot:all hot:all hot:a hot:b") >= 0);
    }
    found = gather_number(&writer, "SCARD hot:all");
    assert_int_equal(pushed, 1500);
    assert_int_equal(found, 1500);
    client_close(&mover);
    client_close(&writer);
}

/* --- slots move ---------------------------------------------------------------------------- */

struct moving {
    struct client *c;
    char key[2][64];
};

/* In one place, or in both after a RENAME that failed half-way; until the nodes agree on the slot,
   an error is possible, too. */
static bool is_whole(void *arg)
{
    struct moving *m = arg;
    char text[300];
    snprintf(text, sizeof(text), "EXISTS %s %s", m->key[0], m->key[1]);
    if (gather_number(m->c, text) < 1)
        return false;
    snprintf(text, sizeof(text), "EVAL return(#redis.call('SUNION',KEYS[1],KEYS[2])) 2 %s %s",
             m->key[0], m->key[1]);
    return gather_number(m->c, text) == 3;
}

/* A value goes back and forth while its slot changes nodes: every command gets one reply, and
   nothing is lost. */
static void test_while_slots_move(void **state)
{
    enum { ROUNDS = 2, PAIRS = 15 };
    char text[512];
    struct client c;
    struct moving m = { .c = &c };
    (void)state;
    assert_true(client_open(&c, proxy.port));
    cluster_key(&cluster, 0, 7, "moving", m.key[0]);
    cluster_key(&cluster, 1, 7, "moving", m.key[1]);
    snprintf(text, sizeof(text), "SADD %s 1 2 3", m.key[0]);
    assert_int_equal(gather_number(&c, text), 3);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PAIRS; i++) {
            snprintf(text, sizeof(text),
                     "RENAME %s %s\r\nSUNIONSTORE %s:u %s %s\r\nRENAME %s %s\r\n", m.key[0],
                     m.key[1], m.key[0], m.key[0], m.key[1], m.key[1], m.key[0]);
            assert_true(client_send_text(&c, text));
        }
        cluster_slot_move(&cluster, cluster_slot(m.key[0]), 1 + round);
        for (int i = 0; i < PAIRS * 3; i++)
            assert_non_null(client_read(&c, &(size_t){ 0 }));
        cluster_await_settled(&cluster, 20000);
        assert_true(wait_until(is_whole, &m, 20000));
    }
    client_close(&c);
    gather_nothing_left(&cluster);
}

/* --- the proxy dies ------------------------------------------------------------------------ */

/* In how many places the value is. */
static long long places(struct client *c, int n)
{
    char words[128];
    snprintf(words, sizeof(words), "EXISTS die:a:%d die:b:%d", n, n);
    return gather_number(c, words);
}

static void test_killed_at_any_time(void **state)
{
    enum { KEYS = 40, ROUNDS = 30 };
    struct proxy victim;
    struct client c, look;
    char seeds[512], text[256];
    int both = 0;
    (void)state;
    assert_true(client_open(&look, proxy.port));
    for (int i = 0; i < KEYS; i++) {
        snprintf(text, sizeof(text), "SADD die:a:%d member%d", i, i);
        assert_int_equal(gather_number(&look, text), 1);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof(text), "RPUSH die:l1 %d", i);
        assert_int_equal(gather_number(&look, text), i + 1);
    }
    for (int round = 0; round < ROUNDS; round++) {
        proxy_start(&victim, cluster_seeds(&cluster, seeds), NULL);
        assert_true(client_open(&c, victim.port));
        for (int i = 0; i < KEYS; i++) {
            bool there = round % 2 == 0;
            snprintf(text, sizeof(text),
                     "RENAME die:%c:%d die:%c:%d\r\nLMOVE die:l%d die:l%d "
                     "LEFT RIGHT\r\n",
                     there ? 'a' : 'b', i, there ? 'b' : 'a', i, there ? 1 : 2, there ? 2 : 1);
            assert_true(client_send_text(&c, text));
        }
        rest_us(rand() % 15000); /* at any moment of the work */
        process_kill(&victim.process);
        client_close(&c);
        for (int i = 0; i < KEYS; i++) {
            long long n = places(&look, i);
            if (n < 1)
                fail_msg("key %d is lost in round %d", i, round);
            both += n == 2;
        }
        /* Duplicates are allowed, a lost element is not. */
        for (int i = 0; i < 50; i++) {
            int lists = 0;
            for (int l = 1; l <= 2; l++) {
                snprintf(text, sizeof(text), "LPOS die:l%d %d", l, i);
                lists += gather_number(&look, text) >= 0;
            }
            if (lists < 1)
                fail_msg("element %d is lost in round %d", i, round);
        }
    }
    print_message("  %d times a key was in both places after a kill\n", both);
    client_close(&look);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rename_and_copy),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_time_to_live_moves_along),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_movers_race),
        cmocka_unit_test(test_msetnx_races),
        cmocka_unit_test(test_rename_under_writes),
        cmocka_unit_test(test_while_slots_move),
        cmocka_unit_test(test_killed_at_any_time),
    };

    return testenv_finish(cmocka_run_group_tests(tests, gather_begin, beside_end));
}
