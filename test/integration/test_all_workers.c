/*
 * Commands that concern all workers of a proxy: three of them, and a client on each. What one
 * client does, those of the other workers feel; a worker that hangs or dies stalls nobody.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/testenv.h"

enum { WORKERS = 3, DEADLINE_MS = 500 };

/* One on each worker, by its number. */
static struct client c[WORKERS];
static long long ids[WORKERS];

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--workers", "3", "--enable-monitor", "yes",
                                        "--worker-timeout", "20s", NULL });
    proxy_await_log(&proxy, "event=\"listening\"", WORKERS, scaled_ms(5000));
    return 0;
}

/* Whoever else was there has been noticed to have left. */
static bool are_alone(void *arg)
{
    const char *at = client_ask(&c[0], "CLIENT", "LIST", NULL);
    int n = 0;

    (void)arg;
    for (; at != NULL && (at = strstr(at, "\nid=")) != NULL; at++)
        n++;
    return n == WORKERS;
}

static int connect_all(void **state)
{
    (void)state;
    crowd_open_on_each(c, WORKERS, proxy.port);
    assert_true(wait_until(are_alone, NULL, scaled_ms(5000)));
    for (int i = 0; i < WORKERS; i++)
        ids[i] = atoll(client_ask(&c[i], "CLIENT", "ID", NULL) + 1);
    return 0;
}

static int leave_all(void **state)
{
    (void)state;
    crowd_close(c, WORKERS);
    return 0;
}

static const char *text_of(long long n)
{
    static char text[4][24];
    static int next;

    next = (next + 1) % 4;
    snprintf(text[next], sizeof(text[next]), "%lld", n);
    return text[next];
}

static bool has_id(const char *list, long long id)
{
    char start[32];

    snprintf(start, sizeof(start), "id=%lld ", id);
    const char *at = strstr(list, start);
    return at != NULL && at[-1] == '\n';
}

/* --- CLIENT LIST, KILL ------------------------------------------------------------------------ */

static void test_list(void **state)
{
    long long last = 0;

    (void)state;
    const char *list = client_ask(&c[0], "CLIENT", "LIST", NULL);
    assert_non_null(list);
    for (int i = 0; i < WORKERS; i++)
        assert_true(has_id(list, ids[i]));
    for (const char *at = list; (at = strstr(at, "\nid=")) != NULL; at += 4) {
        assert_true(atoll(at + 4) > last);
        last = atoll(at + 4);
    }
    list = client_ask(&c[1], "CLIENT", "LIST", "ID", text_of(ids[0]), text_of(ids[2]), NULL);
    assert_true(has_id(list, ids[0]) && has_id(list, ids[2]) && !has_id(list, ids[1]));
    client_ask_expect(&c[2], "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n", "SUBSCRIBE", "news");
    list = client_ask(&c[0], "CLIENT", "LIST", "TYPE", "pubsub", NULL);
    assert_true(has_id(list, ids[2]) && !has_id(list, ids[0]) && !has_id(list, ids[1]));
    client_ask_expect(&c[0], "-ERR Unknown client type 'odd'\r\n", "CLIENT", "LIST", "TYPE", "odd");
}

static bool tells(int who, const char *field, long wanted)
{
    const char *info = client_ask(&c[who], "INFO", "clients", NULL);
    const char *at = info != NULL ? strstr(info, field) : NULL;
    return at != NULL && atol(at + strlen(field)) == wanted;
}

static bool all_tell(void *arg)
{
    const long blocked = *(const long *)arg;
    for (int i = blocked > 0; i < WORKERS; i++)
        if (!tells(i, "\nconnected_clients:", WORKERS) || !tells(i, "\nblocked_clients:", blocked))
            return false;
    return true;
}

/* INFO counts the clients of all of them, as those of one Redis. */
static void test_info(void **state)
{
    long blocked = 0;
    (void)state;
    assert_true(wait_until(all_tell, &blocked, scaled_ms(5000)));
    blocked = 1;
    assert_true(client_send_command(&c[0], "BLPOP", "nothing", "0", NULL));
    assert_true(wait_until(all_tell, &blocked, scaled_ms(5000)));
    const char *info = client_ask(&c[1], "INFO", "clients", NULL);
    assert_non_null(info);
    const char *max = strstr(info, "\nmaxclients:");
    long sum = max != NULL ? atol(max + strlen("\nmaxclients:")) : 0;
    assert_true(sum > 0 && sum % WORKERS == 0); /* each has the same */
    assert_true(client_send_command(&c[1], "CONFIG", "GET", "maxclients", NULL));
    const char *option = client_expect_start(&c[1], "*2\r\n$10\r\nmaxclients\r\n$");
    assert_int_equal(sum, WORKERS * atol(strchr(strrchr(option, '$'), '\n') + 1));
}

/* Replies keep their order in a pipeline. */
static void test_list_in_a_pipeline(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_true(client_send_text(&c[0],
                                     "SET p 1\r\nCLIENT LIST\r\nGET p\r\nCLIENT KILL ID 1\r\n"
                                     "PING\r\n"));
    for (int i = 0; i < 50; i++) {
        client_expect(&c[0], "+OK\r\n");
        assert_true(has_id(client_expect_start(&c[0], "$"), ids[1]));
        client_expect(&c[0], "$1\r\n1\r\n");
        client_expect(&c[0], ":0\r\n");
        client_expect(&c[0], "+PONG\r\n");
    }
}

/* A list of megabytes comes whole. */
static void test_long_list(void **state)
{
    enum { NAME = 900 * 1000 };
    char *name = malloc(NAME + 1);
    size_t len;

    (void)state;
    assert_non_null(name);
    memset(name, 'n', NAME);
    name[NAME] = '\0';
    for (int i = 1; i < WORKERS; i++)
        client_ask_expect(&c[i], "+OK\r\n", "CLIENT", "SETNAME", name);
    assert_true(client_send_command(&c[0], "CLIENT", "LIST", NULL));
    const char *list = client_read(&c[0], &len);
    assert_non_null(list);
    assert_true(len > 2 * NAME);
    for (int i = 0; i < WORKERS; i++)
        assert_true(has_id(list, ids[i]));
    free(name);
}

static void test_kill(void **state)
{
    char address[32];

    (void)state;
    client_ask_expect(&c[0], ":1\r\n", "CLIENT", "KILL", "ID", text_of(ids[1]));
    assert_true(client_sees_end(&c[1]));
    client_ask_expect(&c[0], ":0\r\n", "CLIENT", "KILL", "ID", text_of(ids[1]));
    snprintf(address, sizeof(address), "127.0.0.1:%u", client_own_port(&c[2]));
    client_ask_expect(&c[0], "+OK\r\n", "CLIENT", "KILL", address);
    assert_true(client_sees_end(&c[2]));
    client_ask_expect(&c[0], "-ERR No such client\r\n", "CLIENT", "KILL", address);
}

static void test_kill_counts_all(void **state)
{
    (void)state;
    client_ask_expect(&c[0], ":2\r\n", "CLIENT", "KILL", "TYPE", "normal");
    assert_true(client_sees_end(&c[1]));
    assert_true(client_sees_end(&c[2]));
    client_ask_expect(&c[0], ":1\r\n", "CLIENT", "KILL", "SKIPME", "no");
    assert_true(client_sees_end(&c[0]));
}

/* --- CLIENT PAUSE, UNBLOCK -------------------------------------------------------------------- */

static void test_pause(void **state)
{
    (void)state;
    client_ask_expect(&c[0], "+OK\r\n", "CLIENT", "PAUSE", "20000", "WRITE");
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&c[i], "$-1\r\n", "GET", "paused");
        assert_true(client_send_command(&c[i], "SET", text_of(i), "1", NULL));
        assert_true(client_hears_nothing(&c[i], 50));
    }
    struct client other;
    assert_true(client_open(&other, proxy.port));
    client_ask_expect(&other, "+OK\r\n", "CLIENT", "UNPAUSE");
    for (int i = 0; i < WORKERS; i++)
        client_expect(&c[i], "+OK\r\n");
    client_close(&other);
}

static void await_blocked(struct client *by, long long id);

static void test_unblock(void **state)
{
    static const char *const keys[][2] = { { "{w}a", "{w}b" }, { "wide:1", "wide:2" } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_true(client_send_command(&c[1], "BLPOP", keys[i][0], keys[i][1], "0", NULL));
        await_blocked(&c[0], ids[1]);
        client_ask_expect(&c[0], ":1\r\n", "CLIENT", "UNBLOCK", text_of(ids[1]), "ERROR");
        client_expect(&c[1], "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
        client_ask_expect(&c[0], ":0\r\n", "CLIENT", "UNBLOCK", text_of(ids[1]));
        assert_true(client_send_command(&c[1], "BLPOP", keys[i][0], keys[i][1], "0", NULL));
        await_blocked(&c[2], ids[1]);
        client_ask_expect(&c[2], ":1\r\n", "CLIENT", "UNBLOCK", text_of(ids[1]));
        client_expect(&c[1], "*-1\r\n");
    }
}

struct waiter {
    struct client *by;
    long long id;
};

static bool is_blocked(void *arg)
{
    const struct waiter *w = arg;
    const char *list = client_ask(w->by, "CLIENT", "LIST", "ID", text_of(w->id), NULL);
    return list != NULL && strstr(list, " flags=b ") != NULL;
}

static void await_blocked(struct client *by, long long id)
{
    assert_true(wait_until(is_blocked, &(struct waiter){ by, id }, scaled_ms(5000)));
}

/* --- MONITOR ---------------------------------------------------------------------------------- */

static void test_monitor(void **state)
{
    struct client second;

    (void)state;
    client_ask_expect(&c[0], "+OK\r\n", "MONITOR");
    assert_true(client_open(&second, proxy.port));
    client_ask_expect(&second, "+OK\r\n", "MONITOR");
    for (int i = 1; i < WORKERS; i++) {
        client_ask_expect(&c[i], "+OK\r\n", "SET", "shown", text_of(i));
        char end[64];
        snprintf(end, sizeof(end), "] \"SET\" \"shown\" \"%d\"\r\n", i);
        assert_non_null(strstr(client_expect_start(&c[0], "+"), end));
        assert_non_null(strstr(client_expect_start(&second, "+"), end));
    }
    client_ask_expect(&c[0], "+RESET\r\n", "RESET");
    assert_non_null(strstr(client_expect_start(&second, "+"), "] \"RESET\"\r\n"));
    client_ask_expect(&c[1], "$1\r\n2\r\n", "GET", "shown");
    assert_non_null(strstr(client_expect_start(&second, "+"), "] \"GET\" \"shown\"\r\n"));
    assert_true(client_hears_nothing(&c[0], 50));
    client_close(&second);
}

/* --- PUBLISH, PUBSUB -------------------------------------------------------------------------- */

static void subscribe(struct client *who, const char *how, const char *name)
{
    assert_true(client_send_command(who, how, name, NULL));
    client_expect_start(who, "*3\r\n");
}

/* Two clients of one worker, one of each other one, and one at a node itself. */
static void test_subscribers_are_counted(void **state)
{
    static const char *const hows[] = { "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE" };
    static const char *const names[] = { "count:a", "count:*", "count:s" };
    struct client more[3 * WORKERS + 1], direct, asks[WORKERS];
    int n = 0;

    (void)state;
    crowd_open_on_each(asks, WORKERS, proxy.port);
    for (int kind = 0; kind < 3; kind++) {
        crowd_open_on_each(&more[n], WORKERS, proxy.port);
        for (int i = 0; i < WORKERS; i++)
            subscribe(&more[n++], hows[kind], names[kind]);
    }
    assert_true(client_open(&more[n], proxy.port));
    subscribe(&more[n++], "SUBSCRIBE", "count:a");
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&asks[i], ":7\r\n", "PUBLISH", "count:a", "hello");
        client_ask_expect(&asks[i], ":3\r\n", "PUBLISH", "count:none", "hello");
        client_ask_expect(&asks[i], ":0\r\n", "PUBLISH", "other", "hello");
        client_ask_expect(&asks[i], "*4\r\n$7\r\ncount:a\r\n:4\r\n$1\r\nb\r\n:0\r\n", "PUBSUB",
                          "NUMSUB", "count:a", "b");
        client_ask_expect(&asks[i], "*2\r\n$7\r\ncount:s\r\n:3\r\n", "PUBSUB", "SHARDNUMSUB",
                          "count:s");
        client_ask_expect(&asks[i], ":1\r\n", "PUBSUB", "NUMPAT");
        client_ask_expect(&asks[i], "*1\r\n$7\r\ncount:a\r\n", "PUBSUB", "CHANNELS");
        client_ask_expect(&asks[i], "*1\r\n$7\r\ncount:s\r\n", "PUBSUB", "SHARDCHANNELS", "c*");
    }
    for (int node = 0; node < 3; node++) {
        assert_true(client_open(&direct, cluster.node[node].port));
        subscribe(&direct, "SUBSCRIBE", "count:a");
        client_ask_expect(&asks[0], "*2\r\n$7\r\ncount:a\r\n:5\r\n", "PUBSUB", "NUMSUB", "count:a");
        client_ask_expect(&direct, "*3\r\n$11\r\nunsubscribe\r\n$7\r\ncount:a\r\n:0\r\n",
                          "UNSUBSCRIBE", "count:a");
        client_close(&direct);
    }
    /* In a pipeline the counts keep their places, and a client may leave meanwhile. */
    for (int i = 0; i < 200; i++) {
        assert_true(client_send_text(&asks[1], "PUBLISH count:a x\r\nPING\r\n"));
        assert_true(client_send_text(&asks[2], "PUBLISH count:a x\r\nPUBSUB NUMPAT\r\n"));
    }
    client_abort(&asks[2]);
    for (int i = 0; i < 200; i++) {
        client_expect(&asks[1], ":7\r\n");
        client_expect(&asks[1], "+PONG\r\n");
    }
    crowd_close(more, n);
    crowd_close(asks, WORKERS);
}

/* --- CONFIG SET ------------------------------------------------------------------------------- */

static void expect_everywhere(const char *name, const char *value)
{
    char expected[128];

    snprintf(expected, sizeof(expected), "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(name), name,
             strlen(value), value);
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&c[i], expected, "CONFIG", "GET", name);
}

static bool has_all_workers(void *arg)
{
    const pid_t *old = arg;
    pid_t now[WORKERS + 1];

    if (proxy_workers(&proxy, now, WORKERS + 1) != WORKERS)
        return false;
    for (int i = 0; i < WORKERS; i++)
        if (now[i] == *old)
            return false;
    return proxy_log_count(&proxy, "event=\"listening\"") > WORKERS;
}

static void replace_worker(int number)
{
    pid_t pid = (pid_t)client_info(&c[number], "server", "process_id");
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(wait_until(has_all_workers, &pid, scaled_ms(5000)));
    crowd_close(c, WORKERS);
    crowd_open_on_each(c, WORKERS, proxy.port);
}

static void test_config_set(void **state)
{
    (void)state;
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "slowlog-max-len", "77");
    expect_everywhere("slowlog-max-len", "77");
    client_ask_expect(&c[1], "+OK\r\n", "CONFIG", "SET", "slowlog-max-len", "78",
                      "notify-keyspace-events", "KEA");
    expect_everywhere("slowlog-max-len", "78");
    expect_everywhere("notify-keyspace-events", "AKE");
    replace_worker(2);
    expect_everywhere("slowlog-max-len", "78");
    expect_everywhere("notify-keyspace-events", "AKE");
    client_ask_expect(&c[2], "+OK\r\n", "CONFIG", "SET", "slowlog-max-len", "128",
                      "notify-keyspace-events", "");
    expect_everywhere("slowlog-max-len", "128");
}

/* Of two at the same time the same one wins everywhere. */
static void test_config_sets_at_once(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < WORKERS; i++)
            assert_true(client_send_command(&c[i], "CONFIG", "SET", "slowlog-max-len",
                                            text_of(200 + i), NULL));
        for (int i = 0; i < WORKERS; i++)
            client_expect(&c[i], "+OK\r\n");
        char first[64];
        snprintf(first, sizeof(first), "%s",
                 client_ask(&c[0], "CONFIG", "GET", "slowlog-max-len", NULL));
        for (int i = 1; i < WORKERS; i++)
            client_ask_expect(&c[i], first, "CONFIG", "GET", "slowlog-max-len");
    }
}

/* --- SLOWLOG ---------------------------------------------------------------------------------- */

static void test_slowlog(void **state)
{
    (void)state;
    client_ask_expect(&c[0], "+OK\r\n", "SLOWLOG", "RESET");
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "0");
    for (int i = 0; i < 2 * WORKERS; i++)
        client_ask_expect(&c[i % WORKERS], "+OK\r\n", "SET", "slow", text_of(i));
    client_ask_expect(&c[1], "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "-1");
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&c[i], ":6\r\n", "SLOWLOG", "LEN");
    const char *at = client_ask(&c[2], "SLOWLOG", "GET", "4", NULL);
    assert_non_null(at);
    assert_memory_equal(at, "*4\r\n", 4);
    for (int i = 5; i >= 2; i--) {
        char value[32];
        snprintf(value, sizeof(value), "$4\r\nslow\r\n$1\r\n%d\r\n", i);
        at = strstr(at, "$4\r\nslow\r\n");
        assert_non_null(at);
        assert_memory_equal(at, value, strlen(value));
        at++;
    }
    client_ask_expect(&c[1], "+OK\r\n", "SLOWLOG", "RESET");
    client_ask_expect(&c[0], ":0\r\n", "SLOWLOG", "LEN");
    client_ask_expect(&c[0], "+OK\r\n", "CONFIG", "SET", "slowlog-log-slower-than", "10000");
}

/* --- scripts ---------------------------------------------------------------------------------- */

static const char script[] = "return {1,2,3,ARGV[1]}";

/* As if the nodes were new. */
static void nodes_forget(void)
{
    for (int i = 0; i < 3; i++) {
        cluster_do(&cluster, i, "SCRIPT FLUSH");
        cluster_do(&cluster, i, "FUNCTION FLUSH");
    }
}

static void test_scripts(void **state)
{
    char digest[64], load[64];

    (void)state;
    snprintf(load, sizeof(load), "%s", client_ask(&c[0], "SCRIPT", "LOAD", script, NULL));
    assert_int_equal(sscanf(load, "$40\r\n%40s", digest), 1);
    for (int i = 0; i < WORKERS; i++) {
        nodes_forget();
        client_ask_expect(&c[i], "*4\r\n:1\r\n:2\r\n:3\r\n$1\r\nx\r\n", "EVALSHA", digest, "1",
                          text_of(i), "x");
    }
    replace_worker(1);
    nodes_forget();
    client_ask_expect(&c[1], "*4\r\n:1\r\n:2\r\n:3\r\n$1\r\nx\r\n", "EVALSHA", digest, "1", "k",
                      "x");
    client_ask_expect(&c[2], "+OK\r\n", "SCRIPT", "FLUSH");
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&c[i], "-NOSCRIPT No matching script. Please use EVAL.\r\n", "EVALSHA",
                          digest, "1", text_of(i), "x");
    }
}

static void test_functions(void **state)
{
    static const char library[] =
        "#!lua name=mine\nredis.register_function('five', function() return 5 end)";

    (void)state;
    client_ask_expect(&c[0], "$4\r\nmine\r\n", "FUNCTION", "LOAD", library);
    nodes_forget();
    client_ask_expect(&c[1], ":5\r\n", "FCALL", "five", "1", "k");
    client_ask_expect(&c[2], "+OK\r\n", "FUNCTION", "FLUSH");
    nodes_forget();
    client_ask_expect(&c[0], "-ERR Function not found\r\n", "FCALL", "five", "1", "k");
}

/* Only a node can read what RESTORE brings, so this heals once a master has been asked. */
struct payload {
    const char *argv[4];
    size_t len[4];
    bool healed[WORKERS];
};

static bool is_restored(void *arg)
{
    struct payload *p = arg;
    assert_true(client_send_argv(&c[0], 4, p->argv, p->len));
    client_expect(&c[0], "+OK\r\n");
    nodes_forget();
    for (int i = 0; i < WORKERS; i++) {
        const char *reply = client_ask(&c[i], "FCALL", "six", "1", text_of(i), NULL);
        assert_non_null(reply);
        p->healed[i] = p->healed[i] || strcmp(reply, ":6\r\n") == 0;
        nodes_forget();
    }
    return p->healed[0] && p->healed[1] && p->healed[2];
}

static void test_restored_functions(void **state)
{
    static const char library[] =
        "#!lua name=other\nredis.register_function('six', function() return 6 end)";
    struct payload p = { { "FUNCTION", "RESTORE", NULL, "FLUSH" }, { 8, 7, 0, 5 }, { false } };
    char dump[1024];
    size_t len;

    (void)state;
    client_ask_expect(&c[0], "$5\r\nother\r\n", "FUNCTION", "LOAD", library);
    assert_true(client_send_command(&c[0], "FUNCTION", "DUMP", NULL));
    const char *reply = client_read(&c[0], &len);
    assert_true(reply != NULL && len < sizeof(dump));
    memcpy(dump, reply, len);
    client_ask_expect(&c[1], "+OK\r\n", "FUNCTION", "FLUSH");
    p.argv[2] = (char *)memchr(dump, '\n', len) + 1;
    p.len[2] = (size_t)atoll(dump + 1);
    assert_true(wait_until(is_restored, &p, scaled_ms(5000)));
    client_ask_expect(&c[2], "+OK\r\n", "FUNCTION", "FLUSH");
    nodes_forget();
    for (int i = 0; i < WORKERS; i++)
        client_ask_expect(&c[i], "-ERR Function not found\r\n", "FCALL", "six", "1", "k");
}

/* --- inside MULTI -------------------------------------------------------------------------- */

static void test_in_a_transaction(void **state)
{
    (void)state;
    client_ask_expect(&c[0], "+OK\r\n", "MULTI");
    client_ask_expect(&c[0], "+QUEUED\r\n", "SET", "t", "1");
    client_ask_expect(&c[0], "+QUEUED\r\n", "CLIENT", "LIST", "ID", text_of(ids[1]));
    client_ask_expect(&c[0], "+QUEUED\r\n", "CLIENT", "KILL", "ID", text_of(ids[2]));
    client_ask_expect(&c[0], "+QUEUED\r\n", "GET", "t");
    assert_true(client_send_command(&c[0], "EXEC", NULL));
    const char *reply = client_expect_start(&c[0], "*4\r\n+OK\r\n$");
    assert_true(has_id(reply, ids[1]));
    assert_non_null(strstr(reply, "\r\n:1\r\n$1\r\n1\r\n"));
    assert_true(client_sees_end(&c[2]));
}

/* --- workers that hang, die, leave --------------------------------------------------------- */

struct seen {
    struct client *by;
    long long id;
};

static bool is_listed(void *arg)
{
    const struct seen *s = arg;
    return has_id(client_ask(s->by, "CLIENT", "LIST", NULL), s->id);
}

static void test_a_worker_hangs(void **state)
{
    pid_t pid = (pid_t)client_info(&c[1], "server", "process_id");

    (void)state;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    uint64_t began = now_ms();
    const char *list = client_ask(&c[0], "CLIENT", "LIST", NULL);
    assert_in_range(now_ms() - began, DEADLINE_MS - 50, scaled_ms(3 * DEADLINE_MS));
    assert_true(has_id(list, ids[0]) && has_id(list, ids[2]) && !has_id(list, ids[1]));
    /* From now on it is not waited for. */
    began = now_ms();
    for (int i = 0; i < 20; i++)
        client_ask_expect(&c[0], ":0\r\n", "CLIENT", "KILL", "ID", "1");
    assert_in_range(now_ms() - began, 0, scaled_ms(4 * DEADLINE_MS));
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_true(wait_until(is_listed, &(struct seen){ &c[0], ids[1] }, scaled_ms(5000)));
}

static void test_a_worker_dies_when_asked(void **state)
{
    pid_t pid = (pid_t)client_info(&c[1], "server", "process_id");

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kill(pid, SIGSTOP), 0);
        assert_true(client_send_command(&c[0], "CLIENT", "LIST", NULL));
        assert_true(client_send_command(&c[2], "SLOWLOG", "LEN", NULL));
        assert_true(client_hears_nothing(&c[0], 50));
        assert_int_equal(kill(pid, SIGKILL), 0);
        uint64_t began = now_ms();
        const char *list = client_expect_start(&c[0], "$");
        assert_true(has_id(list, ids[0]) && has_id(list, ids[2]));
        client_expect_start(&c[2], ":");
        assert_in_range(now_ms() - began, 0, scaled_ms(3 * DEADLINE_MS));
        assert_true(wait_until(has_all_workers, &pid, scaled_ms(5000)));
        crowd_close(c, WORKERS);
        connect_all(NULL);
        pid = (pid_t)client_info(&c[1], "server", "process_id");
    }
}

/* Those that still drain belong to the proxy as well, and know of the new ones. */
static void test_takeover(void **state)
{
    struct client fresh;
    int listening = proxy_log_count(&proxy, "event=\"listening\"");

    (void)state;
    for (int i = 0; i < WORKERS; i++)
        client_expect_start(&c[i],
                            (client_send_command(&c[i], "SUBSCRIBE", "news", NULL), "*3\r\n"));
    assert_int_equal(kill(proxy.process.pid, SIGUSR2), 0);
    proxy_await_log(&proxy, "event=\"listening\"", listening + WORKERS, scaled_ms(10000));
    proxy_await_log(&proxy, "event=\"taken over\"", 1, scaled_ms(10000));
    assert_true(client_open(&fresh, proxy.port));
    const char *list = client_ask(&fresh, "CLIENT", "LIST", "TYPE", "pubsub", NULL);
    for (int i = 0; i < WORKERS; i++)
        assert_true(has_id(list, ids[i]));
    client_ask_expect(&fresh, ":3\r\n", "CLIENT", "KILL", "TYPE", "pubsub");
    for (int i = 0; i < WORKERS; i++)
        assert_true(client_sees_end(&c[i]));
    client_close(&fresh);
}

#define ON_ALL(test) cmocka_unit_test_setup_teardown(test, connect_all, leave_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_list),
        ON_ALL(test_info),
        ON_ALL(test_list_in_a_pipeline),
        ON_ALL(test_long_list),
        ON_ALL(test_kill),
        ON_ALL(test_kill_counts_all),
        ON_ALL(test_pause),
        ON_ALL(test_unblock),
        ON_ALL(test_monitor),
        ON_ALL(test_subscribers_are_counted),
        ON_ALL(test_config_set),
        ON_ALL(test_config_sets_at_once),
        ON_ALL(test_slowlog),
        ON_ALL(test_scripts),
        ON_ALL(test_functions),
        ON_ALL(test_restored_functions),
        ON_ALL(test_in_a_transaction),
        ON_ALL(test_a_worker_hangs),
        ON_ALL(test_a_worker_dies_when_asked),
        ON_ALL(test_takeover),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
