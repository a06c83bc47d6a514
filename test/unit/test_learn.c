/* What the table learns from a COMMAND reply: key specs, old key numbers, tips; and bad replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "cluster/learn.h"

/* One command with a key behind the word AT, one with a key count, one by old numbers, one without
   keys for all shards, and GET, which the table has. */
static const char reply[] =
    "*5\r\n"
    "*10\r\n$6\r\nm.word\r\n:-3\r\n*1\r\n+readonly\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n"
    "*1\r\n*6\r\n$5\r\nflags\r\n*1\r\n+RO\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n"
    "$7\r\nkeyword\r\n$4\r\nspec\r\n*4\r\n$7\r\nkeyword\r\n$2\r\nAT\r\n$9\r\nstartfrom\r\n:1\r\n"
    "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n"
    ":0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n"
    "*10\r\n$5\r\nm.num\r\n:-3\r\n*1\r\n+write\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n"
    "*1\r\n*6\r\n$5\r\nflags\r\n*1\r\n+RW\r\n$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n"
    "$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n"
    "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$6\r\nkeynum\r\n$4\r\nspec\r\n*6\r\n$9\r\nkeynumidx\r\n"
    ":0\r\n$8\r\nfirstkey\r\n:1\r\n$7\r\nkeystep\r\n:1\r\n*0\r\n"
    "*6\r\n$5\r\nM.OLD\r\n:3\r\n*1\r\n+write\r\n:2\r\n:2\r\n:1\r\n"
    "*10\r\n$5\r\nm.all\r\n:1\r\n*1\r\n+readonly\r\n:0\r\n:0\r\n:0\r\n*0\r\n"
    "*2\r\n$25\r\nrequest_policy:all_shards\r\n$23\r\nresponse_policy:agg_sum\r\n*0\r\n*0\r\n"
    "*6\r\n$3\r\nget\r\n:9\r\n*0\r\n:5\r\n:5\r\n:1\r\n";

static struct span whole(void)
{
    return (struct span){ reply, sizeof(reply) - 1 };
}

static int slot_of(struct command_table *t, const char *words)
{
    struct arg args[8];
    struct argv argv = { .base = words, .v = args };
    const struct command *container;
    for (const char *p = words; *p != '\0';) {
        size_t len = strcspn(p, " ");
        args[argv.count++] = (struct arg){ (uint32_t)(p - words), (uint32_t)len };
        p += len;
        p += *p == ' ';
    }
    const struct command *c = command_resolve(t, &argv, &container);
    assert_non_null(c);
    return keys_slot(c, &argv);
}

static int slot(const char *key)
{
    return keyslot_of((struct span){ key, strlen(key) });
}

static void test_learned_rows(void **state)
{
    (void)state;
    struct command_table *t = command_table_new();
    uint32_t before = command_table_size(t);
    assert_int_equal(command_table_learn(t, whole()), 4);
    assert_int_equal(command_table_size(t), before + 4);
    assert_int_equal(slot_of(t, "m.word x AT key"), slot("key"));
    assert_int_equal(slot_of(t, "M.WORD x y"), KEYS_NONE);
    assert_int_equal(slot_of(t, "m.num 2 {k}1 {k}2"), slot("k"));
    assert_int_equal(slot_of(t, "m.num 2 a b"), KEYS_CROSS);
    assert_int_equal(slot_of(t, "m.old x key"), slot("key"));
    const struct command *all = command_find(t, SPAN("m.all"));
    assert_int_equal(all->how, HOW_BROADCAST);
    assert_int_equal(all->merge, MERGE_SUM);
    assert_int_equal(command_find(t, SPAN("get"))->arity, 2);
    assert_int_equal(command_table_learn(t, whole()), 0);
    command_table_free(t);
}

/* Every beginning of the reply, and every byte of it changed: no crash, no leak, whatever is
 * learned. */
static void test_bad_replies(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(reply) - 1; len++) {
        struct command_table *t = command_table_new();
        char *copy = malloc(sizeof(reply));
        memcpy(copy, reply, sizeof(reply));
        assert_int_equal(command_table_learn(t, (struct span){ copy, len }), -1);
        copy[len] = (char)(copy[len] + 1);
        (void)command_table_learn(t, (struct span){ copy, sizeof(reply) - 1 });
        free(copy);
        command_table_free(t);
    }
    struct command_table *t = command_table_new();
    assert_int_equal(command_table_learn(t, SPAN("-NOPERM no\r\n")), -1);
    assert_int_equal(command_table_learn(t, SPAN("*1\r\n:1\r\n")), -1);
    command_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learned_rows),
        cmocka_unit_test(test_bad_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
