/* Where the keys of a request stand; the long list against a real server is in
   test/integration/test_command_table.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/check.h"
#include "cluster/keys.h"
#include "cluster/keyslot.h"

enum { MAX_ARGS = 64 };

static struct command_table *table;

static int open_table(void **state)
{
    (void)state;
    table = command_table_new();
    return 0;
}

static int close_table(void **state)
{
    (void)state;
    command_table_free(table);
    return 0;
}

struct request {
    struct arg args[MAX_ARGS];
    struct argv argv;
    const struct command *cmd;
};

/* Words separated by one space; two spaces in a row hold an empty argument. */
static void request_of(struct request *r, const char *words)
{
    r->argv = (struct argv){ .base = words, .v = r->args, .count = 0 };
    for (const char *p = words;; p++) {
        size_t len = strcspn(p, " ");
        assert_true(r->argv.count < MAX_ARGS);
        r->args[r->argv.count++] = (struct arg){ (uint32_t)(p - words), (uint32_t)len };
        p += len;
        if (*p == '\0')
            break;
    }
    const struct command *container;
    r->cmd = command_resolve(table, &r->argv, &container);
    assert_non_null(r->cmd);
}

/* The keys found, in order, as one text; "BAD" for a malformed request. */
static const char *keys_of(const char *words)
{
    static char text[1000];
    struct request r;
    struct key_walk w;
    size_t used = 0;
    request_of(&r, words);
    text[0] = '\0';
    int rc = key_walk_start(&w, r.cmd, &r.argv);
    for (; rc > 0; rc = key_walk_next(&w)) {
        struct span s = argv_get(&r.argv, w.key.arg);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s", used > 0 ? " " : "",
                                 (int)s.len, s.at);
    }
    if (rc < 0) {
        assert_int_equal(rc, KEYS_BAD);
        assert_int_equal(used, 0); /* no key before the verdict */
        assert_int_equal(key_walk_next(&w), 0);
        return "BAD";
    }
    return text;
}

static uint16_t flags_of(const char *words)
{
    struct request r;
    struct key_walk w;
    request_of(&r, words);
    assert_int_equal(key_walk_start(&w, r.cmd, &r.argv), 1);
    return w.key.flags;
}

static int slot_of(const char *words)
{
    struct request r;
    request_of(&r, words);
    return keys_slot(r.cmd, &r.argv);
}

static int key_slot(const char *key)
{
    return keyslot_of((struct span){ key, strlen(key) });
}

struct sample {
    const char *words, *keys;
};

static void check(const struct sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *found = keys_of(samples[i].words);
        if (strcmp(found, samples[i].keys) != 0)
            fail_msg("%s: found '%s', not '%s'", samples[i].words, found, samples[i].keys);
    }
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        { "GET a", "a" },
        { "MGET a b c", "a b c" },
        { "MSET a 1 b 2", "a b" },
        { "MSET a 1 b", "a b" },
        { "BLPOP a b 0", "a b" },
        { "LCS a b LEN", "a b" },
        { "LCS a", "BAD" },
        { "RENAME a b", "a b" },
        { "COPY a b DB 0", "a b" },
        { "BITOP AND d a b", "d a b" },
        { "PFMERGE d", "d" },
        { "PFMERGE d a b", "d a b" },
        { "OBJECT ENCODING a", "a" },
        { "MEMORY USAGE a SAMPLES 0", "a" },
        { "XINFO STREAM a FULL", "a" },
        { "XGROUP CREATE a g $", "a" },
        { "PING", "" },
        { "DEL", "" },
        { "GET", "BAD" },
        { "WATCH a b", "a b" },
        { "GET ", "" }, /* the empty key */
    };
    check(samples, ARRAY_LEN(samples));
}

static void test_counted(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        { "EVAL s 0", "" },
        { "EVAL s 0 a b", "" },
        { "EVAL s 2 a b c", "a b" },
        { "EVAL s 2 a", "BAD" },
        { "EVAL s -1 a", "BAD" },
        { "EVAL s x a", "BAD" },
        { "EVAL s 1x a", "BAD" },
        { "EVAL s 01 a", "BAD" },
        { "EVAL s  a", "BAD" },
        { "EVAL s 4294967297 a", "BAD" },
        { "EVAL s 18446744073709551617 a", "BAD" },
        { "EVAL s 99999999999999999999999 a", "BAD" },
        { "EVAL s", "BAD" },
        { "FCALL_RO f 1 a", "a" },
        { "ZUNION 2 a b WITHSCORES", "a b" },
        { "ZUNION 0 a", "BAD" },
        { "ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b" },
        { "ZUNIONSTORE d 3 a b", "BAD" },
        { "SINTERCARD 2 a b LIMIT 1", "a b" },
        { "LMPOP 2 a b LEFT", "a b" },
        { "BLMPOP 0 2 a b LEFT", "a b" },
        { "BZMPOP 0 1 a MIN", "a" },
    };
    check(samples, ARRAY_LEN(samples));
}

static void test_keywords(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        { "XREAD STREAMS a 0", "a" },
        { "XREAD COUNT 1 BLOCK 0 streams a b 0 0", "a b" },
        { "XREAD STREAMS a b 0", "a" }, /* unbalanced: as COMMAND GETKEYS */
        { "XREAD COUNT 1 a", "" },
        { "XREADGROUP GROUP streams c STREAMS a >", "a" },
        { "SORT a BY w_* GET o_* GET #", "a" },
        { "SORT a LIMIT 0 STORE STORE d", "a d" },
        { "SORT a BY store STORE d", "a d" },
        { "SORT a STORE d STORE e", "a e" },
        { "SORT a STORE", "a" },
        { "SORT a GET", "a" },
        { "SORT_RO a BY x", "a" },
        { "MIGRATE h 1 a 0 9", "a" },
        { "MIGRATE h 1  0 9 COPY AUTH keys KEYS a b", "a b" },
        { "MIGRATE h 1  0 9 AUTH2 keys keys KEYS a", "a" },
        { "MIGRATE h 1 x 0 9 KEYS a", "BAD" },
        { "MIGRATE h 1 x 0 9 KEYS", "x" },
        { "GEORADIUS a 1 2 3 m", "a" },
        { "GEORADIUS a 1 2 3 m STORE d", "a d" },
        { "GEORADIUS a 1 2 3 m ASC STOREDIST d", "a d" },
        { "GEORADIUS a 1 2 3 m STORE d STOREDIST e", "a e" },
        { "GEORADIUSBYMEMBER a m 1 km STORE d COUNT 1", "a d" },
        { "GEORADIUSBYMEMBER a store 1 km", "a" },
        { "GEORADIUS_RO a 1 2 3 m", "a" },
    };
    check(samples, ARRAY_LEN(samples));
}

static void test_flags(void **state)
{
    (void)state;
    const uint16_t read = KEY_RO | KEY_ACCESS, write = KEY_OW | KEY_UPDATE;
    const uint16_t both = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    assert_int_equal(flags_of("GET a"), read);
    assert_int_equal(flags_of("SET a 1"), write);
    assert_int_equal(flags_of("SET a 1 EX 5 get"), both);
    assert_int_equal(flags_of("SET a get"), write);
    assert_int_equal(flags_of("BITFIELD a"), read);
    assert_int_equal(flags_of("BITFIELD a GET u8 0 OVERFLOW FAIL GET u8 1"), read);
    assert_int_equal(flags_of("BITFIELD a GET u8 0 SET u8 0 1"), both);
    assert_int_equal(flags_of("BITFIELD a GET u8"), both);
    assert_int_equal(flags_of("DEL a"), KEY_RM | KEY_DELETE);
}

/* A server can describe a module's command in ways that no row here does. */
static void test_specs_of_others(void **state)
{
    (void)state;
    struct request r;
    struct key_walk w;
    struct command c = { .name = "m", .arity = -1, .spec_count = 1 };
    request_of(&r, "PING k a k b c");

    c.specs[0] = (struct key_spec){
        .begin = KEY_BEGIN_KEYWORD, .keyword = "K", .pos = -1, .find = KEY_FIND_RANGE, .step = 1
    };
    assert_int_equal(key_walk_start(&w, &c, &r.argv), 1);
    assert_int_equal(w.key.arg, 4); /* the last K, searched backwards */
    assert_int_equal(key_walk_next(&w), 0);

    c.specs[0].pos = -100;
    assert_int_equal(key_walk_start(&w, &c, &r.argv), 0);

    c.specs[0] = (struct key_spec){
        .begin = KEY_BEGIN_INDEX, .pos = 1, .find = KEY_FIND_RANGE, .last = -2, .step = 3
    };
    assert_int_equal(key_walk_start(&w, &c, &r.argv), 1);
    assert_int_equal(w.key.arg, 1);
    assert_int_equal(key_walk_next(&w), 1);
    assert_int_equal(w.key.arg, 4);
    assert_int_equal(key_walk_next(&w), 0);

    /* A count before the keys with a step: the last key may be the last argument. */
    request_of(&r, "PING 2 a x b");
    c.specs[0] = (struct key_spec){
        .begin = KEY_BEGIN_INDEX, .pos = 1, .find = KEY_FIND_KEYNUM, .first = 1, .step = 2
    };
    assert_int_equal(key_walk_start(&w, &c, &r.argv), 1);
    assert_int_equal(w.key.arg, 2);
    assert_int_equal(key_walk_next(&w), 1);
    assert_int_equal(w.key.arg, 4);
    assert_int_equal(key_walk_next(&w), 0);
    c.specs[0].step = 3;
    assert_int_equal(key_walk_start(&w, &c, &r.argv), KEYS_BAD);

    c.specs[0] = (struct key_spec){ .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN };
    assert_int_equal(key_walk_start(&w, &c, &r.argv), 0);
}

static void test_slots(void **state)
{
    (void)state;
    assert_int_equal(slot_of("GET a"), key_slot("a"));
    assert_int_equal(slot_of("OBJECT FREQ a"), key_slot("a"));
    assert_int_equal(slot_of("GET"), KEYS_BAD);
    assert_int_equal(slot_of("PING"), KEYS_NONE);
    assert_int_equal(slot_of("EVAL s 0 a"), KEYS_NONE);
    assert_int_equal(slot_of("EVAL s 9 a"), KEYS_BAD);
    assert_int_equal(slot_of("MGET a a a"), key_slot("a"));
    assert_int_equal(slot_of("MGET {t}a {t}b"), key_slot("t"));
    assert_int_equal(slot_of("MGET a b"), KEYS_CROSS);
    assert_int_equal(slot_of("MSET a b"), key_slot("a"));
    assert_int_equal(slot_of("ZUNIONSTORE d 1 a"), KEYS_CROSS);
    assert_int_equal(slot_of("ZUNIONSTORE d 5 a"), KEYS_BAD);
}

/* A shard channel is no key, but has a slot. */
static void test_shard_channels(void **state)
{
    (void)state;
    assert_string_equal(keys_of("SPUBLISH c m"), "");
    assert_string_equal(keys_of("SSUBSCRIBE c d"), "");
    assert_int_equal(slot_of("SPUBLISH c m"), key_slot("c"));
    assert_int_equal(slot_of("SSUBSCRIBE {c}1 {c}2"), key_slot("c"));
    assert_int_equal(slot_of("SSUBSCRIBE c d"), KEYS_CROSS);
    assert_int_equal(slot_of("SUNSUBSCRIBE"), KEYS_NONE);
    assert_int_equal(slot_of("PUBLISH c m"), KEYS_NONE);
}

/* Every row, given 0 to 12 arguments of every unhelpful kind: positions stay inside, it ends. */
static void test_no_request_is_too_odd(void **state)
{
    (void)state;
    static const char *const fill[] = {
        "1", "0", "store", "keys", "streams", "get", "9", "-1", ""
    };
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *c = command_at(table, i);
        for (size_t f = 0; f < ARRAY_LEN(fill) * ARRAY_LEN(fill); f++) {
            const char *even = fill[f / ARRAY_LEN(fill)], *odd = fill[f % ARRAY_LEN(fill)];
            char text[300];
            struct arg args[13];
            uint32_t len = 0;
            for (uint32_t n = 0; n < ARRAY_LEN(args); n++) {
                const char *word = n % 2 == 0 ? even : odd;
                args[n] = (struct arg){ len, (uint32_t)strlen(word) };
                memcpy(text + len, word, strlen(word));
                len += (uint32_t)strlen(word);
                struct argv argv = { .base = text, .v = args, .count = n };
                struct key_walk w;
                uint32_t found = 0;
                int rc = key_walk_start(&w, c, &argv);
                for (; rc > 0; rc = key_walk_next(&w), found++) {
                    assert_true(w.key.arg > 0 && w.key.arg < n);
                    assert_true(found < n);
                }
                int slot = keys_slot(c, &argv);
                assert_true(slot >= KEYS_BAD && slot < SLOT_COUNT);
                if (found == 1)
                    assert_int_equal(slot, keyslot_of(argv_get(&argv, w.key.arg)));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),          cmocka_unit_test(test_counted),
        cmocka_unit_test(test_keywords),        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_specs_of_others), cmocka_unit_test(test_slots),
        cmocka_unit_test(test_shard_channels),  cmocka_unit_test(test_no_request_is_too_odd),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
