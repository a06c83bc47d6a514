/*
 * slotgate-migrate sync --allow-full-resync: the source cannot go on with its stream, or a full
 * copy broke off; a new one follows, and what has vanished at the source is swept from the target.
 * Under write load; in the end every key is the same, and the target has no other one.
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
#include "test/lib/testenv.h"

static int points;

static int start(void **state)
{
    /* The smallest backlog that there is: some rounds of the ledger. */
    static const char *const small[] = { "--repl-backlog-size", "16kb", NULL };
    (void)state;
    points = chance_points(3);
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER | MOVING_PROXY, .source = small });
    return 0;
}

/* --- the scene ----------------------------------------------------------------------------- */

enum { VANISHING = 300 };

static void begin(void)
{
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    moving_empty();
    every_type_fill(from, false);
    for (int i = 0; i < VANISHING; i++)
        redis_do(from, "SET vanishes:%d x", i);
}

/* What the stream would have told, but nobody hears: keys go, change and come; far more of it than
   the backlog holds. */
static void change_all(void)
{
    static int round;
    char large[4096];
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    round++;
    for (int i = 0; i < VANISHING; i += 2)
        redis_do(from, "DEL vanishes:%d", i);
    redis_do(from, "DEL list:small hash:large");
    redis_do(from, "SET set:int16 now-a-string");
    redis_do(from, "INCRBY number:3 1000");
    redis_do(from, "SET new:%d yes", round);
    for (int i = 0; i < 10; i++)
        redis_do(from, "SET large:%d %s", i, large);
}

static void start_sync(struct migrate *m, const char *dir)
{
    migrate_start(m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                            "--state-dir", dir, "--allow-full-resync",
                                            "--only-source", NULL });
}

/* Nobody hears the source's stream for a while. */
static void overrun(struct migrate *m)
{
    process_signal(&m->process, SIGSTOP);
    redis_do(from, "CLIENT KILL TYPE REPLICA");
    change_all();
    process_signal(&m->process, SIGCONT);
}

/* --- the backlog is gone ------------------------------------------------------------------- */

/* While it runs, again and again, with commands under way that have their effect once only. */
static void test_link_is_cut(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    (void)state;
    begin();
    start_sync(&m, migrate_state_dir());
    migrate_await(&m, "full copy done", 1);
    ledger_begin(&load, source.port);
    for (int i = 0; i < points; i++) {
        rest_us((int)chance_below(100000));
        overrun(&m);
        migrate_await(&m, "full copy done", i + 2);
    }
    rest_us((int)chance_below(100000));
    ledger_end(&load);
    moving_finish(&m);
    assert_true(migrate_count(&m, "keys removed that vanished") >= VANISHING / 2 + 2);
    migrate_free(&m);
    moving_verify();
}

/* Stopped for so long that the backlog does not reach back. */
static void test_stopped_for_long(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    const char *dir = migrate_state_dir();
    (void)state;
    begin();
    start_sync(&m, dir);
    migrate_await(&m, "full copy done", 1);
    moving_finish(&m);
    migrate_free(&m);
    change_all();
    /* Nothing is deleted that one has not allowed to. */
    migrate_run(&m, "sync", source_at, "--target-cluster", seeds, "--state-dir", dir, NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "backlog does not reach back"));
    migrate_free(&m);
    ledger_begin(&load, source.port);
    start_sync(&m, dir);
    migrate_await(&m, "full copy done", 1);
    rest_us((int)chance_below(100000));
    ledger_end(&load);
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "keys removed that vanished"), VANISHING / 2 + 2);
    migrate_free(&m);
    moving_verify();
}

/* --- others' keys -------------------------------------------------------------------------- */

/* Of two sources behind Codis this one has half of the slots; through a slotgate. What lies in the
   other half, and what the filters keep away, is not touched. */
static void test_among_others(void **state)
{
    static const char *const others[] = { "number:{other}", "private:{mine}:1", "__mig:x:{mine}" };
    struct migrate m;
    redisContext *r = redis_open(proxy.port);
    (void)state;
    begin();
    /* crc32("other") % 1024 is 288, that of "mine" 915. */
    redis_do(from, "SET number:{mine} 1");
    redis_do(from, "SET gone:{mine} 1");
    migrate_start(&m, (const char *const[]){ "sync", source_at, proxy_at, "--owner",
                                             "codis:slots=512-1023", "--exclude-key", "private:*",
                                             "--state-dir", migrate_state_dir(),
                                             "--allow-full-resync", NULL });
    migrate_await(&m, "full copy done", 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        redis_do(r, "SET %s here", others[i]);
    redis_do(from, "DEL gone:{mine}");
    redis_do(r, "SET gone:{mine} 1");
    overrun(&m);
    migrate_await(&m, "full copy done", 2);
    moving_finish(&m);
    assert_true(migrate_count(&m, "keys removed that vanished") > 0);
    migrate_free(&m);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        redisReply *reply = redis_ask(r, "EXISTS %s", others[i]);
        if (reply->integer != 1)
            fail_msg("%s is gone", others[i]);
        freeReplyObject(reply);
    }
    redis_do(r, "DEL %s %s %s", others[0], others[1], others[2]);
    redisFree(r);
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "1", "--owner",
                        "codis:slots=512-1023");
}

static void expect_there(redisContext *r, const char *key, long long there)
{
    redisReply *reply = redis_ask(r, "EXISTS %s", key);
    if (reply->integer != there)
        fail_msg("%s: %lld", key, reply->integer);
    freeReplyObject(reply);
}

/* Several databases in one target: each key is looked for in its own, and one that does not go over
   is none of ours. */
static void test_several_databases(void **state)
{
    struct migrate m;
    redisContext *r = redis_open(proxy.port);
    (void)state;
    begin();
    redis_do(from, "SELECT 3");
    redis_do(from, "MSET stays 1 goes 1 number:1 1");
    redis_do(from, "SELECT 0");
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--db",
                                             "prefix", "--exclude-db", "5", "--state-dir",
                                             migrate_state_dir(), "--allow-full-resync",
                                             "--only-source", NULL });
    migrate_await(&m, "full copy done", 1);
    redis_do(r, "MSET db5:others 1 db3:others 1 db0:others 1");
    redis_do(from, "SELECT 3");
    redis_do(from, "DEL goes");
    redis_do(from, "SELECT 0");
    redis_do(from, "DEL number:1"); /* there is one in database 3 */
    redis_do(r, "MSET db3:goes 1 number:1 1");
    overrun(&m);
    migrate_await(&m, "full copy done", 2);
    moving_finish(&m);
    migrate_free(&m);
    expect_there(r, "db3:stays", 1);
    expect_there(r, "db3:number:1", 1);
    expect_there(r, "db3:goes", 0);
    expect_there(r, "db3:others", 0);
    expect_there(r, "number:1", 0);
    expect_there(r, "db5:others", 1);
    expect_there(r, "db0:others", 0); /* a name of database 0 */
    redisFree(r);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *words[4];
        const char *said;
    } rows[] = {
        { { "--only-source", "no" }, "say --owner, or --only-source" },
        { { "--owner", "twemproxy:distribution=random,servers=a:1:1|b:2:1,me=a:1" },
          "any key may be" },
        { { "--owner", "codis:slots=0-5", "--owner-policy", "report" }, "--owner-policy drop" },
        { { "--only-source", "--exactly", "off" }, "--exactly markers" },
        { { "--only-source", "--replace", "no" }, "--replace yes" },
    };
    struct migrate m;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *const *w = rows[i].words;
        migrate_run(&m, "sync", source_at, proxy_at, "--allow-full-resync", w[0], w[1], w[2], w[3],
                    NULL);
        assert_int_equal(m.code, 2);
        if (strstr(m.err, rows[i].said) == NULL)
            fail_msg("%s", m.err);
        migrate_free(&m);
    }
}

/* --- a full copy that broke off ------------------------------------------------------------ */

/* The source takes its time to send its keys. */
static void make_slow(void)
{
    redis_do(from, "DEBUG POPULATE 3000 filler 20");
    redis_do(from, "CONFIG SET rdb-key-save-delay 200");
}

/* The connection is cut in the middle of the payload. */
static void test_cut_in_the_payload(void **state)
{
    struct migrate m;
    (void)state;
    begin();
    make_slow();
    start_sync(&m, migrate_state_dir());
    migrate_await(&m, "full copy begins", 1);
    rest_us(200000 + (int)chance_below(200000));
    assert_int_equal(migrate_says(&m, "payload received"), 0);
    redis_do(from, "CLIENT KILL TYPE REPLICA");
    change_all();
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    migrate_await(&m, "full copy done", 1);
    assert_int_equal(migrate_says(&m, "full copy begins"), 2);
    moving_finish(&m);
    migrate_free(&m);
    moving_verify();
}

static bool half_there(void *arg)
{
    (void)arg;
    return moving_cluster_keys() > 1500;
}

/* Killed while the payload comes in; what was copied and then vanished is swept by the next one. */
static void test_killed_in_the_payload(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 2000 };
    const char *dir = migrate_state_dir();
    (void)state;
    begin();
    make_slow();
    ledger_begin(&load, source.port);
    for (int i = 0; i < points; i++) {
        start_sync(&m, dir);
        migrate_await(&m, "full copy begins", 1);
        if (i == 0)
            assert_true(wait_until(half_there, NULL, scaled_ms(20000)));
        else
            rest_us((int)chance_below(600000));
        process_kill(&m.process);
        for (int key = i; key < VANISHING; key += points)
            redis_do(from, "DEL filler:%d vanishes:%d", key, key);
    }
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    start_sync(&m, dir);
    migrate_await(&m, "full copy done", 1);
    ledger_end(&load);
    moving_finish(&m);
    assert_true(migrate_count(&m, "keys removed that vanished") > 0);
    migrate_free(&m);
    moving_verify();
}

static bool has_payload(void *dir)
{
    return migrate_state(dir, "payload") > 0;
}

/* Killed while the target hangs: all of the new copy is in the spool, and nothing of it is at the
   target, however much of the one before was. */
static void test_killed_before_the_copy(void **state)
{
    struct migrate m;
    char dir[300];
    (void)state;
    snprintf(dir, sizeof(dir), "%s", migrate_state_dir());
    begin();
    redis_do(from, "DEBUG POPULATE 20000 filler 20");
    start_sync(&m, dir);
    migrate_await(&m, "full copy done", 1);
    cluster_stop_node(&cluster, 0);
    overrun(&m);
    migrate_await(&m, "full copy begins", 2);
    assert_true(wait_until(has_payload, dir, scaled_ms(20000)));
    process_kill(&m.process);
    cluster_continue_node(&cluster, 0);
    cluster_await_settled(&cluster, 20000);
    start_sync(&m, dir);
    migrate_await(&m, "full copy done", 1);
    moving_finish(&m);
    migrate_free(&m);
    moving_verify();
}

struct beginning {
    struct migrate *m;
    const char *dir;
};

/* Starts it again if it is not let in. One that was killed right behind its claim, before it had
   written that down, is a stranger to the next one for the seconds of its lease. */
static bool is_let_in(void *arg)
{
    const struct beginning *b = arg;
    if (migrate_says(b->m, "full copy begins") + migrate_says(b->m, "the stream goes on") > 0)
        return true;
    if (!process_ended(&b->m->process))
        return false;
    if (migrate_says(b->m, "until some seconds ago") == 0)
        fail_msg("it has ended by itself: %s", b->m->process.err);
    start_sync(b->m, b->dir);
    return false;
}

/* Killed at any time, in the new copies and between them; the source's backlog is gone now and
   then. */
static void test_killed_at_any_time(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 2000 };
    const char *dir = migrate_state_dir();
    (void)state;
    begin();
    redis_do(from, "DEBUG POPULATE 3000 filler 20");
    ledger_begin(&load, source.port);
    for (int i = 0; i < points * 2; i++) {
        redis_do(from, "CONFIG SET rdb-key-save-delay %u", chance_below(2) * 30);
        start_sync(&m, dir);
        rest_us(50000 + (int)chance_below(300000));
        if (chance_below(2) == 0) {
            overrun(&m);
            redis_do(from, "DEL filler:%d filler:%d", i, 500 + i);
            rest_us((int)chance_below(500000));
        }
        process_kill(&m.process);
    }
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    start_sync(&m, dir);
    assert_true(wait_until(is_let_in, &(struct beginning){ &m, dir }, scaled_ms(20000)));
    rest_us((int)chance_below(300000));
    ledger_end(&load);
    moving_finish(&m);
    migrate_free(&m);
    moving_verify();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_is_cut),           cmocka_unit_test(test_stopped_for_long),
        cmocka_unit_test(test_among_others),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_several_databases),     cmocka_unit_test(test_cut_in_the_payload),
        cmocka_unit_test(test_killed_in_the_payload), cmocka_unit_test(test_killed_before_the_copy),
        cmocka_unit_test(test_killed_at_any_time),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
