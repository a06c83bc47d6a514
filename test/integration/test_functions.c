/*
 * Libraries of functions in the stream of slotgate-migrate: every master has in the end what the
 * source has, also after a kill, when the last minute is sent again.
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

static char state_dir[256];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_CLUSTER });
    snprintf(state_dir, sizeof(state_dir), "%s/functions", testenv_dir());
    assert_int_equal(mkdir(state_dir, 0700), 0);
    return 0;
}

static void load(const char *how, const char *name, int version)
{
    char code[200];
    snprintf(code, sizeof(code),
             "#!lua name=%s\nredis.register_function('%s', function() return %d end)", name, name,
             version);
    if (how[0] != '\0')
        redis_do(from, "FUNCTION LOAD %s %s", how, code);
    else
        redis_do(from, "FUNCTION LOAD %s", code);
}

/* What FUNCTION LIST shows of one library, its code included; the caller frees it. */
static char *library(redisContext *r, const char *name)
{
    char *text = calloc(1, 1000);
    redisReply *list = redis_ask(r, "FUNCTION LIST LIBRARYNAME %s WITHCODE", name);
    assert_non_null(text);
    for (size_t i = 0; list->elements > 0 && i < list->element[0]->elements; i++)
        if (list->element[0]->element[i]->str != NULL)
            strncat(text, list->element[0]->element[i]->str, 900 - strlen(text));
    freeReplyObject(list);
    return text;
}

static void expect_same(const char *name)
{
    char *want = library(from, name);
    for (int i = 0; i < 3; i++) {
        char *got = library(nodes[i], name);
        if (strcmp(got, want) != 0)
            fail_msg("%s at master %d: \"%s\" instead of \"%s\"", name, i, got, want);
        free(got);
    }
    free(want);
}

/* Each plain LOAD and RESTORE meets a library at the target that the source has not any more, since
   FLUSH is left out there. */
static void load_again(void)
{
    redis_do(from, "FUNCTION DELETE gone");
    redis_do(from, "FUNCTION FLUSH");
    load("", "changed", 2);
    load("", "fresh", 1);
}

static void restore_again(void)
{
    redisReply *dump = redis_ask(from, "FUNCTION DUMP");
    load("REPLACE", "fresh", 2);
    load("REPLACE", "changed", 3);
    redis_do(from, "FUNCTION FLUSH");
    redis_do(from, "FUNCTION RESTORE %b", dump->str, dump->len);
    freeReplyObject(dump);
}

static void expect_all_same(void)
{
    expect_same("changed");
    expect_same("fresh");
    expect_same("gone");
}

static void test_over_a_kill(void **state)
{
    const char *const words[] = { "sync",      source_at,     "--target-cluster", seeds, "--name",
                                  "functions", "--state-dir", state_dir,          NULL };
    struct migrate m;
    (void)state;
    load("", "gone", 1);
    load("", "changed", 1);
    moving_begin(&m, words);
    load_again();
    moving_catch_up(&m);
    expect_all_same();
    restore_again();
    moving_catch_up(&m);
    expect_all_same();
    process_kill(&m.process);
    migrate_free(&m);
    migrate_start(&m, words);
    moving_finish(&m);
    assert_int_equal(migrate_count(&m, "commands failed"), 0);
    assert_true(migrate_count(&m, "commands of the stream") > 6);
    migrate_free(&m);
    expect_all_same();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_a_kill),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
