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
#include "test/lib/testenv.h"

static struct exact_case exact;

static int start(void **state)
{
    (void)state;
    exact_start(&exact);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    exact_stop(&exact);
    return 0;
}

/* --- tests --------------------------------------------------------------------------------- */

static void begin_with(struct migrate *m, struct ledger *load, const char *request_timeout)
{
    exact_empty(&exact);
    migrate_start(m, (const char *const[]){ "sync", exact.source_at, "--target-cluster",
                                            exact.seeds, "--spool-dir", testenv_dir(),
                                            "--request-timeout", request_timeout, NULL });
    assert_true(wait_until(exact_copied, m, scaled_ms(30000)));
    ledger_begin(load, exact.source.port);
}

static void begin(struct migrate *m, struct ledger *load)
{
    begin_with(m, load, "60s");
}

static void end(struct migrate *m, struct ledger *load)
{
    ledger_end(load);
    exact_finish(&exact, m);
    static int number;
    char name[32];
    snprintf(name, sizeof(name), "sync-%d.log", number++);
    testenv_file(name, m->err); /* kept if what follows fails */
    migrate_free(m);
    exact_expect_same(&exact);
}

static void test_cut_links(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 0 };
    (void)state;
    begin(&m, &load);
    for (int i = 0; i < exact.points * 3; i++) {
        rest_us((int)exact_below(&exact, 60000));
        cluster_do(&exact.cluster, exact_master(&exact, -1), "CLIENT KILL TYPE NORMAL SKIPME YES");
    }
    ledger_end(&load);
    exact_finish(&exact, &m);
    print_message("  sent again %lld times\n", migrate_count(&m, "times sent again"));
    assert_true(migrate_count(&m, "times sent again") > 1);
    migrate_free(&m);
    exact_expect_same(&exact);
}

/* More than a server reads at once. */
static void append_much(void)
{
    enum { KEYS = 150, BYTES = 60000 };
    static char text[BYTES];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(redisAppendCommand(exact.from, "APPEND much:%d %b", i, text, sizeof(text)),
                         REDIS_OK);
    for (int i = 0; i < KEYS; i++) {
        void *reply = NULL;
        assert_int_equal(redisGetReply(exact.from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

/* A transaction is given up before a node has executed it, while everything before it is done. */
static void test_transaction_given_up(void **state)
{
    struct migrate m;
    char key[64];
    (void)state;
    exact_empty(&exact);
    migrate_start(&m, (const char *const[]){ "sync", exact.source_at, "--target-cluster",
                                             exact.seeds, "--spool-dir", testenv_dir(),
                                             "--request-timeout", "300ms", NULL });
    assert_true(wait_until(exact_copied, &m, scaled_ms(30000)));
    cluster_key(&exact.cluster, 1, 0, "n", key);
    int owner = cluster_owner(&exact.cluster, cluster_slot(key));
    cluster_do(&exact.cluster, owner, "CLIENT PAUSE 100000 WRITE");
    redis_do(exact.from, "MULTI");
    redis_do(exact.from, "INCR %s", key);
    redis_do(exact.from, "RPUSH %s:list a b", key);
    redis_do(exact.from, "EXEC");
    assert_true(wait_until(exact_goes_back, &m, scaled_ms(20000)));
    cluster_do(&exact.cluster, owner, "CLIENT UNPAUSE");
    exact_finish(&exact, &m);
    migrate_free(&m);
    exact_expect_same(&exact);
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
    for (int i = 0; i < (exact.points + 1) / 2; i++) {
        rest_us(100000 + (int)exact_below(&exact, 100000));
        int slot = (int)exact_below(&exact, CLUSTER_SLOTS);
        int node = cluster_owner(&exact.cluster, slot);
        struct signs so_far = { &m, troubles(&m), migrate_says(&m, "sending the stream again") };
        cluster_stop_node(&exact.cluster, node);
        append_much();
        assert_true(wait_until(has_noticed, &so_far, scaled_ms(20000)));
        cluster_continue_node(&exact.cluster, node);
        assert_true(wait_until(has_mended, &so_far, scaled_ms(30000)));
    }
    end(&m, &load);
}

/* INCR, then one MSET of more keys in its slot than go along in a transaction. */
static void count_and_set_many(const char *key)
{
    enum { KEYS = 1500 };
    static char names[KEYS][64];
    static const char *words[2 * KEYS + 1] = { "MSET" };
    void *reply = NULL;
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "%.40s:%d", key, i);
        words[2 * i + 1] = names[i];
        words[2 * i + 2] = "x";
    }
    assert_int_equal(redisAppendCommand(exact.from, "INCR %s", key), REDIS_OK);
    assert_int_equal(redisAppendCommandArgv(exact.from, 2 * KEYS + 1, words, NULL), REDIS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(redisGetReply(exact.from, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
}

/* The program is killed when a master that hangs has only the first part of a command in its
   socket, in one transaction with what came before it. */
static void test_killed_between_parts(void **state)
{
    struct migrate m;
    char here[64];
    const char *const words[] = { "sync",      exact.source_at, "--target-cluster",
                                  exact.seeds, "--state-dir",   exact_state_dir(),
                                  NULL };
    (void)state;
    exact_empty(&exact);
    migrate_start(&m, words);
    assert_true(wait_until(exact_copied, &m, scaled_ms(30000)));
    cluster_key(&exact.cluster, 1, 0, "n", here);
    int owner = cluster_owner(&exact.cluster, cluster_slot(here));
    redis_do(exact.from, "SET %s 5", here);
    assert_true(wait_until(exact_caught_up, &exact, scaled_ms(20000)));
    cluster_stop_node(&exact.cluster, owner);
    count_and_set_many(here);
    rest_us(300000); /* the bytes are in the socket then, which nobody tells */
    process_kill(&m.process);
    cluster_continue_node(&exact.cluster, owner);
    migrate_start(&m, words);
    assert_true(wait_until(exact_follows, &m, scaled_ms(30000)));
    exact_finish(&exact, &m);
    migrate_free(&m);
    exact_expect_same(&exact);
}

/* kill -9 at any time; the next one goes on. The first time inside the full copy. */
static void test_killed(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    const char *dir = exact_state_dir();
    const char *const words[] = { "sync",      exact.source_at, "--target-cluster",
                                  exact.seeds, "--state-dir",   dir,
                                  "--big-key", "64kb",          NULL };
    (void)state;
    exact_empty(&exact);
    every_type_fill(exact.from, false);
    every_type_fill_large(exact.from, 1000 * 1000);
    ledger_begin(&load, exact.source.port);
    for (int i = 0; i < exact.points; i++) {
        migrate_start(&m, words);
        assert_true(wait_until(i == 0 ? exact_copies : exact_follows, &m, scaled_ms(30000)));
        rest_us((int)exact_below(&exact, i == 0 ? 60000 : 300000));
        process_kill(&m.process);
    }
    migrate_start(&m, words);
    assert_true(wait_until(exact_follows, &m, scaled_ms(30000)));
    ledger_end(&load);
    exact_finish(&exact, &m);
    migrate_free(&m);
    exact_expect_same(&exact);
}

/* "cluster_current_epoch:N" of each node, and who serves the slot. */
static bool all_agree(void *arg)
{
    long long epoch = -1, port = -1;
    for (int n = 0; n < exact.cluster.count; n++) {
        redisReply *info = cluster_ask(&exact.cluster, n, "CLUSTER INFO");
        redisReply *slots = cluster_ask(&exact.cluster, n, "CLUSTER SLOTS");
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
    for (int i = 0; i < exact.points; i++) {
        char key[64];
        static const char *const names[] = { "ledger:mixed:%u", "ledger:counter:%u",
                                             "ledger:{multi:%u}:a" };
        snprintf(key, sizeof(key), names[i % 3], (unsigned)i / 3 % LEDGER_KEYS);
        int slot = cluster_slot(key), from = cluster_owner(&exact.cluster, slot);
        int to = exact_master(&exact, from);
        cluster_slot_open(&exact.cluster, slot, from, to);
        rest_us((int)exact_below(&exact, 10000));
        if (exact_below(&exact, 3) == 0)
            cluster_do(&exact.cluster, exact_master(&exact, -1),
                       "CLIENT KILL TYPE NORMAL SKIPME YES");
        cluster_slot_move_keys(&exact.cluster, slot, from, to, 1 << 20);
        cluster_slot_close(&exact.cluster, slot, to);
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
    for (int i = 0; i < (exact.points + 1) / 2; i++) {
        exact_take_over(&exact);
        rest_us((int)exact_below(&exact, 200000));
    }
    end(&m, &load);
}

static void test_master_dies(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    (void)state;
    begin(&m, &load);
    rest_us((int)exact_below(&exact, 200000));
    int owner = cluster_owner(&exact.cluster, (int)exact_below(&exact, CLUSTER_SLOTS));
    int replica = cluster_replica_of(&exact.cluster, owner);
    cluster_kill_node(&exact.cluster, owner);
    cluster_await_master(&exact.cluster, replica, 20000);
    ledger_await(&load, 100);
    end(&m, &load);
    cluster_restart_node(&exact.cluster, owner);
    cluster_await_settled(&exact.cluster, 20000);
}

/* Two programs with one source and one target: the second one refuses. */
static void test_only_one(void **state)
{
    struct migrate m, other;
    const char *dir = exact_state_dir();
    (void)state;
    exact_empty(&exact);
    redis_do(exact.from, "SET a 1");
    migrate_start(&m, (const char *const[]){ "sync", exact.source_at, "--target-cluster",
                                             exact.seeds, "--state-dir", dir, NULL });
    assert_true(wait_until(exact_copied, &m, scaled_ms(30000)));
    migrate_run(&other, "sync", exact.source_at, "--target-cluster", exact.seeds, "--spool-dir",
                testenv_dir(), NULL);
    assert_int_equal(other.code, 1);
    assert_non_null(strstr(other.err, "another slotgate-migrate with this source"));
    migrate_free(&other);
    migrate_run(&other, "sync", exact.source_at, "--target-cluster", exact.seeds, "--state-dir",
                dir, NULL);
    assert_int_equal(other.code, 1);
    assert_non_null(strstr(other.err, "another process has it"));
    migrate_free(&other);
    exact_finish(&exact, &m);
    migrate_free(&m);
    exact_empty(&exact); /* then it is another target */
    migrate_run(&other, "sync", exact.source_at, "--target-cluster", exact.seeds, "--state-dir",
                dir, NULL);
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
        cmocka_unit_test(test_master_dies),
        cmocka_unit_test(test_only_one),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);
    return testenv_finish(failed);
}
