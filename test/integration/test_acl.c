/*
 * The ACL file, against a redis-server 7.0 that reads the same one: who may do what, command by
 * command, in the same words; and what SIGHUP changes for those who are connected.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/command.h"
#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/testenv.h"

#define HASH_OF_SECRET "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

static const char users[] =
    "user default on nopass ~* &* +@all\n"
    "user reader on >pw ~app:* ~1* &* +@read +@connection +exec +multi\n"
    "\n"
    "  user splits on >pw %R~1* %W~2* &* +@all -@dangerous\n"
    "user hears on >pw ~* resetchannels &news.* &ab +@pubsub +ping +multi\r\n"
    "user cats on >pw allkeys allchannels +@hash +@list -HSET +Config|GET +xgroup -@slow +eval\n"
    "user odd on #" HASH_OF_SECRET " >pw ~x* &* +@all -@scripting -config +config|get -acl|list\n"
    "user fast on >pw >other <other ~* &* -@all +@fast +@slow -@write nocommands +@write\n"
    "user sorts on >pw ~a* &* +sort +sort_ro +set +rpush +@fast reset on >pw ~a* +sort +rpush "
    "+del\n"
    "user nothing on >pw\n"
    "user gone off >pw ~* &* +@all\n"
    "user twice on >pw %R~k* %W~k* %RW~m* &* +@all -@admin +@keyspace\n";

static const char *const names[] = { "default", "reader", "splits",  "hears", "cats", "odd",
                                     "fast",    "sorts",  "nothing", "gone",  "twice" };

static int start(void **state)
{
    (void)state;
    const char *file = testenv_file("users.acl", users);
    oracle_start_with(&oracle, (const char *const[]){ "--aclfile", file, NULL });
    char seeds[512];
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--acl-file", file, "--acl-scripts", "yes", NULL });
    return 0;
}

/* --- each command for each user --------------------------------------------------------------- */

enum { WORDS_MAX = 16 };

/* Asks both for ACL DRYRUN of a call; words holds the command's name and arguments. */
static void compare_dry_run(struct client *c, struct client *o, const char *user,
                            const char *const *words, size_t count)
{
    const char *argv[WORDS_MAX] = { "ACL", "DRYRUN", user };
    size_t lens[WORDS_MAX], a_len, b_len;
    REQUIRE(count + 3 <= WORDS_MAX);
    memcpy(argv + 3, words, count * sizeof(*words));
    for (size_t i = 0; i < count + 3; i++)
        lens[i] = strlen(argv[i]);
    assert_true(client_send_argv(c, count + 3, argv, lens));
    assert_true(client_send_argv(o, count + 3, argv, lens));
    const char *a = client_read(c, &a_len), *b = client_read(o, &b_len);
    assert_true(a != NULL && b != NULL);
    if (a_len != b_len || memcmp(a, b, a_len) != 0)
        fail_msg("%s: %s %s: %.*s instead of %.*s", user, words[0], words[1], (int)a_len, a,
                 (int)b_len, b);
}

/* Its least number of arguments and up to two more, all of them "1": that is a number of keys, and
   a key. */
static void compare_row(struct client *c, struct client *o, const struct command *cmd)
{
    const char *words[WORDS_MAX] = { cmd->parent != NULL ? cmd->parent->name : cmd->name,
                                     cmd->parent != NULL ? cmd->name : "1" };
    size_t least = (size_t)(cmd->arity < 0 ? -cmd->arity : cmd->arity);
    for (size_t i = 2; i < WORDS_MAX; i++)
        words[i] = "1";
    /* Redis 7.0 overlooks the key of a PFMERGE without sources; the proxy does not. */
    least += strcmp(cmd->name, "pfmerge") == 0;
    for (size_t count = least; count <= least + (cmd->arity < 0 ? 2 : 0); count++)
        for (size_t u = 0; u < ARRAY_LEN(names); u++)
            compare_dry_run(c, o, names[u], words, count);
}

static void test_every_command(void **state)
{
    struct command_table *table = command_table_new();
    struct client c, o;
    int compared = 0;
    (void)state;
    beside_open(&c, &o);
    for (uint32_t i = 0; i < command_table_size(table); i++) {
        const struct command *cmd = command_at(table, i);
        if ((cmd->flags & (CMD_AFTER_7_0 | CMD_OURS)) != 0)
            continue;
        compare_row(&c, &o, cmd);
        compared++;
    }
    assert_true(compared > 300);
    beside_close(&c, &o);
    command_table_free(table);
}

static void test_keys(void **state)
{
    static const char *const calls[][8] = {
        { "get", "1" },
        { "get", "2" },
        { "set", "1", "v" },
        { "set", "2", "v" },
        { "set", "2", "v", "get" },
        { "getset", "2", "v" },
        { "exists", "1" },
        { "exists", "2" },
        { "exists", "3" },
        { "type", "2" },
        { "copy", "1", "2" },
        { "copy", "2", "1" },
        { "rename", "1", "2" },
        { "mget", "1", "12" },
        { "mget", "1", "2" },
        { "mset", "2", "x", "21", "y" },
        { "mset", "2", "x", "1", "y" },
        { "del", "2" },
        { "incr", "2" },
        { "append", "2", "x" },
        { "lpop", "2" },
        { "lmove", "1", "2", "left", "right" },
        { "zunionstore", "2", "1", "1" },
        { "zunionstore", "2", "1", "2" },
        { "sort", "1", "store", "2" },
        { "sort", "1", "store", "1" },
        { "bitfield", "1", "get", "u8", "0" },
        { "bitfield", "1", "set", "u8", "0", "1" },
        { "watch", "1" },
        { "watch", "3" },
        { "get", "k" },
        { "set", "k", "v" },
        { "incr", "k1" },
        { "incr", "m" },
        { "xread", "streams", "1", "0" },
        { "xread", "streams", "2", "0" },
        { "eval", "x", "1", "1" },
        { "eval", "x", "1", "3" },
        { "object", "encoding", "app:1" },
        { "object", "help" },
        { "memory", "usage", "1" },
        { "publish", "news.x", "m" },
        { "publish", "ab", "m" },
        { "publish", "abc", "m" },
        { "spublish", "news.x", "m" },
        { "spublish", "x", "m" },
        { "subscribe", "ab", "x" },
        { "subscribe", "ab", "news.1" },
        { "psubscribe", "news.*" },
        { "psubscribe", "news.1" },
        { "psubscribe", "ab", "a?" },
        { "ssubscribe", "news.a" },
        { "unsubscribe", "x" },
        { "nosuch", "x" },
        { "config", "nosuch" },
        { "get" },
        { "lpush", "1" },
    };
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        size_t count = 0;
        while (count < 8 && calls[i][count] != NULL)
            count++;
        for (size_t u = 0; u < ARRAY_LEN(names); u++)
            compare_dry_run(&c, &o, names[u], calls[i], count);
    }
    oracle_compare_words(&c, &o, "ACL DRYRUN nobody get x");
    beside_close(&c, &o);
}

/* --- commands that are really given ----------------------------------------------------------- */

static void test_answers(void **state)
{
    static const char *const logins[] = { "AUTH reader pw",  "AUTH splits pw",  "AUTH hears pw",
                                          "AUTH cats pw",    "AUTH odd secret", "AUTH odd pw",
                                          "AUTH fast pw",    "AUTH sorts pw",   "AUTH nothing pw",
                                          "AUTH twice pw",   "AUTH gone pw",    "AUTH nobody pw",
                                          "AUTH fast other", "AUTH pw" };
    static const char *const words[] = {
        "ACL WHOAMI",
        "PING",
        "GET app:1",
        "SET app:1 x",
        "GET other",
        "MGET app:1 12",
        "MGET app:1 other",
        "SET 2 a",
        "SET 1 a",
        "GET 2",
        "CONFIG GET maxmemory",
        "CONFIG SET maxmemory 0",
        "PUBLISH news.a 1",
        "PUBLISH other 1",
        "HSET h f v",
        "HGET h f",
        "RPUSH a 3 1 2",
        "SORT a",
        "SORT a BY nosort",
        "SORT a GET #",
        "SORT a BY w_*",
        "SORT a GET k_*",
        "SORT a STORE b",
        "DEL a",
        "nosuch x",
        "GET",
        "CLIENT NOSUCH",
        "CLIENT GETNAME",
        "FLUSHALL",
        "KEYS *",
        "DEBUG OBJECT x",
        "ECHO hello",
        "XGROUP CREATE s g $",
        "SUBSCRIBE elsewhere", /* where nothing was published: the bus may bring that late */
        "RESET",
        "ACL WHOAMI",
    };
    static const char *const transaction[] = { "AUTH reader pw", "MULTI",     "GET app:1",
                                               "SET app:1 y",    "GET app:1", "EXEC",
                                               "MULTI",          "GET app:1", "EXEC",
                                               "AUTH hears pw",  "MULTI",     "PING",
                                               "EXEC",           "GET x",     "PING" };
    struct client c, o;
    (void)state;
    for (size_t l = 0; l < ARRAY_LEN(logins); l++) {
        beside_open(&c, &o);
        oracle_compare_words(&c, &o, logins[l]);
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            oracle_compare_words(&c, &o, words[i]);
        beside_close(&c, &o);
    }
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(transaction); i++)
        oracle_compare_words(&c, &o, transaction[i]);
    beside_close(&c, &o);
    /* Lines of the proxy's about how many it has left out name nobody. */
    assert_int_equal(proxy_log_count(&proxy, "event=\"command refused to its user\" id="),
                     proxy_log_count(&proxy, "addr=127.0.0.1:") -
                         proxy_log_count(&proxy, "event=\"client login refused\" id="));
    assert_true(proxy_log_count(&proxy, "user=reader command=set") > 0);
}

/* HELLO logs in, too; in one packet what stands behind it has its rights. */
/* CLIENT REPLY SKIP is about one command, also about one that is refused. */
static void test_skipped_refusals(void **state)
{
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    oracle_compare_words(&c, &o, "AUTH odd pw");
    static const char text[] = "CLIENT REPLY SKIP\r\nGET forbidden\r\nECHO one\r\n"
                               "CLIENT REPLY SKIP\r\nCONFIG SET a b\r\nECHO two\r\n"
                               "CLIENT REPLY SKIP\r\nRESET\r\nPING\r\n";
    oracle_compare(&c, &o, text, strlen(text));
    oracle_compare(&c, &o, "", 0);
    oracle_compare(&c, &o, "", 0);
    oracle_compare_words(&c, &o, "ACL WHOAMI");
    beside_close(&c, &o);
}

static void test_hello(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "HELLO 3 AUTH reader pw\r\nSET app:1 x\r\nGET app:zero\r\n"));
    client_expect_start(&c, "%7\r\n");
    client_expect(&c, "-NOPERM this user has no permissions to run the 'set' command\r\n");
    client_expect(&c, "_\r\n");
    const char *list = client_ask(&c, "CLIENT", "INFO", NULL);
    assert_true(list != NULL && strstr(list, " user=reader ") != NULL);
    client_close(&c);
}

static void test_what_acl_tells(void **state)
{
    /* Redis tells the others by rules of its own that come to the same. */
    static const char *const told_alike[] = { "default", "splits", "nothing", "gone" };
    struct client c, o;
    char words[64];
    (void)state;
    beside_open(&c, &o);
    oracle_compare_words(&c, &o, "ACL USERS");
    for (size_t u = 0; u < ARRAY_LEN(told_alike); u++) {
        snprintf(words, sizeof(words), "ACL GETUSER %s", told_alike[u]);
        oracle_compare_words(&c, &o, words);
    }
    oracle_compare_words(&c, &o, "ACL GETUSER nobody");
    const char *list = client_ask(&c, "ACL", "LIST", NULL);
    assert_non_null(list);
    assert_non_null(strstr(list, "user default on nopass ~* &* +@all\r\n"));
    assert_non_null(strstr(list, "user nothing on #"));
    assert_non_null(strstr(list, " resetchannels -@all\r\n"));
    client_ask_expect(&c,
                      "-ERR slotgate: ACL SETUSER is refused: users stand in the ACL file: change "
                      "it and send SIGHUP\r\n",
                      "ACL", "SETUSER", "x");
    beside_close(&c, &o);
}

/* CLIENT KILL and LIST by user, for users of the file. */
static void test_kill_by_user(void **state)
{
    struct client c, o, victim_c, victim_o;
    (void)state;
    beside_open(&c, &o);
    beside_open(&victim_c, &victim_o);
    oracle_compare_words(&victim_c, &victim_o, "AUTH twice pw");
    oracle_compare_words(&c, &o, "CLIENT KILL USER nosuchuser");
    oracle_compare_words(&c, &o, "CLIENT KILL USER gone");
    oracle_compare_words(&c, &o, "CLIENT KILL USER twice TYPE pubsub");
    oracle_compare_words(&victim_c, &victim_o, "PING");
    oracle_compare_words(&c, &o, "CLIENT KILL USER twice");
    assert_true(client_sees_end(&victim_c) && client_sees_end(&victim_o));
    oracle_compare_words(&c, &o, "CLIENT KILL USER twice");
    beside_close(&victim_c, &victim_o);
    beside_close(&c, &o);
}

/* --- files that are wrong --------------------------------------------------------------------- */

static void expect_refusal(const char *const *extra, const char *part)
{
    struct proxy p;
    proxy_launch(&p, "127.0.0.1:1", extra, NULL);
    assert_true(process_wait(&p.process, scaled_ms(5000)));
    assert_int_equal(p.process.exit_code, 2);
    char *log = proxy_log(&p);
    if (strstr(log, part) == NULL)
        fail_msg("\"%s\" is not in %s", part, log);
    assert_null(strstr(log, "hunter2"));
    free(log);
    port_give_back(p.port);
}

static void test_wrong_files(void **state)
{
    static const struct {
        const char *text, *part;
    } wrong[] = {
        { "user a on\nuser b on +nosuch\n", "line 2: user b, '+nosuch': unknown command" },
        { "user a on hunter2\n", "line 1: user a, rule 2: syntax error" },
        { "user a on >my -hunter2\n", "line 1: user a, rule 3: unknown command" },
        { "# no comments\n", "line 1: it should begin with the word user" },
        { "user a (+get)\n", "line 1: user a, '(+get)': selectors are not supported" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const char *file = testenv_file("wrong.acl", wrong[i].text);
        expect_refusal((const char *const[]){ "--acl-file", file, NULL }, wrong[i].part);
    }
    expect_refusal((const char *const[]){ "--acl-file", "/nonexistent/users.acl", NULL },
                   "cannot read acl-file /nonexistent/users.acl");
    const char *good = testenv_file("good.acl", "user a on\n");
    expect_refusal((const char *const[]){ "--acl-file", good, "--requirepass", "hunter2", NULL },
                   "acl-file and requirepass are both given");
}

/* --- SIGHUP ----------------------------------------------------------------------------------- */

enum { WORKERS = 2 };

static struct proxy changing;
static const char *changing_file;

static void write_users(const char *text)
{
    changing_file = testenv_file("changing.acl", text);
}

static void start_changing(const char *text)
{
    char seeds[512];
    write_users(text);
    proxy_launch(&changing, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--acl-file", changing_file, "--workers", "2", NULL },
                 NULL);
    proxy_await_log(&changing, "event=\"listening\"", WORKERS, scaled_ms(10000));
}

static void reload(const char *text, const char *event, int n)
{
    write_users(text);
    process_signal(&changing.process, SIGHUP);
    proxy_await_log(&changing, event, n, scaled_ms(5000));
}

static int stop_changing(void **state)
{
    (void)state;
    proxy_stop(&changing);
    return 0;
}

/* On each worker one client. */
static void open_as(struct client *c, const char *user)
{
    crowd_open_on_each(c, WORKERS, changing.port);
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&c[i], "+OK\r\n", "AUTH", user, "pw");
}

static void expect_ended(struct client *c)
{
    for (int i = 0; i < WORKERS; i++)
        assert_true(client_sees_end(&c[i]));
    crowd_close(c, WORKERS);
}

static void test_reload(void **state)
{
    struct client same[WORKERS], changed[WORKERS], gone[WORKERS], first[WORKERS], hears[WORKERS];
    (void)state;
    start_changing("user default on nopass ~* &* +@all\nuser same on >pw ~* &* +@all -flushall\n"
                   "user changed on >pw ~* +@all\nuser gone on >pw ~* +@all\n");
    open_as(same, "same");
    open_as(changed, "changed");
    open_as(gone, "gone");
    crowd_open_on_each(first, WORKERS, changing.port);
    crowd_open_on_each(hears, WORKERS, changing.port);
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&hears[i], "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "SUBSCRIBE",
                          "x");

    reload("user same on >pw ~* &* -flushall +@all\nuser nonsense\nuser nonsense\n",
           "nothing has changed", 1);
    assert_int_equal(proxy_log_count(&changing, "changing.acl line 3: the user nonsense"), 1);
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&changed[i], "+PONG\r\n", "PING");
        client_ask_expect(&gone[i], "+PONG\r\n", "PING");
    }

    reload("user default on nopass ~* &* +@all -set\nuser same on >pw ~* &* +@all -flushall\n"
           "user changed on >pw ~* +@all -get\nuser fresh on >pw ~* +ping\n",
           "event=\"users reloaded\" users=4", 1);
    expect_ended(changed);
    expect_ended(gone);
    expect_ended(hears);
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&same[i],
                          "-NOPERM this user has no permissions to run the 'flushall' "
                          "command\r\n",
                          "FLUSHALL");
        client_ask_expect(&same[i], "+OK\r\n", "SET", "k", "v");
        client_ask_expect(&first[i],
                          "-NOPERM this user has no permissions to run the 'set' command\r\n",
                          "SET", "k", "v");
        client_ask_expect(&first[i], "$1\r\nv\r\n", "GET", "k");
        client_ask_expect(&first[i],
                          "-WRONGPASS invalid username-password pair or user is "
                          "disabled.\r\n",
                          "AUTH", "gone", "pw");
    }
    crowd_close(first, WORKERS);
    open_as(first, "fresh");
    crowd_close(first, WORKERS);
    crowd_close(same, WORKERS);
}

/* Scripts are out of sight, so without acl-scripts only who may do everything runs them. The admin
   may do everything, and no file can define it. */
static void test_scripts_and_admin(void **state)
{
    struct client c;
    (void)state;
    start_changing("user default on >pw ~* &* +@all\nuser some on >pw ~* &* +@all -flushall\n");
    assert_true(client_open(&c, changing.port));
    client_ask_expect(&c, "-NOAUTH Authentication required.\r\n", "PING");
    client_ask_expect(&c, "+OK\r\n", "AUTH", "some", "pw");
    client_ask_expect(&c,
                      "-NOPERM slotgate: what a script does cannot be checked here, so a user with "
                      "limits may run none, unless acl-scripts is yes\r\n",
                      "EVAL", "return redis.call('flushall')", "1", "k");
    client_ask_expect(&c, "+OK\r\n", "AUTH", "pw");
    client_ask_expect(&c, ":1\r\n", "EVAL", "return 1", "1", "k");
    proxy_login_admin(&c);
    client_ask_expect(&c, ":1\r\n", "EVAL", "return 1", "1", "k");
    client_ask_expect(&c, "$5\r\nadmin\r\n", "ACL", "WHOAMI");
    client_ask_expect(&c, "$-1\r\n", "ACL", "GETUSER", "admin");
    reload("user admin on nopass ~* &* +@all\n", "nothing has changed", 1);
    assert_int_equal(proxy_log_count(&changing, "line 1: the user admin is the one of"), 1);
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_command),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_skipped_refusals),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_what_acl_tells),
        cmocka_unit_test(test_kill_by_user),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test_teardown(test_reload, stop_changing),
        cmocka_unit_test_teardown(test_scripts_and_admin, stop_changing),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
