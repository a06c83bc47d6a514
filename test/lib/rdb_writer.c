#include "test/lib/rdb_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/crc64.h"

static const uint64_t year_2100 = UINT64_C(4102444800000);
static const uint64_t year_2037_seconds = 2145916800; /* seconds have four bytes with a sign */

/* --- pieces -------------------------------------------------------------------------------- */

void rdb_byte(struct writer *w, unsigned byte)
{
    char c = (char)byte;
    write_raw(w, (struct span){ &c, 1 });
}

void rdb_little(struct writer *w, uint64_t n, int bytes)
{
    for (int i = 0; i < bytes; i++)
        rdb_byte(w, (unsigned)(n >> (8 * i) & 0xff));
}

void rdb_big(struct writer *w, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        rdb_byte(w, (unsigned)(n >> (8 * i) & 0xff));
}

void rdb_length_of(struct writer *w, uint64_t n, int bits)
{
    if (bits == 6) {
        rdb_byte(w, (unsigned)n);
    } else if (bits == 14) {
        rdb_big(w, n | 0x4000, 2);
    } else {
        rdb_byte(w, bits == 32 ? 0x80 : 0x81);
        rdb_big(w, n, bits / 8);
    }
}

void rdb_length(struct writer *w, uint64_t n)
{
    rdb_length_of(w, n, n < 64 ? 6 : n < 16384 ? 14 : n <= UINT32_MAX ? 32 : 64);
}

void rdb_double(struct writer *w, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    rdb_little(w, bits, 8);
}

void rdb_string(struct writer *w, struct span s)
{
    rdb_length(w, s.len);
    write_raw(w, s);
}

void rdb_text_of(struct writer *w, const char *text)
{
    rdb_string(w, (struct span){ text, strlen(text) });
}

void rdb_number(struct writer *w, int64_t n, int bytes)
{
    rdb_byte(w, bytes == 1 ? 0xc0 : bytes == 2 ? 0xc1 : 0xc2);
    rdb_little(w, (uint64_t)n, bytes);
}

void rdb_repeated(struct writer *w, char byte, unsigned n)
{
    REQUIRE(n >= 10 && n <= 264);
    rdb_byte(w, 0xc3);
    rdb_length(w, 5);
    rdb_length(w, n);
    rdb_byte(w, 0); /* one byte as it is, then a reference to the byte before */
    rdb_byte(w, (unsigned char)byte);
    rdb_byte(w, 7 << 5);
    rdb_byte(w, n - 10);
    rdb_byte(w, 0);
}

void rdb_begin(struct writer *w, unsigned version, bool valkey)
{
    char head[16];
    snprintf(head, sizeof(head), valkey ? "VALKEY%03u" : "REDIS%04u", version);
    write_raw(w, (struct span){ head, 9 });
}

void rdb_end(struct writer *w, unsigned version, bool summed)
{
    rdb_byte(w, 255);
    if (version < 5)
        return;
    struct crc64_tables *t = malloc(sizeof(*t));
    REQUIRE(t != NULL);
    crc64_fill(t);
    rdb_little(w, summed ? crc64_add(t, 0, w->at, w->len) : 0, 8);
    free(t);
}

/* --- compact forms ------------------------------------------------------------------------- */

/* Whether it is stored as a number; the same rule in ziplist and listpack. */
static bool is_number(const char *word, int64_t *n)
{
    return text_to_i64(word, strlen(word), n);
}

static int width_of(int64_t n)
{
    return n == (int8_t)n                 ? 1
           : n == (int16_t)n              ? 2
           : n >= -8388608 && n < 8388608 ? 3
           : n == (int32_t)n              ? 4
                                          : 8;
}

static void ziplist_element(struct writer *w, const char *word)
{
    static const uint8_t heads[] = { [1] = 0xfe, [2] = 0xc0, [3] = 0xf0, [4] = 0xd0, [8] = 0xe0 };
    size_t len = strlen(word);
    int64_t n;
    if (is_number(word, &n) && n >= 0 && n <= 12) {
        rdb_byte(w, 0xf1 + (unsigned)n);
    } else if (is_number(word, &n)) {
        rdb_byte(w, heads[width_of(n)]);
        rdb_little(w, (uint64_t)n, width_of(n));
    } else {
        if (len < 64)
            rdb_byte(w, (unsigned)len);
        else if (len < 16384)
            rdb_big(w, len | 0x4000, 2);
        else
            rdb_byte(w, 0x80), rdb_big(w, len, 4);
        write_raw(w, (struct span){ word, len });
    }
}

static void listpack_element(struct writer *w, const char *word)
{
    static const uint8_t heads[] = { [1] = 0xf1, [2] = 0xf1, [3] = 0xf2, [4] = 0xf3, [8] = 0xf4 };
    size_t len = strlen(word), begin = w->len;
    int64_t n;
    if (is_number(word, &n) && n >= 0 && n < 128) {
        rdb_byte(w, (unsigned)n);
    } else if (is_number(word, &n) && n >= -4096 && n < 4096) {
        rdb_big(w, ((uint64_t)n & 0x1fff) | 0xc000, 2);
    } else if (is_number(word, &n)) {
        int width = width_of(n) == 1 ? 2 : width_of(n);
        rdb_byte(w, heads[width]);
        rdb_little(w, (uint64_t)n, width);
    } else {
        if (len < 64)
            rdb_byte(w, 0x80 | (unsigned)len);
        else if (len < 4096)
            rdb_big(w, len | 0xe000, 2);
        else
            rdb_byte(w, 0xf0), rdb_little(w, len, 4);
        write_raw(w, (struct span){ word, len });
    }
    size_t all = w->len - begin;
    int back = all <= 127 ? 1 : all < 16383 ? 2 : 3;
    for (int i = back - 1; i >= 0; i--) /* the first byte has no flag: read from the end */
        rdb_byte(w, (unsigned)(all >> (7 * i) & 0x7f) | (i < back - 1 ? 0x80u : 0));
}

static void zipmap_element(struct writer *w, const char *word, bool value)
{
    size_t len = strlen(word);
    if (len < 254)
        rdb_byte(w, (unsigned)len);
    else
        rdb_byte(w, 254), rdb_little(w, len, 4);
    if (value)
        rdb_byte(w, 2); /* spare bytes, as an update in place leaves them */
    write_raw(w, (struct span){ word, len });
    if (value)
        write_raw(w, SPAN("??"));
}

static void pack_intset(struct writer *w, const char *const *words, size_t count)
{
    int width = 2;
    for (size_t i = 0; i < count; i++) {
        int64_t n = strtoll(words[i], NULL, 10);
        int own = n == (int16_t)n ? 2 : n == (int32_t)n ? 4 : 8;
        width = own > width ? own : width;
    }
    rdb_little(w, (unsigned)width, 4);
    rdb_little(w, count, 4);
    for (size_t i = 0; i < count; i++)
        rdb_little(w, (uint64_t)strtoll(words[i], NULL, 10), width);
}

static void pack_ziplist(struct writer *w, const char *const *words, size_t count)
{
    size_t before = 0, last = 10;
    rdb_little(w, 0, 8);
    rdb_little(w, count, 2);
    for (size_t i = 0; i < count; i++) {
        last = w->len;
        if (before < 254)
            rdb_byte(w, (unsigned)before);
        else
            rdb_byte(w, 254), rdb_little(w, before, 4);
        ziplist_element(w, words[i]);
        before = w->len - last;
    }
    rdb_byte(w, 255);
    uint32_t head[2] = { (uint32_t)w->len, (uint32_t)last }; /* tests run on little endian */
    memcpy(w->at, head, sizeof(head));
}

static void pack_listpack(struct writer *w, const char *const *words, size_t count)
{
    rdb_little(w, 0, 4);
    rdb_little(w, count, 2);
    for (size_t i = 0; i < count; i++)
        listpack_element(w, words[i]);
    rdb_byte(w, 255);
    uint32_t len = (uint32_t)w->len;
    memcpy(w->at, &len, sizeof(len));
}

void rdb_packed_string(struct writer *w, enum rdb_packing packing, const char *const *words,
                       size_t count)
{
    struct writer p;
    writer_init(&p, 2);
    if (packing == RDB_INTSET) {
        pack_intset(&p, words, count);
    } else if (packing == RDB_ZIPLIST) {
        pack_ziplist(&p, words, count);
    } else if (packing == RDB_LISTPACK) {
        pack_listpack(&p, words, count);
    } else {
        rdb_byte(&p, count / 2 < 254 ? (unsigned)count / 2 : 254);
        for (size_t i = 0; i < count; i++)
            zipmap_element(&p, words[i], i % 2 == 1);
        rdb_byte(&p, 255);
    }
    rdb_string(w, writer_span(&p));
    writer_close(&p);
}

/* --- the sample ---------------------------------------------------------------------------- */

/* Strings and numbers of every width; pairs of a hash, or elements of a list. */
static const char *const words[] = { "a",
                                     "0",
                                     "field",
                                     "12",
                                     "13",
                                     "-1",
                                     "-100",
                                     "127",
                                     "128",
                                     "4095",
                                     "-4096",
                                     "4096",
                                     "30000",
                                     "-30000",
                                     "70000",
                                     "-8388608",
                                     "9000000",
                                     "x",
                                     "2000000000",
                                     "y",
                                     "-9000000000000000000",
                                     "z",
                                     "a word that is longer than sixty-four bytes, so that its "
                                     "length needs two bytes in a compact form",
                                     "end" };
static const char *const scored[] = { "low", "-1.5", "one", "1", "three", "3.25", "big", "1e+30" };
static const char *const numbers[] = { "-5", "1", "2", "300" };
static const char *const wide_numbers[] = { "-5000000000", "1", "70000" };
static const char *const triplets[] = { "f1", "v1", "0", "f2", "77", "4102444800000" };

static void begin_key(struct writer *w, unsigned type, const char *name)
{
    rdb_byte(w, type);
    rdb_text_of(w, name);
}

static void packed_key(struct writer *w, unsigned type, const char *name, enum rdb_packing packing,
                       const char *const *list, size_t count)
{
    begin_key(w, type, name);
    rdb_packed_string(w, packing, list, count);
}

#define PACKED(w, type, name, packing, list)                                                       \
    packed_key(w, type, name, packing, list, ARRAY_LEN(list))

static void oldest_types(struct writer *w, unsigned version)
{
    begin_key(w, 0, "0:string");
    rdb_text_of(w, "value");
    rdb_byte(w, 253);
    rdb_little(w, year_2037_seconds, 4);
    begin_key(w, 0, "0:number");
    rdb_number(w, -7, 1);
    begin_key(w, 0, "0:number2");
    rdb_number(w, 1000, 2);
    begin_key(w, 0, "0:number4");
    rdb_number(w, -70000, 4);
    begin_key(w, 0, "0:packed");
    rdb_repeated(w, 'q', 264);
    begin_key(w, 0, "0:empty");
    rdb_text_of(w, "");
    for (unsigned type = 1; type <= 2; type++) {
        begin_key(w, type, type == 1 ? "0:list" : "0:set");
        rdb_length_of(w, 3, version >= 8 ? 64 : 32);
        rdb_text_of(w, "one");
        rdb_number(w, 2, 1);
        rdb_repeated(w, '3', 30);
    }
    begin_key(w, 3, "0:zset");
    rdb_length(w, 4);
    rdb_text_of(w, "a");
    rdb_byte(w, 3);
    write_raw(w, SPAN("1.5"));
    rdb_text_of(w, "b");
    rdb_byte(w, 254);
    rdb_text_of(w, "c");
    rdb_byte(w, 255);
    rdb_text_of(w, "d");
    rdb_byte(w, 2);
    write_raw(w, SPAN("-3"));
    begin_key(w, 4, "0:hash");
    rdb_length_of(w, 2, 14);
    rdb_text_of(w, "f");
    rdb_text_of(w, "v");
    rdb_number(w, 5, 1);
    rdb_text_of(w, "");
}

static void compact_types(struct writer *w, unsigned version)
{
    if (version < 10) { /* later servers still read them, but never write them */
        PACKED(w, 9, "0:hash-zipmap", RDB_ZIPMAP, words);
        PACKED(w, 10, "0:list-ziplist", RDB_ZIPLIST, words);
        PACKED(w, 12, "0:zset-ziplist", RDB_ZIPLIST, scored);
        if (version >= 4)
            PACKED(w, 13, "0:hash-ziplist", RDB_ZIPLIST, words);
    }
    PACKED(w, 11, "0:set-intset", RDB_INTSET, numbers);
    PACKED(w, 11, "0:set-intset-wide", RDB_INTSET, wide_numbers);
    if (version >= 7) {
        begin_key(w, 14, "0:list-quicklist");
        rdb_length(w, 2);
        rdb_packed_string(w, RDB_ZIPLIST, words, ARRAY_LEN(words));
        rdb_packed_string(w, RDB_ZIPLIST, numbers, ARRAY_LEN(numbers));
    }
    if (version >= 8) {
        begin_key(w, 5, "0:zset-2");
        rdb_length(w, 2);
        rdb_text_of(w, "a");
        rdb_double(w, 0.1);
        rdb_text_of(w, "b");
        rdb_double(w, -1e300);
    }
    if (version >= 10) {
        PACKED(w, 16, "0:hash-listpack", RDB_LISTPACK, words);
        PACKED(w, 17, "0:zset-listpack", RDB_LISTPACK, scored);
        begin_key(w, 18, "0:list-quicklist-2");
        rdb_length(w, 2);
        rdb_length(w, 1);
        rdb_text_of(w, "a plain node");
        rdb_length(w, 2);
        rdb_packed_string(w, RDB_LISTPACK, words, ARRAY_LEN(words));
    }
    if (version >= 11)
        PACKED(w, 20, "0:set-listpack", RDB_LISTPACK, words);
}

static void stream_id(struct writer *w, uint64_t ms, uint64_t seq)
{
    rdb_big(w, ms, 8);
    rdb_big(w, seq, 8);
}

/* Three entries, one of them deleted; a group with two pending ones, both of one consumer. */
static void stream_key(struct writer *w, unsigned type, const char *name)
{
    static const char *const node[] = {
        "2", "1",  "2", "f", "g", "0",         /* the master entry */
        "2", "0",  "0", "1", "2", "5",         /* 1000-1 f 1 g 2 */
        "3", "5",  "0", "x", "y", "5",         /* deleted */
        "0", "10", "1", "1", "h", "long", "6", /* 1010-2 h long */
    };
    begin_key(w, type, name);
    rdb_length(w, 1);
    rdb_length(w, 16);
    stream_id(w, 1000, 1);
    rdb_packed_string(w, RDB_LISTPACK, node, ARRAY_LEN(node));
    rdb_length(w, 2);
    rdb_length(w, 1010);
    rdb_length(w, 2);
    if (type >= 19) {
        static const uint64_t more[] = { 1000, 1, 1005, 1, 3 };
        for (size_t i = 0; i < ARRAY_LEN(more); i++)
            rdb_length(w, more[i]);
    }
    rdb_length(w, 1);
    rdb_text_of(w, "group");
    rdb_length(w, 1010);
    rdb_length(w, 2);
    if (type >= 19)
        rdb_length(w, 3);
    rdb_length(w, 2);
    stream_id(w, 1000, 1);
    rdb_little(w, 1700000000000, 8);
    rdb_length(w, 4);
    stream_id(w, 1010, 2);
    rdb_little(w, 1700000000001, 8);
    rdb_length(w, 1);
    rdb_length(w, 2);
    for (int consumer = 0; consumer < 2; consumer++) {
        rdb_text_of(w, consumer == 0 ? "alice" : "bob");
        rdb_little(w, 1700000000002, 8);
        if (type >= 21)
            rdb_little(w, 1700000000001, 8);
        rdb_length(w, consumer == 0 ? 2 : 0);
        if (consumer == 0) {
            stream_id(w, 1000, 1);
            stream_id(w, 1010, 2);
        }
    }
}

static void hashes_with_times(struct writer *w)
{
    begin_key(w, 24, "0:hash-metadata");
    rdb_little(w, year_2100, 8);
    rdb_length(w, 2);
    rdb_length(w, 0);
    rdb_text_of(w, "f1");
    rdb_text_of(w, "v1");
    rdb_length(w, 1);
    rdb_text_of(w, "f2");
    rdb_text_of(w, "77");
    rdb_byte(w, 25);
    rdb_text_of(w, "0:hash-listpack-ex");
    rdb_little(w, year_2100, 8);
    rdb_packed_string(w, RDB_LISTPACK, triplets, ARRAY_LEN(triplets));
}

static void valkey_hash(struct writer *w)
{
    begin_key(w, 22, "0:hash-2");
    rdb_length(w, 2);
    rdb_text_of(w, "f1");
    rdb_text_of(w, "v1");
    rdb_little(w, UINT64_MAX, 8);
    rdb_text_of(w, "f2");
    rdb_text_of(w, "77");
    rdb_little(w, year_2100, 8);
}

static void module_field(struct writer *w)
{
    rdb_length(w, 2);
    rdb_length(w, 5);
    rdb_length(w, 3);
    rdb_little(w, 0, 4);
    rdb_length(w, 4);
    rdb_double(w, 2.5);
    rdb_length(w, 5);
    rdb_text_of(w, "text");
    rdb_length(w, 0);
}

static void first_opcodes(struct writer *w, unsigned version, bool valkey)
{
    if (version >= 7) {
        rdb_byte(w, 250);
        rdb_text_of(w, "redis-ver");
        rdb_text_of(w, "7.0.15");
        rdb_byte(w, 250);
        rdb_text_of(w, "redis-bits");
        rdb_number(w, 64, 1);
    }
    if (version >= 9) {
        rdb_byte(w, 247);
        rdb_length_of(w, 12345678901234, 64);
        rdb_length(w, 2);
        rdb_length(w, 1);
        module_field(w);
    }
    if (version >= 10) {
        rdb_byte(w, 245);
        rdb_text_of(w, "#!lua name=lib\nredis.register_function('f', function() return 1 end)");
    }
    if (valkey) {
        rdb_byte(w, 243);
        rdb_text_of(w, "job");
        rdb_length(w, 1);
        rdb_length(w, 5);
        rdb_length(w, 7);
    }
    rdb_byte(w, 254);
    rdb_length(w, 0);
    if (version >= 7) {
        rdb_byte(w, 251);
        rdb_length(w, 20);
        rdb_length(w, 2);
    }
    if (version >= 12) {
        rdb_byte(w, 244);
        rdb_length(w, 16383);
        rdb_length(w, 1);
        rdb_length(w, 0);
    }
}

void rdb_sample(struct writer *w, unsigned version, bool valkey, bool with_modules)
{
    rdb_begin(w, version, valkey);
    first_opcodes(w, version, valkey);
    oldest_types(w, version);
    if (version >= 2)
        compact_types(w, version);
    if (version >= 9)
        stream_key(w, 15, "0:stream");
    if (version >= 10)
        stream_key(w, 19, "0:stream-2");
    if (version >= 11)
        stream_key(w, 21, "0:stream-3");
    if (version >= 12 && !valkey)
        hashes_with_times(w);
    if (valkey)
        valkey_hash(w);
    if (version >= 8 && with_modules) {
        begin_key(w, 7, "0:module");
        rdb_length_of(w, 12345678901234, 64);
        module_field(w);
    }
    rdb_byte(w, 254);
    rdb_length(w, 3);
    if (version >= 9) {
        rdb_byte(w, 248);
        rdb_length(w, 1000);
    }
    rdb_byte(w, 252);
    rdb_little(w, year_2100, 8);
    begin_key(w, 0, "3:last");
    rdb_text_of(w, "in another database");
    if (version >= 9) {
        rdb_byte(w, 249);
        rdb_byte(w, 200);
        begin_key(w, 0, "3:often");
        rdb_text_of(w, "x");
    }
    rdb_end(w, version, version % 2 == 0);
}
