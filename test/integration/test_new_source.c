/*
 * slotgate-migrate sync with a Valkey 9 as source and target: hashes whose fields have times come
 * over, and the source hears at once when all that it asks for has been applied.
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

static struct migrate sync_process;

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){
        .parts = MOVING_PLAIN, .source_server = "valkey-9", .target_server = "valkey-9" });
    redis_do(from, "HSET hash a 1 b 2");
    redis_do(from, "HPEXPIREAT hash 4102444800777 FIELDS 1 a");
    moving_begin(&sync_process, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                                       testenv_dir(), NULL });
    return 0;
}

static int stop(void **state)
{
    moving_finish(&sync_process);
    migrate_free(&sync_process);
    return moving_end(state);
}

static void test_field_times(void **state)
{
    (void)state;
    redisReply *times = redis_ask(to, "HPEXPIRETIME hash FIELDS 2 a b");
    assert_int_equal(times->type, REDIS_REPLY_ARRAY);
    assert_int_equal(times->element[0]->integer, 4102444800777);
    assert_int_equal(times->element[1]->integer, -1);
    freeReplyObject(times);
}

static redisReply *next_reply(void)
{
    void *reply = NULL;
    assert_int_equal(redisGetReply(from, &reply), REDIS_OK);
    return reply;
}

/* The source asks for an answer right behind the writes, once. Who says then how far it is, and the
   next time a second later, makes each WAIT last so long. */
static void test_wait_is_short(void **state)
{
    enum { TRIES = 5, WRITES = 20000, PATIENCE_MS = 3000, MOST_MS = 2500 };
    uint64_t begun = now_ms();
    (void)state;
    for (int n = 0; n < TRIES; n++) {
        for (int i = 0; i < WRITES; i++)
            redisAppendCommand(from, "SET key:%d %d", i, n);
        redisAppendCommand(from, "WAIT 1 %d", scaled_ms(PATIENCE_MS));
        for (int i = 0; i < WRITES; i++)
            freeReplyObject(next_reply());
        redisReply *count = next_reply();
        assert_int_equal(count->integer, 1);
        freeReplyObject(count);
    }
    assert_true(now_ms() - begun < (uint64_t)scaled_ms(MOST_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_times),
        cmocka_unit_test(test_wait_is_short),
    };

    if (!server_use("valkey-9")) {
        fprintf(stderr, "skipped: there is no valkey-9; ./dev servers valkey-9\n");
        return 0;
    }
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
