/*
 * Scripts whose keys lie in several slots (proxy/gather_script.c): what they see of their keys,
 * nodes that lack them, and other clients that write the same keys meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/gather_case.h"
#include "test/lib/testenv.h"

static const char library[] =
    "#!lua name=lib\n"
    "redis.register_function('put', function(keys, args)"
    " redis.call('RPUSH',keys[1],args[1]) return redis.call('RPUSH',keys[2],args[1]) end)\n"
    "redis.register_function{function_name='look', flags={'no-writes'},"
    " callback=function(keys, args) return {redis.call('LLEN',keys[1]),redis.call('LLEN',keys[2])}"
    " end}";

static struct proxy other;

static int start(void **state)
{
    char seeds[512];

    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 }, NULL);
    proxy_start(&other, cluster_seeds(&cluster, seeds), NULL);
    return 0;
}

static int stop(void **state)
{
    proxy_stop(&other);
    return beside_end(state);
}

/* --- what a script sees ----------------------------------------------------------------------- */

static void test_time_to_live(void **state)
{
    static const char *const words[] = {
        "SET a 1",
        "SET b 2",
        "SET c 3 EX 100",
        "EVAL return{redis.call('TTL',KEYS[1]),redis.call('TTL',KEYS[2]),redis.call('TTL',KEYS[3])}"
        " 3 a b c",
        "EVAL return{redis.call('EXPIRE',KEYS[2],50,'NX'),redis.call('TTL',KEYS[2])} 3 a b c",
        "TTL a",
        "TTL b",
        "TTL c",
        "EVAL return{redis.call('PERSIST',KEYS[1]),redis.call('PERSIST',KEYS[2])} 2 a b",
        "TTL b",
        "EVAL redis.call('SET',KEYS[1],'x')return(redis.call('SETEX',KEYS[2],70,'y')) 2 c d",
        "TTL c",
        "TTL d",
        "EVAL return{redis.call('INCR',KEYS[1]),redis.call('TTL',KEYS[1])} 2 n a",
        "TTL n",
        "EVAL return(redis.call('RENAME',KEYS[1],KEYS[2])) 2 n m",
        "EXISTS n",
        "GET m",
        "EVAL return(redis.call('PEXPIRE',KEYS[1],0)) 2 m a",
        "EXISTS m a",
        "DBSIZE",
    };
    (void)state;
    gather_compare(proxy.port, oracle.port, words, ARRAY_LEN(words));
    gather_nothing_left(&cluster);
}

/* --- nodes that lack it ----------------------------------------------------------------------- */

static void lose_scripts(void)
{
    for (int i = 0; i < cluster.count; i++) {
        cluster_do(&cluster, i, "SCRIPT FLUSH");
        cluster_do(&cluster, i, "FUNCTION FLUSH");
    }
}

/* Whatever the slots, a script that the proxy knows is there, and it runs once. */
static void test_nodes_that_lack_it(void **state)
{
    struct client c;
    char sha[41], key[2][64], want[64];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    const char *reply =
        client_ask(&c, "SCRIPT", "LOAD",
                   "return{redis.call('LLEN',KEYS[1]),redis.call('LLEN',KEYS[2])}", NULL);
    assert_non_null(reply);
    snprintf(sha, sizeof(sha), "%.40s", reply + 5);
    assert_non_null(client_ask(&c, "FUNCTION", "LOAD", library, NULL));
    for (int i = 0; i < 3; i++) {
        cluster_key(&cluster, i, 0, "heal", key[0]);
        cluster_key(&cluster, (i + 1) % 3, 1, "heal", key[1]);
        for (int round = 1; round <= 2; round++) {
            lose_scripts();
            snprintf(want, sizeof(want), ":%d\r\n", round);
            assert_true(client_send_command(&c, "FCALL", "put", "2", key[0], key[1], "v", NULL));
            client_expect_bytes(&c, want, strlen(want));
            snprintf(want, sizeof(want), "*2\r\n:%d\r\n:%d\r\n", round, round);
            const char *const calls[] = { "FCALL", "FCALL_RO", "EVALSHA", "EVALSHA_RO" };
            for (size_t call = 0; call < ARRAY_LEN(calls); call++) {
                lose_scripts();
                assert_true(client_send_command(&c, calls[call], call < 2 ? "look" : sha, "2",
                                                key[0], key[1], NULL));
                client_expect_bytes(&c, want, strlen(want));
            }
        }
    }
    lose_scripts();
    assert_true(client_send_command(&c, "FCALL", "nosuch", "2", key[0], key[1], NULL));
    client_expect_start(&c, "-ERR Function not found");
    assert_true(client_send_command(&c, "EVALSHA", "ffffffffffffffffffffffffffffffffffffffff", "2",
                                    key[0], key[1], NULL));
    client_expect(&c, "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    client_close(&c);
    gather_nothing_left(&cluster);
}

/* --- others write meanwhile ------------------------------------------------------------------- */

enum { CLIENTS = 12, CALLS = 40 };

static void send_words(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);
    assert_true(client_send(c, request, len));
    free(request);
}

/* Clients of two proxies count the same keys up: what was acknowledged is counted in every key. */
static void test_many_at_once(void **state)
{
    static const char words[] = "EVAL redis.call('INCR',KEYS[2])redis.call('RPUSH',KEYS[3],'x')"
                                "return(redis.call('INCR',KEYS[1])) 3 many:1 many:2 many:3";
    struct client c[CLIENTS];
    long long done = 0, in_part = 0, unchanged = 0;
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        assert_true(client_open(&c[i], i % 4 == 0 ? other.port : proxy.port));
    assert_non_null(client_ask(&c[0], "DEL", "many:1", "many:2", "many:3", NULL));
    for (int round = 0; round < CALLS; round++) {
        for (int i = 0; i < CLIENTS; i++)
            send_words(&c[i], words);
        for (int i = 0; i < CLIENTS; i++) {
            const char *reply = client_read(&c[i], &(size_t){ 0 });
            assert_non_null(reply);
            done += reply[0] == ':';
            in_part += strstr(reply, "may have been executed in part") != NULL;
            unchanged += strstr(reply, "it has changed nothing") != NULL;
        }
    }
    print_message("  %lld done, %lld in part, %lld given up\n", done, in_part, unchanged);
    assert_int_equal(done + in_part + unchanged, CLIENTS * CALLS);
    assert_true(done > CLIENTS * CALLS / 2);
    assert_in_range(gather_number(&c[0], "INCRBY many:1 0"), done, done + in_part);
    assert_in_range(gather_number(&c[0], "INCRBY many:2 0"), done, done + in_part);
    assert_in_range(gather_number(&c[0], "LLEN many:3"), done, done + in_part);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    gather_nothing_left(&cluster);
}

/* Plain writes between the steps of a script: none that was acknowledged is undone. */
static void test_writers_keep_their_writes(void **state)
{
    static const char words[] =
        "EVAL local\tm=redis.call('SRANDMEMBER',KEYS[1])"
        "if\tm\tthen\tredis.call('SMOVE',KEYS[1],KEYS[2],m)end\treturn(0) 2 w:from w:to";
    struct client mover, writer;
    char text[64];
    (void)state;
    assert_true(client_open(&mover, proxy.port));
    assert_true(client_open(&writer, other.port));
    assert_non_null(client_ask(&writer, "DEL", "w:from", "w:to", NULL));
    for (int i = 0; i < 200; i++) {
        send_words(&mover, words);
        for (int j = 0; j < 4; j++) {
            snprintf(text, sizeof(text), "SADD w:%s %d", j % 2 ? "to" : "from", i * 4 + j);
            assert_int_equal(gather_number(&writer, text), 1);
            rest_us(rand() % 300); /* spread over the work of the mover */
        }
        assert_non_null(client_read(&mover, &(size_t){ 0 }));
    }
    assert_non_null(client_ask(&writer, "SUNIONSTORE", "w:all", "w:from", "w:to", NULL));
    assert_int_equal(gather_number(&writer, "SCARD w:all"), 800);
    assert_true(gather_number(&writer, "SCARD w:to") > 400);
    client_close(&mover);
    client_close(&writer);
    gather_nothing_left(&cluster);
}

/* A hundred calls of one client in one go, and of a client that leaves: the rest goes on. */
static void test_waiting_clients_leave(void **state)
{
    enum { LEAVERS = 30 };
    static const char words[] = "EVAL return(redis.call('INCR',KEYS[1])) 2 leave:1 leave:2";
    struct client c[LEAVERS], last;
    (void)state;
    for (int i = 0; i < LEAVERS; i++) {
        assert_true(client_open(&c[i], proxy.port));
        send_words(&c[i], words);
        send_words(&c[i], words);
    }
    assert_true(client_open(&last, proxy.port));
    for (int i = 0; i < LEAVERS; i++)
        client_close(&c[i]);
    assert_true(gather_number(&last, "EVAL return(redis.call('INCR',KEYS[1])) 2 leave:1 leave:2") >
                0);
    client_close(&last);
    gather_nothing_left(&cluster);
}

/* A node hangs under the first script; those that wait for its keys get an error in time, too. */
static void test_waiting_has_an_end(void **state)
{
    enum { WAITERS = 6 };
    struct proxy impatient;
    struct client c[WAITERS];
    char seeds[512], key[2][64], text[256];
    (void)state;
    proxy_start(&impatient, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--request-timeout", "500ms", NULL });
    cluster_key(&cluster, 0, 0, "end", key[0]);
    cluster_key(&cluster, 1, 0, "end", key[1]);
    snprintf(text, sizeof(text), "EVAL return(redis.call('INCR',KEYS[1])) 2 %s %s", key[0], key[1]);
    for (int i = 0; i < WAITERS; i++)
        assert_true(client_open(&c[i], impatient.port));
    assert_int_equal(gather_number(&c[0], text), 1);
    cluster_stop_node(&cluster, 1);
    uint64_t since = now_ms();
    for (int i = 0; i < WAITERS; i++)
        send_words(&c[i], text);
    for (int i = 0; i < WAITERS; i++) {
        const char *reply = client_read(&c[i], &(size_t){ 0 });
        assert_true(reply != NULL && reply[0] == '-');
        print_message("  after %d ms: %s", (int)(now_ms() - since), reply);
    }
    assert_true(now_ms() - since < (uint64_t)scaled_ms(2500));
    cluster_continue_node(&cluster, 1);
    for (int i = 0; i < WAITERS; i++)
        client_close(&c[i]);
    assert_true(proxy_stop(&impatient));
    cluster_await_settled(&cluster, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_nodes_that_lack_it),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_writers_keep_their_writes),
        cmocka_unit_test(test_waiting_clients_leave),
        cmocka_unit_test(test_waiting_has_an_end),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
