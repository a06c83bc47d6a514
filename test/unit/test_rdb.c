/* RDB files of every version, written from the documented layouts, read in all ways of cutting. */
#include "test/lib/rdb_writer.h"
#include "test/unit/cases.h"
#include "test/unit/rdb_log.h"

static struct crc64_tables tables;

static int fill_tables(void **state)
{
    (void)state;
    crc64_fill(&tables);
    return 0;
}

static char *read_whole(struct span bytes)
{
    struct writer log;
    writer_init(&log, 2);
    log_rdb(&log, bytes, &tables, (struct cut){ .first = bytes.len, .then = bytes.len });
    write_raw(&log, (struct span){ "", 1 });
    return log.at;
}

static void check_all_cuts(struct span bytes)
{
    char *whole = read_whole(bytes);
    check_cuts(log_rdb, bytes, &tables, whole);
    free(whole);
}

static void expect(struct span bytes, const char *want)
{
    check_cuts(log_rdb, bytes, &tables, want);
}

/* That one of the lines of what is said of the bytes is this one. */
static void expect_line(struct span bytes, const char *line)
{
    char *whole = read_whole(bytes);
    if (strstr(whole, line) == NULL)
        fail_msg("no \"%s\" in what is said", line);
    free(whole);
}

static void test_crc(void **state)
{
    (void)state;
    assert_true(crc64_add(&tables, 0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    const char *text = "This is a test of the emergency broadcast system.";
    size_t len = strlen(text);
    uint64_t whole = crc64_add(&tables, 0, text, len);
    for (size_t i = 0; i <= len; i++)
        assert_true(crc64_add(&tables, crc64_add(&tables, 0, text, i), text + i, len - i) == whole);
}

static void test_every_version(void **state)
{
    (void)state;
    for (unsigned version = 1; version <= 13; version++) {
        bool valkey = version == 13;
        struct writer w;
        writer_init(&w, 2);
        rdb_sample(&w, valkey ? 80 : version, valkey, true);
        check_all_cuts(writer_span(&w));
        expect_line(writer_span(&w), "key db 3 string 3:last expires 4102444800000");
        expect_line(writer_span(&w), "\nend version ");
        char *said = read_whole(writer_span(&w));
        assert_null(strstr(said, "damaged"));
        assert_null(strstr(said, "unfinished"));
        free(said);
        writer_close(&w);
    }
}

static void test_what_is_said(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    rdb_sample(&w, 12, false, true);
    struct span s = writer_span(&w);
    expect_line(s, "aux redis-ver 7.0.15\naux redis-bits 64\nfunction \"#!lua name=lib\\nredis");
    expect_line(s, "key db 0 string 0:string expires -1 idle -1 freq -1\n value\n");
    expect_line(s, "0:number expires 2145916800000 idle -1 freq -1\n -7\n  2 bytes");
    expect_line(s, "0:number2 expires -1 idle -1 freq -1\n 1000\n");
    expect_line(s, "0:number4 expires -1 idle -1 freq -1\n -70000\n");
    expect_line(s, "  member one\n  member 2\n  member 333333333333333333333333333333\n");
    expect_line(s, "  scored a 1.5\n  scored b inf\n  scored c -inf\n  scored d -3\n");
    expect_line(s, "  field f v at -1\n  field 5 \"\" at -1\n");
    expect_line(s, "  member -5\n  member 1\n  member 2\n  member 300\n");
    expect_line(s, "  member -5000000000\n");
    expect_line(s, "  field -9000000000000000000 z at -1\n");
    expect_line(s, "  scored low -1.5\n  scored one 1\n  scored three 3.25\n  scored big 1e+30\n");
    expect_line(s, "key db 3 string 3:last expires 4102444800000 idle 1000 freq -1\n");
    expect_line(s, "key db 3 string 3:often expires -1 idle -1 freq 200\n");
    expect_line(s, "end version 12 crc right modules 1\n");
    writer_close(&w);
}

static void test_streams(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    rdb_sample(&w, 11, false, false);
    struct span s = writer_span(&w);
    expect_line(s, "0:stream expires -1 idle -1 freq -1\n"
                   "  entry 1000-1 f 1 g 2\n"
                   "  entry 1010-2 h long\n"
                   "  stream 1010-2 length 2 added 0 deleted 0-0\n"
                   "  group group 1010-2 read -1\n"
                   "  pending 1000-1 time 1700000000000 count 4\n"
                   "  pending 1010-2 time 1700000000001 count 1\n"
                   "  consumer alice time 1700000000002 count 0\n"
                   "  claim 1000-1\n"
                   "  claim 1010-2\n"
                   "  consumer bob time 1700000000002 count 0\n");
    expect_line(s, "0:stream-3 expires -1 idle -1 freq -1\n"
                   "  entry 1000-1 f 1 g 2\n"
                   "  entry 1010-2 h long\n"
                   "  stream 1010-2 length 2 added 3 deleted 1005-1\n"
                   "  group group 1010-2 read 3\n");
    expect_line(s, "end version 11 crc off modules 1\n");
    writer_close(&w);
}

static void test_field_times(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    rdb_sample(&w, 12, false, false);
    expect_line(writer_span(&w), "0:hash-metadata expires -1 idle -1 freq -1\n"
                                 "  field f1 v1 at -1\n  field f2 77 at 4102444800000\n");
    expect_line(writer_span(&w), "0:hash-listpack-ex expires -1 idle -1 freq -1\n"
                                 "  field f1 v1 at -1\n  field f2 77 at 4102444800000\n");
    writer_clear(&w, 2);
    rdb_sample(&w, 80, true, false);
    expect_line(writer_span(&w), "key db 0 hash-2 0:hash-2 expires -1 idle -1 freq -1\n"
                                 "  field f1 v1 at -1\n  field f2 77 at 4102444800000\n");
    writer_close(&w);
}

/* The lowest version that knows the type; 64-bit lengths came with version 8. */
static void test_stamps(void **state)
{
    (void)state;
    static const struct {
        unsigned version;
        const char *key;
        unsigned stamp;
    } rows[] = {
        { 12, "0:string", 6 },
        { 7, "0:list", 6 },
        { 12, "0:list", 8 },
        { 12, "0:hash", 6 },
        { 9, "0:list-quicklist", 7 },
        { 12, "0:zset-2", 8 },
        { 12, "0:stream", 9 },
        { 12, "0:stream-2", 10 },
        { 12, "0:stream-3", 11 },
        { 12, "0:set-listpack", 11 },
        { 12, "0:hash-listpack", 10 },
        { 12, "0:module", 8 },
        { 12, "0:hash-metadata", 12 },
        { 12, "0:hash-listpack-ex", 12 },
        { 12, "0:list-quicklist-2", 10 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct writer w;
        char key[64], stamp[32];
        writer_init(&w, 2);
        rdb_sample(&w, rows[i].version, false, true);
        char *said = read_whole(writer_span(&w));
        snprintf(key, sizeof(key), " %s expires", rows[i].key);
        snprintf(stamp, sizeof(stamp), " stamp %u", rows[i].stamp);
        const char *at = strstr(said, key);
        assert_non_null(at);
        at = strstr(at, " stamp ");
        assert_non_null(at);
        if (strncmp(at, stamp, strlen(stamp)) != 0)
            fail_msg("%s of version %u: %.10s, not %s", rows[i].key, rows[i].version, at, stamp);
        free(said);
        writer_close(&w);
    }
}

static void test_empty_collections(void **state)
{
    (void)state;
    expect(SPAN("REDIS0003\xfe\x00\x04\x01k\x00\xff"),
           "key db 0 hash k expires -1 idle -1 freq -1\n"
           "  1 bytes 0000000000000000 stamp 6 empty\n"
           "end version 3 crc off modules 0\n");
}

static void test_bad(void **state)
{
    (void)state;
    expect(SPAN("REDIS0x"), "more\n");
    expect(SPAN("REDIS0000\xff"), "bad this is no RDB file: no version behind its first word\n");
    expect(SPAN("RUBIS0009"), "bad this is no RDB file: it does not begin with REDIS or VALKEY\n");
    expect(SPAN("REDIS0013"),
           "bad the file has RDB version 13, which is newer than this program knows\n");
    expect(SPAN("VALKEY081"),
           "bad the file has RDB version 81, which is newer than this program knows\n");
    expect(SPAN("REDIS0009\xfe\x01\x1a\x01k"), "bad unknown value type 26 at offset 11\n");
    expect(SPAN("REDIS0009\x06"), "bad unknown value type 6 at offset 9\n");
    expect(SPAN("REDIS0009\x08"), "bad unknown value type 8 at offset 9\n");
    expect(SPAN("REDIS0010\xf6\x01x"), "bad unknown opcode 246 at offset 9\n");
    expect(SPAN("REDIS0010\xf3\x01x"), "bad unknown opcode 243 at offset 9\n");
    expect(SPAN("REDIS0009\xfe\xc0\x01"), "bad damaged\n");
    expect(SPAN("REDIS0009\xfe\x82\x01"), "bad damaged\n");
    expect(SPAN("REDIS0009\x00\xc4\x01"), "bad damaged\n");
    expect(SPAN("REDIS0009\xf7\x01\x06"), "bad damaged\n");
    expect(SPAN("REDIS0009\x00\x01k\xc4"), "key db 0 string k expires -1 idle -1 freq -1\n"
                                           "  damaged\nbad damaged\n");
    expect(SPAN("REDIS0009\x00\xc3\x02\x03\x20\x00\x01x"), "bad damaged\n");
    expect(SPAN("REDIS0009\x00\xc3\x00\x03\x01x"), "bad damaged\n");
    expect_line(SPAN("REDIS0009\xff\x01\x02\x03\x04\x05\x06\x07\x08"),
                "bad the checksum is wrong: the file says 0807060504030201, its bytes give ");
    expect(SPAN("REDIS0009\xff\0\0\0\0\0\0\0\0"), "end version 9 crc off modules 0\n");
}

/* Each byte of a sample turned over: never a crash, and the checksum tells. */
static void test_turned_bits(void **state)
{
    (void)state;
    struct writer w;
    writer_init(&w, 2);
    rdb_sample(&w, 12, false, true);
    for (size_t i = 0; i < w.len; i++) {
        w.at[i] = (char)(w.at[i] ^ 0x10);
        char *said = read_whole(writer_span(&w));
        if (strstr(said, "crc right") != NULL)
            fail_msg("byte %zu", i);
        free(said);
        w.at[i] = (char)(w.at[i] ^ 0x10);
    }
    writer_close(&w);
}

/* References over the whole window, at its border, and beyond it. */
static void test_lzf(void **state)
{
    (void)state;
    struct writer packed, unpacked;
    struct lzf *z = calloc(1, sizeof(*z));
    assert_non_null(z);
    writer_init(&packed, 2);
    writer_init(&unpacked, 2);
    for (int i = 0; i < 256; i++) { /* 8192 bytes, every 32 of them different */
        rdb_byte(&packed, 31);
        for (int j = 0; j < 32; j++)
            rdb_byte(&packed, (unsigned)(i ^ (j * 7)) & 0xff);
    }
    rdb_byte(&packed, 1 << 5 | 0x1f); /* 3 bytes from 8192 bytes ago */
    rdb_byte(&packed, 0xff);
    for (size_t i = 0; i < packed.len; i++)
        assert_true(lzf_unpack(z, (struct span){ packed.at + i, 1 }, &unpacked));
    assert_true(lzf_is_whole(z));
    assert_int_equal(unpacked.len, 8195);
    assert_memory_equal(unpacked.at + 8192, unpacked.at, 3);
    lzf_reset(z);
    assert_true(lzf_unpack(z, SPAN("\x01xy"), &unpacked));
    assert_false(lzf_unpack(z, SPAN("\x20\x02"), &unpacked));
    writer_close(&packed);
    writer_close(&unpacked);
    free(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_every_version),
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_field_times),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_empty_collections),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_turned_bits),
        cmocka_unit_test(test_lzf),
    };
    return cmocka_run_group_tests(tests, fill_tables, NULL);
}
