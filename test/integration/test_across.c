/*
 * Commands of the stream between slots, which slotgate-migrate executes in steps: all of them, into
 * a cluster, through a slotgate and into one Redis; and exactly once, whatever is cut or killed.
 *
 * SLOTGATE_SEED and SLOTGATE_POINTS as in test_exact.c.
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

#include "base/check.h"
#include "test/lib/chance.h"
#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static int points;

static int start(void **state)
{
    static const char *const backlog[] = { "--repl-backlog-size", "200mb", NULL };
    (void)state;
    points = chance_points(4);
    moving_start(&(struct moving){ .parts = MOVING_PLAIN | MOVING_CLUSTER | MOVING_PROXY,
                                   .source = backlog });
    return 0;
}

static void begin(struct migrate *m, const char *const *words)
{
    migrate_start(m, words);
    migrate_await_stream(m);
}

/* --- every command ------------------------------------------------------------------------- */

static const char *const before[] = {
    "SET text x",
    "SET timed x PXAT 4102444800000",
    "SET old y PXAT 4102444800001",
    "HSET hash f 1 g 2",
    "RPUSH list 1 2 3 4 5 6 7 8 9",
    "RPUSH other 9",
    "RPUSH one 1",
    "SADD set1 a b c 1 2",
    "SADD set2 b c d 2 3",
    "ZADD zset1 1 a 2 b 3 c",
    "ZADD zset2 10 b 20 c 30 d",
    "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "PFADD hll1 a b c",
    "PFADD hll2 c d e",
    "PFADD hll3 x",
    "PEXPIREAT hll3 4102444800002",
    "SET bits1 foobar",
    "SET bits2 abcdef",
    "RPUSH words banana apple cherry",
    "XADD stream 1-1 f v",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group me STREAMS stream >",
};

static const char *const commands[] = {
    "RENAME text text2",
    "RENAME timed timed2",
    "RENAME hash old", /* over a key of another type, with a time to live */
    "RENAMENX stream stream2",
    "XADD stream2 2-1 f w",
    "COPY timed2 timed3",
    "COPY set1 text2 REPLACE",
    "LMOVE list target1 LEFT RIGHT",
    "LMOVE list target1 LEFT LEFT",
    "LMOVE list target1 RIGHT RIGHT",
    "LMOVE list target1 RIGHT LEFT",
    "RPOPLPUSH list other",
    "BLMOVE list other LEFT LEFT 1",
    "BRPOPLPUSH list other 1",
    "LMOVE one other LEFT RIGHT", /* its last element */
    "SMOVE set1 set2 a",
    "SUNIONSTORE union set1 set2 nothing",
    "SUNIONSTORE set1 set1 set2", /* one of them is the destination */
    "SINTERSTORE inter set1 set2",
    "SDIFFSTORE diff union set1 set1",
    "SINTERSTORE diff set1 nothing", /* which removes it */
    "ZUNIONSTORE zunion 3 zset1 zset2 nothing WEIGHTS 2 3 4 AGGREGATE MAX",
    "ZINTERSTORE zinter 2 zset1 set2",
    "ZDIFFSTORE zdiff 2 zset1 zset2",
    "ZRANGESTORE zrange zunion 1 2",
    "ZUNIONSTORE zset1 2 zset1 zset2",
    "GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 200 km",
    "GEORADIUS geo 15 37 200 km STORE near2",
    "GEORADIUSBYMEMBER geo Palermo 500 km STOREDIST near3",
    "SORT words ALPHA DESC LIMIT 0 2 STORE sorted",
    "SORT words BY nothing STORE sorted2",
    "BITOP AND bits3 bits1 bits2",
    "BITOP NOT bits1 bits2",
    "PFMERGE hll3 hll1 hll2",
    "MSETNX new1 1 new2 2",
    "MULTI",
    "INCR counted",
    "RENAME counted counted2",
    "INCR counted2",
    "LMOVE other target1 LEFT RIGHT",
    "SUNIONSTORE union2 set1 set2",
    "SADD union2 more",
    "EXEC",
    "EVAL "
    "redis.call('rename','counted2','counted3');redis.call('incr','counted3');"
    "redis.call('lmove','target1','other','LEFT','LEFT') 0",
};

static void run(const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = redis_ask(from, list[i]);
        if (reply->type == REDIS_REPLY_ERROR)
            fail_msg("%s: %s", list[i], reply->str);
        freeReplyObject(reply);
    }
}

static void every_command(const char *const *words, bool plain)
{
    struct migrate m;
    moving_empty();
    run(before, ARRAY_LEN(before));
    begin(&m, words);
    run(commands, ARRAY_LEN(commands));
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
    moving_expect_but_markers(plain);
}

static void test_into_a_cluster(void **state)
{
    (void)state;
    every_command((const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                         "--spool-dir", testenv_dir(), "--ttl-exact", NULL },
                  false);
    every_command((const char *const[]){ "sync", source_at, "--target-cluster", seeds,
                                         "--spool-dir", testenv_dir(), "--ttl-exact", "--exactly",
                                         "off", NULL },
                  false);
}

static void test_through_a_proxy(void **state)
{
    (void)state;
    every_command((const char *const[]){ "sync", source_at, proxy_at, "--spool-dir", testenv_dir(),
                                         "--ttl-exact", NULL },
                  false);
}

static void test_into_one_redis(void **state)
{
    (void)state;
    every_command((const char *const[]){ "sync", source_at, target_at, "--spool-dir", testenv_dir(),
                                         "--ttl-exact", NULL },
                  true);
}

/* Values above --big-key, keys that the target lacks, and SORT by keys that nobody has named. */
static void test_what_fails_is_told(void **state)
{
    static const char *const reasons[] = {
        "command=RENAME key=large reason=\"what it moves between slots is larger than --big-key",
        "command=SUNIONSTORE key=union reason=\"what it moves between slots is larger",
        "command=RENAME key=lacking reason=\"ERR no such key",
        "command=LMOVE key=lacking2 reason=\"the list that it takes from has no element",
        "command=SORT key=words reason=\"its keys lie in several slots",
        "command=LMOVE key=words reason=\"WRONGTYPE",
    };
    struct migrate m;
    char *large = malloc(100000);
    (void)state;
    assert_non_null(large);
    memset(large, 'x', 100000);
    moving_empty();
    redis_do(from, "SET large %b", large, (size_t)100000);
    redis_do(from, "SADD largeset %b", large, (size_t)100000);
    free(large);
    run((const char *const[]){ "SET lacking x", "RPUSH lacking2 x", "RPUSH words b a",
                               "RPUSH typed x" },
        4);
    begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                     testenv_dir(), "--big-key", "64kb", NULL });
    redis_do(moving_node("lacking", 7), "DEL lacking");
    redis_do(moving_node("lacking2", 8), "DEL lacking2");
    redis_do(moving_node("typed", 5), "SET typed x");
    run((const char *const[]){ "RENAME large large2", "SUNIONSTORE union largeset nothing",
                               "RENAME lacking lacking1", "LMOVE lacking2 words LEFT LEFT",
                               "SORT words BY weight:* STORE sorted",
                               "LMOVE words typed LEFT LEFT" },
        6);
    moving_catch_up(&m);
    migrate_stop(&m, 1);
    assert_int_equal(migrate_count(&m, "commands failed"), ARRAY_LEN(reasons));
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (strstr(m.err, reasons[i]) == NULL)
            fail_msg("not told: %s: %.3000s", reasons[i], m.err);
    migrate_free(&m);
}

/* Through a slotgate SORT by keys of other slots goes as it is. */
static void test_as_it_is(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    run((const char *const[]){ "RPUSH words b a", "SET weight:a 1", "SET weight:b 2" }, 3);
    begin(&m,
          (const char *const[]){ "sync", source_at, proxy_at, "--spool-dir", testenv_dir(), NULL });
    redis_do(from, "SORT words BY weight:* STORE sorted");
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_but_markers(false);
}

/* A time to live that is held back goes along with the value. */
static void test_times_go_along(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    run((const char *const[]){ "SET a x EX 1000", "SET b x EX 2000", "SET c y EX 3000" }, 3);
    begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                     testenv_dir(), "--ttl-exact", "--ttl-calm", "60s", NULL });
    run((const char *const[]){ "RENAME a a2", "COPY b b2", "COPY b c REPLACE", "SET d x",
                               "RENAME d b2" },
        5);
    moving_finish(&m); /* which sets them */
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
    migrate_free(&m);
    moving_expect_but_markers(false);
}

/* With --db prefix, keys that leave their database leave their slot, too. */
static void test_between_databases(void **state)
{
    static const char *const keys[][2] = {
        { "moved", "xz!" }, { "db2:back", "3" }, { "copied", "y" }, { "db3:copy2", "y" }
    };
    struct migrate m;
    (void)state;
    moving_empty();
    begin(&m, (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                     testenv_dir(), "--db", "prefix", NULL });
    run((const char *const[]){ "SET moved x", "SET copied y EX 1000", "MOVE moved 2",
                               "COPY copied copy2 DB 3", "SELECT 2", "APPEND moved z", "INCR there",
                               "RENAME there back", "INCR back", "INCR back", "MOVE moved 0",
                               "SELECT 0", "APPEND moved !" },
        13);
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        redisReply *reply =
            redis_ask(moving_node(keys[i][0], strlen(keys[i][0])), "GET %s", keys[i][0]);
        assert_string_equal(reply->str, keys[i][1]);
        freeReplyObject(reply);
    }
}

/* --- exactly once -------------------------------------------------------------------------- */

enum { MOVER_KEYS = 20, MOVER_REST_US = 2000 };

/* Each leaves other data when it is lost or executed twice. %u: the number of a key. */
static const char *const moves[] = {
    "RPUSH queue:%u %u",
    "RPUSH queue:%u x%u",
    "LMOVE queue:%u busy:%u LEFT RIGHT",
    "RPOPLPUSH busy:%u done:%u",
    "LMOVE done:%u queue:%u RIGHT RIGHT",
    "LMOVE queue:%u done:%u LEFT LEFT",
    "INCR counter:%u",
    "RENAME counter:%u renamed:%u",
    "INCR renamed:%u",
    "RENAME renamed:%u counter:%u",
    "ZINCRBY scores:%u 1 m",
    "ZUNIONSTORE sums:%u 2 sums:%u scores:%u",
    "APPEND text:%u x",
    "COPY text:%u copy:%u REPLACE",
    "APPEND copy:%u y",
    "SADD set:%u a%u",
    "SUNIONSTORE union:%u union:%u set:%u",
    "SPOP union:%u",
    /* Absolute ones, which may be executed again, around one that reads what they write. */
    "SET plain:%u %u",
    "COPY plain:%u seen:%u REPLACE",
    "SET plain:%u later",
    "MULTI",
    "RPUSH queue:%u in-multi",
    "LMOVE queue:%u busy:%u RIGHT LEFT",
    "INCR counter:%u",
    "EXEC",
};

struct mover {
    pthread_t thread;
    atomic_bool stop;
    atomic_uint rounds;
};

static bool take_replies(redisContext *r)
{
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        redisReply *reply = NULL;
        if (redisGetReply(r, (void **)&reply) != REDIS_OK) {
            testenv_problem("mover: the source is gone");
            return false;
        }
        if (reply->type == REDIS_REPLY_ERROR)
            testenv_problem("mover: %s: %s", moves[i], reply->str);
        freeReplyObject(reply);
    }
    return true;
}

static void *move_on(void *arg)
{
    struct mover *v = arg;
    redisContext *r = redisConnect("127.0.0.1", source.port);
    bool good = r != NULL && r->err == 0;
    while (good && !atomic_load(&v->stop)) {
        unsigned key = atomic_fetch_add(&v->rounds, 1) % MOVER_KEYS;
        for (size_t i = 0; i < ARRAY_LEN(moves); i++)
            redisAppendCommand(r, moves[i], key, key, key);
        good = take_replies(r);
        rest_us(MOVER_REST_US);
    }
    if (r != NULL)
        redisFree(r);
    return NULL;
}

static void mover_begin(struct mover *v)
{
    atomic_init(&v->stop, false);
    atomic_init(&v->rounds, 0);
    assert_int_equal(pthread_create(&v->thread, NULL, move_on, v), 0);
}

static void mover_end(struct mover *v)
{
    atomic_store(&v->stop, true);
    pthread_join(v->thread, NULL);
}

/* All connections of clients at one of the servers, but for ours. */
static void cut_some(const char *const *words)
{
    redisContext *at = words[2] == proxy_at && chance_below(2) == 0 ? redis_open(proxy.port)
                       : words[2] == target_at                      ? redis_open(target.port)
                                               : redis_open(cluster.node[chance_below(3)].port);
    freeReplyObject(redis_ask(at, "CLIENT KILL TYPE NORMAL SKIPME YES"));
    redisFree(at);
}

/* Cuts that met nothing on its way have shown nothing. */
static bool was_hit(const struct migrate *m)
{
    return migrate_says(m, "sending the stream again") > 1;
}

/* words: with the target as the third one. */
static void under_fire(const char *const *words, bool kills)
{
    struct migrate m;
    struct mover load;
    moving_empty();
    begin(&m, words);
    mover_begin(&load);
    for (int i = 0; i < points + 1 || (!kills && !was_hit(&m) && i < 100); i++) {
        rest_us((int)chance_below(150000));
        if (kills) {
            process_kill(&m.process);
            begin(&m, words);
        } else {
            cut_some(words);
        }
    }
    mover_end(&load);
    moving_finish(&m);
    print_message("  sent again %lld times\n", migrate_count(&m, "times sent again"));
    if (!kills)
        assert_true(migrate_count(&m, "times sent again") > 1);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    migrate_free(&m);
    moving_reopen();
    moving_expect_but_markers(words[2] == target_at);
}

static void test_cut_links(void **state)
{
    (void)state;
    under_fire((const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                      testenv_dir(), NULL },
               false);
    under_fire(
        (const char *const[]){ "sync", source_at, proxy_at, "--spool-dir", testenv_dir(), NULL },
        false);
    under_fire(
        (const char *const[]){ "sync", source_at, target_at, "--spool-dir", testenv_dir(), NULL },
        false);
}

static void test_killed(void **state)
{
    (void)state;
    under_fire((const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--state-dir",
                                      migrate_state_dir(), NULL },
               true);
    under_fire((const char *const[]){ "sync", source_at, proxy_at, "--state-dir",
                                      migrate_state_dir(), NULL },
               true);
    under_fire((const char *const[]){ "sync", source_at, target_at, "--state-dir",
                                      migrate_state_dir(), NULL },
               true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_a_cluster),
        cmocka_unit_test(test_through_a_proxy),
        cmocka_unit_test(test_into_one_redis),
        cmocka_unit_test(test_what_fails_is_told),
        cmocka_unit_test(test_as_it_is),
        cmocka_unit_test(test_times_go_along),
        cmocka_unit_test(test_between_databases),
        cmocka_unit_test(test_cut_links),
        cmocka_unit_test(test_killed),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
