#include "test/lib/every_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"

redisContext *redis_open(uint16_t port)
{
    redisContext *r = redisConnect("127.0.0.1", port);
    assert_non_null(r);
    assert_int_equal(r->err, 0);
    return r;
}

redisReply *redis_ask(redisContext *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    redisReply *reply = redisvCommand(r, fmt, args);
    va_end(args);
    if (reply == NULL)
        fail_msg("no reply to %s: %s", fmt, r->errstr);
    return reply;
}

void redis_do(redisContext *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    redisReply *reply = redisvCommand(r, fmt, args);
    va_end(args);
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", fmt, reply != NULL ? reply->str : r->errstr);
    freeReplyObject(reply);
}

/* --- filling ------------------------------------------------------------------------------- */

/* Bytes that LZF cannot pack. */
static void noise(char *out, size_t len, unsigned seed)
{
    uint64_t n = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < len; i++) {
        n = n * 6364136223846793005ull + 1442695040888963407ull;
        out[i] = (char)(n >> 33);
    }
}

static void fill_strings(redisContext *r)
{
    char bytes[20000];
    static const char *const numbers[] = { "0",     "-1",    "127",        "-128",       "32767",
                                           "70000", "-9999", "2147483647", "4294967296", "007" };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        redis_do(r, "SET number:%d %s", (int)i, numbers[i]);
    redis_do(r, "SET empty %b", "", (size_t)0);
    for (unsigned len = 1; len < sizeof(bytes); len = len * 3 + 1) {
        noise(bytes, len, len);
        redis_do(r, "SET noise:%u %b", len, bytes, (size_t)len);
        memset(bytes, 'z', len);
        redis_do(r, "SET packed:%u %b", len, bytes, (size_t)len);
    }
    redis_do(r, "SET %b value", "key\0with\r\nbytes", (size_t)15);
    redis_do(r, "SET 12345 key-is-a-number");
    memset(bytes, 'k', 300);
    redis_do(r, "SET %b key-is-packed", bytes, (size_t)300);
    redis_do(r, "PFADD hll a b c d e f");
    for (int i = 0; i < 3000; i++)
        redis_do(r, "PFADD hll:dense element:%d", i);
    redis_do(r, "SETBIT bits 10000 1");
}

static void fill_lists(redisContext *r)
{
    char bytes[9000];
    redis_do(r, "RPUSH list:small a 1 -5 70000 %b", "x\0y", (size_t)3);
    for (int i = 0; i < 3000; i++)
        redis_do(r, "RPUSH list:large element:%d %d", i, i * 7);
    for (unsigned i = 0; i < 5; i++) {
        noise(bytes, sizeof(bytes), i);
        redis_do(r, "RPUSH list:long %b", bytes, sizeof(bytes));
    }
    redis_do(r, "DEBUG QUICKLIST-PACKED-THRESHOLD 200B");
    redis_do(r, "RPUSH list:plain short %b short", bytes, (size_t)1000);
    redis_do(r, "DEBUG QUICKLIST-PACKED-THRESHOLD 0");
}

static void fill_sets(redisContext *r)
{
    redis_do(r, "SADD set:int16 1 2 -3");
    redis_do(r, "SADD set:int32 1 70000");
    redis_do(r, "SADD set:int64 1 -70000000000");
    redis_do(r, "SADD set:small a b 3");
    for (int i = 0; i < 2000; i++)
        redis_do(r, "SADD set:large member:%d", i);
    redis_do(r, "ZADD zset:small 1 a -2.5 b 0.1 c inf d -inf e");
    for (int i = 0; i < 2000; i++)
        redis_do(r, "ZADD zset:large %d.%d member:%d", i - 1000, i, i);
    redis_do(r, "ZADD zset:large inf d -inf e 1e300 f");
    redis_do(r, "GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    redis_do(r, "HSET hash:small f v n 12 m -70000");
    for (int i = 0; i < 1500; i++)
        redis_do(r, "HSET hash:large field:%d %d", i, i);
}

static void fill_streams(redisContext *r)
{
    for (int i = 0; i < 500; i++)
        redis_do(r, "XADD stream %d-1 same %d fields yes", 1000 + i, i);
    for (int i = 0; i < 500; i++)
        redis_do(r, "XADD stream %d-0 other:%d %d", 3000 + i, i, i);
    for (int i = 0; i < 100; i++)
        redis_do(r, "XDEL stream %d-1", 1000 + i * 3);
    redis_do(r, "XGROUP CREATE stream workers 1200-0");
    redis_do(r, "XGROUP CREATE stream idle $");
    redis_do(r, "XGROUP CREATECONSUMER stream workers nobody");
    redis_do(r, "XREADGROUP GROUP workers alice COUNT 30 STREAMS stream >");
    redis_do(r, "XREADGROUP GROUP workers bob COUNT 20 STREAMS stream >");
    redis_do(r, "XCLAIM stream workers bob 0 1201-1 1202-1 RETRYCOUNT 5 TIME 1700000000000");
    redis_do(r, "XACK stream workers 1204-1");
    redis_do(r, "XGROUP CREATE stream:empty g 0 MKSTREAM");
    redis_do(r, "XADD stream:emptied 5-5 a b");
    redis_do(r, "XDEL stream:emptied 5-5");
    redis_do(r, "XADD stream:one 7-7 a b");
    redis_do(r, "XSETID stream:one 9-9 ENTRIESADDED 5 MAXDELETEDID 8-1");
}

void every_type_fill(redisContext *r, bool databases)
{
    fill_strings(r);
    fill_lists(r);
    fill_sets(r);
    fill_streams(r);
    for (int i = 0; i < 200; i++)
        redis_do(r, "SET expiring:%d %d PXAT %lld", i, i, 4102444800000ll + i);
    redis_do(r, "PEXPIREAT hash:small 4102444800777");
    redis_do(r, "PEXPIREAT stream:one 4102444800778");
    redis_do(r, "FUNCTION LOAD REPLACE %s",
             "#!lua name=library\nredis.register_function('answer', function() return 42 end)");
    if (!databases)
        return;
    redis_do(r, "SELECT 3");
    redis_do(r, "SET three 3");
    redis_do(r, "RPUSH list:three 1 2 3");
    redis_do(r, "SELECT 0");
}

void every_type_fill_large(redisContext *r, unsigned bytes)
{
    enum { EACH = 1000 };
    char piece[EACH];
    for (unsigned i = 0; i * EACH < bytes; i++) {
        noise(piece, sizeof(piece), i);
        struct {
            const char *fmt;
        } rows[] = { { "APPEND huge:string %b" },      { "RPUSH huge:list %b" },
                     { "SADD huge:set %b" },           { "ZADD huge:zset %u %b" },
                     { "HSET huge:hash field:%u %b" }, { "XADD huge:stream %u-1 f %b" } };
        redisAppendCommand(r, rows[0].fmt, piece, sizeof(piece));
        redisAppendCommand(r, rows[1].fmt, piece, sizeof(piece));
        redisAppendCommand(r, rows[2].fmt, piece, sizeof(piece));
        for (size_t k = 3; k < ARRAY_LEN(rows); k++)
            redisAppendCommand(r, rows[k].fmt, i + 1, piece, sizeof(piece));
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            redisReply *reply = NULL;
            assert_int_equal(redisGetReply(r, (void **)&reply), REDIS_OK);
            assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
            freeReplyObject(reply);
        }
    }
    redis_do(r, "XGROUP CREATE huge:stream g 0");
    redis_do(r, "XREADGROUP GROUP g alice COUNT 50 STREAMS huge:stream >");
    redis_do(r, "PEXPIREAT huge:hash 4102444800000");
}

/* --- comparing ----------------------------------------------------------------------------- */

struct text {
    char *at;
    size_t len, room;
};

static void add(struct text *t, const char *bytes, size_t len)
{
    if (t->room < t->len + len + 1) {
        t->room = (t->len + len + 1) * 2;
        t->at = realloc(t->at, t->room);
        REQUIRE(t->at != NULL);
    }
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

/* Of what XINFO STREAM says of a stream, what RESTORE and XADD keep alike: not how it is stored and
   not when a consumer was seen. */
static void add_reply(struct text *t, const redisReply *reply)
{
    char number[32];
    static const char *const skipped[] = {
        "radix-tree-keys", "radix-tree-nodes", "seen-time", "active-time", "idle", "inactive"
    };
    if (reply->type == REDIS_REPLY_INTEGER) {
        add(t, number, (size_t)snprintf(number, sizeof(number), " %lld", reply->integer));
    } else if (reply->type == REDIS_REPLY_NIL) {
        add(t, " nil", 4);
    } else if (reply->type != REDIS_REPLY_ARRAY) {
        add(t, " ", 1);
        add(t, reply->str, reply->len);
    } else {
        add(t, " [", 2);
        for (size_t i = 0; i < reply->elements; i++) {
            bool skip = false;
            for (size_t k = 0; k < ARRAY_LEN(skipped); k++)
                skip |= reply->element[i]->str != NULL &&
                        strcmp(reply->element[i]->str, skipped[k]) == 0;
            if (skip)
                i++;
            else
                add_reply(t, reply->element[i]);
        }
        add(t, " ]", 2);
    }
}

char *content_of(redisContext *r, const char *key, size_t key_len)
{
    struct text t = { 0 };
    redisReply *type = redis_ask(r, "TYPE %b", key, key_len);
    redisReply *ttl = redis_ask(r, "PEXPIRETIME %b", key, key_len);
    redisReply *digest = redis_ask(r, "DEBUG DIGEST-VALUE %b", key, key_len);
    add_reply(&t, type);
    add_reply(&t, ttl);
    add_reply(&t, digest);
    if (strcmp(type->str, "stream") == 0) {
        redisReply *full = redis_ask(r, "XINFO STREAM %b FULL COUNT 0", key, key_len);
        add_reply(&t, full);
        freeReplyObject(full);
    }
    freeReplyObject(type);
    freeReplyObject(ttl);
    freeReplyObject(digest);
    return t.at;
}

unsigned every_type_compare(redisContext *source,
                            redisContext *(*other)(void *context, const char *key, size_t len),
                            void *context)
{
    redisReply *keys = redis_ask(source, "KEYS *");
    unsigned count = (unsigned)keys->elements;
    assert_true(count > 0);
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *key = keys->element[i];
        char *want = content_of(source, key->str, key->len);
        char *got = content_of(other(context, key->str, key->len), key->str, key->len);
        if (strcmp(want, got) != 0)
            fail_msg("key %.60s: %.3000s instead of %.3000s", key->str, got, want);
        free(want);
        free(got);
    }
    freeReplyObject(keys);
    return count;
}

static bool has_any_of(const char *key, const char *const *parts)
{
    for (; *parts != NULL; parts++)
        if (strstr(key, *parts) != NULL)
            return true;
    return false;
}

void every_type_expect_no_more(redisContext *source, redisContext *other, const char *const *but)
{
    redisReply *keys = redis_ask(other, "KEYS *");
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *key = keys->element[i];
        if (has_any_of(key->str, but))
            continue;
        redisReply *there = redis_ask(source, "EXISTS %b", key->str, key->len);
        if (there->integer != 1)
            fail_msg("the target has %s, the source has not", key->str);
        freeReplyObject(there);
    }
    freeReplyObject(keys);
}
