/*
 * slotgate-migrate sync of 200,000 keys that change all the while they are copied; and what it
 * shows of that on a terminal.
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

enum { KEYS = 200000, LEAST = 20000 };

static atomic_bool changing;
static atomic_ulong changes;

/* Every key may be set, appended to, counted, deleted and given a time to live. */
static const char *const commands[] = {
    "SET many:%u new",   "APPEND many:%u more", "INCR count:%u",      "UNLINK many:%u",
    "RPUSH list:%u a b", "EXPIRE many:%u 1000", "ZINCRBY z:%u 1 one", "HSET hash:%u a b",
};

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER });
    redis_do(from, "EVAL %s 0",
             "for i=0,199999 do redis.call('SET','many:'..i,string.rep('x',i%100)) end");
    assert_int_equal(moving_keys(from), KEYS);
    return 0;
}

static void *change(void *unused)
{
    enum { AT_ONCE = 50 };
    uint64_t random = 1;
    redisContext *r = redis_open(source.port);
    (void)unused;
    while (atomic_load(&changing)) {
        for (int i = 0; i < AT_ONCE; i++) {
            random = random * 6364136223846793005ull + 1442695040888963407ull;
            redisAppendCommand(r, commands[random >> 61], (unsigned)(random >> 33) % KEYS);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            void *reply = NULL;
            assert_int_equal(redisGetReply(r, &reply), REDIS_OK);
            freeReplyObject(reply);
        }
        atomic_fetch_add(&changes, AT_ONCE);
    }
    redisFree(r);
    return NULL;
}

static void test_changed_while_copied(void **state)
{
    struct migrate m;
    pthread_t thread;
    (void)state;
    atomic_store(&changing, true);
    assert_int_equal(pthread_create(&thread, NULL, change, NULL), 0);
    unsigned long before = atomic_load(&changes);
    moving_begin(&m,
                 (const char *const[]){ "sync", source_at, "--target-cluster", seeds, "--spool-dir",
                                        testenv_dir(), "--rate-limit-commands", "100000", NULL });
    assert_true(atomic_load(&changes) - before > LEAST);
    atomic_store(&changing, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    moving_finish(&m);
    migrate_free(&m);
    migrate_expect_good("verify", source_at, "--target-cluster", seeds);
}

/* --- on a terminal ------------------------------------------------------------------------- */

/* Both looks of the line have been there. */
static bool has_shown_all(void *arg)
{
    static const char *const parts[] = { "copy [", "#",        ".] ",         " keys/s", " MB/s",
                                         "ETA ",   "stream  ", " commands/s", "lag " };
    char *text = file_text(((struct process *)arg)->out);
    bool all = text != NULL;
    for (size_t i = 0; all && i < ARRAY_LEN(parts); i++)
        all = strstr(text, parts[i]) != NULL;
    free(text);
    return all;
}

static void test_terminal(void **state)
{
    struct process p;
    char command[1024], socket[256];
    (void)state;
    snprintf(socket, sizeof(socket), "%s/terminal.sock", testenv_dir());
    snprintf(command, sizeof(command),
             "exec %s sync %s --target-cluster %s --spool-dir %s --admin-socket %s "
             "--rate-limit-commands 60000",
             getenv("SLOTGATE_MIGRATE_BIN"), source_at, seeds, testenv_dir(), socket);
    /* script runs it on a terminal of its own and writes what that shows. */
    assert_true(process_start(
        &p, "terminal", (const char *const[]){ "script", "-qefc", command, "/dev/null", NULL },
        NULL));
    assert_true(wait_until(has_shown_all, &p, scaled_ms(30000)));
    migrate_expect_good("finish", socket);
    assert_true(process_wait(&p, scaled_ms(10000)));
    assert_int_equal(p.exit_code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_while_copied),
        cmocka_unit_test(test_terminal),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
