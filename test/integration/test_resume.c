/*
 * slotgate-migrate sync --state-dir, killed or told to stop at any time from its start to the
 * stream: the next one goes on where that one was, and in the end every key is the same, with the
 * time to live that it has at the source.
 *
 * SLOTGATE_SEED, SLOTGATE_POINTS: other times, more of them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/chance.h"
#include "test/lib/ledger.h"
#include "test/lib/moving.h"
#include "test/lib/sockets.h"
#include "test/lib/testenv.h"

static int points;

static int start(void **state)
{
    static const char *const backlog[] = { "--repl-backlog-size", "200mb", NULL };
    (void)state;
    points = chance_points(2);
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER, .source = backlog });
    return 0;
}

/* --- the scene ----------------------------------------------------------------------------- */

static void begin(unsigned fillers)
{
    moving_empty();
    every_type_fill(from, false);
    redis_do(from, "DEBUG POPULATE %u filler 20", fillers);
}

struct position {
    const char *dir;
    long long more_than;
};

static bool has_copied(void *arg)
{
    const struct position *p = arg;
    return migrate_state(p->dir, "live") == 1 || migrate_state(p->dir, "copied") > p->more_than;
}

enum pace { FAST, SLOW, CALM };

static void start_with(struct migrate *m, const char *dir, enum pace pace)
{
    static const char *const options[][3] = { [FAST] = { NULL },
                                              [SLOW] = { "--rate-limit-commands", "30000" },
                                              [CALM] = { "--ttl-calm", "300ms" } };
    const char *const *o = options[pace];
    migrate_start(m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--state-dir", dir, o[0], o[1], NULL });
}

/* --- killed -------------------------------------------------------------------------------- */

/* While the payload, which has come in whole, is brought to the target. Each goes on behind what
   was answered before, and the one behind them has the rest. */
static void test_killed_in_the_copy(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 2000 };
    struct position at = { migrate_state_dir(), 0 };
    (void)state;
    begin(60000);
    every_type_fill_large(from, 200 * 1000);
    for (int i = 0; i <= points; i++) {
        migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                                 "--state-dir", at.dir, "--big-key", "64kb",
                                                 "--rate-limit-commands",
                                                 i < points ? "30000" : "0", NULL });
        if (i == 0)
            ledger_begin(&load, source.port);
        if (i == points)
            break;
        assert_true(wait_until(has_copied, &at, scaled_ms(20000)));
        rest_us((int)chance_below(200000));
        process_kill(&m.process);
        at.more_than = migrate_state(at.dir, "copied");
    }
    migrate_await(&m, "the stream goes on", 1);
    ledger_end(&load);
    moving_finish(&m);
    if (points <= 2) /* with more of them the copy may be over */
        assert_true(migrate_count(&m, "there before") > 0);
    migrate_free(&m);
    moving_verify();
}

/* The stream behind the payload makes the spool too small for it: then there is nothing to go on
   with, and the next one begins anew. */
static void test_killed_without_the_payload(void **state)
{
    enum { LARGE = 100 * 1000 };
    static char large[LARGE + 1];
    struct migrate m;
    struct position at = { migrate_state_dir(), 0 };
    (void)state;
    begin(60000);
    memset(large, 'x', LARGE);
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                             "--state-dir", at.dir, "--spool-max", "4mb",
                                             "--rate-limit-commands", "6000", NULL });
    assert_true(wait_until(has_copied, &at, scaled_ms(20000)));
    for (int i = 0; i < 50; i++)
        redis_do(from, "SET large:%d %s", i, large);
    migrate_await(&m, "the spool cannot hold the full copy", 1);
    assert_int_equal(migrate_says(&m, "full copy done"), 0);
    process_kill(&m.process);
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "full copy done", 1);
    assert_int_equal(migrate_says(&m, "full copy begins"), 1);
    moving_finish(&m);
    migrate_free(&m);
    moving_verify();
}

/* --- times to live ------------------------------------------------------------------------- */

enum { TIMED = 400 };

static void give_times(void)
{
    for (int i = 0; i < TIMED; i++) {
        redis_do(from, "SET {%d}stays x EX %d", i, 1000 + i);
        redis_do(from, "SET {%d}moves x EX %d", i, 2000 + i);
        redis_do(from, "SET {%d}overwritten x EX %d", i, 3000 + i);
        redis_do(from, "SET {%d}source x EX %d", i, 4000 + i);
    }
}

/* What becomes of keys whose times are held: done again further back, it must come to the same. */
static void change_times(int i)
{
    redis_do(from, "RENAME {%d}moves {%d}moved", i, i);
    redis_do(from, "SET {%d}moves x EX %d", i, 5000 + i);
    redis_do(from, "COPY {%d}source {%d}copy", i, i);
    redis_do(from, "EXPIRE {%d}source %d", i, 6000 + i);
    redis_do(from, "COPY {%d}source {%d}overwritten REPLACE", i, i);
    redis_do(from, "PERSIST {%d}source", i);
    redis_do(from, "RENAME {%d}copy {%d}source", i, i);
    redis_do(from, "SET {%d}copy x EX %d", i, 7000 + i);
    redis_do(from, "EXPIRE {%d}copy 1000000", i);
}

/* Killed in the full copy, then in the stream while the times are still held, then while they are
   set. In the end each key has its own. */
static void test_times_survive(void **state)
{
    struct migrate m;
    struct position at = { migrate_state_dir(), 0 };
    (void)state;
    begin(20000);
    give_times();
    start_with(&m, at.dir, SLOW);
    assert_true(wait_until(has_copied, &at, scaled_ms(20000)));
    process_kill(&m.process);
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "full copy done", 1);
    for (int i = 0; i < TIMED; i++) {
        change_times(i);
        if (i % (TIMED / 4) == TIMED / 8)
            redis_do(nodes[chance_below(3)], "CLIENT KILL TYPE NORMAL SKIPME YES");
        if (i != TIMED / 2)
            continue;
        assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
        process_kill(&m.process);
        start_with(&m, at.dir, FAST);
    }
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
    process_kill(&m.process);
    for (int i = 0; i < points; i++) {
        start_with(&m, at.dir, CALM);
        migrate_await(&m, "held times to live are set", 1);
        rest_us((int)chance_below(5000));
        process_kill(&m.process);
    }
    start_with(&m, at.dir, CALM);
    migrate_await(&m, "held times to live are set", 1);
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
    migrate_free(&m);
    moving_verify();
}

/* --- told to stop -------------------------------------------------------------------------- */

static void stop_it(struct migrate *m, int code, const char *reason)
{
    migrate_stop(m, code);
    if (reason != NULL && strstr(m->err, reason) == NULL)
        fail_msg("%.6000s%.2000s", m->err, m->out);
    migrate_free(m);
}

/* In each phase; the next start goes on. */
static void test_told_to_stop(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 1000 };
    struct position at = { migrate_state_dir(), 0 };
    (void)state;
    begin(60000); /* two seconds of a slow copy */
    give_times();
    redis_do(from, "CONFIG SET rdb-key-save-delay 50");
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "full copy begins", 1);
    stop_it(&m, 1, "before the end of the full copy");
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    redis_do(from, "SET in-the-copy yes");
    start_with(&m, at.dir, SLOW);
    assert_true(wait_until(has_copied, &at, scaled_ms(20000)));
    redisReply *reply = redis_ask(from, "WAIT 1 50"); /* it is not there before all of it is */
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
    stop_it(&m, 1, "the next start goes on with it");
    ledger_begin(&load, source.port);
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "full copy done", 1);
    rest_us((int)chance_below(100000));
    stop_it(&m, 0, NULL);
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "the stream goes on", 1);
    /* A master hangs, so what became of some commands is not known yet. */
    cluster_stop_node(&cluster, 0);
    redis_do(nodes[1], "CLIENT KILL TYPE NORMAL SKIPME YES");
    struct sockets_at there = { .port = cluster.node[0].port };
    assert_true(wait_until(sockets_hold, &there, scaled_ms(20000)));
    process_signal(&m.process, SIGTERM);
    migrate_await(&m, "stopping", 1);
    cluster_continue_node(&cluster, 0);
    migrate_wait(&m, 30000);
    assert_int_equal(m.code, 0);
    migrate_free(&m);
    start_with(&m, at.dir, FAST);
    migrate_await(&m, "the stream goes on", 1);
    ledger_end(&load);
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "keys read"), 0);
    migrate_free(&m);
    moving_verify();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_in_the_copy),
        cmocka_unit_test(test_killed_without_the_payload),
        cmocka_unit_test(test_times_survive),
        cmocka_unit_test(test_told_to_stop),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
