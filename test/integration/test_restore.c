/*
 * slotgate-migrate restore: RDB files of a real server, and generated ones of every version, into
 * a plain Redis, a cluster, and a slotgate before a cluster; compared by content.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/rdb_writer.h"
#include "test/lib/testenv.h"

static char target_url[64];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN | MOVING_CLUSTER | MOVING_PROXY });
    snprintf(target_url, sizeof(target_url), "redis://%s/", target_at);
    return 0;
}

/* --- helpers ------------------------------------------------------------------------------- */

static const char *saved(void)
{
    static char path[300];
    redis_do(from, "SAVE");
    snprintf(path, sizeof(path), "%s/oracle-%d.rdb", testenv_dir(), source.port);
    return path;
}

static const char *written(const struct writer *w)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/written.rdb", testenv_dir());
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(w->at, 1, w->len, f), w->len);
    fclose(f);
    return path;
}

static void expect_function(redisContext *r)
{
    redisReply *reply = redis_ask(r, "FCALL answer 0");
    assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
    assert_int_equal(reply->integer, 42);
    freeReplyObject(reply);
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_into_one_redis(void **state)
{
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    redis_do(to, "SET number:0 there-already");
    migrate_expect_good("restore", saved(), target_url);
    moving_expect_plain();
    expect_function(to);
}

static void test_into_a_cluster(void **state)
{
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    migrate_expect_good("restore", saved(), "--target-cluster", seeds);
    moving_expect_cluster();
    for (int i = 0; i < 3; i++)
        expect_function(nodes[i]);
}

static void test_through_a_proxy(void **state)
{
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    migrate_expect_good("restore", saved(), proxy_at);
    moving_expect_cluster();
    for (int i = 0; i < 3; i++)
        expect_function(nodes[i]);
}

/* No RESTORE at all: every type is taken apart and built again. */
static void test_rewritten(void **state)
{
    (void)state;
    moving_empty();
    every_type_fill(from, false);
    migrate_expect_good("restore", saved(), target_url, "--rewrite");
    moving_expect_plain();
    migrate_expect_good("restore", saved(), "--target-cluster", seeds, "--rewrite");
    moving_expect_cluster();
}

static void test_large_keys(void **state)
{
    struct migrate m;
    (void)state;
    moving_empty();
    every_type_fill_large(from, 12 * 1000 * 1000);
    migrate_run(&m, "restore", saved(), "--target-cluster", seeds, "--big-key", "1mb", NULL);
    assert_int_equal(m.code, 0);
    assert_int_equal(migrate_count(&m, "rewritten"), 6);
    if (!testenv_sanitized())
        assert_in_range(migrate_count(&m, "peak memory"), 1000, 60000);
    migrate_free(&m);
    moving_expect_cluster();
    migrate_expect_good("restore", saved(), proxy_at, "--big-key", "500kb");
    moving_expect_cluster();
    migrate_run(&m, "restore", saved(), "--target-cluster", seeds, "--big-key", "100mb", NULL);
    assert_int_equal(m.code, 0);
    assert_int_equal(migrate_count(&m, "restored"), 6);
    migrate_free(&m);
    moving_expect_cluster();
}

/* Files of all versions; what 7.0 cannot RESTORE is rewritten. */
static void test_every_version(void **state)
{
    (void)state;
    for (unsigned version = 1; version <= 13; version++) {
        bool valkey = version == 13;
        struct writer w;
        struct migrate m;
        writer_init(&w, 2);
        rdb_sample(&w, valkey ? 80 : version, valkey, false);
        moving_empty();
        migrate_run(&m, "restore", written(&w), target_url, "--db", "prefix", NULL);
        bool times = version >= 12; /* of hash fields, which the target does not keep */
        if (m.code != (times ? 1 : 0) || migrate_count(&m, "failed") > 0)
            fail_msg("version %u: %s%s", version, m.err, m.out);
        assert_int_equal(migrate_count(&m, "times of hash fields lost"), valkey  ? 1
                                                                         : times ? 2
                                                                                 : -1);
        assert_int_equal(moving_keys(to), migrate_count(&m, "keys read"));
        redisReply *last = redis_ask(to, "GET db3:3:last");
        assert_string_equal(last->str, "in another database");
        freeReplyObject(last);
        migrate_free(&m);
        /* What RESTORE made of it is what commands make of it. */
        migrate_run(&m, "restore", written(&w), source_at, "--db", "prefix", "--rewrite", NULL);
        assert_int_equal(migrate_count(&m, "failed"), -1);
        migrate_free(&m);
        /* Of the oldest form of streams a server itself guesses how far a group has read. */
        redis_do(from, "DEL 0:stream");
        redis_do(to, "DEL 0:stream");
        moving_expect_plain();
        writer_close(&w);
    }
}

/* The same values in the newest and in the oldest forms. */
static void test_newest_values(void **state)
{
    static const char *const asks[][2] = {
        { "SCARD 0:set-listpack", "24" },
        { "SISMEMBER 0:set-listpack -8388608", "1" },
        { "HGET 0:hash-metadata f2", "77" },
        { "HGET 0:hash-listpack-ex f1", "v1" },
        { "HGET 0:hash-listpack field", "12" },
        { "LRANGE 0:list-quicklist-2 0 0", "a plain node" },
        { "ZSCORE 0:zset c", "-inf" },
        { "ZSCORE 0:zset-listpack three", "3.25" },
        { "XLEN 0:stream-3", "2" },
        { "GET 0:number4", "-70000" },
        { "STRLEN 0:packed", "264" },
    };
    struct writer w;
    struct migrate m;
    (void)state;
    writer_init(&w, 2);
    rdb_sample(&w, 12, false, false);
    moving_empty();
    migrate_run(&m, "restore", written(&w), target_url, NULL);
    assert_int_equal(m.code, 1);
    assert_int_equal(migrate_count(&m, "failed"), 2);
    assert_non_null(strstr(m.err, "key=3:last reason=\"it is in database 3; say what to do"));
    for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
        redisReply *reply = redis_ask(to, asks[i][0]);
        const redisReply *r = reply->type == REDIS_REPLY_ARRAY ? reply->element[0] : reply;
        char number[32];
        snprintf(number, sizeof(number), "%lld", r->integer);
        const char *text = r->type == REDIS_REPLY_INTEGER ? number : r->str;
        if (text == NULL || strcmp(text, asks[i][1]) != 0)
            fail_msg("%s: %s", asks[i][0], text != NULL ? text : "nothing");
        freeReplyObject(reply);
    }
    migrate_free(&m);
    migrate_run(&m, "restore", written(&w), target_url, "--db", "only:3", NULL);
    assert_int_equal(m.code, 0);
    assert_int_equal(migrate_count(&m, "restored"), 2);
    redisReply *idle = redis_ask(to, "OBJECT IDLETIME 3:last");
    assert_in_range(idle->integer, 1000, 1100);
    freeReplyObject(idle);
    migrate_free(&m);
    writer_close(&w);
}

static void test_failures_are_told(void **state)
{
    struct migrate m;
    char list[300];
    (void)state;
    moving_empty();
    redis_do(from, "SET one 1");
    redis_do(from, "RPUSH two 1 2");
    redis_do(from, "SET gone x PXAT 4102444800000");
    redis_do(to, "SET one other");
    redis_do(to, "SET two other");
    snprintf(list, sizeof(list), "%s/failed", testenv_dir());
    migrate_run(&m, "restore", saved(), target_url, "--replace", "no", "--failed-file", list, NULL);
    assert_int_equal(m.code, 1);
    assert_int_equal(migrate_count(&m, "failed"), 2);
    assert_int_equal(migrate_count(&m, "restored"), 1);
    assert_non_null(strstr(m.err, "key=one reason=\"BUSYKEY Target key name already exists.\""));
    migrate_free(&m);
    char *told = file_text(list);
    assert_non_null(strstr(told, "\"two\" BUSYKEY Target key name already exists.\n"));
    free(told);
    migrate_run(&m, "restore", saved(), target_url, "--replace", "no", "--rewrite", NULL);
    assert_int_equal(m.code, 1);
    assert_int_equal(migrate_count(&m, "failed"), 3);
    migrate_free(&m);
    assert_int_equal(moving_keys(to), 3); /* no temporary key is left */
    redis_do(to, "CONFIG SET maxmemory 1");
    migrate_run(&m, "restore", saved(), target_url, NULL);
    redis_do(to, "CONFIG SET maxmemory 0");
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "key=two reason=\"OOM command not allowed"));
    migrate_free(&m);
}

static void test_expired_and_empty(void **state)
{
    struct writer w;
    struct migrate m;
    (void)state;
    moving_empty();
    writer_init(&w, 2);
    rdb_begin(&w, 9, false);
    rdb_byte(&w, 252);
    rdb_little(&w, 1000000000000, 8);
    rdb_byte(&w, 0);
    rdb_text_of(&w, "expired");
    rdb_text_of(&w, "x");
    rdb_byte(&w, 0);
    rdb_text_of(&w, "lives");
    rdb_text_of(&w, "x");
    rdb_byte(&w, 4);
    rdb_text_of(&w, "empty hash");
    rdb_length(&w, 0);
    rdb_byte(&w, 13);
    rdb_text_of(&w, "empty ziplist");
    rdb_packed_string(&w, RDB_ZIPLIST, NULL, 0);
    rdb_end(&w, 9, true);
    migrate_run(&m, "restore", written(&w), target_url, NULL);
    assert_int_equal(m.code, 0);
    assert_int_equal(migrate_count(&m, "skipped, expired"), 1);
    assert_int_equal(migrate_count(&m, "skipped, empty"), 2);
    assert_int_equal(migrate_count(&m, "restored"), 1);
    assert_int_equal(moving_keys(to), 1);
    migrate_free(&m);
    writer_close(&w);
}

static void expect_fault(const char *path, const char *why)
{
    struct migrate m;
    migrate_run(&m, "restore", path, target_url, NULL);
    assert_int_equal(m.code, 1);
    if (strstr(m.err, why) == NULL)
        fail_msg("no \"%s\" in %s", why, m.err);
    migrate_free(&m);
}

static void test_broken_files(void **state)
{
    struct writer w;
    (void)state;
    writer_init(&w, 2);
    rdb_sample(&w, 10, false, false);
    w.len--;
    expect_fault(written(&w), "the file ends in the middle");
    w.len++;
    char *inside = memmem(w.at, w.len, "another", 7);
    assert_non_null(inside);
    *inside = 'o';
    expect_fault(written(&w), "the checksum is wrong");
    writer_clear(&w, 2);
    write_raw(&w, SPAN("REDIS0012\xfe\x01\x1a\x01k"));
    expect_fault(written(&w), "unknown value type 26 at offset 11");
    writer_clear(&w, 2);
    write_raw(&w, SPAN("hello, world"));
    expect_fault(written(&w), "this is no RDB file");
    expect_fault("/nowhere/at.all", "No such file");
    writer_close(&w);
}

static void test_targets_that_do_not_serve(void **state)
{
    struct migrate m;
    char node[32], nobody[32];
    uint16_t port = port_take();
    (void)state;
    snprintf(node, sizeof(node), "127.0.0.1:%d", cluster.node[0].port);
    snprintf(nobody, sizeof(nobody), "127.0.0.1:%d", port);
    migrate_run(&m, "restore", saved(), node, NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "name it with --target-cluster"));
    migrate_free(&m);
    migrate_run(&m, "restore", saved(), nobody, "--connect-timeout", "500ms", NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "the target does not answer"));
    migrate_free(&m);
    migrate_run(&m, "restore", saved(), "--target-cluster", nobody, "--connect-timeout", "500ms",
                NULL);
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "no node of the cluster tells its slots"));
    migrate_free(&m);
    port_give_back(port);
}

static void test_usage(void **state)
{
    struct migrate m;
    (void)state;
    migrate_run(&m, "restore", NULL);
    assert_int_equal(m.code, 2);
    assert_string_equal(m.err,
                        "slotgate-migrate: restore needs FILE [TARGET]; see slotgate-migrate "
                        "--help\n");
    migrate_free(&m);
    migrate_run(&m, "restore", "x", NULL);
    assert_int_equal(m.code, 2);
    migrate_free(&m);
    migrate_run(&m, "restore", "x", "a:1", "--target-cluster", "b:2", NULL);
    assert_int_equal(m.code, 2);
    migrate_free(&m);
    migrate_run(&m, "restore", "x", "redis://u:secret@nowhere", NULL);
    assert_int_equal(m.code, 2);
    assert_null(strstr(m.err, "secret"));
    migrate_free(&m);
    migrate_run(&m, "transmogrify", NULL);
    assert_int_equal(m.code, 2);
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_into_one_redis),
        cmocka_unit_test(test_into_a_cluster),
        cmocka_unit_test(test_through_a_proxy),
        cmocka_unit_test(test_rewritten),
        cmocka_unit_test(test_large_keys),
        cmocka_unit_test(test_every_version),
        cmocka_unit_test(test_newest_values),
        cmocka_unit_test(test_failures_are_told),
        cmocka_unit_test(test_expired_and_empty),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_targets_that_do_not_serve),
        cmocka_unit_test(test_usage),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
