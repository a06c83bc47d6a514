/*
 * hiredis, as applications use it: formatted and binary arguments, pipelines, scans, scripts,
 * transactions, subscriptions. Nothing of it knows that there is a cluster.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "test/lib/beside.h"
#include "test/lib/testenv.h"

enum { KEYS = 500 };

static int start(void **state)
{
    (void)state;
    beside_start_alone(&(struct cluster_options){ .masters = 3 }, NULL);
    return 0;
}

static redisContext *connect_proxy(void)
{
    redisContext *c = redisConnectWithTimeout("127.0.0.1", proxy.port, (struct timeval){ 5, 0 });
    assert_non_null(c);
    assert_int_equal(c->err, 0);
    redisSetTimeout(c, (struct timeval){ 20, 0 });
    return c;
}

static redisReply *ask(redisContext *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *r = redisvCommand(c, format, args);
    va_end(args);
    assert_non_null(r);
    if (r->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, r->str);
    return r;
}

static void expect_text(redisReply *r, const char *bytes, size_t len)
{
    assert_true(r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS);
    assert_int_equal(r->len, len);
    assert_memory_equal(r->str, bytes, len);
    freeReplyObject(r);
}

static void expect_integer(redisReply *r, long long wanted)
{
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    assert_int_equal(r->integer, wanted);
    freeReplyObject(r);
}

static void test_binary_values(void **state)
{
    static const char value[] = "a\0b\r\nc\xff";
    redisContext *c = connect_proxy();
    (void)state;
    expect_text(ask(c, "SET %b %b EX 100", "k\0\r\n", (size_t)4, value, sizeof(value)), "OK", 2);
    expect_text(ask(c, "GET %b", "k\0\r\n", (size_t)4), value, sizeof(value));
    expect_text(ask(c, "SET empty %b", "", (size_t)0), "OK", 2);
    expect_text(ask(c, "GET empty"), "", 0);
    expect_integer(ask(c, "HSET h f1 %b f2 2", value, sizeof(value)), 2);
    expect_text(ask(c, "HGET h f1"), value, sizeof(value));
    redisFree(c);
}

/* redisAppendCommand and redisGetReply: the replies come in the order of the commands. */
static void test_pipeline(void **state)
{
    redisContext *c = connect_proxy();
    redisReply *r;
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(redisAppendCommand(c, "SET pipe:%d %d", i, i * 7), REDIS_OK);
        assert_int_equal(redisAppendCommand(c, "INCRBY pipe:%d 1", i), REDIS_OK);
    }
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        expect_text(r, "OK", 2);
        assert_int_equal(redisGetReply(c, (void **)&r), REDIS_OK);
        expect_integer(r, i * 7 + 1);
    }
    redisFree(c);
}

static void test_many_keys(void **state)
{
    redisContext *c = connect_proxy();
    bool seen[KEYS] = { false };
    char cursor[32] = "0";
    int found = 0;
    (void)state;
    for (int i = 0; i < KEYS; i++)
        expect_text(ask(c, "SET scan:%d v", i), "OK", 2);
    do {
        redisReply *r = ask(c, "SCAN %s MATCH scan:* COUNT 50", cursor);
        assert_int_equal(r->elements, 2);
        snprintf(cursor, sizeof(cursor), "%s", r->element[0]->str);
        for (size_t i = 0; i < r->element[1]->elements; i++) {
            int n = atoi(r->element[1]->element[i]->str + strlen("scan:"));
            found += !seen[n];
            seen[n] = true;
        }
        freeReplyObject(r);
    } while (strcmp(cursor, "0") != 0);
    assert_int_equal(found, KEYS);
    redisReply *r = ask(c, "MGET scan:1 scan:2 missing scan:3");
    assert_int_equal(r->elements, 4);
    assert_int_equal(r->element[2]->type, REDIS_REPLY_NIL);
    assert_string_equal(r->element[3]->str, "v");
    freeReplyObject(r);
    expect_integer(ask(c, "DEL scan:1 scan:2 scan:3 missing"), 3);
    redisFree(c);
}

static void test_script_and_transaction(void **state)
{
    redisContext *c = connect_proxy();
    (void)state;
    redisReply *sha = ask(c, "SCRIPT LOAD %s", "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    expect_integer(ask(c, "EVALSHA %s 1 counter 5", sha->str), 5);
    expect_integer(ask(c, "EVALSHA %s 1 other 7", sha->str), 7);
    freeReplyObject(sha);
    freeReplyObject(ask(c, "WATCH counter"));
    freeReplyObject(ask(c, "MULTI"));
    freeReplyObject(ask(c, "INCR counter"));
    freeReplyObject(ask(c, "GET counter"));
    redisReply *r = ask(c, "EXEC");
    assert_int_equal(r->elements, 2);
    assert_int_equal(r->element[0]->integer, 6);
    assert_string_equal(r->element[1]->str, "6");
    freeReplyObject(r);
    redisFree(c);
}

static void test_subscription_and_waiting(void **state)
{
    redisContext *c = connect_proxy(), *subscriber = connect_proxy();
    redisReply *r;
    (void)state;
    freeReplyObject(ask(subscriber, "SUBSCRIBE news"));
    expect_integer(ask(c, "PUBLISH news hello"), 1);
    assert_int_equal(redisGetReply(subscriber, (void **)&r), REDIS_OK);
    assert_int_equal(r->elements, 3);
    assert_string_equal(r->element[2]->str, "hello");
    freeReplyObject(r);
    redisFree(subscriber);
    expect_integer(ask(c, "RPUSH queue job"), 1);
    r = ask(c, "BLPOP nothing queue 5");
    assert_int_equal(r->elements, 2);
    assert_string_equal(r->element[1]->str, "job");
    freeReplyObject(r);
    redisFree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_values),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_script_and_transaction),
        cmocka_unit_test(test_subscription_and_waiting),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
