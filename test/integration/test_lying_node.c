/*
 * A node that lies, stalls or breaks off: one reply per request all the same, never an invented
 * one, within the deadline; a write goes out once; the other nodes' clients notice nothing.
 * "foo" is the liar's, "bar" the honest one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/liar_case.h"
#include "test/lib/testenv.h"

enum { DEADLINE_MS = 500 };

static struct proxy second;
static struct client c;

static int before_each(void **state)
{
    (void)state;
    liar_begin(&c);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    liar_end(&c);
    return 0;
}

/* Reads, writes and the honest node's keys in one pipeline: each gets its one reply in time. */
static void expect_errors_in_time(void)
{
    uint64_t began = now_ms();
    unsigned sets = fake_node_count(liar, "SET");

    assert_true(client_send_command(&c, "GET", "bar", NULL));
    assert_true(client_send_command(&c, "SET", "foo", "x", NULL));
    assert_true(client_send_command(&c, "GET", "bar", NULL));
    assert_true(client_send_command(&c, "PING", NULL));
    client_expect(&c, "$3\r\nbar\r\n");
    const char *reply = client_expect_start(&c, "-ERR slotgate: ");
    bool uncertain = strstr(reply, "may have been executed") != NULL;
    client_expect(&c, "$3\r\nbar\r\n");
    client_expect(&c, "+PONG\r\n");
    /* Sent once and never again; or, while the proxy keeps off the node, not at all. The reply may
       be careful without need, but it must never call a write undone that went out. */
    assert_in_range(fake_node_count(liar, "SET"), sets, sets + 1);
    assert_true(uncertain || fake_node_count(liar, "SET") == sets);
    assert_true(client_send_command(&c, "GET", "foo", NULL));
    assert_true(client_send_command(&c, "ECHO", "x", NULL));
    client_expect_start(&c, "-ERR slotgate: ");
    client_expect(&c, "$1\r\nx\r\n");
    assert_in_range(now_ms() - began, 0, scaled_ms(2 * DEADLINE_MS + 1500));
}

/* For the end of a test: else no write ever met the liar. */
static void expect_writes_seen(void)
{
    assert_true(fake_node_count(liar, "SET") > 0);
}

static bool foo_is_served(void *arg)
{
    const char *reply = client_ask(&c, "GET", "foo", NULL);

    (void)arg;
    assert_non_null(reply);
    if (reply[0] != '-')
        assert_string_equal(reply, "$3\r\nfoo\r\n"); /* late, but never another's */
    return reply[0] == '$';
}

static void expect_recovery(void)
{
    fake_node_behave(liar, FAKE_ECHO, NULL);
    assert_true(wait_until(foo_is_served, NULL, scaled_ms(5000)));
    for (int i = 0; i < 20; i++) {
        char key[32], wanted[64];
        snprintf(key, sizeof(key), "{foo}%d", i);
        sprintf(wanted, "$%zu\r\n%s\r\n", strlen(key), key);
        client_ask_expect(&c, wanted, "GET", key);
    }
}

static void test_closes_inside_a_reply(void **state)
{
    static const char *const parts[] = {
        "$", "$10", "$10\r\nabc", "*2\r\n$1\r\na\r\n", "+O", ":1\r"
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fake_node_behave(liar, FAKE_CLOSE_INSIDE, parts[i]);
        expect_errors_in_time();
    }
    expect_writes_seen();
    expect_recovery();
}

static void test_closes_instead_of_a_reply(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_CLOSE, NULL);
    expect_errors_in_time();
    expect_writes_seen();
    expect_recovery();
}

/* A PUBLISH that may have been executed would reach the subscribers twice. */
static void test_publish_is_sent_once(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) { /* clients have different nodes for what has no key */
        struct client other;
        assert_true(client_open(&other, proxy.port));
        fake_node_behave(liar, FAKE_CLOSE, NULL);
        fake_node_behave(honest, FAKE_CLOSE, NULL);
        unsigned before = fake_node_count(liar, "PUBLISH") + fake_node_count(honest, "PUBLISH");
        const char *reply = client_ask(&other, "PUBLISH", "c", "m", NULL);
        assert_non_null(reply);
        assert_non_null(strstr(reply, "may have been executed"));
        assert_int_equal(fake_node_count(liar, "PUBLISH") + fake_node_count(honest, "PUBLISH"),
                         before + 1);
        fake_node_behave(honest, FAKE_ECHO, NULL);
        expect_recovery();
        client_close(&other);
    }
}

static bool is_asked_more(void *arg)
{
    return fake_node_count(liar, "GET") > *(unsigned *)arg;
}

/* A read is asked again, so that a single broken connection costs nothing; for as long as its
   deadline lets it, which is far enough away here for a busy machine. */
static void test_read_is_retried(void **state)
{
    (void)state;
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "request-timeout", "10s");
    fake_node_behave(liar, FAKE_CLOSE_INSIDE, "$3\r\nfo");
    unsigned before = fake_node_count(liar, "GET");
    assert_true(client_send_command(&c, "GET", "foo", NULL));
    assert_true(wait_until(is_asked_more, &before, scaled_ms(5000)));
    fake_node_behave(liar, FAKE_ECHO, NULL);
    client_expect(&c, "$3\r\nfoo\r\n");
}

static void test_garbage(void **state)
{
    static const char *const garbage[] = {
        "\x01\x02\x03 what?\r\n",    "$abc\r\n",    "$-5\r\n", "*-7\r\n",
        "$99999999999999999999\r\n", "$3\r\nfooXX", "\r\n",    "HTTP/1.1 400 Bad Request\r\n\r\n"
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        fake_node_behave(liar, FAKE_ANSWER, garbage[i]);
        expect_errors_in_time();
    }
    expect_writes_seen();
    expect_recovery();
}

static void test_silence(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_SILENT, NULL);
    /* While one client waits, another one's requests to the honest node are quick. */
    struct client other;
    assert_true(client_open(&other, proxy.port));
    uint64_t began = now_ms();
    assert_true(client_send_command(&c, "GET", "foo", NULL));
    for (int i = 0; i < 50; i++)
        client_ask_expect(&other, "$3\r\nbar\r\n", "GET", "bar");
    assert_in_range(now_ms() - began, 0, scaled_ms(500));
    client_close(&other);
    client_expect_start(&c, "-ERR slotgate: ");
    assert_in_range(now_ms() - began, DEADLINE_MS / 2, scaled_ms(DEADLINE_MS + 1000));
    expect_errors_in_time();
    expect_recovery();
}

static void test_half_a_reply(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_HALF, "$10\r\nabc");
    expect_errors_in_time();
    fake_node_behave(liar, FAKE_HALF, "*3\r\n:1\r\n");
    expect_errors_in_time();
    expect_writes_seen();
    expect_recovery();
}

/* When a part of a huge reply may already be with the client, only the end of the connection is
   honest; before that, an error is. A made-up rest is neither. */
static void test_half_a_huge_reply(void **state)
{
    enum { SENT = 300000 };
    char *half = malloc(SENT + 32);

    (void)state;
    assert_non_null(half);
    int head = sprintf(half, "$1000000\r\n");
    memset(half + head, 'x', SENT);
    half[head + SENT] = '\0';
    for (int closes = 0; closes < 2; closes++) {
        struct client reader;
        fake_node_behave(liar, closes ? FAKE_CLOSE_INSIDE : FAKE_HALF, half);
        assert_true(client_open(&reader, proxy.port));
        reader.timeout_ms = scaled_ms(DEADLINE_MS + 3000);
        const char *reply = client_ask(&reader, "GET", "foo", NULL);
        if (reply != NULL)
            assert_int_equal(reply[0], '-');
        else
            assert_int_equal(reader.state, CLIENT_CLOSED);
        client_close(&reader);
        client_ask_expect(&c, "$3\r\nbar\r\n", "GET", "bar");
    }
    free(half);
    expect_recovery();
}

static void test_byte_by_byte(void **state)
{
    static const char *const replies[] = { "$5\r\nhe\r\nl\r\n",
                                           "*2\r\n*1\r\n$-1\r\n*2\r\n:1\r\n+a\r\n",
                                           "-WRONGTYPE Operation\r\n", "$0\r\n\r\n" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        fake_node_behave(liar, FAKE_BYTE_BY_BYTE, replies[i]);
        for (int j = 0; j < 5; j++)
            assert_true(client_send_command(&c, "GET", "foo", NULL));
        for (int j = 0; j < 5; j++)
            client_expect_bytes(&c, replies[i], strlen(replies[i]));
    }
    expect_recovery();
}

static bool liars_are_dropped(void *arg)
{
    (void)arg;
    return fake_node_tainted(liar) == 0;
}

/* A reply that answers nothing would shift all later ones: the proxy has to drop the connection. */
static void test_unasked_reply(void **state)
{
    (void)state;
    expect_recovery(); /* so that there is a connection */
    assert_true(fake_node_say(liar, "+BOGUS\r\n") > 0);
    assert_true(wait_until(liars_are_dropped, NULL, scaled_ms(3000)));
    expect_recovery();
    fake_node_behave(liar, FAKE_UNASKED, "$5\r\nBOGUS\r\n");
    client_ask_expect(&c, "$3\r\nfoo\r\n", "GET", "foo");
    fake_node_behave(liar, FAKE_ECHO, NULL);
    assert_true(wait_until(liars_are_dropped, NULL, scaled_ms(3000)));
    expect_recovery();
}

/* However often a node hangs up, it is not dialled without pause. */
static void test_no_reconnect_storm(void **state)
{
    (void)state;
    fake_node_behave_in_everything(liar, FAKE_CLOSE, NULL);
    unsigned before = fake_node_accepted(liar);
    for (int i = 0; i < 3; i++) {
        assert_true(client_send_command(&c, "GET", "foo", NULL));
        client_expect_start(&c, "-ERR slotgate: ");
    }
    assert_in_range(fake_node_accepted(liar) - before, 1, 300);
    expect_recovery();
}

static unsigned asked_before;

static bool asked_twice_again(void *arg)
{
    (void)arg;
    return fake_node_count(honest, "CLUSTER") + fake_node_count(liar, "CLUSTER") >=
           asked_before + 2;
}

/* A broken map is no map: the proxy goes on with the one it has. */
static void test_broken_maps(void **state)
{
    static const char *const broken[] = {
        "*0\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "+OK\r\n",
        "$-1\r\n",
        "*1\r\n:5\r\n",
        "*1\r\n*3\r\n:0\r\n:99999\r\n*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*1\r\n*3\r\n:-1\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*1\r\n*3\r\n:16383\r\n:0\r\n*2\r\n$9\r\n127.0.0.1\r\n:6379\r\n",
        "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:99999\r\n",
        "*1\r\n*3\r\n:0\r\n:16383\r\n$3\r\nfoo\r\n",
        "*1\r\n*2\r\n:0\r\n:16383\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n$5\r\n16383\r\n*0\r\n",
        "no reply at all\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        fake_node_map_raw(honest, broken[i]);
        fake_node_map_raw(liar, broken[i]);
        asked_before = fake_node_count(honest, "CLUSTER") + fake_node_count(liar, "CLUSTER");
        /* MOVED to where it already is makes it ask at once, not only on its timer. */
        char moved[64];
        snprintf(moved, sizeof(moved), "-MOVED 12182 127.0.0.1:%d\r\n", honest_port);
        fake_node_behave(liar, FAKE_ANSWER, moved);
        client_ask_expect(&c, "$3\r\nfoo\r\n", "GET", "foo");
        assert_true(wait_until(asked_twice_again, NULL, scaled_ms(6000)));
        client_ask_expect(&c, "$3\r\nbar\r\n", "GET", "bar");
        fake_node_behave(liar, FAKE_ECHO, NULL);
        client_ask_expect(&c, "$3\r\nfoo\r\n", "GET", "foo");
    }
}

/* Whichever node it asks, `second` has asked twice since, so it has had its chance to believe the
 * map. */
static void expect_not_listening(void)
{
    struct client early;

    asked_before = fake_node_count(honest, "CLUSTER") + fake_node_count(liar, "CLUSTER");
    assert_true(wait_until(asked_twice_again, NULL, scaled_ms(8000)));
    assert_false(client_open(&early, second.port));
    client_close(&early);
}

/* Not before a seed gives a whole and sound map does the proxy listen. */
static void test_listens_with_a_full_map_only(void **state)
{
    const struct fake_range most[] = { { 0, 8191, honest_port }, { 8193, 16383, liar_port } };
    char seed[32];

    (void)state;
    assert_true(proxy_stop(&proxy)); /* so that only the other one asks */
    fake_node_map_raw(honest, "$7\r\ngarbage\r\n");
    snprintf(seed, sizeof(seed), "127.0.0.1:%d", honest_port);
    proxy_launch(&second, seed, (const char *const[]){ "--topology-interval", "300ms", NULL },
                 NULL);
    expect_not_listening();
    fake_node_map(honest, most, 2);
    fake_node_map(liar, most, 2);
    expect_not_listening();
    liar_tell_map();
    proxy_await_ready(&second, scaled_ms(8000));
}

#define LYING(test) cmocka_unit_test_setup_teardown(test, before_each, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LYING(test_closes_inside_a_reply),
        LYING(test_closes_instead_of_a_reply),
        LYING(test_publish_is_sent_once),
        LYING(test_read_is_retried),
        LYING(test_garbage),
        LYING(test_silence),
        LYING(test_half_a_reply),
        LYING(test_half_a_huge_reply),
        LYING(test_byte_by_byte),
        LYING(test_unasked_reply),
        LYING(test_no_reconnect_storm),
        LYING(test_broken_maps),
        LYING(test_listens_with_a_full_map_only),
    };

    return testenv_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
