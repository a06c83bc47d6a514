/*
 * The command table against a running redis-server 7.0, a cluster of one node with all slots:
 * every row and number of COMMAND, both ways; the keys and flags of many calls as COMMAND
 * GETKEYSANDFLAGS tells them; and CROSSSLOT wherever the server says so, and nowhere else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "test/lib/every_type.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { MAX_ARGS = 32 };

static struct command_table *table;
static struct redis_cluster cluster;
static redisContext *server;

static int open_all(void **state)
{
    (void)state;
    table = command_table_new();
    cluster_start(&cluster, &(struct cluster_options){ .masters = 1 });
    server = redis_open(cluster.node[0].port);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    redisFree(server);
    cluster_stop(&cluster);
    command_table_free(table);
    return 0;
}

/* ---- the rows of COMMAND ---- */

static const char *const flag_names[] = {
    "write",    "readonly",     "denyoom",       "admin",
    "pubsub",   "noscript",     "blocking",      "loading",
    "stale",    "skip_monitor", "skip_slowlog",  "asking",
    "fast",     "no_auth",      "may_replicate", "no_async_loading",
    "no_multi", "movablekeys",  "allow_busy",    "no_mandatory_keys",
};

static const char *const key_flag_names[] = {
    "RO",     "RW",     "OW",      "RM",         "access",         "update",
    "insert", "delete", "not_key", "incomplete", "variable_flags",
};

/* The bits for an array of names; fails on a name that is not known. */
static uint32_t bits_of(const redisReply *names, const char *const *known, size_t count)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < names->elements; i++) {
        size_t k = 0;
        while (k < count && strcmp(known[k], names->element[i]->str) != 0)
            k++;
        if (k == count)
            fail_msg("an unknown flag: %s", names->element[i]->str);
        bits |= 1u << k;
    }
    return bits;
}

/* The value for a name in a map that came as a flat array. */
static const redisReply *value_of(const redisReply *map, const char *name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (strcmp(map->element[i]->str, name) == 0)
            return map->element[i + 1];
    fail_msg("no %s in the reply", name);
    return NULL;
}

static bool type_is(const redisReply *map, const char *type)
{
    return strcmp(value_of(map, "type")->str, type) == 0;
}

static long long number_of(const redisReply *map, const char *name)
{
    return value_of(value_of(map, "spec"), name)->integer;
}

static void compare_begin(const redisReply *r, const struct key_spec *s)
{
    if (type_is(r, "index")) {
        assert_int_equal(s->begin, KEY_BEGIN_INDEX);
        assert_int_equal(s->pos, number_of(r, "index"));
        assert_null(s->keyword);
    } else if (type_is(r, "keyword")) {
        assert_int_equal(s->begin, KEY_BEGIN_KEYWORD);
        assert_int_equal(s->pos, number_of(r, "startfrom"));
        assert_string_equal(s->keyword, value_of(value_of(r, "spec"), "keyword")->str);
    } else {
        assert_true(type_is(r, "unknown"));
        assert_int_equal(s->begin, KEY_BEGIN_UNKNOWN);
    }
}

static void compare_find(const redisReply *r, const struct key_spec *s)
{
    if (type_is(r, "range")) {
        assert_int_equal(s->find, KEY_FIND_RANGE);
        assert_int_equal(s->last, number_of(r, "lastkey"));
        assert_int_equal(s->step, number_of(r, "keystep"));
        assert_int_equal(s->limit, number_of(r, "limit"));
    } else if (type_is(r, "keynum")) {
        assert_int_equal(s->find, KEY_FIND_KEYNUM);
        assert_int_equal(s->keynum, number_of(r, "keynumidx"));
        assert_int_equal(s->first, number_of(r, "firstkey"));
        assert_int_equal(s->step, number_of(r, "keystep"));
    } else {
        assert_true(type_is(r, "unknown"));
        assert_int_equal(s->find, KEY_FIND_UNKNOWN);
    }
}

/* The three numbers of the time before key specs, which Redis makes from the specs like this: those
   that are plain ranges and stand side by side count as one. */
static void old_range(const struct command *c, int range[3])
{
    int first = 0, last = 0;
    memset(range, 0, 3 * sizeof(range[0]));
    for (uint32_t i = 0; i < c->spec_count; i++) {
        const struct key_spec *s = &c->specs[i];
        if (s->begin != KEY_BEGIN_INDEX || s->find != KEY_FIND_RANGE)
            continue;
        if (first != 0 && last != s->pos - 1)
            break;
        if (first == 0)
            first = s->pos;
        last = s->last >= 0 ? s->pos + s->last : s->last;
        range[2] = s->step;
    }
    range[0] = first;
    range[1] = last;
}

static uint32_t compare_row(const redisReply *r, const struct command *c)
{
    int range[3];
    const char *name = r->element[0]->str, *bar = strchr(name, '|');

    assert_non_null(c);
    assert_string_equal(c->name, bar != NULL ? bar + 1 : name);
    assert_int_equal(c->arity, r->element[1]->integer);
    assert_int_equal(c->flags & ~(uint32_t)CMD_AT_MASTER,
                     bits_of(r->element[2], flag_names, ARRAY_LEN(flag_names)));
    old_range(c, range);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(range[i], r->element[3 + i]->integer);

    const redisReply *specs = r->element[8];
    assert_int_equal(c->spec_count, specs->elements);
    for (size_t i = 0; i < specs->elements; i++) {
        const redisReply *s = specs->element[i];
        assert_int_equal(c->specs[i].flags,
                         bits_of(value_of(s, "flags"), key_flag_names, ARRAY_LEN(key_flag_names)));
        compare_begin(value_of(s, "begin_search"), &c->specs[i]);
        compare_find(value_of(s, "find_keys"), &c->specs[i]);
    }

    uint32_t rows = 1;
    const redisReply *subs = r->element[9];
    assert_int_equal(c->subs != NULL, subs->elements > 0);
    for (size_t i = 0; i < subs->elements; i++) {
        const char *full = subs->element[i]->element[0]->str;
        const struct command *s = c->subs;
        while (s->name != NULL && strcmp(s->name, strchr(full, '|') + 1) != 0)
            s++;
        rows += compare_row(subs->element[i], s->name != NULL ? s : NULL);
    }
    return rows;
}

static void test_every_row(void **state)
{
    (void)state;
    redisReply *r = redisCommand(server, "COMMAND");
    assert_non_null(r);
    assert_int_equal(r->type, REDIS_REPLY_ARRAY);
    uint32_t rows = 0;
    for (size_t i = 0; i < r->elements; i++) {
        const char *name = r->element[i]->element[0]->str;
        rows +=
            compare_row(r->element[i], command_find(table, (struct span){ name, strlen(name) }));
    }
    /* Each of the server's rows has one of its own here, so as many means none is too many; but for
       the rows that newer servers have. */
    uint32_t newer = 0;
    for (uint32_t i = 0; i < command_table_size(table); i++)
        newer += (command_at(table, i)->flags & (CMD_AFTER_7_0 | CMD_OURS)) != 0;
    assert_int_equal(rows + newer, command_table_size(table));
    freeReplyObject(r);
}

/* The policy that the server tips for a row that merges replies. */
static bool compare_tip(const struct command *c, const char *tip)
{
    static const struct {
        const char *tip;
        enum command_merge merge;
    } policies[] = {
        { "response_policy:agg_logical_and", MERGE_AND },
        { "response_policy:agg_min", MERGE_MIN },
        { "response_policy:agg_sum", MERGE_SUM },
        { "response_policy:all_succeeded", MERGE_ALL_OK },
        { "response_policy:one_succeeded", MERGE_ONE_OK },
        { "response_policy:special", MERGE_SPECIAL },
    };
    for (size_t p = 0; p < ARRAY_LEN(policies); p++) {
        if (strcmp(tip, policies[p].tip) != 0)
            continue;
        /* Tipped as all_succeeded, but it answers with a number. */
        bool latency_reset = c->merge == MERGE_SUM && strcmp(c->name, "reset") == 0 &&
                             strcmp(c->parent->name, "latency") == 0;
        if (c->merge != policies[p].merge && !latency_reset)
            fail_msg("%s: merge %u, but %s", c->name, c->merge, tip);
        return true;
    }
    return false;
}

static void test_tips(void **state)
{
    (void)state;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *c = command_at(table, i);
        if (c->merge == MERGE_NONE) /* another way than to merge: see test_command.c */
            continue;
        redisReply *r = c->parent == NULL
                            ? redisCommand(server, "COMMAND INFO %s", c->name)
                            : redisCommand(server, "COMMAND INFO %s|%s", c->parent->name, c->name);
        assert_non_null(r);
        const redisReply *tips = r->element[0]->element[7];
        for (size_t k = 0; k < tips->elements; k++)
            seen += compare_tip(c, tips->element[k]->str);
        freeReplyObject(r);
    }
    assert_true(seen > 20);
}

/* ---- the keys of calls ---- */

struct call {
    const char *words[MAX_ARGS];
    size_t lens[MAX_ARGS];
    struct arg args[MAX_ARGS];
    struct argv argv;
    const struct command *cmd;
    char text[512];
};

/* Words separated by one space; two spaces in a row hold an empty argument. */
static void call_of(struct call *c, const char *words)
{
    uint32_t n = 0;
    snprintf(c->text, sizeof(c->text), "%s", words);
    for (char *p = c->text;; p++) {
        assert_true(n < MAX_ARGS);
        c->words[n] = p;
        c->lens[n] = strcspn(p, " ");
        c->args[n] = (struct arg){ (uint32_t)(p - c->text), (uint32_t)c->lens[n] };
        p += c->lens[n++];
        if (*p == '\0')
            break;
    }
    c->argv = (struct argv){ .base = c->text, .v = c->args, .count = n };
    const struct command *container;
    c->cmd = command_resolve(table, &c->argv, &container);
}

static redisReply *ask(const struct call *c, const char *sub)
{
    const char *words[MAX_ARGS + 2] = { "COMMAND", sub };
    size_t lens[MAX_ARGS + 2] = { 7, strlen(sub) };
    for (uint32_t i = 0; i < c->argv.count; i++) {
        words[i + 2] = c->words[i];
        lens[i + 2] = c->lens[i];
    }
    redisReply *r = redisCommandArgv(server, (int)c->argv.count + 2, words, lens);
    assert_non_null(r);
    return r;
}

static bool is_error(const redisReply *r, const char *prefix)
{
    return r->type == REDIS_REPLY_ERROR && strncmp(r->str, prefix, strlen(prefix)) == 0;
}

/* The server finds no key, or calls the request wrong: then no key may be found here either. */
static void expect_none(const struct call *c)
{
    struct key_walk w;
    if (c->cmd == NULL || !command_arity_ok(c->cmd, c->argv.count))
        return; /* an error before anybody asks for keys */
    int rc = key_walk_start(&w, c->cmd, &c->argv);
    if (rc > 0)
        fail_msg("%s: argument %u is no key", c->text, w.key.arg);
}

static void compare_keys(const struct call *c)
{
    struct key_walk w;
    redisReply *r = ask(c, "GETKEYSANDFLAGS");
    if (r->type == REDIS_REPLY_ERROR || r->elements == 0) {
        expect_none(c);
        freeReplyObject(r);
        return;
    }
    redisReply *names = ask(c, "GETKEYS");
    assert_int_equal(names->elements, r->elements);
    int rc = key_walk_start(&w, c->cmd, &c->argv);
    for (size_t i = 0; i < r->elements; i++, rc = key_walk_next(&w)) {
        const redisReply *key = r->element[i]->element[0], *flags = r->element[i]->element[1];
        if (rc != 1)
            fail_msg("%s: key %zu is missing (%d)", c->text, i, rc);
        struct span found = argv_get(&c->argv, w.key.arg);
        if (!span_equal(found, (struct span){ key->str, key->len }) ||
            !span_equal(found, (struct span){ names->element[i]->str, names->element[i]->len }))
            fail_msg("%s: key %zu is %s, not argument %u", c->text, i, key->str, w.key.arg);
        uint32_t bits = bits_of(flags, key_flag_names, ARRAY_LEN(key_flag_names));
        if (bits != w.key.flags)
            fail_msg("%s: flags of key %zu are %x, not %x", c->text, i, bits, w.key.flags);
    }
    if (rc != 0)
        fail_msg("%s: a key too many, or %d", c->text, rc);
    freeReplyObject(names);
    freeReplyObject(r);
}

/* Calls that the server's own procedures know, right and wrong ones. */
static const char *const calls[] = {
#include "test/integration/calls.inc"
};

static void test_keys_of_calls(void **state)
{
    (void)state;
    struct call c;
    assert_true(ARRAY_LEN(calls) >= 300);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        call_of(&c, calls[i]);
        compare_keys(&c);
    }
}

/* Every row with from none to six arguments more than it needs, of several kinds. */
static void test_keys_of_every_row(void **state)
{
    (void)state;
    static const char *const fills[] = { "k%u", "%u", "1", "2", "get", "" };
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *row = command_at(table, i);
        uint32_t least = (uint32_t)abs(row->arity);
        for (uint32_t n = least; n <= least + (row->arity < 0 ? 6u : 0u); n++) {
            for (size_t f = 0; f < ARRAY_LEN(fills); f++) {
                struct call c;
                char text[512];
                uint32_t k = row->parent == NULL ? 1 : 2;
                int used =
                    k == 1 ? snprintf(text, sizeof(text), "%s", row->name)
                           : snprintf(text, sizeof(text), "%s %s", row->parent->name, row->name);
                for (; k < n; k++) {
                    char word[16];
                    snprintf(word, sizeof(word), fills[f], k);
                    used += snprintf(text + used, sizeof(text) - (size_t)used, " %s", word);
                }
                call_of(&c, text);
                /* PFMERGE of nothing is right, but the server's specs think it is not. */
                if (strcmp(row->name, "pfmerge") != 0 || n > least)
                    compare_keys(&c);
            }
        }
    }
}

/* ---- slots ---- */

/* What cannot be queued in a MULTI, where a request is checked and not executed. */
static bool is_queued(const struct command *c)
{
    static const char *const not [] = { "multi", "exec", "discard", "watch", "quit", "reset" };
    if ((c->flags & CMD_NO_MULTI) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(not ); i++)
        if (strcmp(c->name, not [i]) == 0)
            return false;
    return true;
}

static void compare_cross(struct call *c)
{
    if (c->cmd == NULL || !is_queued(c->cmd) || !command_arity_ok(c->cmd, c->argv.count))
        return;
    freeReplyObject(redisCommand(server, "MULTI"));
    redisReply *r = redisCommandArgv(server, (int)c->argv.count, c->words, c->lens);
    assert_non_null(r);
    int slot = keys_slot(c->cmd, &c->argv);
    if (is_error(r, "CROSSSLOT") != (slot == KEYS_CROSS))
        fail_msg("%s: slot %d, but the server says %s", c->text, slot, r->str);
    if (r->type == REDIS_REPLY_ERROR && slot >= 0 && !is_error(r, "ERR"))
        fail_msg("%s: slot %d, but the server says %s", c->text, slot, r->str);
    freeReplyObject(r);
    freeReplyObject(redisCommand(server, "DISCARD"));
}

static void test_cross_slot(void **state)
{
    (void)state;
    uint32_t crossing = 0;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        struct call c;
        call_of(&c, calls[i]);
        compare_cross(&c);
        crossing += c.cmd != NULL && keys_slot(c.cmd, &c.argv) == KEYS_CROSS;
    }
    assert_true(crossing >= 50);
}

/* The keys found here, as one text, or BAD. */
static void keys_text(const struct call *c, char *text, size_t size)
{
    struct key_walk w;
    size_t used = 0;
    text[0] = '\0';
    int rc = key_walk_start(&w, c->cmd, &c->argv);
    for (; rc > 0; rc = key_walk_next(&w)) {
        struct span s = argv_get(&c->argv, w.key.arg);
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used > 0 ? " " : "",
                                 (int)s.len, s.at);
        assert_true(used < size);
    }
    if (rc < 0)
        snprintf(text, size, "BAD");
}

/* Where this walk knows better than COMMAND GETKEYS; each shown to differ, so that a server that
   mends it is noticed. */
static void test_known_differences(void **state)
{
    (void)state;
    static const struct {
        const char *words, *keys;
        int server_keys; /* how many; -1: an error */
    } known[] = {
        /* Right, and has a key. */
        { "PFMERGE d", "d", -1 },
        /* Writes to the last one only, and is routed so. */
        { "GEORADIUS {k}a 1 2 3 m STORE b STOREDIST {k}c", "{k}a {k}c", 3 },
        { "GEORADIUS {k}a 1 2 3 m STOREDIST {k}b STORE c", "{k}a c", 3 },
        { "GEORADIUS {k}a 1 2 3 m STORE b STORE {k}c", "{k}a {k}c", 2 },
        { "GEORADIUS {k}a 1 2 3 m STORE {k}b STORE c", "{k}a c", 2 },
        /* Refused by the command itself. */
        { "ZUNION 2x a a", "BAD", 2 },
        { "ZUNION +2 a a", "BAD", 2 },
        { "LMPOP 02 a a LEFT", "BAD", 2 },
        { "EVAL s 1x k", "BAD", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct call c;
        char found[64];
        call_of(&c, known[i].words);
        keys_text(&c, found, sizeof(found));
        assert_string_equal(found, known[i].keys);
        compare_cross(&c);
        redisReply *r = ask(&c, "GETKEYS");
        assert_int_equal(r->type == REDIS_REPLY_ERROR ? -1 : (int)r->elements,
                         known[i].server_keys);
        freeReplyObject(r);
    }
}

static void test_slots(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int i = 0; i < 2000; i++) {
        char key[40];
        size_t len = (size_t)i % sizeof(key);
        for (size_t k = 0; k < len; k++) {
            seed = seed * 1664525 + 1013904223;
            key[k] = "{}ab{}\0\xff"[seed >> 24 & 7];
        }
        redisReply *r = redisCommand(server, "CLUSTER KEYSLOT %b", key, len);
        assert_non_null(r);
        assert_int_equal(keyslot_of((struct span){ key, len }), r->integer);
        freeReplyObject(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_tips),
        cmocka_unit_test(test_keys_of_calls),
        cmocka_unit_test(test_keys_of_every_row),
        cmocka_unit_test(test_known_differences),
        cmocka_unit_test(test_cross_slot),
        cmocka_unit_test(test_slots),
    };
    return testenv_finish(cmocka_run_group_tests(tests, open_all, close_all));
}
