/*
 * slotgate-migrate sync and a source that does not let it go on for a while: a script keeps it
 * busy, it has too many clients, it cannot save, or our own spool is full. The link breaks in each
 * of them; nothing is lost, and the sync does not end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { TIMEOUT = 20000 };

static char socket_at[200];

static int start(void **state)
{
    static const char *const words[] = { "--repl-backlog-size", "64mb", "--busy-reply-threshold",
                                         "10", NULL };
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN, .source = words });
    snprintf(socket_at, sizeof(socket_at), "%s/refuses.sock", testenv_dir());
    return 0;
}

/* --- one sync ------------------------------------------------------------------------------ */

static void begin(struct migrate *m, const char *spool_max)
{
    moving_empty();
    moving_begin(m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                           testenv_dir(), "--admin-socket", socket_at,
                                           "--spool-max", spool_max, NULL });
}

static void expect_count(long long n)
{
    redisReply *reply = redis_ask(to, "GET counter");
    assert_non_null(reply->str);
    assert_int_equal(atoll(reply->str), n);
    freeReplyObject(reply);
}

static void finish(struct migrate *m)
{
    moving_catch_up(m);
    migrate_expect_good("finish", socket_at);
    migrate_wait(m, scaled_ms(TIMEOUT));
    if (m->code != 0)
        fail_msg("exit code %d: %.3000s%.1000s", m->code, m->err, m->out);
    migrate_free(m);
}

/* --- tests --------------------------------------------------------------------------------- */

/* Ten seconds at most. */
static const char script[] = "local t = redis.call('time')[1] "
                             "while redis.call('time')[1] - t < 10 do end";

static void test_busy_source(void **state)
{
    struct migrate m;
    void *reply = NULL;
    int done = 0;
    (void)state;
    begin(&m, "10mb");
    redis_do(from, "INCR counter");
    redis_do(from, "CLIENT KILL TYPE replica");
    assert_int_equal(redisAppendCommand(from, "EVAL %s 0", script), REDIS_OK);
    while (done == 0)
        assert_int_equal(redisBufferWrite(from, &done), REDIS_OK);
    migrate_await(&m, "the source refuses us for now", 1);
    redisContext *other = redis_open(source.port);
    redis_do(other, "SCRIPT KILL");
    redisFree(other);
    assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
    freeReplyObject(reply);
    migrate_await(&m, "the stream goes on", 1);
    redis_do(from, "INCR counter");
    finish(&m);
    expect_count(2);
}

static void test_too_many_clients(void **state)
{
    struct migrate m;
    (void)state;
    begin(&m, "10mb");
    redis_do(from, "INCR counter");
    redis_do(from, "CONFIG SET maxclients 1");
    redis_do(from, "CLIENT KILL TYPE replica");
    migrate_await(&m, "the source refuses us for now", 1);
    redis_do(from, "INCR counter");
    redis_do(from, "CONFIG SET maxclients 1000");
    migrate_await(&m, "the stream goes on", 1);
    finish(&m);
    expect_count(2);
}

/* A directory there lets no file be written. */
static const char *saved_at(void)
{
    static char path[300];
    snprintf(path, sizeof(path), "%s/oracle-%d.rdb", testenv_dir(), source.port);
    return path;
}

static bool save_failed(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(from, "INFO persistence");
    bool failed = strstr(reply->str, "rdb_last_bgsave_status:err") != NULL;
    freeReplyObject(reply);
    return failed;
}

/* Behind the child of the full copy. */
static bool begins_to_save(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(from, "BGSAVE");
    bool begins = reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return begins;
}

/* It refuses every PING of ours, but its stream goes on. */
static void test_cannot_save(void **state)
{
    struct migrate m;
    (void)state;
    begin(&m, "10mb");
    redis_do(from, "INCR counter");
    redis_do(from, "CONFIG SET save %s", "3600 1000000");
    remove(saved_at());
    assert_int_equal(mkdir(saved_at(), 0700), 0);
    assert_true(wait_until(begins_to_save, NULL, scaled_ms(TIMEOUT)));
    assert_true(wait_until(save_failed, NULL, scaled_ms(TIMEOUT)));
    redis_do(from, "CLIENT KILL TYPE replica");
    migrate_await(&m, "the stream goes on", 1);
    redis_do(from, "CONFIG SET save %s", "");
    assert_int_equal(rmdir(saved_at()), 0);
    redis_do(from, "INCR counter");
    finish(&m);
    expect_count(2);
}

static long long spool_bytes(void)
{
    struct migrate m;
    migrate_run(&m, "status", socket_at, NULL);
    long long n = m.code == 0 ? migrate_count(&m, "spool, bytes") : -1;
    migrate_free(&m);
    return n;
}

static void write_much(int number)
{
    static char text[64 * 1024];
    memset(text, 'x', sizeof(text));
    for (int i = 0; i < 64; i++) {
        redis_do(from, "SET large:%d:%d %b", number, i, text, sizeof(text));
        redis_do(from, "INCR counter");
    }
}

/* The new link, too, is read no further when the spool is full. */
static void test_full_spool(void **state)
{
    enum { MB = 1024 * 1024 };
    struct migrate m;
    (void)state;
    begin(&m, "1mb");
    migrate_expect_good("pause", socket_at);
    write_much(0);
    migrate_await(&m, "the spool is full", 1);
    write_much(1);
    redis_do(from, "CLIENT KILL TYPE replica");
    migrate_await(&m, "the stream goes on", 1);
    migrate_await(&m, "the spool is full", 2);
    assert_in_range(spool_bytes(), MB, 3 * MB);
    migrate_expect_good("resume", socket_at);
    finish(&m);
    expect_count(2 * 64);
}

/* The spool has more files than this machine would let a program open that does not ask. */
static void test_many_files(void **state)
{
    enum { MB = 1024 * 1024, FILES = 20, VALUES = 20, VALUE = 16 * MB };
    struct migrate m;
    struct rlimit usual, low;
    char *text = malloc(VALUE);
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = (struct rlimit){ FILES, usual.rlim_max };
    assert_non_null(text);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    begin(&m, "1gb");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
    /* On a busy machine it writes faster than we read. */
    redis_do(from, "CONFIG SET client-output-buffer-limit %s", "replica 0 0 0");
    memset(text, 'x', VALUE);
    migrate_expect_good("pause", socket_at);
    for (int i = 0; i < VALUES; i++)
        redis_do(from, "SET large %b", text, (size_t)VALUE);
    free(text);
    migrate_expect_good("resume", socket_at);
    finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy_source), cmocka_unit_test(test_too_many_clients),
        cmocka_unit_test(test_cannot_save), cmocka_unit_test(test_full_spool),
        cmocka_unit_test(test_many_files),
    };
    int failed = cmocka_run_group_tests(tests, start, moving_end);
    return testenv_finish(failed);
}
