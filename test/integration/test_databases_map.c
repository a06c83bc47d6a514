/*
 * slotgate-migrate sync with --db map: keys of several databases into several of a plain server and
 * of a Valkey 9 cluster, by the full copy and by the stream, with their times, transactions and
 * repairs; a target that has not so many is told at the beginning.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/server.h"
#include "test/lib/testenv.h"

#define SERVER "valkey-9"

enum { MASTERS = 3, KEYS = 30 };

/* Database 5 stays behind. */
static const char map[] = "map:0=2,3=1,7=0";
static const struct {
    int from, to;
} pairs[] = { { 0, 2 }, { 3, 1 }, { 7, 0 } };

static struct migrate m;
static bool has_cluster;

static int start(void **state)
{
    (void)state;
    moving_start(
        &(struct moving){ .parts = has_cluster ? MOVING_PLAIN | MOVING_CLUSTER : MOVING_PLAIN,
                          .source = (const char *const[]){ "--rdbcompression", "no", NULL },
                          .target = (const char *const[]){ "--databases", "3", NULL },
                          .nodes_with = (const char *const[]){ "--cluster-databases", "4", NULL },
                          .nodes_server = SERVER });
    return 0;
}

static void catch_up(void)
{
    redis_do(from, "SELECT 0");
    moving_catch_up(&m);
}

/* --- comparing ----------------------------------------------------------------------------- */

/* Where the key lies, with the database selected. */
static redisContext *holder(bool in_cluster, const char *key, int database)
{
    redisContext *r = in_cluster ? moving_node(key, strlen(key)) : to;
    redis_do(r, "SELECT %d", database);
    return r;
}

static void expect_same_key(bool in_cluster, const char *key, int database)
{
    static const char list[] =
        "EVAL return(table.concat(redis.call('lrange',KEYS[1],0,-1),',')) 1 %s";
    const char *question = strncmp(key, "list:", 5) == 0 ? list : "GET %s";
    redisContext *r = holder(in_cluster, key, database);
    redisReply *want = redis_ask(from, question, key), *got = redis_ask(r, question, key);
    redisReply *here = redis_ask(from, "PTTL %s", key), *there = redis_ask(r, "PTTL %s", key);
    if (got->type != REDIS_REPLY_STRING || strcmp(want->str, got->str) != 0)
        fail_msg("%s, database %d: %.100s instead of %.100s", key, database, got->str, want->str);
    bool same = here->integer < 0 ? there->integer == here->integer
                                  : llabs(there->integer - here->integer) < 7000;
    if (!same)
        fail_msg("%s, database %d: %lld instead of %lld ms", key, database, there->integer,
                 here->integer);
    freeReplyObject(want);
    freeReplyObject(got);
    freeReplyObject(here);
    freeReplyObject(there);
}

static long long size_of(bool in_cluster, int database)
{
    long long sum = 0;
    for (int i = 0; i < (in_cluster ? MASTERS : 1); i++) {
        redisContext *r = in_cluster ? nodes[i] : to;
        redis_do(r, "SELECT %d", database);
        redisReply *keys = redis_ask(r, "KEYS *");
        for (size_t k = 0; k < keys->elements; k++)
            sum += strncmp(keys->element[k]->str, "__mig:", 6) != 0;
        freeReplyObject(keys);
    }
    return sum;
}

static void expect_same(bool in_cluster)
{
    for (size_t p = 0; p < ARRAY_LEN(pairs); p++) {
        redis_do(from, "SELECT %d", pairs[p].from);
        redisReply *keys = redis_ask(from, "KEYS *");
        for (size_t k = 0; k < keys->elements; k++)
            expect_same_key(in_cluster, keys->element[k]->str, pairs[p].to);
        assert_int_equal(size_of(in_cluster, pairs[p].to), keys->elements);
        freeReplyObject(keys);
    }
    redis_do(from, "SELECT 0");
}

/* --- what is moved ------------------------------------------------------------------------- */

/* The same names in all databases, with other values. */
static void fill(void)
{
    redis_do(from, "FLUSHALL");
    for (int db = 0; db < 8; db++) {
        if (db != 0 && db != 3 && db != 5 && db != 7)
            continue;
        redis_do(from, "SELECT %d", db);
        for (int i = 0; i < KEYS; i++) {
            redis_do(from, "SET key:%d %d:%d", i, db, i);
            redis_do(from, "RPUSH list:%d %d", i, db);
            redis_do(from, "SET session:%d %d EX %d", i, db, 1000 + db);
        }
        redis_do(from, "SETRANGE {m}large 20000 %d", db);
        redis_do(from, "SET {m}moved:%d x EX 500", db);
    }
}

/* What is under way is lost, and sent again as far as it was not executed. */
static void cut_links(bool in_cluster)
{
    for (int i = 0; i < (in_cluster ? MASTERS : 1); i++)
        redis_do(in_cluster ? nodes[i] : to, "CLIENT KILL TYPE normal SKIPME yes");
}

static void write_some(bool in_cluster)
{
    for (int i = 0; i < KEYS; i++) {
        int db = i % 2 == 0 ? 3 : 0;
        if (i % 10 == 5)
            cut_links(in_cluster);
        redis_do(from, "SELECT %d", db);
        redis_do(from, "INCR counter:%d", i);
        redis_do(from, "APPEND key:%d more", i);
        redis_do(from, "RPUSH list:%d again", i);
        redis_do(from, "DEL key:%d", (i + 1) % KEYS);
        redis_do(from, "EXPIRE session:%d 2000", i);
        redis_do(from, "SET new:%d x EX 3000", i);
        redis_do(from, "MULTI");
        redis_do(from, "INCR {t}%d", i);
        redis_do(from, "SELECT 7");
        redis_do(from, "INCR {t}%d", i);
        redis_do(from, "SELECT 5");
        redis_do(from, "INCR {t}%d", i);
        redis_do(from, "EXEC");
    }
    redis_do(from, "SELECT 3");
    redis_do(from, "SET {m}moved:3 x EX 500");
    redis_do(from, "RENAME {m}moved:3 {m}renamed");
    redis_do(from, "COPY {m}large {m}copied DB 0 REPLACE");
    redis_do(from, "SELECT 7");
    redis_do(from, "DEL {m}renamed");
    redis_do(from, "SELECT 3");
    redis_do(from, "MOVE {m}renamed 7");
}

static char socket_path[160];

static void begin(bool in_cluster)
{
    char at_cluster[600];
    snprintf(socket_path, sizeof(socket_path), "%s/map.sock", testenv_dir());
    snprintf(at_cluster, sizeof(at_cluster), "--target-cluster=%s", seeds);
    moving_begin(&m, (const char *const[]){ "sync", source_at, in_cluster ? at_cluster : target_at,
                                            "--spool-dir", testenv_dir(), "--db", map, "--ttl-calm",
                                            "100ms", "--big-key", "10kb", "--admin-socket",
                                            socket_path, NULL });
}

/* Runs verify with the same --db; gives how many keys differ, and what is told of them. */
static long long verify(bool in_cluster, char **told)
{
    struct migrate v;
    char path[160], at_cluster[600];
    snprintf(path, sizeof(path), "%s/found", testenv_dir());
    snprintf(at_cluster, sizeof(at_cluster), "--target-cluster=%s", seeds);
    migrate_run(&v, "verify", source_at, in_cluster ? at_cluster : target_at, "--db", map,
                "--rounds", "2", "--round-pause", "10ms", "--diff-file", path, NULL);
    long long differing = migrate_count(&v, "keys that differ");
    assert_int_equal(v.code, differing == 0 ? 0 : 1);
    assert_true(migrate_count(&v, "keys at the source") > 3 * KEYS);
    migrate_free(&v);
    *told = file_text(path);
    return differing;
}

/* list:4 and list:6 were damaged, of the databases 0 and 3; and another one is too many. */
static void verify_finds(bool in_cluster)
{
    char *told;
    redis_do(holder(in_cluster, "extra", 1), "SET extra 1");
    if (verify(in_cluster, &told) != 3 ||
        strstr(told, "\"db3:list:6\" the target lacks it\n") == NULL ||
        strstr(told, "\"list:4\" the content differs\n") == NULL ||
        strstr(told, "\"db3:extra\" the source lacks it\n") == NULL)
        fail_msg("%s", told);
    free(told);
    redis_do(holder(in_cluster, "extra", 1), "DEL extra");
}

/* Two keys that differ at the target: a sample of the first database, large enough, finds the one,
   a file names the other one. */
static void repair(bool in_cluster)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/differ", testenv_dir());
    migrate_expect_good("cutover", socket_path, "--sample", "0"); /* times are no more held back */
    redis_do(holder(in_cluster, "list:4", 2), "RPUSH list:4 wrong");
    redis_do(holder(in_cluster, "list:6", 1), "DEL list:6");
    verify_finds(in_cluster);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "\"db3:list:6\" it differs\n");
    assert_int_equal(fclose(file), 0);
    migrate_expect_good("cutover", socket_path, "--repair-from", path, "--sample", "5000");
}

static void run(bool in_cluster)
{
    char *told;
    fill();
    begin(in_cluster);
    write_some(in_cluster);
    catch_up();
    repair(in_cluster);
    write_some(in_cluster);
    catch_up();
    migrate_stop(&m, 0);
    expect_same(in_cluster);
    assert_int_equal(verify(in_cluster, &told), 0);
    free(told);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    assert_true(migrate_count(&m, "times to live held back") > 3 * KEYS);
    assert_true(migrate_count(&m, "keys repaired") >= 2);
    assert_true(migrate_count(&m, "times sent again") > 0);
    migrate_free(&m);
}

static void test_plain(void **state)
{
    (void)state;
    run(false);
}

static void test_cluster(void **state)
{
    (void)state;
    run(true);
}

/* --- a target without them ----------------------------------------------------------------- */

static void test_not_there(void **state)
{
    (void)state;
    migrate_run(&m, "sync", source_at, target_at, "--spool-dir", testenv_dir(), "--db", "map:0=3",
                NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the target has not the databases of --db map: ERR DB index"));
    migrate_free(&m);
    migrate_run(&m, "sync", source_at, target_at, "--db", "map:0=1,2=1", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "each database may stand on each side of the map once"));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_cluster),
        cmocka_unit_test(test_not_there),
    };
    const struct CMUnitTest without_cluster[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_not_there),
    };
    has_cluster = server_is_there(SERVER);
    if (!has_cluster)
        return testenv_finish(cmocka_run_group_tests(without_cluster, start, moving_end));
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
