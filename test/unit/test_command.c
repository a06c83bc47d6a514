/* The command table: lookups, arity, subcommands, and that every row makes sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>

#include "base/check.h"
#include "cluster/command.h"

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

static const struct command *find(const char *name)
{
    return command_find(table, (struct span){ name, strlen(name) });
}

/* Resolves a request given as words separated by one space. */
static const struct command *resolve(const char *words, const struct command **container)
{
    struct arg args[16];
    struct argv argv = { .base = words, .v = args, .count = 0 };
    for (const char *p = words; *p != '\0';) {
        size_t len = strcspn(p, " ");
        args[argv.count++] = (struct arg){ (uint32_t)(p - words), (uint32_t)len };
        p += len;
        p += *p == ' ';
    }
    return command_resolve(table, &argv, container);
}

static bool is_top(const struct command *c)
{
    return c->parent == NULL;
}

/* Rows that Redis 7.0 lacks: CLIENT SETINFO, CLIENT NO-TOUCH, and PROXY. */
static uint32_t newer_rows(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < command_table_size(table); i++)
        n += (command_at(table, i)->flags & (CMD_AFTER_7_0 | CMD_OURS)) != 0;
    return n;
}

static void test_size_and_index(void **state)
{
    (void)state;
    uint32_t top = 0, size = command_table_size(table);
    for (uint32_t i = 0; i < size; i++) {
        const struct command *c = command_at(table, i);
        assert_int_equal(c->index, i);
        top += is_top(c);
    }
    assert_int_equal(top, 240 + 1); /* PROXY */
    uint32_t newer = newer_rows();
    assert_int_equal(size, 366 + newer);
}

/* Every name is found in any case, and only as it is: not shorter, longer, or with a byte changed.
 */
static void test_find_in_any_case(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *c = command_at(table, i);
        if (!is_top(c))
            continue;
        char name[64];
        size_t len = strlen(c->name);
        assert_ptr_equal(find(c->name), c);
        for (size_t k = 0; k <= len; k++)
            name[k] = (char)toupper((unsigned char)c->name[k]);
        assert_ptr_equal(find(name), c);
        for (size_t k = 0; k < len; k += 2)
            name[k] = c->name[k];
        assert_ptr_equal(find(name), c);

        const struct command *shorter = command_find(table, (struct span){ c->name, len - 1 });
        assert_true(shorter == NULL || strlen(shorter->name) == len - 1);
        snprintf(name, sizeof(name), "%s%c", c->name, '\0');
        assert_null(command_find(table, (struct span){ name, len + 1 }));
        for (size_t k = 0; k < len; k++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                memcpy(name, c->name, len + 1);
                name[k] = (char)(name[k] ^ (1 << bit));
                const struct command *other = find(name);
                if (bit == 5 && isalpha((unsigned char)c->name[k]))
                    assert_ptr_equal(other, c);
                else
                    assert_ptr_not_equal(other, c);
            }
        }
    }
}

static void test_find_nothing(void **state)
{
    (void)state;
    static const char *const none[] = { "",
                                        "g",
                                        "ge",
                                        "gett",
                                        "getkeys",
                                        "config|get",
                                        "object|",
                                        "georadiusbymember_rw",
                                        "zremrangebyscor",
                                        "get ",
                                        "\xc7\xe5\xf4" };
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_null(find(none[i]));
    assert_null(command_find(table, (struct span){ NULL, 0 }));
    char large[70000];
    memset(large, 'a', sizeof(large));
    assert_null(command_find(table, (struct span){ large, sizeof(large) }));
    /* 2^16 bytes more than a known name. */
    memcpy(large, "get", 3);
    assert_null(command_find(table, (struct span){ large, 65536 + 3 }));
}

/* A lookup must not read past the name: these end exactly where their memory does. */
static void test_find_reads_only_the_name(void **state)
{
    (void)state;
    for (size_t len = 1; len < 40; len++) {
        char *name = test_malloc(len);
        memset(name, 'q', len);
        assert_null(command_find(table, (struct span){ name, len }));
        test_free(name);
    }
}

static void test_arity(void **state)
{
    (void)state;
    assert_false(command_arity_ok(find("get"), 1));
    assert_true(command_arity_ok(find("get"), 2));
    assert_false(command_arity_ok(find("get"), 3));
    assert_false(command_arity_ok(find("mset"), 2));
    assert_true(command_arity_ok(find("mset"), 3));
    assert_true(command_arity_ok(find("mset"), 1000000));
    const struct command *container;
    assert_false(command_arity_ok(resolve("object encoding", &container), 2));
    assert_true(command_arity_ok(resolve("object encoding k", &container), 3));
}

static void test_resolve(void **state)
{
    (void)state;
    const struct command *container;
    assert_ptr_equal(resolve("GET k", &container), find("get"));
    assert_null(container);

    const struct command *sub = resolve("Config gEt maxmemory", &container);
    assert_non_null(sub);
    assert_string_equal(sub->name, "get");
    assert_ptr_equal(sub->parent, find("config"));
    assert_ptr_equal(container, find("config"));
    assert_ptr_not_equal(sub, find("get"));

    assert_ptr_equal(resolve("CONFIG", &container), find("config"));
    assert_null(container);
    assert_ptr_equal(resolve("COMMAND", &container), find("command"));
    assert_null(container);

    assert_null(resolve("CONFIG nonsense", &container));
    assert_ptr_equal(container, find("config"));
    assert_null(resolve("CONFIG setslot", &container)); /* another container's */
    assert_null(resolve("NONSENSE get", &container));
    assert_null(container);
    struct argv empty = { .base = "", .v = NULL, .count = 0 };
    assert_null(command_resolve(table, &empty, &container));
    assert_null(container);
}

static void test_every_sub_resolves(void **state)
{
    (void)state;
    uint32_t subs = 0;
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *c = command_at(table, i);
        assert_true(c->subs == NULL || is_top(c));
        for (const struct command *s = c->subs; s != NULL && s->name != NULL; s++, subs++) {
            char words[80];
            const struct command *container;
            snprintf(words, sizeof(words), "%s %s", c->name, s->name);
            assert_ptr_equal(resolve(words, &container), s);
            assert_ptr_equal(container, c);
            assert_ptr_equal(s->parent, c);
            assert_ptr_equal(command_at(table, s->index), s);
        }
    }
    assert_int_equal(subs, 366 + newer_rows() - 241);
}

static void test_rows_of_a_container_are_sorted(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *s = command_at(table, i)->subs;
        for (; s != NULL && s->name != NULL && s[1].name != NULL; s++)
            assert_true(strcmp(s[0].name, s[1].name) < 0);
    }
}

static bool has_keys(const struct command *c)
{
    return c->spec_count > 0;
}

/* More than one key can be named. */
static bool has_many(const struct command *c)
{
    return has_keys(c) && c->only_key == 0;
}

/* Reads keys that only patterns name (SORT_RO). */
static bool has_patterns(const struct command *c)
{
    return c->spec_count > 0 && c->specs[c->spec_count - 1].begin == KEY_BEGIN_UNKNOWN;
}

static bool merge_fits(const struct command *c)
{
    switch ((enum command_how)c->how) {
    case HOW_SPLIT:
        return has_many(c) &&
               (c->merge == MERGE_BY_KEY || c->merge == MERGE_ALL_OK || c->merge == MERGE_SUM);
    case HOW_GATHER:
        return (has_many(c) || has_patterns(c)) && c->merge == MERGE_NONE;
    case HOW_KEYS:
        return has_keys(c) && c->merge == MERGE_NONE;
    case HOW_BROADCAST:
        return !has_keys(c) && c->merge != MERGE_NONE && c->merge != MERGE_BY_KEY;
    case HOW_ANY:
        return !has_keys(c) && c->merge == MERGE_NONE;
    case HOW_BLOCK: /* WAIT names no key: it asks every node */
        return has_keys(c) ? c->merge == MERGE_NONE : c->merge == MERGE_MIN;
    case HOW_LOCAL: /* MOVE names a key, and never gets as far as looking at it */
    case HOW_SESSION:
    case HOW_PUBLISH: /* PUBLISH without a key, SPUBLISH with one */
    case HOW_REFUSE:
        return c->merge == MERGE_NONE;
    }
    return false;
}

static void test_every_row_makes_sense(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *c = command_at(table, i);
        if (!merge_fits(c))
            fail_msg("%s: how %u and merge %u do not fit", c->name, c->how, c->merge);
        assert_int_equal(c->how == HOW_REFUSE, c->refuse != NULL);
        if (c->subs != NULL)
            assert_true(c->how == HOW_ANY || c->how == HOW_LOCAL);
        /* What names several keys and is no session must not be left to a CROSSSLOT error. */
        if (has_many(c) && c->how == HOW_KEYS)
            assert_true((c->specs[0].flags & KEY_NOT_KEY) != 0);
        /* A blocking command must never sit on a shared connection. */
        if ((c->flags & CMD_BLOCKING) != 0)
            assert_int_equal(c->how, HOW_BLOCK);
        /* One part that fails after others were written: only where the merge can tell. */
        if (c->how == HOW_SPLIT && (c->flags & CMD_WRITE) != 0)
            assert_true(c->merge == MERGE_ALL_OK || c->merge == MERGE_SUM);
        /* A write without a key that any one master would do leaves the others behind. */
        if ((c->flags & CMD_WRITE) != 0)
            assert_int_not_equal(c->how, HOW_ANY);
    }
}

static void test_only_key(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        uint8_t key;
    } rows[] = {
        { "get", 1 },         { "set", 1 },          { "bitfield", 1 },     { "sort_ro", 1 },
        { "object freq", 2 }, { "xgroup setid", 2 }, { "memory usage", 2 }, { "mget", 0 },
        { "sort", 0 },        { "georadius", 0 },    { "eval", 0 },         { "copy", 0 },
        { "lcs", 0 },         { "spublish", 0 },     { "xread", 0 },        { "ping", 0 },
        { "migrate", 0 },     { "pfdebug", 2 },      { "object", 0 },       { "watch", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct command *container;
        assert_int_equal(resolve(rows[i].words, &container)->only_key, rows[i].key);
    }
}

static void test_how(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum command_how how;
        enum command_merge merge;
    } rows[] = {
        { "mget", HOW_SPLIT, MERGE_BY_KEY },
        { "mset", HOW_SPLIT, MERGE_ALL_OK },
        { "msetnx", HOW_GATHER, MERGE_NONE },
        { "del", HOW_SPLIT, MERGE_SUM },
        { "get", HOW_KEYS, MERGE_NONE },
        { "spublish", HOW_PUBLISH, MERGE_NONE },
        { "publish", HOW_PUBLISH, MERGE_NONE },
        { "eval", HOW_GATHER, MERGE_NONE },
        { "blpop", HOW_BLOCK, MERGE_NONE },
        { "wait", HOW_BLOCK, MERGE_MIN },
        { "watch", HOW_SESSION, MERGE_NONE },
        { "client kill", HOW_LOCAL, MERGE_NONE },
        { "dbsize", HOW_BROADCAST, MERGE_SUM },
        { "keys", HOW_BROADCAST, MERGE_CONCAT },
        { "script exists", HOW_BROADCAST, MERGE_AND },
        { "script kill", HOW_BROADCAST, MERGE_ONE_OK },
        { "memory purge", HOW_BROADCAST, MERGE_ALL_OK },
        { "migrate", HOW_REFUSE, MERGE_NONE },
        { "cluster setslot", HOW_REFUSE, MERGE_NONE },
        { "cluster slots", HOW_LOCAL, MERGE_NONE },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct command *container;
        const struct command *c = resolve(rows[i].words, &container);
        assert_int_equal(c->how, rows[i].how);
        assert_int_equal(c->merge, rows[i].merge);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_and_index),
        cmocka_unit_test(test_find_in_any_case),
        cmocka_unit_test(test_find_nothing),
        cmocka_unit_test(test_find_reads_only_the_name),
        cmocka_unit_test(test_arity),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_every_sub_resolves),
        cmocka_unit_test(test_rows_of_a_container_are_sorted),
        cmocka_unit_test(test_every_row_makes_sense),
        cmocka_unit_test(test_only_key),
        cmocka_unit_test(test_how),
    };
    return cmocka_run_group_tests(tests, open_table, close_table);
}
