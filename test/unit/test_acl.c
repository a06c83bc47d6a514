/* Rules of users one by one, what is wrong with some, and commands that were learned. The rest is
   compared with a real server in test/integration/test_acl.c. */
#include "proxy/acl_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/categories.h"

static struct command_table *table;
static struct acl_user user;

static int start(void **state)
{
    (void)state;
    table = command_table_new();
    acl_user_init(&user, SPAN("somebody"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    acl_user_free(&user);
    command_table_free(table);
    return 0;
}

static const char *apply(const char *rule)
{
    return acl_user_apply(&user, table, (struct span){ rule, strlen(rule) });
}

static void apply_all(const char *const *rules)
{
    for (; *rules != NULL; rules++)
        assert_null(apply(*rules));
    acl_user_finish(&user, table);
}

static void expect_text(const char *text)
{
    char *line = acl_describe(&user);
    assert_string_equal(line, text);
    free(line);
}

static bool has(const char *name)
{
    return acl_has_command(&user, command_find(table, (struct span){ name, strlen(name) }));
}

static void learn(const char *name, struct command row)
{
    row.arity = -2;
    row.name = name;
    row.flags |= CMD_AFTER_7_0;
    assert_true(command_table_add(table, &row, (struct span){ name, strlen(name) }));
}

static void test_what_is_wrong(void **state)
{
    static const char *const rules[] = {
        "nonsense",
        "+",
        "-",
        "+@",
        "+nosuch",
        "-nosuch",
        "+@nosuch",
        "+config|nosuch",
        "+config|get|x",
        "+select|0",
        "#abc",
        "!abc",
        "<never",
        "%~x",
        "%X~x",
        "%R",
        "%",
        "(",
        "(+get",
        "(+get)",
        "skip-sanitize-payload",
        "db=1",
        "alldbs",
        "+mod.x|y",
        "#30C952FAB122C3F9759F02A6D95C3758B246B4FEE239957B2D4FEE46E26170C4",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (apply(rules[i]) == NULL)
            fail_msg("%s is taken", rules[i]);
    expect_text("user somebody off resetchannels -@all");
    assert_null(apply("~*"));
    assert_non_null(apply("~x"));
    assert_null(apply("allchannels"));
    assert_non_null(apply("&x"));
}

static void test_later_rules(void **state)
{
    (void)state;
    apply_all((const char *const[]){ "on", "+GET", "-get", "+get", "+@Read", "%R~a", "%W~a", "~b",
                                     "&x", "&x", ">p", ">p", "sanitize-payload", NULL });
    expect_text(
        "user somebody on #148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940 "
        "~a ~b resetchannels &x -@all +get +@read");
    apply_all((const char *const[]){ "<p", "resetkeys", "%RW~*", "&*", "allcommands", NULL });
    assert_true(acl_is_free(&user));
    assert_false(acl_opens(&user, SPAN("p")));
    apply_all((const char *const[]){ "-get", "+get", NULL });
    assert_false(acl_is_free(&user));
    assert_true(has("get"));
    apply_all((const char *const[]){ "nopass", NULL });
    assert_true(acl_opens(&user, SPAN("whatever")));
    apply_all((const char *const[]){ "off", NULL });
    assert_false(acl_opens(&user, SPAN("whatever")));
}

/* Rules name commands of modules before anybody knows them. */
static void test_learned(void **state)
{
    (void)state;
    apply_all((const char *const[]){ "-@all", "+mod.get", "+@write", "-mod.put", NULL });
    learn("mod.get", (struct command){ .categories = CAT_READ });
    learn("mod.put", (struct command){ .categories = CAT_WRITE });
    learn("mod.add", (struct command){ .categories = CAT_WRITE });
    learn("mod.drop", (struct command){ .categories = CAT_DANGEROUS });
    assert_true(has("mod.get"));
    assert_false(has("mod.put"));
    assert_true(has("mod.add"));
    assert_false(has("mod.drop"));
    apply_all((const char *const[]){ "+@all", "-@dangerous", NULL });
    assert_true(has("mod.put"));
    assert_false(has("mod.drop"));
}

static enum acl_verdict check(const char *name)
{
    static const char bytes[] = "cmd a1";
    static const struct arg args[] = { { 0, 3 }, { 4, 2 } };
    const struct argv argv = { bytes, args, 2 };
    uint32_t arg;
    return acl_check(&user, command_find(table, (struct span){ name, strlen(name) }), &argv, true,
                     &arg);
}

/* The argument that is named is one of the call, also when all channels are allowed. */
static void test_argument_of_a_verdict(void **state)
{
    static const char bytes[] = "subscribe a b";
    static const struct arg args[] = { { 0, 9 }, { 10, 1 }, { 12, 1 } };
    const struct argv argv = { bytes, args, 3 };
    const struct command *cmd = command_find(table, SPAN("subscribe"));
    uint32_t arg;
    (void)state;
    apply_all((const char *const[]){ "resetchannels", "+@all", "allkeys", "&a", NULL });
    assert_int_equal(acl_check(&user, cmd, &argv, true, &arg), ACL_NO_CHANNEL);
    assert_int_equal(arg, 2);
    assert_null(apply("&b"));
    assert_int_equal(acl_check(&user, cmd, &argv, true, &arg), ACL_ALLOWED);
    assert_in_range(arg, 0, 2);
}

/* Where a learned command has its keys must be known. */
static void test_learned_keys(void **state)
{
    static const struct key_spec first = { .begin = KEY_BEGIN_INDEX,
                                           .find = KEY_FIND_RANGE,
                                           .pos = 1,
                                           .step = 1,
                                           .flags = KEY_RW | KEY_ACCESS | KEY_UPDATE };
    static const struct key_spec unknown = { .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN };
    (void)state;
    learn("mod.one", (struct command){ .specs = { first } });
    learn("mod.hides", (struct command){ .specs = { unknown } });
    learn("mod.moves", (struct command){ .specs = { first }, .flags = CMD_MOVABLEKEYS });
    learn("mod.none", (struct command){ 0 });
    apply_all((const char *const[]){ "+@all", "~a*", NULL });
    assert_int_equal(check("mod.one"), ACL_ALLOWED);
    assert_int_equal(check("mod.none"), ACL_ALLOWED);
    assert_int_equal(check("mod.hides"), ACL_NO_MODULE);
    assert_int_equal(check("mod.moves"), ACL_NO_MODULE);
    apply_all((const char *const[]){ "resetkeys", "%R~a*", NULL });
    assert_int_equal(check("mod.one"), ACL_NO_KEY);
    apply_all((const char *const[]){ "allkeys", NULL });
    assert_int_equal(check("mod.hides"), ACL_ALLOWED);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = { EACH(test_what_is_wrong), EACH(test_later_rules),
                                        EACH(test_learned), EACH(test_argument_of_a_verdict),
                                        EACH(test_learned_keys) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
