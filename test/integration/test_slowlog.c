/*
 * SLOWLOG of the proxy: what gets in, how an entry looks beside one Redis's, and its limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/testenv.h"

static redisContext *open_with_limit(uint16_t port, const char *us)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    assert_non_null(c);
    freeReplyObject(
        redisCommand(c, "CONFIG SET slowlog-max-len 128 slowlog-log-slower-than %s", us));
    freeReplyObject(redisCommand(c, "SLOWLOG RESET"));
    return c;
}

static void expect_number(redisContext *c, const char *words, long long wanted)
{
    redisReply *r = redisCommand(c, words);
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_INTEGER);
    assert_int_equal(r->integer, wanted);
    freeReplyObject(r);
}

/* Many arguments, a long one and a binary one; gives the youngest entry. */
static redisReply *log_long_call(redisContext *c)
{
    const char *argv[40] = { "RPUSH", "list", "a\0b", NULL };
    size_t len[40] = { 5, 4, 3, 300 };
    char text[301];
    memset(text, 'x', 300);
    argv[3] = text;
    for (int i = 4; i < 40; i++) {
        argv[i] = "v";
        len[i] = 1;
    }
    freeReplyObject(redisCommand(c, "DEL list"));
    freeReplyObject(redisCommand(c, "CLIENT SETNAME bob"));
    freeReplyObject(redisCommandArgv(c, 40, argv, len));
    redisReply *r = redisCommand(c, "SLOWLOG GET 1");
    assert_non_null(r);
    assert_int_equal(r->elements, 1);
    return r;
}

static void test_entry(void **state)
{
    redisContext *p = open_with_limit(proxy.port, "0"), *o = open_with_limit(oracle.port, "0");
    redisReply *a = log_long_call(p), *b = log_long_call(o);
    const redisReply *mine = a->element[0], *wanted = b->element[0];
    (void)state;
    assert_int_equal(mine->elements, wanted->elements);
    for (size_t i = 0; i < wanted->elements; i++)
        assert_int_equal(mine->element[i]->type, wanted->element[i]->type);
    assert_in_range(mine->element[1]->integer, time(NULL) - 60, time(NULL));
    assert_int_equal(mine->element[3]->elements, wanted->element[3]->elements);
    for (size_t i = 0; i < wanted->element[3]->elements; i++) {
        const redisReply *x = mine->element[3]->element[i], *y = wanted->element[3]->element[i];
        assert_int_equal(x->len, y->len);
        assert_memory_equal(x->str, y->str, y->len);
    }
    assert_memory_equal(mine->element[4]->str, "127.0.0.1:", 10);
    assert_string_equal(mine->element[5]->str, "bob");
    freeReplyObject(a);
    freeReplyObject(b);
    redisFree(p);
    redisFree(o);
}

/* At the default limit only what is slow gets in, with its time. */
static void test_only_what_is_slow(void **state)
{
    static const char *const busy =
        "local function now() local t=redis.call('TIME') return t[1]*1000000+t[2] end "
        "local start=now() while now()-start < 40000 do end return 1";
    redisContext *c = open_with_limit(proxy.port, "30000");
    (void)state;
    freeReplyObject(redisCommand(c, "EVAL %s 0", busy));
    freeReplyObject(redisCommand(c, "EVAL %s 2 a b", busy));
    redisReply *r = redisCommand(c, "SLOWLOG GET -1");
    assert_non_null(r);
    assert_true(r->elements >= 2); /* a machine under load may be slow at others, too */
    bool several = false, one = false;
    for (size_t i = 0; i < r->elements; i++) {
        const redisReply *e = r->element[i];
        assert_true(e->element[2]->integer >= 30000);
        assert_true(i == 0 || e->element[0]->integer < r->element[i - 1]->element[0]->integer);
        one = one || e->element[3]->elements == 3;
        several = several || e->element[3]->elements == 5;
    }
    assert_true(one && several);
    freeReplyObject(r);
    redisFree(c);
}

/* A command over several slots is one entry, and what the proxy answers itself is none. */
static void test_what_is_counted(void **state)
{
    redisContext *c = open_with_limit(proxy.port, "0");
    (void)state;
    expect_number(c, "SLOWLOG LEN", 0);
    freeReplyObject(redisCommand(c, "PING"));
    expect_number(c, "SLOWLOG LEN", 0);
    freeReplyObject(redisCommand(c, "GET a"));
    expect_number(c, "SLOWLOG LEN", 1);
    freeReplyObject(redisCommand(c, "MGET a b c"));
    expect_number(c, "SLOWLOG LEN", 2);
    freeReplyObject(redisCommand(c, "DBSIZE"));
    expect_number(c, "SLOWLOG LEN", 3);
    freeReplyObject(redisCommand(c, "SINTER a b c"));
    expect_number(c, "SLOWLOG LEN", 4);
    redisReply *r = redisCommand(c, "SLOWLOG GET 1");
    assert_string_equal(r->element[0]->element[3]->element[0]->str, "SINTER");
    assert_int_equal(r->element[0]->element[3]->elements, 4);
    freeReplyObject(r);
    freeReplyObject(redisCommand(c, "CONFIG SET slowlog-log-slower-than -1"));
    freeReplyObject(redisCommand(c, "GET a"));
    expect_number(c, "SLOWLOG LEN", 4);
    freeReplyObject(redisCommand(c, "SLOWLOG RESET"));
    expect_number(c, "SLOWLOG LEN", 0);
    redisFree(c);
}

static void test_length(void **state)
{
    redisContext *c = open_with_limit(proxy.port, "0");
    (void)state;
    for (int i = 0; i < 200; i++)
        freeReplyObject(redisCommand(c, "GET %d", i));
    expect_number(c, "SLOWLOG LEN", 128);
    freeReplyObject(redisCommand(c, "CONFIG SET slowlog-max-len 5"));
    expect_number(c, "SLOWLOG LEN", 5);
    redisReply *r = redisCommand(c, "SLOWLOG GET");
    assert_int_equal(r->elements, 5);
    assert_string_equal(r->element[0]->element[3]->element[1]->str, "199");
    assert_string_equal(r->element[4]->element[3]->element[1]->str, "195");
    freeReplyObject(r);
    freeReplyObject(redisCommand(c, "CONFIG SET slowlog-max-len 0"));
    freeReplyObject(redisCommand(c, "GET a"));
    expect_number(c, "SLOWLOG LEN", 0);
    redisFree(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_only_what_is_slow),
        cmocka_unit_test(test_what_is_counted),
        cmocka_unit_test(test_length),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
