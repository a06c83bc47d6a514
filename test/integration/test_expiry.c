/*
 * slotgate-migrate sync and times to live: keys that are renewed while the copy is under way do not
 * die at the target, and in the end each has the time that it has at the source.
 *
 * SLOTGATE_TIMES=10: the renewals are those of the known case, 12 s to live and renewed every 3 s.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { SETS = 10, TTL_MS = 1200, RENEW_US = 300 * 1000, KEYS = 12000, TIMEOUT = 20000 };

static int times = 1; /* as long as that */

static int start(void **state)
{
    const char *longer = getenv("SLOTGATE_TIMES");
    (void)state;
    times = longer != NULL ? atoi(longer) : times;
    moving_start(
        &(struct moving){ .parts = MOVING_PLAIN,
                          .source = (const char *const[]){ "--repl-diskless-sync", "no", NULL } });
    return 0;
}

/* So many keys that the copy, at the rate below, takes some seconds. */
static void fill(unsigned keys)
{
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    redis_do(from, "DEBUG POPULATE %u filler 20", keys);
}

static bool settled(void *arg)
{
    return migrate_says(arg, "held times to live are set") > 0;
}

static bool attached(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(to, "DBSIZE");
    bool yes = reply->integer > 0;
    freeReplyObject(reply);
    return yes;
}

/* --- renewed all the time ------------------------------------------------------------------ */

struct renewal {
    pthread_t thread;
    atomic_bool stop;
};

static void renew(redisContext *r, int i)
{
    static const char *const commands[] = { "SET str:%d v PX %d", "INCR ctr:%d",
                                            "PEXPIRE ctr:%d %d", "RPUSH list:%d x",
                                            "PEXPIRE list:%d %d" };
    for (size_t c = 0; c < ARRAY_LEN(commands); c++)
        freeReplyObject(redis_ask(r, commands[c], i, times * TTL_MS));
}

static void *renew_all_the_time(void *arg)
{
    struct renewal *n = arg;
    redisContext *r = redisConnect("127.0.0.1", source.port);
    while (!atomic_load(&n->stop)) {
        for (int i = 0; i < SETS; i++)
            renew(r, i);
        rest_us(times * RENEW_US);
    }
    redisFree(r);
    return NULL;
}

static void expect_same(const char *question, int i)
{
    redisReply *want = redis_ask(from, question, i), *got = redis_ask(to, question, i);
    bool same = want->type == got->type && want->integer == got->integer &&
                (want->str == NULL || strcmp(want->str, got->str) == 0);
    if (!same)
        fail_msg("%s (%d): %lld %s, at the source %lld %s", question, i, got->integer,
                 got->str != NULL ? got->str : "", want->integer,
                 want->str != NULL ? want->str : "");
    freeReplyObject(want);
    freeReplyObject(got);
}

static bool all_gone(void *arg)
{
    redisReply *reply = redis_ask(arg, "EXISTS str:0 ctr:0 list:0 str:9 ctr:9 list:9");
    bool yes = reply->integer == 0;
    freeReplyObject(reply);
    return yes;
}

/* The known case in a tenth of the time: the copy takes two to three times as long as the keys have
   to live. */
static void test_renewed_while_copied(void **state)
{
    static const char *const kinds[] = { "str", "ctr", "list" };
    struct renewal n;
    struct migrate m;
    (void)state;
    fill((unsigned)times * KEYS);
    for (int i = 0; i < SETS; i++)
        renew(from, i);
    atomic_init(&n.stop, false);
    assert_int_equal(pthread_create(&n.thread, NULL, renew_all_the_time, &n), 0);
    migrate_start(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                             testenv_dir(), "--rate-limit-commands", "4000",
                                             "--ttl-calm", "300ms", NULL });
    bool done = wait_until(moving_copied, &m, scaled_ms(times * TIMEOUT)) &&
                wait_until(settled, &m, scaled_ms(TIMEOUT));
    atomic_store(&n.stop, true);
    pthread_join(n.thread, NULL);
    for (int i = 0; i < SETS; i++) /* for the time that the comparison takes */
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            redis_do(from, "PEXPIRE %s:%d 60000", kinds[k], i);
    assert_true(done);
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
    for (int i = 0; i < SETS; i++) {
        expect_same("GET str:%d", i);
        expect_same("GET ctr:%d", i);
        expect_same("LLEN list:%d", i);
    }
    for (int i = 0; i < SETS; i++)
        renew(from, i);
    /* Not renewed any more, they go at both. */
    assert_true(wait_until(all_gone, from, scaled_ms(TIMEOUT)));
    assert_true(wait_until(all_gone, to, scaled_ms(TIMEOUT)));
    moving_finish(&m);
    assert_true(migrate_count(&m, "times to live held back") > 0);
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
    migrate_free(&m);
}

/* --- in the end ---------------------------------------------------------------------------- */

/* Every way in which a key that is held may change before it gets its time. */
static void test_times_in_the_end(void **state)
{
    static const char *const before[] = {
        "SET stays x EX 1000",       "SET far x EX 1000000",   "SET dies x PX 300",
        "SET renewed x EX 1000",     "SET persists x EX 1000", "SET deleted x EX 1000",
        "SET overwritten x EX 1000", "SET {r}named x EX 1000", "SET {c}opied x EX 1000",
        "RPUSH emptied x",           "EXPIRE emptied 1000",    "SET kept x EX 1000",
        "SET again x EX 1000",       "SET {o}verwriter x",     "SET {o}ver x EX 1000",
    };
    static const char *const meanwhile[] = {
        "EXPIRE renewed 2000", "PERSIST persists",    "DEL deleted",
        "SET overwritten y",   "RENAME {r}named {r}", "COPY {c}opied {c}",
        "LPOP emptied",        "RPUSH emptied y",     "SET kept y KEEPTTL",
        "DEL again",           "SET again y",         "COPY {o}verwriter {o}ver REPLACE",
        "SETEX new 1000 x",
    };
    struct migrate m;
    (void)state;
    fill(6000);
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        redis_do(from, before[i]);
    migrate_start(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                             testenv_dir(), "--rate-limit-commands", "4000",
                                             "--ttl-calm", "300ms", "--ttl-exact", NULL });
    assert_true(wait_until(attached, NULL, scaled_ms(20000)));
    for (size_t i = 0; i < ARRAY_LEN(meanwhile); i++)
        freeReplyObject(redis_ask(from, meanwhile[i]));
    assert_true(wait_until(settled, &m, scaled_ms(20000)));
    redis_do(from, "SET live x EX 1000");
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_plain();
}

/* Told to stop before that, it gives the keys their times at once. */
static void test_stopped_early(void **state)
{
    struct migrate m;
    (void)state;
    fill(100);
    redis_do(from, "SET stays x EX 1000");
    redis_do(from, "SET session x EX 50");
    migrate_start(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                             testenv_dir(), NULL });
    assert_true(wait_until(moving_copied, &m, scaled_ms(20000)));
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "times to live held back"), 2);
    migrate_free(&m);
    redisReply *ttl = redis_ask(to, "TTL session");
    assert_in_range(ttl->integer, 30, 55); /* with the slack */
    freeReplyObject(ttl);
}

/* The target takes no writes when they are to be set: they wait for that to be over. */
static void test_refused_for_now(void **state)
{
    struct migrate m;
    (void)state;
    fill(10);
    for (int i = 0; i < SETS; i++)
        redis_do(from, "SET timed:%d x EX 1000", i);
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--ttl-calm", "3s", NULL });
    redis_do(to, "CONFIG SET min-replicas-to-write 1");
    migrate_await(&m, "sending the stream again", 1);
    redis_do(to, "CONFIG SET min-replicas-to-write 0");
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
    migrate_free(&m);
    migrate_expect_good("verify", source_at, target_at, "--rounds", "1");
}

/* The same at a cutover: what comes again meanwhile comes first, so it is held back and then set,
   too. */
static void test_refused_at_the_cutover(void **state)
{
    struct migrate m, c;
    char socket[256];
    (void)state;
    fill(10);
    redis_do(from, "SET timed x EX 1000");
    snprintf(socket, sizeof(socket), "%s/expiry.sock", testenv_dir());
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--admin-socket", socket, NULL });
    redis_do(from, "SET short x EX 30");
    moving_catch_up(&m);
    redis_do(to, "CONFIG SET min-replicas-to-write 1");
    migrate_start(&c, (const char *const[]){ "cutover", socket, "--sample", "0", NULL });
    migrate_await(&m, "sending the stream again", 1);
    redis_do(to, "CONFIG SET min-replicas-to-write 0");
    migrate_wait(&c, scaled_ms(20000));
    assert_int_equal(c.code, 0);
    migrate_free(&c);
    migrate_expect_good("verify", source_at, target_at, "--rounds", "1");
    moving_finish(&m);
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_renewed_while_copied),   cmocka_unit_test(test_times_in_the_end),
        cmocka_unit_test(test_stopped_early),          cmocka_unit_test(test_refused_for_now),
        cmocka_unit_test(test_refused_at_the_cutover),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
