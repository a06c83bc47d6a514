/*
 * What slotgate-migrate says when something goes wrong: the key, the command, the reason, and what
 * the operator is to do. That no line of the program lacks it is checked by test/structure.py.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { WORDS_MAX = 24, LINE_MAX_BYTES = 2048 };

static char poor_source[64], poor_target[64], junk[256], state_dir[256], state_socket[300];

static int start(void **state)
{
    FILE *f;
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    redis_do(from, "ACL SETUSER poor on >secret ~* &* +@all -psync -sync");
    redis_do(to, "ACL SETUSER poor on >secret ~* &* +@all -restore");
    snprintf(poor_source, sizeof(poor_source), "redis://poor:secret@%s", source_at);
    snprintf(poor_target, sizeof(poor_target), "redis://poor:secret@%s", target_at);
    snprintf(junk, sizeof(junk), "%s/junk.rdb", testenv_dir());
    snprintf(state_dir, sizeof(state_dir), "%s/state", testenv_dir());
    snprintf(state_socket, sizeof(state_socket), "%s/one.sock", state_dir);
    f = fopen(junk, "w");
    assert_non_null(f);
    fputs("this is no snapshot", f);
    fclose(f);
    assert_int_equal(mkdir(state_dir, 0700), 0);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    redis_do(from, "SELECT 0");
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    redis_do(from, "SET in:key value");
    return 0;
}

/* --- the log ------------------------------------------------------------------------------- */

/* Lines of the rooms that the proxy uses, too, speak of a connection that mends itself. */
static bool is_of_others(const char *line)
{
    static const char *const events[] = { "\"node connection lost\"", "\"login refused\"" };
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (strstr(line, events[i]) != NULL)
            return true;
    return false;
}

/* Each error and warning says what to do; one of them has all these texts, the last one NULL. */
static void expect_line(const struct migrate *m, const char *const *texts)
{
    char *log = strdup(m->err), *save = NULL;
    bool found = false;
    for (char *line = strtok_r(log, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        bool bad = strstr(line, " level=error ") != NULL || strstr(line, " level=warn ") != NULL;
        if (!bad)
            continue;
        if (strlen(line) > LINE_MAX_BYTES)
            fail_msg("a line of %zu bytes", strlen(line));
        if (strstr(line, " action=") == NULL && !is_of_others(line))
            fail_msg("it does not say what to do: %s", line);
        size_t n = 0;
        while (texts[n] != NULL && strstr(line, texts[n]) != NULL)
            n++;
        found |= texts[n] == NULL;
    }
    free(log);
    if (!found)
        fail_msg("nothing about %s, %s: %s", texts[0], texts[1], m->err);
}

struct error_case {
    const char *const *words; /* of the program, the last one NULL */
    const char *texts[6];     /* all in one line of its log */
};

static void run_case(const struct error_case *c)
{
    const char *words[WORDS_MAX];
    size_t n = 0;
    struct migrate m;
    for (; c->words[n] != NULL; n++)
        words[n] = c->words[n];
    words[n] = NULL;
    migrate_start(&m, words);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    expect_line(&m, c->texts);
    migrate_free(&m);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, "--spool-dir", testenv_dir(), NULL })

static void test_what_ends_it(void **state)
{
    const struct error_case cases[] = {
        { WORDS("restore", junk, target_at),
          { "this is no RDB file", "action=\"name a file that" } },
        { WORDS("restore", "/nowhere/x.rdb", target_at),
          { "/nowhere/x.rdb: No such file", "name a file that is there" } },
        { WORDS("sync", source_at, target_at, "--source-user", "nobody", "--source-auth", "wrong"),
          { "the source does not accept", "--source-auth" } },
        { WORDS("sync", poor_source, target_at),
          { "the source does not let us replicate", "+psync +replconf" } },
        { WORDS("sync", source_at, target_at, "--target-auth", "wrong", "--target-user", "nobody",
                "--connect-timeout", "500ms"),
          { "cannot go on", "action=" } },
        { WORDS("sync", "127.0.0.1:1", target_at, "--source-timeout", "500ms"),
          { "the source cannot be reached", "look at SOURCE" } },
        { WORDS("sync", source_at, target_at, "--failed-file", "/nowhere/failed"),
          { "cannot write", "/nowhere/failed", "make room, or name another place" } },
        { WORDS("sync", source_at, target_at, "--metrics-bind", "192.0.2.1", "--metrics-port", "9"),
          { "cannot listen", "192.0.2.1", "--metrics-port" } },
        { WORDS("verify", source_at, target_at, "--diff-file", "/nowhere/diff"),
          { "cannot write", "/nowhere/diff", "make room, or name another place" } },
        { WORDS("scan", source_at, target_at, "--tail"),
          { "sends no keyspace notifications", "notify-keyspace-events KEA" } },
        { WORDS("dump", source_at, "/nowhere/x.rdb"), { "cannot write", "/nowhere/x", "action=" } },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        redis_do(to, "FLUSHALL"); /* the one before may hold on to the target */
        run_case(&cases[i]);
    }
}

/* --- keys and commands --------------------------------------------------------------------- */

static void test_keys(void **state)
{
    const struct error_case cases[] = {
        { WORDS("sync", source_at, poor_target, "--follow", "no"),
          { "key not copied", "key=in:key", "reason=\"NOPERM", "give that user the right" } },
        { WORDS("sync", source_at, target_at, "--follow", "no", "--replace", "no"),
          { "key not copied", "key=in:key", "BUSYKEY", "--replace yes" } },
        { WORDS("scan", source_at, target_at, "--replace", "no"),
          { "key not copied", "key=in:key", "BUSYKEY", "--replace yes" } },
    };
    (void)state;
    redis_do(to, "SET in:key other");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        run_case(&cases[i]);
    redis_do(from, "SELECT 3");
    redis_do(from, "SET elsewhere 1");
    run_case(&(struct error_case){ WORDS("sync", source_at, target_at, "--follow", "no"),
                                   { "key=elsewhere", "it is in database 3", "--db only:N" } });
}

/* A name with any bytes, longer than a line may be. */
static void test_long_keys(void **state)
{
    static char key[100000];
    (void)state;
    memset(key, 'x', sizeof(key));
    memcpy(key, "\n\0\xff \"=", 6);
    redis_do(from, "SET %b value", key, sizeof(key));
    redis_do(to, "SET %b other", key, sizeof(key));
    run_case(&(struct error_case){
        WORDS("sync", source_at, target_at, "--follow", "no", "--replace", "no"),
        { "key not copied", "\\n\\x00\\xff \\\"=xxx", "BUSYKEY", "--replace yes" } });
}

/* The key is where the command has it, not always behind its name. */
static void test_commands(void **state)
{
    struct migrate m;
    (void)state;
    moving_begin(&m, WORDS("sync", source_at, target_at, "--include-key", "in:*"));
    redis_do(from, "SET out:key 1");
    redis_do(from, "BITOP NOT in:not out:key");
    redis_do(from, "RENAME out:key in:renamed");
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(20000)));
    process_signal(&m.process, SIGTERM);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    expect_line(&m, (const char *const[]){ "command not applied", "command=BITOP", "key=in:not",
                                           "--filter-mixed drop or apply", NULL });
    expect_line(&m, (const char *const[]){ "command not applied", "command=RENAME", "key=out:key",
                                           "--filter-mixed drop or apply", NULL });
    migrate_free(&m);
}

static void test_all_keys(void **state)
{
    struct migrate m;
    (void)state;
    moving_begin(&m, WORDS("sync", source_at, target_at));
    redis_do(from, "FLUSHALL");
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    expect_line(&m, (const char *const[]){ "command not applied", "command=FLUSHALL",
                                           "all keys of the target", "about --flush", NULL });
    expect_line(&m, (const char *const[]){ "cannot go on", "FLUSHALL, FLUSHDB or SWAPDB",
                                           "choose by --flush", NULL });
    migrate_free(&m);
}

/* --- what the commands at the socket and the plan say -------------------------------------- */

static void expect_refused(const char *text, const char *const *words)
{
    struct migrate m;
    migrate_start(&m, words);
    migrate_wait(&m, 20000);
    assert_int_equal(m.code, 1);
    if (strstr(m.err, text) == NULL)
        fail_msg("no \"%s\": %s", text, m.err);
    migrate_free(&m);
}

static void test_socket(void **state)
{
    struct migrate m, other;
    (void)state;
    moving_begin(&m,
                 WORDS("sync", source_at, target_at, "--name", "one", "--state-dir", state_dir));
    expect_refused("is a sync running", (const char *const[]){ "status", "/nowhere/x.sock", NULL });
    expect_refused(
        "name a file that verify",
        (const char *const[]){ "cutover", state_socket, "--repair-from", "/nowhere", NULL });
    migrate_expect_good("pause", state_socket);
    expect_refused("it is paused; say `resume` first",
                   (const char *const[]){ "cutover", state_socket, NULL });
    migrate_expect_good("resume", state_socket);
    migrate_run(&other, "sync", source_at, target_at, "--name", "one", "--state-dir", state_dir,
                NULL);
    expect_line(&other, (const char *const[]){ "the state directory cannot be used",
                                               "another process has it", "--state-dir", NULL });
    migrate_free(&other);
    migrate_expect_good("finish", state_socket);
    migrate_wait(&m, 20000);
    migrate_free(&m);
    migrate_run(&other, "sync", source_at, target_at, "--name", "two", "--state-dir", state_dir,
                NULL);
    expect_line(&other, (const char *const[]){ "belongs to another source", "name=one",
                                               "an empty one for a new full copy", NULL });
    migrate_free(&other);
}

/* Each finding of a plan that is not good. */
static void test_plan(void **state)
{
    struct migrate m;
    char *save = NULL;
    int found = 0;
    (void)state;
    redis_do(from, "CONFIG SET repl-backlog-size 1mb");
    redis_do(from, "CONFIG SET client-output-buffer-limit %s", "replica 1048576 0 0");
    redis_do(to, "CONFIG SET maxmemory-policy allkeys-lru");
    redis_do(to, "SET there before");
    redis_do(to, "CONFIG SET maxmemory 1mb");
    redis_do(from, "SELECT 3");
    redis_do(from, "SET elsewhere 1");
    migrate_run(&m, "sync", poor_source, poor_target, "--dry-run", NULL);
    for (char *line = strtok_r(m.out, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "warn  ", 6) != 0 && strncmp(line, "FAIL  ", 6) != 0)
            continue;
        found++;
        if (strstr(line, " -> ") == NULL)
            fail_msg("it does not say what to do: %s", line);
    }
    assert_in_range(found, 7, 20);
    migrate_free(&m);
    redis_do(to, "CONFIG SET maxmemory 0");
    redis_do(to, "CONFIG SET maxmemory-policy noeviction");
}

/* An option of another command is not left out in silence; in the environment it may wait. */
static void test_options_of_others(void **state)
{
    static const char *const cases[][5] = {
        { "verify", "a:1", "b:2", "--tail", "--tail goes with scan, not with verify" },
        { "dump", "a:1", "b:2", "--include-key=a*", "--include-key goes with sync, scan, restore" },
        { "scan", "a:1", "b:2", "--db=3", "--db goes with sync, restore, verify, not with scan" },
        { "scan", "a:1", "b:2", "--state-dir=x", "--state-dir goes with sync, not with scan" },
        { "sync", "a:1", "b:2", "--sample=5", "--sample goes with cutover, not with sync" },
        { "sync", "a:1", "b:2", "--rounds=5", "--rounds goes with verify, not with sync" },
        { "finish", "x.sock", "--pause-source=5s", NULL, "--pause-source goes with cutover, not" },
        { "status", "x.sock", "--repair-from=x", NULL, "--repair-from goes with sync, cutover" },
    };
    struct migrate m;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const *c = cases[i];
        migrate_run(&m, c[0], c[1], c[2], c[3], NULL);
        assert_int_equal(m.code, 2);
        if (strstr(m.err, c[4]) == NULL)
            fail_msg("no \"%s\": %s", c[4], m.err);
        migrate_free(&m);
    }
    setenv("SLOTGATE_MIGRATE_STATE_DIR", testenv_dir(), 1);
    migrate_expect_good("verify", source_at, source_at);
    unsetenv("SLOTGATE_MIGRATE_STATE_DIR");
}

static void test_usage(void **state)
{
    struct migrate m;
    char source_3[64], target_1[64];
    (void)state;
    snprintf(source_3, sizeof(source_3), "redis://%s/3", source_at);
    snprintf(target_1, sizeof(target_1), "redis://%s/1", target_at);
    migrate_run(&m, "sync", source_3, target_at, "--db", "prefix", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "name its database there or by --db, not both"));
    migrate_free(&m);
    migrate_run(&m, "dump", source_3, "x.rdb", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "dump takes no database behind the address"));
    migrate_free(&m);
    migrate_run(&m, "sync", source_at, target_1, NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "said by --db map:FROM=TO"));
    migrate_free(&m);
    migrate_run(&m, "sync", source_at, target_at, "--db", "sideways", NULL);
    assert_int_equal(m.code, 2);
    assert_non_null(strstr(m.err, "only:NUMBER"));
    assert_non_null(strstr(m.err, "see slotgate-migrate --help"));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_ends_it, reset),
        cmocka_unit_test_setup(test_keys, reset),
        cmocka_unit_test_setup(test_long_keys, reset),
        cmocka_unit_test_setup(test_commands, reset),
        cmocka_unit_test_setup(test_all_keys, reset),
        cmocka_unit_test_setup(test_socket, reset),
        cmocka_unit_test_setup(test_plan, reset),
        cmocka_unit_test_setup(test_options_of_others, reset),
        cmocka_unit_test_setup(test_usage, reset),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
