/*
 * Repairs while the very keys are written: counters, lists, texts and scores at the source that
 * show each command that is lost or executed twice. The ways to source and target are slow, so that
 * many commands lie between the moment at which the source tells a value and the one at which the
 * target gets it. The target's keys are damaged before each repair; afterwards every key is the
 * same.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/slow_link.h"
#include "test/lib/testenv.h"

enum {
    KEYS = 12,
    KINDS = 5,
    COMMANDS = KINDS + 1,
    TO_SOURCE_MS = 8,
    TO_TARGET_MS = 10,
    REST_US = 4000,
    TIMEOUT = 20000,
    HUGE = 50 * 1000 * 1000,
    MORE_KB = 20 * 1000, /* of memory, for values larger than that */
    WRONG = 4,
    CUTOVERS = 2,
    CUTS = 5,
    KILLS = 2,
};

static const char *const kinds[KINDS] = { "counter", "list", "text", "scores", "mixed" };
/* Of the last two one may be executed again and is not waited for, and the other one waits for it.
 */
static const char *const commands[COMMANDS] = {
    "INCR counter:%d",       "RPUSH list:%d %u",
    "APPEND text:%d %u,",    "ZADD scores:%d INCR 1 member",
    "HSET mixed:%d last %u", "HINCRBY mixed:%d all 1",
};

static struct oracle source, target;
static struct slow_link to_source, to_target;
static redisContext *from, *to;
static char source_at[32], target_at[32], path[300], repair_file[300], diff_file[300], folder[320];

/* --- a writer ------------------------------------------------------------------------------ */

static struct {
    pthread_t thread;
    atomic_bool stop;
    atomic_uint rounds;
} writer;

static void *write_on(void *arg)
{
    redisContext *r = redisConnect("127.0.0.1", source.port);
    bool good = r != NULL && r->err == 0;
    (void)arg;
    while (good && !atomic_load(&writer.stop)) {
        unsigned round = atomic_fetch_add(&writer.rounds, 1);
        for (int i = 0; i < KEYS * COMMANDS; i++)
            redisAppendCommand(r, commands[i % COMMANDS], i / COMMANDS, round);
        for (int i = 0; i < KEYS * COMMANDS && good; i++) {
            redisReply *reply = NULL;
            good = redisGetReply(r, (void **)&reply) == REDIS_OK;
            if (good && reply->type == REDIS_REPLY_ERROR)
                testenv_problem("%s: %s", commands[i % COMMANDS], reply->str);
            if (good)
                freeReplyObject(reply);
        }
        rest_us(REST_US);
    }
    if (!good)
        testenv_problem("the source is gone");
    if (r != NULL)
        redisFree(r);
    return NULL;
}

static void writer_begin(void)
{
    atomic_store(&writer.stop, false);
    assert_int_equal(pthread_create(&writer.thread, NULL, write_on, NULL), 0);
}

static void writer_end(void)
{
    atomic_store(&writer.stop, true);
    pthread_join(writer.thread, NULL);
}

/* --- the scene ----------------------------------------------------------------------------- */

static int start(void **state)
{
    static const char *const extra[] = { "--enable-debug-command",
                                         "yes",
                                         "--repl-diskless-sync-delay",
                                         "0",
                                         "--repl-backlog-size",
                                         "100mb",
                                         "--rdbcompression",
                                         "no",
                                         NULL };
    (void)state;
    oracle_start_with(&source, extra);
    oracle_start_with(&target, extra);
    slow_link_open(&to_source, source.port, TO_SOURCE_MS);
    slow_link_open(&to_target, target.port, TO_TARGET_MS);
    from = redis_open(source.port);
    to = redis_open(target.port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%u", to_source.port);
    snprintf(target_at, sizeof(target_at), "127.0.0.1:%u", to_target.port);
    snprintf(path, sizeof(path), "%s/admin.sock", testenv_dir());
    snprintf(repair_file, sizeof(repair_file), "%s/repair", testenv_dir());
    snprintf(diff_file, sizeof(diff_file), "%s/differing", testenv_dir());
    snprintf(folder, sizeof(folder), "%s/state", testenv_dir());
    FILE *f = fopen(diff_file, "w");
    assert_non_null(f);
    for (int i = 0; i < KEYS * KINDS; i++)
        fprintf(f, "\"%s:%d\" planted\n", kinds[i % KINDS], i / KINDS);
    fclose(f);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    redisFree(to);
    slow_link_close(&to_source);
    slow_link_close(&to_target);
    oracle_stop(&source);
    oracle_stop(&target);
    return 0;
}

static int empty(void **state)
{
    (void)state;
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    return 0;
}

static long long number(const char *name)
{
    return migrate_status(path, name);
}

static bool is_live(void *arg)
{
    (void)arg;
    return number("commands of the stream") > 0;
}

static void begin(struct migrate *m, const char *const *more)
{
    const char *words[32] = { "sync",        source_at,       target_at,   "--spool-dir",
                              testenv_dir(), "--ttl-calm",    "100ms",     "--name",
                              "repair",      "--repair-file", repair_file, "--admin-socket",
                              path };
    size_t count = 13;
    for (; *more != NULL; more++)
        words[count++] = *more;
    words[count] = NULL;
    writer_begin();
    migrate_start(m, words);
    assert_true(wait_until(is_live, NULL, scaled_ms(TIMEOUT)));
}

static void finish(struct migrate *m)
{
    migrate_expect_good("finish", path);
    migrate_wait(m, scaled_ms(TIMEOUT));
    if (m->code != 0)
        fail_msg("exit code %d: %.3000s%.2000s", m->code, m->err, m->out);
    migrate_free(m);
}

static bool has_gone_on(void *arg)
{
    return atomic_load(&writer.rounds) >= *(unsigned *)arg;
}

static void await_rounds(unsigned more)
{
    unsigned until = atomic_load(&writer.rounds) + more;
    assert_true(wait_until(has_gone_on, &until, scaled_ms(TIMEOUT)));
}

/* Some keys vanish at the target, some have another value; texts and counters stay writable, so
   that nothing but their content tells. */
static void damage(unsigned round)
{
    for (int i = 0; i < KEYS; i++)
        switch ((round + (unsigned)i) % 3) {
        case 0:
            redis_do(to, "DEL counter:%d list:%d text:%d scores:%d mixed:%d", i, i, i, i, i);
            break;
        case 1:
            redis_do(to, "SET counter:%d 7", i);
            redis_do(to, "RPUSH list:%d planted", i);
            redis_do(to, "SET text:%d planted", i);
            redis_do(to, "ZADD scores:%d 3 planted", i);
            redis_do(to, "HINCRBY mixed:%d all 100", i);
            break;
        default:
            break;
        }
}

static void await_all(void)
{
    redis_do(from, "SET last 1"); /* WAIT is about the writes of its own connection */
    redisReply *acked = redis_ask(from, "WAIT 1 %d", scaled_ms(TIMEOUT));
    assert_int_equal(acked->integer, 1);
    freeReplyObject(acked);
}

/* The writer has ended: when the target has all of the stream, every key is the same. */
static void expect_same(void)
{
    await_all();
    for (int i = 0; i < KEYS * KINDS; i++) {
        char key[32];
        int n = snprintf(key, sizeof(key), "%s:%d", kinds[i % KINDS], i / KINDS);
        char *here = content_of(from, key, (size_t)n), *there = content_of(to, key, (size_t)n);
        if (strcmp(here, there) != 0)
            fail_msg("%s differs", key);
        free(here);
        free(there);
    }
}

/* --- tests --------------------------------------------------------------------------------- */

static void cut_over(void)
{
    struct migrate m;
    migrate_run(&m, "cutover", path, "--repair-from", diff_file, "--sample", "10", NULL);
    if (m.code != 0)
        fail_msg("%s%s", m.out, m.err);
    assert_int_equal(migrate_count(&m, "keys that remain"), 0);
    assert_true(migrate_count(&m, "keys repaired") >= KEYS * KINDS);
    migrate_free(&m);
}

static void cut_over_again_and_again(const char *big_key, unsigned cycles)
{
    struct migrate m;
    begin(&m, (const char *const[]){ "--repair", "no", "--big-key", big_key, NULL });
    for (unsigned i = 0; i < cycles; i++) {
        if (i > 0)
            writer_begin();
        for (unsigned k = 0; k < CUTOVERS; k++) {
            damage(i + k);
            cut_over();
            await_rounds(10);
        }
        writer_end();
        expect_same();
    }
    finish(&m);
}

static void test_cutovers(void **state)
{
    (void)state;
    cut_over_again_and_again("8mb", 2);
}

/* All but the counters are built by commands under another name. */
static void test_large_values(void **state)
{
    (void)state;
    cut_over_again_and_again("1kb", 1);
}

/* A repair that something breaks off. */
static void start_cutover(struct migrate *m)
{
    const char *const words[] = {
        "cutover", path, "--repair-from", diff_file, "--sample", "1", NULL
    };
    migrate_start(m, words);
}

/* Whether it says that all is repaired. */
static bool end_cutover(struct migrate *m)
{
    migrate_wait(m, scaled_ms(TIMEOUT));
    bool good = m->code == 0;
    migrate_free(m);
    return good;
}

static bool repairs_all(void *arg)
{
    struct migrate m;
    (void)arg;
    migrate_run(&m, "cutover", path, "--repair-from", diff_file, "--sample", "1", NULL);
    bool good = m.code == 0;
    migrate_free(&m);
    return good;
}

static void test_cut_links(void **state)
{
    struct migrate m, cutover;
    (void)state;
    begin(&m, (const char *const[]){ "--repair", "no", "--big-key", "1kb", NULL });
    for (unsigned i = 0; i < CUTS; i++) {
        damage(i);
        start_cutover(&cutover);
        await_rounds(15 + 6 * i);
        slow_link_cut(i == 2 ? &to_source : &to_target);
        bool good = end_cutover(&cutover);
        writer_end();
        if (good)
            expect_same();
        writer_begin();
    }
    damage(0);
    assert_true(wait_until(repairs_all, NULL, scaled_ms(TIMEOUT)));
    start_cutover(&cutover);
    await_rounds(20);
    slow_link_cut(&to_target); /* the stream is sent again behind repairs, too */
    end_cutover(&cutover);
    await_rounds(20);
    writer_end();
    expect_same();
    finish(&m);
}

static void test_killed(void **state)
{
    struct migrate m, cutover;
    const char *const options[] = { "--repair", "no", "--state-dir", folder, NULL };
    (void)state;
    assert_int_equal(mkdir(folder, 0700), 0);
    begin(&m, options);
    for (unsigned i = 0; i < KILLS; i++) {
        damage(i);
        start_cutover(&cutover);
        await_rounds(5 + 9 * i);
        process_kill(&m.process);
        migrate_free(&m);
        end_cutover(&cutover);
        writer_end();
        begin(&m, options);
    }
    assert_true(wait_until(repairs_all, NULL, scaled_ms(TIMEOUT)));
    await_rounds(20);
    process_kill(&m.process); /* behind a repair the stream is sent again from before it */
    migrate_free(&m);
    writer_end();
    begin(&m, options);
    writer_end();
    expect_same();
    finish(&m);
}

static bool has_type(const char *kind, int i, const char *type)
{
    redisReply *reply = redis_ask(to, "TYPE %s:%d", kind, i);
    bool yes = strcmp(reply->str, type) == 0;
    freeReplyObject(reply);
    return yes;
}

static bool are_repaired(void *arg)
{
    int i = *(int *)arg;
    return has_type("counter", i, "string") && has_type("text", i, "string") &&
           has_type("list", i, "list") && number("repair set") == 0;
}

/* Of another type; at once, because the stream writes these keys all the while. */
static void make_wrong(int i)
{
    redis_do(to, "MULTI");
    redis_do(to, "DEL counter:%d text:%d list:%d", i, i, i);
    redis_do(to, "HSET counter:%d is wrong", i);
    redis_do(to, "SADD text:%d wrong", i);
    redis_do(to, "SET list:%d wrong", i);
    redisReply *reply = redis_ask(to, "EXEC");
    assert_int_equal(reply->elements, 4);
    freeReplyObject(reply);
}

/* Commands that fail at the target bring their keys into the set; nobody says anything. */
static void test_by_itself(void **state)
{
    struct migrate m;
    (void)state;
    begin(&m, (const char *const[]){ "--repair", "yes", "--repair-every", "20ms", NULL });
    for (int i = 0; i < WRONG; i++) {
        make_wrong(i);
        assert_true(wait_until(are_repaired, &i, scaled_ms(TIMEOUT)));
    }
    writer_end();
    await_all();
    for (int i = 0; i < WRONG; i++) /* a command may have failed while its key was repaired */
        assert_true(wait_until(are_repaired, &i, scaled_ms(TIMEOUT)));
    expect_same();
    assert_true(number("repaired") >= 3 * WRONG);
    assert_true(number("commands failed") > 0);
    finish(&m);
}

static long peak_kb(const struct process *p)
{
    char name[64], line[256];
    long kb = -1;
    snprintf(name, sizeof(name), "/proc/%d/status", (int)p->pid);
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fclose(f);
    return kb;
}

static void fill_huge(void)
{
    redis_do(from, "SETRANGE huge:text %d x", HUGE);
    redis_do(from, "EVAL %s 0 %d",
             "for i=1,ARGV[1]/65536 do redis.call('RPUSH','huge:list',string.rep('x',65536)) end",
             HUGE);
}

/* What is repaired or compared passes through, whatever its size. */
static void test_huge_values(void **state)
{
    static const char *const keys[] = { "huge:text", "huge:list" };
    struct migrate m, cutover;
    char file[320];
    (void)state;
    snprintf(file, sizeof(file), "%s/huge", testenv_dir());
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fill_huge();
    begin(&m, (const char *const[]){ "--repair", "no", "--ttl-exact", "yes", NULL });
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        redis_do(to, "DEL %s", keys[i]);
        redis_do(to, "SET %s small", keys[i]);
        fprintf(f, "\"%s\" planted\n", keys[i]);
    }
    redis_do(from, "PEXPIREAT huge:list 4102444800000");
    fclose(f);
    long before = peak_kb(&m.process); /* that of the full copy */
    migrate_run(&cutover, "cutover", path, "--repair-from", file, "--sample", "20", NULL);
    if (cutover.code != 0)
        fail_msg("%s%s", cutover.out, cutover.err);
    migrate_free(&cutover);
    writer_end();
    expect_same();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char *here = content_of(from, keys[i], strlen(keys[i]));
        char *there = content_of(to, keys[i], strlen(keys[i]));
        assert_string_equal(here, there);
        free(here);
        free(there);
    }
    redisReply *at = redis_ask(to, "PEXPIRETIME huge:list");
    assert_int_equal(at->integer, 4102444800000);
    freeReplyObject(at);
    if (!testenv_sanitized())
        assert_in_range(peak_kb(&m.process), before, before + MORE_KB);
    finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_cutovers, empty),
        cmocka_unit_test_setup(test_large_values, empty),
        cmocka_unit_test_setup(test_huge_values, empty),
        cmocka_unit_test_setup(test_by_itself, empty),
        cmocka_unit_test_setup(test_cut_links, empty),
        cmocka_unit_test_setup(test_killed, empty),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
