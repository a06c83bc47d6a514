/*
 * What client libraries send when they start, replayed: they give up, or fall back to something
 * worse, when an answer is not what they know from Redis. Lettuce and Redisson, in both protocols.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

/* NULL: the same as the plain redis-server answers. */
struct exchange {
    const char *words, *begins;
};

static void replay(const struct exchange *all, size_t count)
{
    struct client c, o;

    beside_open(&c, &o);
    for (size_t i = 0; i < count; i++) {
        if (all[i].begins == NULL) {
            oracle_compare_words(&c, &o, all[i].words);
            continue;
        }
        size_t len;
        char *request = request_of_words(all[i].words, &len);
        assert_true(client_send(&c, request, len));
        const char *reply = client_read(&c, NULL);
        if (reply == NULL || strncmp(reply, all[i].begins, strlen(all[i].begins)) != 0)
            fail_msg("%s: %s", all[i].words, reply != NULL ? reply : client_state_text(&c));
        /* The other one has to follow, so that the next comparison is fair. */
        assert_true(client_send(&o, request, len));
        assert_non_null(client_read(&o, NULL));
        free(request);
    }
    beside_close(&c, &o);
}

static void test_lettuce(void **state)
{
    static const struct exchange resp3[] = {
        { "HELLO 3", "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n" },
        { "CLIENT SETINFO lib-name Lettuce", "+OK\r\n" },
        { "CLIENT SETINFO lib-ver 6.3.2.RELEASE/8941aea", "+OK\r\n" },
        { "PING", NULL },
        { "SELECT 0", NULL },
        { "HGETALL none", NULL },
        { "SUBSCRIBE __keyevent@0__:expired", NULL },
        { "GET none", NULL },
    };
    static const struct exchange with_login[] = {
        { "HELLO 3 AUTH default any SETNAME app", "%7\r\n" },
        { "CLIENT GETNAME", NULL },
        { "HELLO 2", "*14\r\n" },
        { "CLIENT GETNAME", NULL },
        { "HELLO 3 AUTH wrong any", NULL },
        { "HELLO 9", NULL },
        { "HELLO 3 NOSUCH", NULL },
        { "PING", NULL },
    };

    (void)state;
    replay(resp3, ARRAY_LEN(resp3));
    replay(with_login, ARRAY_LEN(with_login));
}

/* Lettuce takes "ERR unknown" and "NOPROTO" for "speak RESP2 to this one". */
static void test_refused_words(void **state)
{
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "-NOPROTO unsupported protocol version\r\n", "HELLO", "4");
    assert_non_null(strstr(client_ask(&c, "HELO", "3", NULL), "-ERR unknown command 'HELO'"));
    assert_non_null(
        strstr(client_ask(&c, "CLIENT", "NOSUCH", NULL), "-ERR unknown subcommand 'NOSUCH'"));
    client_close(&c);
}

/* Its probe is a script about two keys in two slots; its locks pass a channel in the place of a
   key, in the slot of the lock, and wake who waits there. */
static void test_redisson(void **state)
{
    struct client c, waiter;

    (void)state;
    static const struct exchange login[] = {
        { "CLIENT SETNAME redisson", NULL },
        { "SELECT 0", NULL },
        { "PING", NULL },
        { "CLIENT SETINFO lib-name redisson", "+OK\r\n" },
        { "INFO replication", "$" },
        { "ROLE", NULL },
        { "SCRIPT LOAD return{}", NULL },
        { "EVAL return{KEYS[1],KEYS[2]} 2 probe:a probe:b", NULL },
    };
    replay(login, ARRAY_LEN(login));
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&waiter, proxy.port));
    static const char script[] =
        "if redis.call('del', KEYS[1]) == 1 then redis.call('publish', KEYS[2], ARGV[1]); "
        "return 1; end; return nil;";
    client_ask_expect(&waiter,
                      "*3\r\n$9\r\nsubscribe\r\n$29\r\nredisson_lock__channel:{lock}\r\n:1\r\n",
                      "SUBSCRIBE", "redisson_lock__channel:{lock}");
    client_ask_expect(&c, "+OK\r\n", "SET", "lock", "me");
    client_ask_expect(&c, ":1\r\n", "EVAL", script, "2", "lock", "redisson_lock__channel:{lock}",
                      "0");
    client_expect(&waiter,
                  "*3\r\n$7\r\nmessage\r\n$29\r\nredisson_lock__channel:{lock}\r\n$1\r\n0\r\n");
    client_close(&c);
    client_close(&waiter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lettuce),
        cmocka_unit_test(test_refused_words),
        cmocka_unit_test(test_redisson),
    };
    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
