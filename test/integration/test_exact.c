/*
 * slotgate-migrate sync delivers each command of the stream exactly once: connections are cut, the
 * program, proxies and masters are killed, slots move, and in the end every key is the same.
 *
 * SLOTGATE_SEED and SLOTGATE_POINTS: other times, more of them (./dev chaos migrate).
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/exact_case.h"
#include "test/lib/ledger.h"
#include "test/lib/sockets.h"
#include "test/lib/testenv.h"

/* --- tests --------------------------------------------------------------------------------- */

static void begin_with(struct migrate *m, struct ledger *load, const char *request_timeout)
{
    exact_empty();
    moving_begin(m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                           "--spool-dir", testenv_dir(), "--request-timeout",
                                           request_timeout, NULL });
    ledger_begin(load, source.port);
}

static void begin(struct migrate *m, struct ledger *load)
{
    begin_with(m, load, "60s");
}

static void end(struct migrate *m, struct ledger *load)
{
    ledger_end(load);
    exact_finish(m);
}

static void test_cut_links(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 0 };
    (void)state;
    begin(&m, &load);
    for (int i = 0; i < exact_points() * 3; i++) {
        rest_us((int)chance_below(60000));
        cluster_do(&cluster, exact_master(-1), "CLIENT KILL TYPE NORMAL SKIPME YES");
    }
    ledger_end(&load);
    moving_finish(&m);
    print_message("  sent again %lld times\n", migrate_count(&m, "times sent again"));
    assert_true(migrate_count(&m, "times sent again") > 1);
    migrate_free(&m);
    exact_expect_same();
}

/* A transaction is given up before a node has executed it, while everything before it is done. */
static void test_transaction_given_up(void **state)
{
    struct migrate m;
    char key[64];
    (void)state;
    exact_empty();
    moving_begin(&m,
                 (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                        testenv_dir(), "--request-timeout", "300ms", NULL });
    cluster_key(&cluster, 1, 0, "n", key);
    int owner = cluster_owner(&cluster, cluster_slot(key));
    cluster_do(&cluster, owner, "CLIENT PAUSE 100000 WRITE");
    redis_do(from, "MULTI");
    redis_do(from, "INCR %s", key);
    redis_do(from, "RPUSH %s:list a b", key);
    redis_do(from, "EXEC");
    assert_true(wait_until(exact_goes_back, &m, scaled_ms(20000)));
    cluster_do(&cluster, owner, "CLIENT UNPAUSE");
    exact_finish(&m);
}

struct signs {
    const struct migrate *m;
    int troubles, mended; /* said so far */
};

/* All ways in which the program may notice that a node says nothing. */
static int troubles(const struct migrate *m)
{
    return migrate_says(m, "reason=timeout") + migrate_says(m, "cannot be told") +
           migrate_says(m, "trying again");
}

static bool has_noticed(void *arg)
{
    const struct signs *s = arg;
    return troubles(s->m) > s->troubles;
}

static bool has_mended(void *arg)
{
    const struct signs *s = arg;
    return migrate_says(s->m, "sending the stream again") > s->mended;
}

/* A master hangs, and the program gives its connection up. What that has brought still lies in the
   master's buffers and must not be executed when the master goes on. */
static void test_hanging_master(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 0 };
    (void)state;
    begin_with(&m, &load, scaled_ms(300) > 300 ? "900ms" : "300ms");
    for (int i = 0; i < (exact_points() + 1) / 2; i++) {
        rest_us(100000 + (int)chance_below(100000));
        int slot = (int)chance_below(CLUSTER_SLOTS);
        int node = cluster_owner(&cluster, slot);
        struct signs so_far = { &m, troubles(&m), migrate_says(&m, "sending the stream again") };
        cluster_stop_node(&cluster, node);
        exact_append_much(0);
        assert_true(wait_until(has_noticed, &so_far, scaled_ms(20000)));
        cluster_continue_node(&cluster, node);
        assert_true(wait_until(has_mended, &so_far, scaled_ms(30000)));
    }
    end(&m, &load);
}

/* In the slot of the key above, with 512 keys to a transaction; one is at least so long. */
enum { MANY = 1500, PART_BYTES = 512 * 30, WHOLE_BYTES = MANY * 30 };

/* INCR, then one MSET of more keys in its slot than go along in a transaction. */
static void count_and_set_many(const char *key)
{
    static char names[MANY][64];
    static const char *words[2 * MANY + 1] = { "MSET" };
    void *reply = NULL;
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "%.40s:%d", key, i);
        words[2 * i + 1] = names[i];
        words[2 * i + 2] = "x";
    }
    assert_int_equal(redisAppendCommand(from, "INCR %s", key), REDIS_OK);
    assert_int_equal(redisAppendCommandArgv(from, 2 * MANY + 1, words, NULL), REDIS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

/* The program is killed when a master that hangs has only the first part of a command in its
   socket, in one transaction with what came before it. */
static void test_killed_between_parts(void **state)
{
    struct migrate m;
    char here[64];
    const char *const words[] = { "sync", source_at,     "--target-cluster",
                                  seeds,  "--state-dir", migrate_state_dir(),
                                  NULL };
    (void)state;
    exact_empty();
    moving_begin(&m, words);
    cluster_key(&cluster, 1, 0, "n", here);
    int owner = cluster_owner(&cluster, cluster_slot(here));
    redis_do(from, "SET %s 5", here);
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
    cluster_stop_node(&cluster, owner);
    process_signal(&m.process, SIGSTOP); /* so that both come in one turn, and go in one batch */
    count_and_set_many(here);
    redis_do(from, "PING"); /* by then the source has written them */
    process_signal(&m.process, SIGCONT);
    struct sockets_at there = { .port = cluster.node[owner].port, .more_than = PART_BYTES };
    assert_true(wait_until(sockets_are_still, &there, scaled_ms(20000)));
    assert_true(there.last < WHOLE_BYTES);
    process_kill(&m.process);
    cluster_continue_node(&cluster, owner);
    migrate_start(&m, words);
    migrate_await_stream(&m);
    exact_finish(&m);
}

/* kill -9 at any time; the next one goes on. The first time inside the full copy. */
static void test_killed(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    const char *dir = migrate_state_dir();
    const char *const words[] = { "sync",      source_at,     "--target-cluster",
                                  seeds,       "--state-dir", dir,
                                  "--big-key", "64kb",        NULL };
    (void)state;
    exact_empty();
    every_type_fill(from, false);
    every_type_fill_large(from, 1000 * 1000);
    ledger_begin(&load, source.port);
    for (int i = 0; i < exact_points(); i++) {
        migrate_start(&m, words);
        if (i == 0)
            migrate_await(&m, "full copy begins", 1);
        else
            migrate_await_stream(&m);
        rest_us((int)chance_below(i == 0 ? 60000 : 300000));
        process_kill(&m.process);
    }
    migrate_start(&m, words);
    migrate_await_stream(&m);
    ledger_end(&load);
    exact_finish(&m);
}

/* "cluster_current_epoch:N" of each node, and who serves the slot. */
static bool all_agree(void *arg)
{
    long long epoch = -1, port = -1;
    for (int n = 0; n < cluster.count; n++) {
        redisReply *info = cluster_ask(&cluster, n, "CLUSTER INFO");
        redisReply *slots = cluster_ask(&cluster, n, "CLUSTER SLOTS");
        long long own = atoll(strstr(info->str, "cluster_current_epoch:") + 22), at = -1;
        for (size_t i = 0; i < slots->elements; i++) {
            redisReply **range = slots->element[i]->element;
            if (*(int *)arg >= range[0]->integer && *(int *)arg <= range[1]->integer)
                at = range[2]->element[1]->integer;
        }
        freeReplyObject(info);
        freeReplyObject(slots);
        if (n > 0 && (own != epoch || at != port))
            return false;
        epoch = own;
        port = at;
    }
    return true;
}

/* Slots with keys of the ledger move to and fro, and connections are cut meanwhile. */
static void test_slots_move(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    (void)state;
    begin(&m, &load);
    for (int i = 0; i < exact_points(); i++) {
        char key[64];
        static const char *const names[] = { "ledger:mixed:%u", "ledger:counter:%u",
                                             "ledger:{multi:%u}:a" };
        snprintf(key, sizeof(key), names[i % 3], (unsigned)i / 3 % LEDGER_KEYS);
        int slot = cluster_slot(key), giver = cluster_owner(&cluster, slot);
        int taker = exact_master(giver);
        cluster_slot_open(&cluster, slot, giver, taker);
        rest_us((int)chance_below(10000));
        if (chance_below(3) == 0)
            cluster_do(&cluster, exact_master(-1), "CLIENT KILL TYPE NORMAL SKIPME YES");
        cluster_slot_move_keys(&cluster, slot, giver, taker, 1 << 20);
        cluster_slot_close(&cluster, slot, taker);
        /* Else two nodes may raise the same epoch, and never agree. */
        assert_true(wait_until(all_agree, &slot, 20000));
    }
    end(&m, &load);
}

static void test_takeovers(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 0 };
    (void)state;
    begin(&m, &load);
    for (int i = 0; i < (exact_points() + 1) / 2; i++) {
        exact_take_over();
        rest_us((int)chance_below(200000));
    }
    end(&m, &load);
}

enum { TIMED = 30, TIMED_S = 1000 };

static int owner_of_timed(int i)
{
    char key[16];
    snprintf(key, sizeof(key), "timed:%d", i);
    return cluster_owner(&cluster, cluster_slot(key));
}

static bool times_are_set(void *unused)
{
    bool all = true;
    (void)unused;
    for (int i = 0; i < TIMED && all; i++) {
        redisReply *reply = cluster_ask(&cluster, owner_of_timed(i), "TTL timed:%d", i);
        assert_non_null(reply);
        all = reply->integer > 0 && reply->integer <= 2 * TIMED_S;
        freeReplyObject(reply);
    }
    return all;
}

/* Times that were held back have been set, and a replica takes over that has not heard of it. */
static void test_times_are_lost(void **state)
{
    struct migrate m;
    int master = exact_master(-1), replica = cluster_replica_of(&cluster, master);
    (void)state;
    exact_empty();
    for (int i = 0; i < TIMED; i++)
        redis_do(from, "SET timed:%d x EX %d", i, TIMED_S);
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--spool-dir", testenv_dir(), "--ttl-calm", "300ms",
                                            "--ttl-exact", NULL });
    assert_true(wait_until(times_are_set, NULL, scaled_ms(20000)));
    for (int i = 0; i < TIMED; i++)
        if (owner_of_timed(i) == master)
            cluster_do(&cluster, master, "EXPIRE timed:%d 80000", i);
    cluster_do(&cluster, replica, "CLUSTER FAILOVER");
    migrate_await(&m, "sending the stream again", 1);
    assert_true(wait_until(times_are_set, NULL, scaled_ms(20000)));
    exact_finish(&m);
}

static void test_master_dies(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    (void)state;
    begin(&m, &load);
    rest_us((int)chance_below(200000));
    int owner = cluster_owner(&cluster, (int)chance_below(CLUSTER_SLOTS));
    int replica = cluster_replica_of(&cluster, owner);
    cluster_kill_node(&cluster, owner);
    cluster_await_master(&cluster, replica, 20000);
    ledger_await(&load, 100);
    end(&m, &load);
    cluster_restart_node(&cluster, owner);
    cluster_await_settled(&cluster, 20000);
}

/* Two programs with one source and one target: the second one refuses. */
static void test_only_one(void **state)
{
    struct migrate m, other;
    const char *dir = migrate_state_dir();
    (void)state;
    exact_empty();
    redis_do(from, "SET a 1");
    moving_begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--state-dir", dir, NULL });
    migrate_run(&other, "sync", source_at, "--target-cluster", seeds, "--spool-dir", testenv_dir(),
                NULL);
    assert_int_equal(other.code, 1);
    assert_non_null(strstr(other.err, "another slotgate-migrate with this source"));
    migrate_free(&other);
    migrate_run(&other, "sync", source_at, "--target-cluster", seeds, "--state-dir", dir, NULL);
    assert_int_equal(other.code, 1);
    assert_non_null(strstr(other.err, "another process has it"));
    migrate_free(&other);
    moving_finish(&m);
    migrate_free(&m);
    exact_empty(); /* then it is another target */
    migrate_run(&other, "sync", source_at, "--target-cluster", seeds, "--state-dir", dir, NULL);
    assert_int_equal(other.code, 1);
    assert_non_null(strstr(other.err, "or has been emptied"));
    migrate_free(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transaction_given_up),
        cmocka_unit_test(test_cut_links),
        cmocka_unit_test(test_hanging_master),
        cmocka_unit_test(test_killed_between_parts),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_slots_move),
        cmocka_unit_test(test_takeovers),
        cmocka_unit_test(test_times_are_lost),
        cmocka_unit_test(test_master_dies),
        cmocka_unit_test(test_only_one),
    };
    int failed = cmocka_run_group_tests(tests, exact_start, moving_end);
    return testenv_finish(failed);
}
