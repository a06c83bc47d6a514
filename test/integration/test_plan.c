/*
 * slotgate-migrate --dry-run: finds what will not work, changes nothing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

static char poor_at[64], weak_at[64];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN | MOVING_CLUSTER | MOVING_PROXY });
    redis_do(from, "ACL SETUSER poor on >secret ~* &* +@all -psync -sync");
    redis_do(to, "ACL SETUSER weak on >secret ~* &* +@all -restore -rename");
    snprintf(poor_at, sizeof(poor_at), "redis://poor:secret@%s", source_at);
    snprintf(weak_at, sizeof(weak_at), "redis://weak:secret@%s", target_at);
    return 0;
}

static int reset(void **state)
{
    (void)state;
    redis_do(from, "FLUSHALL");
    redis_do(to, "FLUSHALL");
    redis_do(from, "CONFIG SET repl-backlog-size 100mb");
    redis_do(to, "CONFIG SET maxmemory 0");
    redis_do(to, "CONFIG SET maxmemory-policy noeviction");
    redis_do(from, "MSET a 1 b 2 c 3");
    return 0;
}

#define plan_expect(code, text, ...)                                                               \
    plan_expect_at(                                                                                \
        __LINE__, code, text,                                                                      \
        (const char *const[]){ __VA_ARGS__, "--dry-run", "--spool-dir", testenv_dir(), NULL })

static void plan_expect_at(int line, int code, const char *text, const char *const *words)
{
    struct migrate m;
    migrate_start(&m, words);
    migrate_wait(&m, 20000);
    if (m.code != code || strstr(m.out, text) == NULL)
        fail_msg("line %d: exit code %d, no \"%s\" in: %s%s", line, m.code, text, m.out, m.err);
    migrate_free(&m);
}

static void test_all_is_well(void **state)
{
    (void)state;
    plan_expect(0, "about 3 keys", "sync", source_at, target_at);
    plan_expect(0, "0 warnings, 0 that will not work", "sync", source_at, target_at);
    plan_expect(0, "3 shards", "sync", source_at, "--target-cluster", seeds);
    plan_expect(0, "SCAN and DUMP of about 3 keys", "scan", poor_at, target_at);
    plan_expect(0, "takes at least 3 s", "sync", source_at, target_at, "--rate-limit-commands",
                "1");
    assert_int_equal(moving_keys(to), 0);
    redisReply *info = redis_ask(from, "INFO stats");
    assert_non_null(strstr(info->str, "sync_full:0"));
    freeReplyObject(info);
}

static void test_source(void **state)
{
    (void)state;
    plan_expect(1, "FAIL  source: PSYNC is not allowed to user poor", "sync", poor_at, target_at);
    redis_do(from, "CONFIG SET repl-backlog-size 1mb");
    plan_expect(0, "warn  source: repl-backlog-size is 1024 KB", "sync", source_at, target_at);
    redis_do(from, "CONFIG SET client-output-buffer-limit %s", "replica 1048576 0 0");
    plan_expect(0, "warn  source: client-output-buffer-limit of replicas is 1 MB", "sync",
                source_at, target_at);
    redis_do(from, "CONFIG SET client-output-buffer-limit %s", "replica 0 0 0");
    redis_do(from, "SELECT 3");
    redis_do(from, "SET other 1");
    redis_do(from, "SELECT 0");
    plan_expect(1, "FAIL  source: 1 keys in other databases than 0", "sync", source_at, target_at);
    plan_expect(0, "about 4 keys", "sync", source_at, target_at, "--db", "prefix");
    plan_expect(0, "ok    source: 1 keys in databases that stay", "sync", source_at, target_at,
                "--db", "only:0");
}

static void test_target(void **state)
{
    (void)state;
    redis_do(to, "CONFIG SET maxmemory 1mb");
    plan_expect(1, "FAIL  target: room for 0 MB below maxmemory", "sync", source_at, target_at);
    redis_do(to, "CONFIG SET maxmemory 1gb");
    plan_expect(0, "ok    target: room for 10", "sync", source_at, target_at);
    redis_do(to, "CONFIG SET maxmemory-policy allkeys-lru");
    plan_expect(0, "warn  target: it evicts keys", "sync", source_at, target_at);
    plan_expect(1, "FAIL  target: RESTORE: NOPERM", "sync", source_at, weak_at);
    plan_expect(1, "FAIL  target: RENAME: NOPERM", "sync", source_at, weak_at, "--rewrite");
    redis_do(to, "SET x 1");
    plan_expect(0, "warn  target: it has 1 keys already", "sync", source_at, target_at);
}

/* What delivery needs beside the commands of the copy: nothing of it is there afterwards. */
static void test_rights_of_exact_delivery(void **state)
{
    static const struct {
        const char *rights, *finding;
    } rows[] = {
        { "+@all -get", "GET: NOPERM" },
        { "+@all -set", "SET: NOPERM" },
        { "+@all -exec", "EXEC: NOPERM" },
        { "+@all -role", "ROLE: NOPERM" },
        { "+@all -client|list", "CLIENT: NOPERM" },
        { "+@all -client|kill", "CLIENT: NOPERM" },
        { "+@all -unlink", "UNLINK: NOPERM" },
        { "+@all -scan", "SCAN: NOPERM" },
        { "+@all resetkeys ~slotgate:migrate:* ~data:*", "GET: NOPERM" },
    };
    char at[64], finding[64];
    (void)state;
    snprintf(at, sizeof(at), "redis://narrow:secret@%s", target_at);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        redis_do(to, "ACL DELUSER narrow");
        char words[128], *save = NULL,
                         *argv[16] = { "ACL", "SETUSER", "narrow", "on", ">secret", "~*", "&*" };
        int argc = 7;
        snprintf(words, sizeof(words), "%s", rows[i].rights);
        for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
            argv[argc++] = w;
        freeReplyObject(redisCommandArgv(to, argc, (const char **)argv, NULL));
        snprintf(finding, sizeof(finding), "FAIL  target: %s", rows[i].finding);
        plan_expect(1, finding, "sync", source_at, at, "--allow-full-resync", "--only-source");
    }
    redis_do(to, "ACL SETUSER narrow +@all allkeys -function|restore");
    plan_expect(0, "warn  target: FUNCTION: NOPERM", "sync", source_at, at, "--allow-full-resync",
                "--only-source");
    plan_expect(0, "0 warnings, 0 that will not work", "sync", source_at, proxy_at);
    plan_expect(0, "ok    target: PROXY is allowed", "sync", source_at, proxy_at);
    assert_int_equal(moving_keys(to), 0);
}

static void test_nobody_there(void **state)
{
    char nobody[32];
    uint16_t port = port_take();
    (void)state;
    snprintf(nobody, sizeof(nobody), "127.0.0.1:%d", port);
    plan_expect(1, "FAIL  the target does not answer", "sync", source_at, nobody,
                "--connect-timeout", "300ms");
    plan_expect(1, "FAIL  source: ", "sync", nobody, target_at, "--connect-timeout", "300ms");
    port_give_back(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_all_is_well, reset),
        cmocka_unit_test_setup(test_source, reset),
        cmocka_unit_test_setup(test_target, reset),
        cmocka_unit_test_setup(test_rights_of_exact_delivery, reset),
        cmocka_unit_test_setup(test_nobody_there, reset),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
