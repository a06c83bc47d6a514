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
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/ledger.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct oracle source;
static redisContext *from;
static char seeds[512], source_at[32];
static uint64_t random_state;
static int points;

static unsigned below(unsigned n)
{
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(random_state >> 33) % n;
}

static int number_from(const char *variable, int fallback)
{
    const char *text = getenv(variable);
    return text != NULL && text[0] != '\0' ? atoi(text) : fallback;
}

static int start(void **state)
{
    static const char *const debug[] = { "--enable-debug-command", "yes", NULL };
    static const char *const words[] = { "--repl-diskless-sync-delay", "0", "--repl-backlog-size",
                                         "200mb", NULL };
    (void)state;
    random_state = (uint64_t)number_from("SLOTGATE_SEED", 1);
    points = number_from("SLOTGATE_POINTS", 2);
    oracle_start_with(&source, words);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .extra = debug });
    cluster_seeds(&cluster, seeds);
    from = redis_open(source.port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", source.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    cluster_stop(&cluster);
    oracle_stop(&source);
    return 0;
}

/* --- the scene ----------------------------------------------------------------------------- */

static void begin(unsigned fillers)
{
    redis_do(from, "FLUSHALL");
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "FLUSHALL");
    every_type_fill(from, false);
    redis_do(from, "DEBUG POPULATE %u filler 20", fillers);
}

struct saying {
    const struct migrate *m;
    const char *text;
};

static bool has_said(void *arg)
{
    const struct saying *s = arg;
    char *log = file_text(s->m->process.err);
    bool yes = log != NULL && strstr(log, s->text) != NULL;
    free(log);
    return yes;
}

static void await(const struct migrate *m, const char *text)
{
    struct saying s = { m, text };
    if (wait_until(has_said, &s, scaled_ms(30000)))
        return;
    char *log = file_text(m->process.err);
    fail_msg("it does not say \"%s\": %.5000s", text, log);
}

static bool caught_up(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(from, "WAIT 1 2000");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

static void finish(struct migrate *m)
{
    redis_do(from, "SET the-last-one yes");
    if (!wait_until(caught_up, NULL, scaled_ms(20000))) {
        char *log = file_text(m->process.err);
        fail_msg("it does not catch up: %.5000s", log);
    }
    process_signal(&m->process, SIGTERM);
    migrate_wait(m, 30000);
    testenv_file("last.log", m->err);
    if (m->code != 0)
        fail_msg("exit code %d; see last.log: %s", m->code, m->out);
}

static const char *state_dir(void)
{
    static char path[256];
    static int number;
    snprintf(path, sizeof(path), "%s/state-%d", testenv_dir(), number++);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

/* What the state file says behind a word; -1: there is none. */
static long long state_number(const char *dir, const char *word)
{
    char path[300], line[64];
    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(line, sizeof(line), "\n%s ", word);
    char *text = file_text(path);
    char *at = text != NULL ? strstr(text, line) : NULL;
    long long n = at != NULL ? atoll(at + strlen(line)) : -1;
    free(text);
    return n;
}

struct position {
    const char *dir;
    long long more_than;
};

static bool has_copied(void *arg)
{
    const struct position *p = arg;
    return state_number(p->dir, "live") == 1 || state_number(p->dir, "copied") > p->more_than;
}

/* All keys of both: what differs, and what only one has. Times within the slack and a little. */
static void expect_the_same(void)
{
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "1");
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
    struct position at = { state_dir(), 0 };
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
        rest_us((int)below(200000));
        process_kill(&m.process);
        at.more_than = state_number(at.dir, "copied");
    }
    await(&m, "the stream goes on");
    ledger_end(&load);
    finish(&m);
    if (points <= 2) /* with more of them the copy may be over */
        assert_true(migrate_count(&m, "there before") > 0);
    migrate_free(&m);
    expect_the_same();
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
    struct position at = { state_dir(), 0 };
    (void)state;
    begin(20000);
    give_times();
    start_with(&m, at.dir, SLOW);
    assert_true(wait_until(has_copied, &at, scaled_ms(20000)));
    process_kill(&m.process);
    start_with(&m, at.dir, FAST);
    await(&m, "full copy done");
    for (int i = 0; i < TIMED; i++) {
        change_times(i);
        if (i % (TIMED / 4) == TIMED / 8)
            cluster_do(&cluster, (int)below(3), "CLIENT KILL TYPE NORMAL SKIPME YES");
        if (i != TIMED / 2)
            continue;
        assert_true(wait_until(caught_up, NULL, scaled_ms(20000)));
        process_kill(&m.process);
        start_with(&m, at.dir, FAST);
    }
    assert_true(wait_until(caught_up, NULL, scaled_ms(20000)));
    process_kill(&m.process);
    for (int i = 0; i < points; i++) {
        start_with(&m, at.dir, CALM);
        await(&m, "held times to live are set");
        rest_us((int)below(5000));
        process_kill(&m.process);
    }
    start_with(&m, at.dir, CALM);
    await(&m, "held times to live are set");
    finish(&m);
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
    migrate_free(&m);
    expect_the_same();
}

/* --- told to stop -------------------------------------------------------------------------- */

static void stop_it(struct migrate *m, int code, const char *reason)
{
    process_signal(&m->process, SIGTERM);
    migrate_wait(m, 30000);
    if (m->code != code || (reason != NULL && strstr(m->err, reason) == NULL))
        fail_msg("exit code %d: %.6000s%.2000s", m->code, m->err, m->out);
    migrate_free(m);
}

/* In each phase; the next start goes on. */
static void test_told_to_stop(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 1000 };
    struct position at = { state_dir(), 0 };
    (void)state;
    begin(20000);
    give_times();
    redis_do(from, "CONFIG SET rdb-key-save-delay 50");
    start_with(&m, at.dir, FAST);
    await(&m, "full copy begins");
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
    await(&m, "full copy done");
    rest_us((int)below(100000));
    stop_it(&m, 0, NULL);
    start_with(&m, at.dir, FAST);
    await(&m, "the stream goes on");
    /* A master hangs, so what became of some commands is not known yet. */
    cluster_stop_node(&cluster, 0);
    cluster_do(&cluster, 1, "CLIENT KILL TYPE NORMAL SKIPME YES");
    rest_us(100000);
    process_signal(&m.process, SIGTERM);
    rest_us(100000);
    cluster_continue_node(&cluster, 0);
    migrate_wait(&m, 30000);
    assert_int_equal(m.code, 0);
    migrate_free(&m);
    start_with(&m, at.dir, FAST);
    await(&m, "the stream goes on");
    ledger_end(&load);
    finish(&m);
    assert_int_equal(migrate_count(&m, "keys read"), 0);
    migrate_free(&m);
    expect_the_same();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_in_the_copy),
        cmocka_unit_test(test_times_survive),
        cmocka_unit_test(test_told_to_stop),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
