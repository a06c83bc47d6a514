/*
 * RDB files that a real server wrote: each value is delimited to the byte, as the server's own DUMP
 * proves, and what we put around it is a payload that RESTORE takes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/rdb_payload.h"
#include "migrate/rdb_reader.h"
#include "test/lib/every_type.h"
#include "test/lib/oracle.h"
#include "test/lib/testenv.h"

static struct oracle oracle;
static redisContext *redis;
static struct crc64_tables tables;

static int start(void **state)
{
    (void)state;
    crc64_fill(&tables);
    oracle_start_with(&oracle, (const char *const[]){ "--enable-debug-command", "yes", NULL });
    redis = redis_open(oracle.port);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(redis);
    oracle_stop(&oracle);
    return 0;
}

static char *saved_file(size_t *len)
{
    char path[300];
    redis_do(redis, "SAVE");
    snprintf(path, sizeof(path), "%s/oracle-%d.rdb", testenv_dir(), oracle.port);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *len = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*len);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, f), *len);
    fclose(f);
    return bytes;
}

/* The value as the file has it, beside DUMP's; then under another name through RESTORE. */
static void check_value(const struct rdb_reader *r, struct span key, struct span value)
{
    struct writer payload;
    writer_init(&payload, 2);
    redis_do(redis, "SELECT %d", (int)r->db);
    redisReply *dump = redis_ask(redis, "DUMP %b", key.at, key.len);
    assert_int_equal(dump->type, REDIS_REPLY_STRING);
    rdb_payload_write(&payload, &tables, r->type_byte, value, r->stamp);
    if (dump->len != payload.len || memcmp(dump->str, payload.at, payload.len - 10) != 0)
        fail_msg("key %.*s: %zu bytes, DUMP has %zu", (int)key.len, key.at, payload.len, dump->len);
    redis_do(redis, "RESTORE restored 0 %b REPLACE", payload.at, payload.len);
    redis_do(redis, "PEXPIREAT restored %lld", r->expire_at > 0 ? r->expire_at : 4102444800000ll);
    if (r->expire_at <= 0)
        redis_do(redis, "PERSIST restored");
    char *want = content_of(redis, key.at, key.len), *got = content_of(redis, "restored", 8);
    assert_string_equal(got, want);
    redis_do(redis, "DEL restored");
    free(want);
    free(got);
    freeReplyObject(dump);
    writer_close(&payload);
}

struct seen {
    unsigned keys, databases, functions, types[32];
};

static void read_file(const char *bytes, size_t len, size_t piece, struct seen *seen)
{
    struct rdb_reader r;
    struct writer key, value;
    enum rdb_fact fact = RDB_MORE;
    uint64_t db = 0;
    rdb_reader_open(&r, &tables);
    writer_init(&key, 2);
    writer_init(&value, 2);
    while (fact != RDB_END) {
        size_t used;
        assert_true(len > 0);
        fact = rdb_read(&r, bytes, len < piece ? len : piece, &used);
        if (fact == RDB_BAD)
            fail_msg("%s", r.error);
        if (fact == RDB_KEY) {
            writer_clear(&key, 2);
            writer_clear(&value, 2);
            write_raw(&key, r.name);
        }
        if (fact == RDB_VALUE || fact == RDB_VALUE_END)
            write_raw(&value, (struct span){ bytes, used });
        if (fact == RDB_VALUE_END) {
            seen->keys++;
            seen->types[r.type_byte]++;
            seen->databases += r.db != db;
            db = r.db;
            check_value(&r, writer_span(&key), writer_span(&value));
        }
        seen->functions += fact == RDB_FUNCTION;
        bytes += used;
        len -= used;
    }
    assert_int_equal(len, 0);
    rdb_reader_close(&r);
    writer_close(&key);
    writer_close(&value);
}

static void check_server(const char *const *config, const uint8_t *types, size_t type_count)
{
    size_t len;
    redis_do(redis, "SELECT 0");
    redis_do(redis, "FLUSHALL");
    for (; *config != NULL; config += 2)
        redis_do(redis, "CONFIG SET %s %s", config[0], config[1]);
    every_type_fill(redis, true);
    redisReply *size = redis_ask(redis, "DBSIZE");
    char *bytes = saved_file(&len);
    struct seen seen = { 0 };
    read_file(bytes, len, 1000, &seen);
    assert_int_equal(seen.keys, size->integer + 2);
    assert_int_equal(seen.databases, 1);
    assert_int_equal(seen.functions, 1);
    for (size_t i = 0; i < type_count; i++)
        if (seen.types[types[i]] == 0)
            fail_msg("no value of type %u", types[i]);
    free(bytes);
    freeReplyObject(size);
}

static void test_usual_encodings(void **state)
{
    static const uint8_t types[] = { 0, 2, 4, 5, 11, 16, 17, 18, 19 };
    (void)state;
    check_server((const char *const[]){ NULL }, types, ARRAY_LEN(types));
}

static void test_other_encodings(void **state)
{
    static const uint8_t types[] = { 0, 2, 4, 5, 18, 19 };
    (void)state;
    check_server((const char *const[]){ "rdbcompression", "no", "hash-max-listpack-entries", "0",
                                        "zset-max-listpack-entries", "0", "set-max-intset-entries",
                                        "0", "stream-node-max-entries", "7", "list-compress-depth",
                                        "1", NULL },
                 types, ARRAY_LEN(types));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_encodings),
        cmocka_unit_test(test_other_encodings),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
