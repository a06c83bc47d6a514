/*
 * Blocking commands with keys in one slot: replies, timeouts, the order of those that wait, CLIENT
 * UNBLOCK, each as one Redis does it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/blocking_case.h"
#include "test/lib/testenv.h"

#define COMPARE(...)                                                                               \
    blocking_compare(proxy.port, oracle.port, (const char *const[]){ __VA_ARGS__ },                \
                     ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })))

/* What can be had at once. */
static void test_nothing_to_wait_for(void **state)
{
    (void)state;
    COMPARE("= RPUSH {t}l a b c d e f g h", "1= BLPOP {t}l 0", "1= BRPOP {t}l 0",
            "1= BLMOVE {t}l {t}m LEFT RIGHT 0", "1= BRPOPLPUSH {t}l {t}m 1.5",
            "1= BLMPOP 0 1 {t}l LEFT COUNT 2", "1= BLPOP {t}none {t}m 0",
            "= ZADD {t}z 1 a 2 b 3 c 4 d", "1= BZPOPMIN {t}z 0", "1= BZPOPMAX {t}none {t}z 0.1",
            "1= BZMPOP 1 2 {t}none {t}z MAX COUNT 9", "= XADD {t}s 1-1 f v",
            "1= XREAD COUNT 1 BLOCK 0 STREAMS {t}s 0", "= XGROUP CREATE {t}s g 0",
            "1= XREADGROUP GROUP g me BLOCK 0 STREAMS {t}s >", "1= PING");
}

/* Somebody else brings it. */
static void test_elements_arrive(void **state)
{
    (void)state;
    COMPARE("1< BLPOP {t}l 0", "# 1", "= RPUSH {t}l a b", "1>", "= LRANGE {t}l 0 -1", "= DEL {t}l",
            "1< BRPOP {t}k {t}l 5", "# 1", "= RPUSH {t}l a b", "1>",
            "1< BLMOVE {t}x {t}y LEFT RIGHT 0", "# 1", "= LPUSH {t}x 1 2", "1>",
            "= LRANGE {t}y 0 -1", "= DEL {t}x", "1< BRPOPLPUSH {t}x {t}y 0", "# 1",
            "= LPUSH {t}x 3", "1>", "= LRANGE {t}y 0 -1", "1< BLMPOP 0 2 {t}p {t}q RIGHT COUNT 2",
            "# 1", "= RPUSH {t}q 1 2 3", "1>", "1< BZPOPMIN {t}z 0", "# 1", "= ZADD {t}z 1.5 m",
            "1>", "1< BZPOPMAX {t}z 0", "# 1", "= ZADD {t}z 1.5 m 2 n", "1>", "= DEL {t}z",
            "1< BZMPOP 0 1 {t}z MIN COUNT 2", "# 1", "= ZADD {t}z 1.5 m 2 n 3 o", "1>");
}

static void test_streams(void **state)
{
    (void)state;
    COMPARE("= XADD {t}s 1-1 f v", "1< XREAD BLOCK 0 STREAMS {t}s {t}r $ $", "# 1",
            "= XADD {t}r 5-1 a b", "1>", "1< XREAD BLOCK 5000 STREAMS {t}s 1-1", "# 1",
            "= XADD {t}s 2-1 a b", "1>", "= XGROUP CREATE {t}s g $",
            "1< XREADGROUP GROUP g c1 COUNT 1 BLOCK 0 STREAMS {t}s >", "# 1",
            "2< XREADGROUP GROUP g c2 BLOCK 0 STREAMS {t}s >", "# 2", "= XADD {t}s 3-1 a b", "1>",
            "= XADD {t}s 3-2 a b", "2>", "= XPENDING {t}s g",
            "1< XREADGROUP GROUP g c1 BLOCK 0 STREAMS {t}s >", "# 1", "= DEL {t}s", "1>",
            "1< XREAD BLOCK 30 STREAMS {t}new $", "1>",
            "1= XREADGROUP GROUP g block BLOCK 10 STREAMS {t}none >");
}

static void test_timeouts(void **state)
{
    (void)state;
    COMPARE("1= BLPOP {t}k 0.05", "1= BRPOP {t}k {t}l 0.05", "1= BLMOVE {t}k {t}l LEFT LEFT 0.05",
            "1= BRPOPLPUSH {t}k {t}l 0.05", "1= BLMPOP 0.05 1 {t}k LEFT", "1= BZPOPMIN {t}k 0.05",
            "1= BZPOPMAX {t}k 0.05", "1= BZMPOP 0.05 1 {t}k MIN",
            "1= XREAD BLOCK 50 STREAMS {t}k 0", "= XGROUP CREATE {t}s g $ MKSTREAM",
            "1= XREADGROUP GROUP g c BLOCK 50 STREAMS {t}s >", "1= BLPOP {t}k 0.0001", "1= PING");
}

static void test_errors(void **state)
{
    (void)state;
    COMPARE("= SET {t}string v", "1= BLPOP {t}string 0", "1= BLPOP {t}k {t}string 0",
            "1= BZPOPMIN {t}string 0", "1= BLMOVE {t}string {t}k LEFT LEFT 0",
            "1= XREAD BLOCK 0 STREAMS {t}string 0", "1= BLPOP {t}k -1", "1= BLPOP {t}k x",
            "1= BLPOP {t}k 99999999999999999999", "1= BLPOP {t}k", "1= BLPOP",
            "1= BLMOVE {t}a {t}b LEFT UP 0", "1= BLMPOP 0 0 {t}k LEFT", "1= BLMPOP 0 1 {t}k",
            "1= BLMPOP 0 x {t}k LEFT", "1= BLMPOP 0 1 {t}k LEFT COUNT 0", "1= BZMPOP 0 1 {t}k UP",
            "1= XREAD BLOCK x STREAMS {t}k 0", "1= XREAD BLOCK -1 STREAMS {t}k 0",
            "1= XREAD BLOCK 0 STREAMS {t}k", "1= XREAD BLOCK 0 STREAMS {t}k {t}l 0",
            "1= XREAD BLOCK 0 STREAMS {t}k bad", "1= XREADGROUP GROUP g c BLOCK 0 STREAMS {t}k >",
            /* the wrong type comes later */
            "1< BLMOVE {t}list {t}string LEFT LEFT 0", "# 1", "= RPUSH {t}list a", "1>",
            "= LRANGE {t}list 0 -1", "1< BLPOP {t}other 0.2", "# 1", "= SET {t}other v", "1>");
}

/* Who came first is served first, also by one push of several. */
static void test_order_of_waiters(void **state)
{
    (void)state;
    COMPARE("1< BLPOP {t}l 0", "# 1", "2< BRPOP {t}l 0", "# 2", "3< BLMOVE {t}l {t}m LEFT LEFT 0",
            "# 3", "4< BLPOP {t}k {t}l 0", "# 4", "= RPUSH {t}l a b c d e", "1>", "2>", "3>", "4>",
            "= LRANGE {t}l 0 -1", "= DEL {t}l", "1< BZPOPMIN {t}z 0", "# 1", "2< BZPOPMAX {t}z 0",
            "# 2", "= ZADD {t}z 1 a 2 b 3 c", "1>", "2>", "= ZRANGE {t}z 0 -1");
}

/* The first key that has something, in the caller's order, even if others got theirs earlier. */
static void test_priority_of_keys(void **state)
{
    (void)state;
    COMPARE("= RPUSH {t}c c", "= RPUSH {t}b b", "1= BLPOP {t}a {t}b {t}c 0",
            "1= BLPOP {t}a {t}b {t}c 0", "1< BLPOP {t}a {t}b {t}c 0", "# 1", "= RPUSH {t}c c", "1>",
            "1< BLMPOP 0 3 {t}a {t}b {t}c LEFT", "# 1", "= RPUSH {t}b b", "1>");
}

/* What a client has sent behind a blocking command waits, and comes out in order. */
static void test_pipelines(void **state)
{
    (void)state;
    COMPARE("1< SET {t}a 1", "1< GET {t}a", "1< BLPOP {t}l 0", "1< GET {u}b", "1< BLPOP {t}l 0",
            "1< PING", "1>", "1>", "# 1", "= SET {u}b later", "= RPUSH {t}l x", "1>", "1>", "# 1",
            "= RPUSH {t}l y", "1>", "1>");
}

static void test_unblock(void **state)
{
    (void)state;
    COMPARE("1< BLPOP {t}l 0", "# 1", "~ CLIENT UNBLOCK %1", "1>", "1= PING", "# 0",
            "1< BLMOVE {t}l {t}m LEFT LEFT 0", "# 1", "~ CLIENT UNBLOCK %1 TIMEOUT", "1>",
            "1< BZMPOP 0 1 {t}l MIN", "# 1", "~ CLIENT UNBLOCK %1 ERROR", "1>",
            "1< XREAD BLOCK 0 STREAMS {t}s $", "# 1", "~ CLIENT UNBLOCK %1", "1>",
            "~ CLIENT UNBLOCK %1", "~ CLIENT UNBLOCK 99999", "~ CLIENT UNBLOCK x",
            "~ CLIENT UNBLOCK %1 NOW", "= RPUSH {t}l a", "= LLEN {t}l");
}

static void test_shown(void **state)
{
    struct client c, other;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "SETNAME", "waiting");
    assert_true(client_send_command(&c, "BLPOP", "{t}shown", "0", NULL));
    blocking_await(proxy.port, 1);
    const char *list = client_ask(&other, "CLIENT", "LIST", NULL);
    const char *line = strstr(list, "name=waiting");
    assert_non_null(line);
    assert_memory_equal(strstr(line, "flags="), "flags=b", 7);
    assert_memory_equal(strstr(line, "cmd="), "cmd=blpop", 9);
    assert_int_equal(blocking_info(proxy.port, "leases_in_use"), 1);
    client_close(&c);
    blocking_await(proxy.port, 0);
    assert_int_equal(blocking_info(proxy.port, "leases_in_use"), 0);
    client_close(&other);
}

static bool lists_waiting_reader(void *context)
{
    const char *list = client_ask(context, "CLIENT", "LIST", NULL);
    for (const char *line = list; line != NULL; line = strchr(line + 1, '\n')) {
        const char *flags = strstr(line, "flags="), *cmd = strstr(line, "cmd=");
        if (flags != NULL && cmd != NULL && strncmp(flags, "flags=b", 7) == 0 &&
            strncmp(cmd, "cmd=xread ", 10) == 0)
            return true;
    }
    return false;
}

/* Who is listed as blocked gets what is added from then on, also by a connection that was still to
   be made. The other clients keep the connections that are there. */
static void test_shown_when_it_waits(void **state)
{
    enum { ROUNDS = 8 };
    struct client keep[ROUNDS], reader, other;

    (void)state;
    assert_true(client_open(&reader, proxy.port));
    assert_true(client_open(&other, proxy.port));
    for (int i = 0; i < ROUNDS; i++) {
        assert_true(client_open(&keep[i], proxy.port));
        assert_true(client_send_command(&keep[i], "BLPOP", "{t}kept", "0", NULL));
        blocking_await(proxy.port, i + 1);
        assert_true(client_send_command(&reader, "XREAD", "BLOCK", "5000", "STREAMS", "{t}added",
                                        "$", NULL));
        assert_true(wait_until(lists_waiting_reader, &other, scaled_ms(10000)));
        client_ask(&other, "XADD", "{t}added", "*", "f", "v", NULL);
        client_expect_start(&reader, "*1\r\n*2\r\n$8\r\n{t}added");
    }
    for (int i = 0; i < ROUNDS; i++)
        client_close(&keep[i]);
    blocking_await(proxy.port, 0);
    client_close(&reader);
    client_close(&other);
}

/* CLIENT REPLY OFF drops the answer of a blocking command, too. */
static void test_silent(void **state)
{
    struct client c, other;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    assert_true(client_send_command(&c, "CLIENT", "REPLY", "SKIP", NULL));
    assert_true(client_send_command(&c, "BLPOP", "{t}quiet", "0", NULL));
    blocking_await(proxy.port, 1);
    client_ask_expect(&other, ":1\r\n", "RPUSH", "{t}quiet", "a");
    blocking_await(proxy.port, 0);
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_close(&c);
    client_close(&other);
}

/* Connections come back to the pool: a hundred waits one after the other take one. */
static void test_reuse(void **state)
{
    struct client c;

    (void)state;
    long before = blocking_info(proxy.port, "leases_dialled");
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 100; i++) {
        client_ask_expect(&c, ":1\r\n", "RPUSH", "{t}often", "a");
        client_ask_expect(&c, "*2\r\n$8\r\n{t}often\r\n$1\r\na\r\n", "BLPOP", "{t}often", "0");
    }
    assert_in_range(blocking_info(proxy.port, "leases_dialled") - before, 0, 1);
    client_close(&c);
}

/* An element that is larger than any buffer. */
static void test_large_element(void **state)
{
    enum { SIZE = 3 * 1000 * 1000 };
    struct client c, other;
    char *value = malloc(SIZE);
    size_t len;

    (void)state;
    REQUIRE(value != NULL);
    memset(value, 'x', SIZE);
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    assert_true(client_send_command(&c, "BLPOP", "{t}large", "0", NULL));
    blocking_await(proxy.port, 1);
    const char *const argv[] = { "RPUSH", "{t}large", value };
    const size_t lens[] = { 5, 8, SIZE };
    assert_true(client_send_argv(&other, 3, argv, lens));
    client_expect(&other, ":1\r\n");
    const char *reply = client_read(&c, &len);
    assert_non_null(reply);
    assert_true(len > SIZE && strncmp(reply, "*2\r\n$8\r\n{t}large\r\n$3000000\r\nxxx", 30) == 0);
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_close(&c);
    client_close(&other);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_wait_for),
        cmocka_unit_test(test_elements_arrive),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_order_of_waiters),
        cmocka_unit_test(test_priority_of_keys),
        cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_unblock),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_shown_when_it_waits),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_large_element),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
