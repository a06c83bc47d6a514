/*
 * slotgate-migrate sync and times of single hash fields, from and to Valkey 9 and Redis 8: what is
 * written while it runs, by every command that sets such times; fields that are renewed all the
 * time do not die at the target; a target that keeps no such times gets the values, and they are
 * counted.
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
#include "test/lib/server.h"
#include "test/lib/testenv.h"

enum { VALKEY, REDIS, OLD, KINDS };
enum { FILLER = 500, TTL_MS = 500, RENEW_US = 100 * 1000, SLACK_MS = 5000, CLOCKS_MS = 1000 };

static const char *const programs[KINDS] = { "valkey-9", "redis-8.0", "redict-7.3" };

static struct oracle sources[OLD], targets[KINDS];
static struct migrate m;

static void start_server(struct oracle *o, int kind)
{
    static const char *const at_once[] = { "--repl-diskless-sync-delay", "0", NULL };
    assert_true(server_use(programs[kind]));
    oracle_start_with(o, at_once);
}

static int start(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        start_server(&targets[kind], kind);
    for (int kind = 0; kind < OLD; kind++)
        start_server(&sources[kind], kind);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        oracle_stop(&targets[kind]);
    for (int kind = 0; kind < OLD; kind++)
        oracle_stop(&sources[kind]);
    return 0;
}

static void open_pair(int source_kind, int target_kind)
{
    from = redis_open(sources[source_kind].port);
    to = redis_open(targets[target_kind].port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", sources[source_kind].port);
    snprintf(target_at, sizeof(target_at), "127.0.0.1:%d", targets[target_kind].port);
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
}

static void close_pair(void)
{
    migrate_free(&m);
    redisFree(from);
    redisFree(to);
}

/* --- the program --------------------------------------------------------------------------- */

static bool attached(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(to, "DBSIZE");
    bool yes = reply->integer > 0;
    freeReplyObject(reply);
    return yes;
}

/* The copy is under way, and will be for more than half a second. */
static void begin(const char *socket)
{
    redis_do(from, "DEBUG POPULATE %d filler 20", FILLER);
    migrate_start(&m, (const char *const[]){
                          "sync", source_at, target_at, "--spool-dir", testenv_dir(),
                          "--rate-limit-commands", "600", "--exactly", "off", "--ttl-calm", "300ms",
                          socket != NULL ? "--admin-socket" : NULL, socket, NULL });
    assert_true(wait_until(attached, NULL, scaled_ms(20000)));
}

static void end(int code)
{
    moving_catch_up(&m);
    migrate_stop(&m, code);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    assert_int_equal(migrate_count(&m, "times to live a day too long"), 0);
}

static void do_all(const char *const *commands, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        redisReply *reply = redis_ask(from, commands[i], key);
        if (reply->type == REDIS_REPLY_ERROR)
            fail_msg("%s: %s", commands[i], reply->str);
        freeReplyObject(reply);
    }
}

/* --- comparing ----------------------------------------------------------------------------- */

static const char *const fields[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l" };

static long long number(redisContext *r, const char *command, const char *key, const char *field)
{
    redisReply *reply = redis_ask(r, command, key, field);
    bool list = reply->type == REDIS_REPLY_ARRAY;
    long long n = list ? reply->element[0]->integer : reply->integer;
    freeReplyObject(reply);
    return n;
}

static void expect_same_value(const char *key, const char *field)
{
    redisReply *want = redis_ask(from, "HGET %s %s", key, field);
    redisReply *got = redis_ask(to, "HGET %s %s", key, field);
    if (want->type != got->type || (want->str != NULL && strcmp(want->str, got->str) != 0))
        fail_msg("%s %s: %s instead of %s", key, field, got->str, want->str);
    freeReplyObject(want);
    freeReplyObject(got);
}

/* A field has no time where it has none at the source, and never an earlier one. */
static void expect_same_fields(const char *key)
{
    static const char time_of[] = "HPEXPIRETIME %s FIELDS 1 %s";
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        expect_same_value(key, fields[i]);
        long long want = number(from, time_of, key, fields[i]);
        long long got = number(to, time_of, key, fields[i]);
        bool same = want < 0 ? got == want : got >= want && got <= want + SLACK_MS + CLOCKS_MS;
        if (!same)
            fail_msg("%s %s: dies at %lld instead of %lld", key, fields[i], got, want);
    }
}

static void expect_verified(void)
{
    migrate_expect_good("verify", source_at, target_at);
}

/* --- between the two ----------------------------------------------------------------------- */

static const char *const before[] = {
    "HSET %s a 1 b 2 c 3 d 4 e 5 f 6 g 7 h 8 i 9 j 10 k 11 l 12",
    "HEXPIRE %s 1000 FIELDS 10 a b c d e f g h i j",
    "HEXPIRE %s 900000 FIELDS 1 l", /* too far away to be held */
};

static const char *const meanwhile[] = {
    "HEXPIRE %s 2000 FIELDS 1 a",
    "HPERSIST %s FIELDS 1 b",
    "HSET %s c 33",
    "HSETEX %s KEEPTTL FIELDS 1 d 44",
    "HSETEX %s EX 3000 FIELDS 2 e 55 k 111",
    "HGETEX %s EX 4000 FIELDS 1 f",
    "HGETEX %s PERSIST FIELDS 1 g",
    "HGETDEL %s FIELDS 1 h",
    "HDEL %s i",
    "HSETEX %s FIELDS 1 i 99",
    "HPEXPIRE %s 5000000 GT FIELDS 1 j",
    "EVAL redis.call('hsetex',KEYS[1],'EX',1000,'FIELDS',1,'h','8') 1 %s",
};

/* Valkey tells of all fields that were named, also of those for which the condition did not hold.
 */
static const char *const conditions[] = {
    "HEXPIRE %s 7000 NX FIELDS 2 a b",
    "HEXPIRE %s 4500 GT FIELDS 2 j d",
    "HEXPIRE %s 3500 LT FIELDS 2 e f",
};

static void expect_written_while_it_runs(int source_kind, int target_kind)
{
    open_pair(source_kind, target_kind);
    do_all(before, ARRAY_LEN(before), "untouched");
    do_all(before, ARRAY_LEN(before), "copied");
    do_all(before, ARRAY_LEN(before), "live");
    begin(NULL);
    do_all(meanwhile, ARRAY_LEN(meanwhile), "copied");
    do_all(before, ARRAY_LEN(before), "new");
    migrate_await(&m, "held times to live are set", 1);
    moving_catch_up(&m);
    do_all(meanwhile, ARRAY_LEN(meanwhile), "live");
    do_all(conditions, ARRAY_LEN(conditions), "live");
    end(0);
    expect_same_fields("untouched");
    expect_same_fields("copied");
    expect_same_fields("live");
    expect_same_fields("new");
    assert_true(migrate_count(&m, "times to live held back") > 10);
    expect_verified();
    close_pair();
}

static void test_valkey_to_valkey(void **state)
{
    (void)state;
    expect_written_while_it_runs(VALKEY, VALKEY);
}

static void test_valkey_to_redis(void **state)
{
    (void)state;
    expect_written_while_it_runs(VALKEY, REDIS);
}

static void test_redis_to_valkey(void **state)
{
    (void)state;
    expect_written_while_it_runs(REDIS, VALKEY);
}

static void test_redis_to_redis(void **state)
{
    (void)state;
    expect_written_while_it_runs(REDIS, REDIS);
}

/* --- renewed all the time ------------------------------------------------------------------ */

static atomic_bool enough;

static void renew(redisContext *r)
{
    freeReplyObject(redis_ask(r, "HINCRBY renewed counter 1"));
    freeReplyObject(redis_ask(r, "HPEXPIRE renewed %d FIELDS 2 counter word", TTL_MS));
}

static void *renew_all_the_time(void *arg)
{
    redisContext *r = redisConnect("127.0.0.1", *(uint16_t *)arg);
    while (!atomic_load(&enough)) {
        renew(r);
        rest_us(RENEW_US);
    }
    redisFree(r);
    return NULL;
}

static bool all_gone(void *arg)
{
    redisReply *reply = redis_ask(arg, "EXISTS renewed");
    bool yes = reply->integer == 0;
    freeReplyObject(reply);
    return yes;
}

/* The copy alone takes longer than the fields have to live. */
static void test_renewed_while_copied(void **state)
{
    pthread_t thread;
    (void)state;
    open_pair(REDIS, REDIS);
    redis_do(from, "HSET renewed counter 0 word there");
    renew(from);
    atomic_store(&enough, false);
    assert_int_equal(pthread_create(&thread, NULL, renew_all_the_time, &sources[REDIS].port), 0);
    begin(NULL);
    migrate_await(&m, "held times to live are set", 1);
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
    redis_do(from, "HPEXPIRE renewed 60000 FIELDS 2 counter word");
    moving_catch_up(&m);
    expect_same_value("renewed", "counter");
    expect_same_value("renewed", "word");
    renew(from);
    assert_true(wait_until(all_gone, from, scaled_ms(10000)));
    assert_true(wait_until(all_gone, to, scaled_ms(10000)));
    end(0);
    close_pair();
}

/* --- killed while they are held ------------------------------------------------------------ */

static void test_killed(void **state)
{
    (void)state;
    open_pair(REDIS, REDIS);
    const char *words[] = { "sync", source_at, target_at, "--state-dir", migrate_state_dir(),
                            NULL,   NULL,      NULL };
    do_all(before, ARRAY_LEN(before), "untouched");
    do_all(before, ARRAY_LEN(before), "changed");
    migrate_start(&m, words);
    migrate_await(&m, "full copy done", 1);
    do_all(before, ARRAY_LEN(before), "new");
    do_all(meanwhile, ARRAY_LEN(meanwhile), "changed");
    moving_catch_up(&m);
    process_kill(&m.process);
    words[5] = "--ttl-calm";
    words[6] = "300ms";
    migrate_start(&m, words);
    migrate_await(&m, "held times to live are set", 1);
    end(0);
    expect_same_fields("untouched");
    expect_same_fields("changed");
    expect_same_fields("new");
    expect_verified();
    close_pair();
}

/* --- what cannot be told while times are held ---------------------------------------------- */

static void test_repaired(void **state)
{
    char socket[160];
    (void)state;
    open_pair(VALKEY, VALKEY);
    snprintf(socket, sizeof(socket), "%s/fields.sock", testenv_dir());
    do_all(before, ARRAY_LEN(before), "{r}named");
    do_all(before, ARRAY_LEN(before), "doubtful");
    begin(socket);
    redis_do(from, "RENAME {r}named {r}");
    do_all(conditions, ARRAY_LEN(conditions), "doubtful");
    migrate_await(&m, "held times to live are set", 1);
    migrate_expect_good("cutover", socket, "--sample", "0");
    end(0);
    expect_same_fields("{r}");
    expect_same_fields("doubtful");
    expect_verified();
    close_pair();
}

/* --- a target without such times ----------------------------------------------------------- */

static void test_old_target(void **state)
{
    (void)state;
    open_pair(VALKEY, OLD);
    begin(NULL);
    migrate_await(&m, "full copy done", 1);
    do_all(before, ARRAY_LEN(before), "live");
    do_all(meanwhile, ARRAY_LEN(meanwhile), "live");
    end(1);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        expect_same_value("live", fields[i]);
    /* Of `before` 11; then a, e, k, f, j and h once more. */
    assert_int_equal(migrate_count(&m, "times of fields lost, stream"), 11 + 6);
    struct migrate verify;
    migrate_run(&verify, "verify", source_at, target_at, "--rounds", "1", NULL);
    assert_int_equal(verify.code, 1);
    assert_non_null(strstr(verify.out, "\"live\" the time to live of a field differs"));
    assert_int_equal(migrate_count(&verify, "keys that differ"), 1);
    migrate_free(&verify);
    close_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valkey_to_valkey),     cmocka_unit_test(test_valkey_to_redis),
        cmocka_unit_test(test_redis_to_valkey),      cmocka_unit_test(test_redis_to_redis),
        cmocka_unit_test(test_renewed_while_copied), cmocka_unit_test(test_repaired),
        cmocka_unit_test(test_old_target),           cmocka_unit_test(test_killed),
    };

    for (int kind = 0; kind < KINDS; kind++) {
        if (server_use(programs[kind]))
            continue;
        fprintf(stderr, "skipped: there is no %s; ./dev servers %s\n", programs[kind],
                programs[kind]);
        return 0;
    }
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
