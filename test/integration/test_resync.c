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
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/ledger.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;
static struct oracle source;
static redisContext *from;
static char seeds[512], source_at[32], proxy_at[32];
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
    /* The smallest backlog that there is: some rounds of the ledger. */
    static const char *const small[] = { "--repl-diskless-sync-delay", "0", "--repl-backlog-size",
                                         "16kb", NULL };
    (void)state;
    random_state = (uint64_t)number_from("SLOTGATE_SEED", 1);
    points = number_from("SLOTGATE_POINTS", 3);
    oracle_start_with(&source, small);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .extra = debug });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), NULL);
    from = redis_open(source.port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", source.port);
    snprintf(proxy_at, sizeof(proxy_at), "127.0.0.1:%d", proxy.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    oracle_stop(&source);
    return 0;
}

/* --- the scene ----------------------------------------------------------------------------- */

enum { VANISHING = 300 };

static void begin(void)
{
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    redis_do(from, "FLUSHALL");
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "FLUSHALL");
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

static int said(const struct migrate *m, const char *text)
{
    char *log = file_text(m->process.err);
    int n = 0;
    for (char *p = log; p != NULL && (p = strstr(p, text)) != NULL; p++)
        n++;
    free(log);
    return n;
}

struct saying {
    const struct migrate *m;
    const char *text;
    int times;
};

static bool has_said(void *arg)
{
    const struct saying *s = arg;
    return said(s->m, s->text) >= s->times;
}

static void await(const struct migrate *m, const char *text, int times)
{
    struct saying s = { m, text, times };
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

/* All keys of both: what differs, and what only one has. */
static void expect_the_same(void)
{
    migrate_expect_good("verify", source_at, "--target-cluster", seeds, "--rounds", "1");
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
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                             "--state-dir", state_dir(), "--allow-full-resync",
                                             "--only-source", NULL });
    await(&m, "full copy done", 1);
    ledger_begin(&load, source.port);
    for (int i = 0; i < points; i++) {
        rest_us((int)below(100000));
        overrun(&m);
        await(&m, "full copy done", i + 2);
    }
    rest_us((int)below(100000));
    ledger_end(&load);
    finish(&m);
    assert_true(migrate_count(&m, "keys removed that vanished") >= VANISHING / 2 + 2);
    migrate_free(&m);
    expect_the_same();
}

/* Stopped for so long that the backlog does not reach back. */
static void test_stopped_for_long(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 500 };
    const char *const words[] = {
        "sync",        source_at,   "--target-cluster",    seeds,
        "--state-dir", state_dir(), "--allow-full-resync", "--only-source",
        NULL
    };
    (void)state;
    begin();
    migrate_start(&m, words);
    await(&m, "full copy done", 1);
    finish(&m);
    migrate_free(&m);
    change_all();
    /* Nothing is deleted that one has not allowed to. */
    migrate_run(&m, "sync", source_at, "--target-cluster", seeds, "--state-dir", words[5], NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "backlog does not reach back"));
    migrate_free(&m);
    ledger_begin(&load, source.port);
    migrate_start(&m, words);
    await(&m, "full copy done", 1);
    rest_us((int)below(100000));
    ledger_end(&load);
    finish(&m);
    assert_int_equal(migrate_count(&m, "keys removed that vanished"), VANISHING / 2 + 2);
    migrate_free(&m);
    expect_the_same();
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
    migrate_start(&m,
                  (const char *const[]){ "sync", source_at, proxy_at, "--owner",
                                         "codis:slots=512-1023", "--exclude-key", "private:*",
                                         "--state-dir", state_dir(), "--allow-full-resync", NULL });
    await(&m, "full copy done", 1);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        redis_do(r, "SET %s here", others[i]);
    redis_do(from, "DEL gone:{mine}");
    redis_do(r, "SET gone:{mine} 1");
    overrun(&m);
    await(&m, "full copy done", 2);
    finish(&m);
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
    migrate_start(&m,
                  (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--db",
                                         "prefix", "--exclude-db", "5", "--state-dir", state_dir(),
                                         "--allow-full-resync", "--only-source", NULL });
    await(&m, "full copy done", 1);
    redis_do(r, "MSET db5:others 1 db3:others 1 db0:others 1");
    redis_do(from, "SELECT 3");
    redis_do(from, "DEL goes");
    redis_do(from, "SELECT 0");
    redis_do(from, "DEL number:1"); /* there is one in database 3 */
    redis_do(r, "MSET db3:goes 1 number:1 1");
    overrun(&m);
    await(&m, "full copy done", 2);
    finish(&m);
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
    migrate_start(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                             "--state-dir", state_dir(), "--allow-full-resync",
                                             "--only-source", NULL });
    await(&m, "full copy begins", 1);
    rest_us(200000 + (int)below(200000));
    assert_int_equal(said(&m, "payload received"), 0);
    redis_do(from, "CLIENT KILL TYPE REPLICA");
    change_all();
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    await(&m, "full copy done", 1);
    assert_int_equal(said(&m, "full copy begins"), 2);
    finish(&m);
    migrate_free(&m);
    expect_the_same();
}

static bool half_there(void *arg)
{
    long long keys = 0;
    (void)arg;
    for (int n = 0; n < cluster.count; n++)
        keys += cluster_number(&cluster, n, "DBSIZE");
    return keys > 1500;
}

/* Killed while the payload comes in; what was copied and then vanished is swept by the next one. */
static void test_killed_in_the_payload(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 2000 };
    const char *const words[] = {
        "sync",        source_at,   "--target-cluster",    seeds,
        "--state-dir", state_dir(), "--allow-full-resync", "--only-source",
        NULL
    };
    (void)state;
    begin();
    make_slow();
    ledger_begin(&load, source.port);
    for (int i = 0; i < points; i++) {
        migrate_start(&m, words);
        await(&m, "full copy begins", 1);
        if (i == 0)
            assert_true(wait_until(half_there, NULL, scaled_ms(20000)));
        else
            rest_us((int)below(600000));
        process_kill(&m.process);
        for (int key = i; key < VANISHING; key += points)
            redis_do(from, "DEL filler:%d vanishes:%d", key, key);
    }
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    migrate_start(&m, words);
    await(&m, "full copy done", 1);
    ledger_end(&load);
    finish(&m);
    assert_true(migrate_count(&m, "keys removed that vanished") > 0);
    migrate_free(&m);
    expect_the_same();
}

struct beginning {
    struct migrate *m;
    const char *const *words;
};

/* Starts it again if it is not let in. One that was killed right behind its claim, before it had
   written that down, is a stranger to the next one for the seconds of its lease. */
static bool is_let_in(void *arg)
{
    const struct beginning *b = arg;
    if (said(b->m, "full copy begins") + said(b->m, "the stream goes on") > 0)
        return true;
    if (!process_ended(&b->m->process))
        return false;
    if (said(b->m, "until some seconds ago") == 0)
        fail_msg("it has ended by itself: %s", b->m->process.err);
    migrate_start(b->m, b->words);
    return false;
}

/* Killed at any time, in the new copies and between them; the source's backlog is gone now and
   then. */
static void test_killed_at_any_time(void **state)
{
    struct migrate m;
    struct ledger load = { .rest_us = 2000 };
    const char *const words[] = {
        "sync",        source_at,   "--target-cluster",    seeds,
        "--state-dir", state_dir(), "--allow-full-resync", "--only-source",
        NULL
    };
    (void)state;
    begin();
    redis_do(from, "DEBUG POPULATE 3000 filler 20");
    ledger_begin(&load, source.port);
    for (int i = 0; i < points * 2; i++) {
        redis_do(from, "CONFIG SET rdb-key-save-delay %u", below(2) * 30);
        migrate_start(&m, words);
        rest_us(50000 + (int)below(300000));
        if (below(2) == 0) {
            overrun(&m);
            redis_do(from, "DEL filler:%d filler:%d", i, 500 + i);
            rest_us((int)below(500000));
        }
        process_kill(&m.process);
    }
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
    migrate_start(&m, words);
    assert_true(wait_until(is_let_in, &(struct beginning){ &m, words }, scaled_ms(20000)));
    rest_us((int)below(300000));
    ledger_end(&load);
    finish(&m);
    migrate_free(&m);
    expect_the_same();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_link_is_cut),           cmocka_unit_test(test_stopped_for_long),
        cmocka_unit_test(test_among_others),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_several_databases),     cmocka_unit_test(test_cut_in_the_payload),
        cmocka_unit_test(test_killed_in_the_payload), cmocka_unit_test(test_killed_at_any_time),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
