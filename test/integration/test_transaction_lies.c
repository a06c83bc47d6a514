/*
 * A node that breaks off, stalls or lies inside a transaction: one reply all the same, in time,
 * and the block goes out once. "foo" is the liar's, "bar" the honest one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/liar_case.h"
#include "test/lib/testenv.h"

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
    liar_end(&c);
    return 0;
}

/* A transaction of two writes at the liar, and another node's commands around it. */
static const char *run_block(void)
{
    assert_true(client_send_command(&c, "GET", "bar", NULL));
    assert_true(client_send_command(&c, "MULTI", NULL));
    assert_true(client_send_command(&c, "SET", "foo", "x", NULL));
    assert_true(client_send_command(&c, "INCR", "{foo}n", NULL));
    assert_true(client_send_command(&c, "EXEC", NULL));
    client_expect(&c, "$3\r\nbar\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "+QUEUED\r\n");
    client_expect(&c, "+QUEUED\r\n");
    size_t len;
    const char *reply = client_read(&c, &len);
    assert_non_null(reply);
    return reply;
}

static bool foo_is_served(void *arg)
{
    (void)arg;
    const char *reply = client_ask(&c, "GET", "foo", NULL);
    assert_non_null(reply);
    return strcmp(reply, "$3\r\nfoo\r\n") == 0;
}

/* The client's fate is known to nobody, so the block is sent once and never again. */
static void expect_unknown_fate(unsigned sent)
{
    const char *reply = run_block();
    assert_memory_equal(reply, "-ERR slotgate: ", 15);
    assert_non_null(strstr(reply, "may have been executed"));
    fake_node_behave(liar, FAKE_ECHO, NULL);
    assert_true(wait_until(foo_is_served, NULL, scaled_ms(5000)));
    client_ask_expect(&c, "$3\r\nbar\r\n", "GET", "bar");
    assert_int_equal(fake_node_count(liar, "MULTI"), sent);
    assert_in_range(fake_node_count(liar, "EXEC"), 0, sent);
}

static void test_closes(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_CLOSE, NULL);
    expect_unknown_fate(1);
    fake_node_behave(liar, FAKE_CLOSE_AT_EXEC, "");
    expect_unknown_fate(2);
    fake_node_behave(liar, FAKE_CLOSE_AT_EXEC, "*2\r\n+OK\r\n");
    expect_unknown_fate(3);
    fake_node_behave(liar, FAKE_CLOSE_INSIDE, "+O");
    expect_unknown_fate(4);
}

/* Nothing is written, but subscribers would hear it twice. */
static void test_publish_is_sent_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        fake_node_behave(liar, FAKE_CLOSE_AT_EXEC, "");
        client_ask_expect(&c, "+OK\r\n", "MULTI");
        client_ask_expect(&c, "+QUEUED\r\n", "GET", "foo");
        client_ask_expect(&c, "+QUEUED\r\n", i == 0 ? "PUBLISH" : "SPUBLISH", "foo", "m");
        assert_true(client_send_command(&c, "EXEC", NULL));
        const char *reply = client_expect_start(&c, "-ERR slotgate: ");
        assert_non_null(strstr(reply, "may have been executed\r\n"));
        fake_node_behave(liar, FAKE_ECHO, NULL);
        assert_true(wait_until(foo_is_served, NULL, scaled_ms(5000)));
        assert_int_equal(fake_node_count(liar, "EXEC"), i + 1);
    }
}

static void test_silence(void **state)
{
    (void)state;
    uint64_t began = now_ms();
    fake_node_behave(liar, FAKE_SILENT, NULL);
    expect_unknown_fate(1);
    fake_node_behave(liar, FAKE_HALF, "+OK\r\n");
    expect_unknown_fate(2);
    assert_in_range(now_ms() - began, 0, scaled_ms(8000));
}

/* MULTI refused means that each command went for itself, so nothing may be sent again. */
static void test_multi_refused(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_ANSWER, "-LOADING for ever\r\n");
    assert_string_equal(run_block(), "-LOADING for ever\r\n");
    assert_int_equal(fake_node_count(liar, "EXEC"), 1);
    assert_int_equal(fake_node_count(liar, "SET"), 1);
}

static void test_strange_answers(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_ANSWER, "+QUEUED\r\n");
    assert_string_equal(run_block(), "+QUEUED\r\n");
    fake_node_behave(liar, FAKE_ANSWER, "*3\r\n:1\r\n:2\r\n:3\r\n");
    assert_string_equal(run_block(), "*3\r\n:1\r\n:2\r\n:3\r\n");
    fake_node_behave(liar, FAKE_BYTE_BY_BYTE, "*2\r\n:1\r\n:2\r\n");
    assert_string_equal(run_block(), "*2\r\n:1\r\n:2\r\n");
    fake_node_behave(liar, FAKE_ANSWER, "hello\r\n");
    expect_unknown_fate(4);
}

/* A block of two slots: an answer that is no array, or has not the right number of elements, never
   becomes one of the caller's. */
static void test_strange_answers_of_several(void **state)
{
    static const char *const answers[] = { "+QUEUED\r\n", "*2\r\n:1\r\n:2\r\n", "*0\r\n",
                                           "*-1\r\n" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        fake_node_behave(liar, FAKE_ANSWER, answers[i]);
        fake_node_behave(honest, FAKE_ANSWER, "*1\r\n:1\r\n");
        client_ask_expect(&c, "+OK\r\n", "MULTI");
        client_ask_expect(&c, "+QUEUED\r\n", "INCR", "foo");
        client_ask_expect(&c, "+QUEUED\r\n", "INCR", "bar");
        client_ask_expect(&c, "-ERR slotgate: a node gave a reply of an unexpected kind\r\n",
                          "EXEC");
        assert_int_equal(fake_node_count(honest, "MULTI"), 0);
    }
    fake_node_behave(liar, FAKE_CLOSE, "");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "foo");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "bar");
    assert_true(client_send_command(&c, "EXEC", NULL));
    const char *reply = client_expect_start(&c, "-ERR slotgate: ");
    assert_non_null(strstr(reply, "may have been executed\r\n"));
    assert_int_equal(fake_node_count(honest, "MULTI"), 0);
}

static const char *exec_of(const char *first, const char *second, const char *third)
{
    const char *const keys[] = { first, second, third };
    size_t len;
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        client_ask_expect(&c, "+QUEUED\r\n", "INCR", keys[i]);
    assert_true(client_send_command(&c, "EXEC", NULL));
    const char *reply = client_read(&c, &len);
    assert_non_null(reply);
    return reply;
}

/* Of several blocks that write, the last one begins unless nothing has been executed. */
static void test_failed_block_of_several(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_CLOSE, "");
    fake_node_behave(honest, FAKE_ANSWER, "*1\r\n:1\r\n");
    const char *reply = exec_of("foo", "bar", "bar1"); /* bar1 is at the honest node, too */
    assert_memory_equal(reply, "*3\r\n-ERR slotgate: ", 19);
    assert_non_null(strstr(reply, "may have been executed\r\n:1\r\n:1\r\n"));
    assert_int_equal(fake_node_count(honest, "MULTI"), 2);
    reply = exec_of("bar", "bar1", "foo");
    assert_memory_equal(reply, "*3\r\n:1\r\n:1\r\n-ERR slotgate: ", 27);
    assert_non_null(strstr(reply, "may have been executed\r\n"));
    assert_int_equal(fake_node_count(honest, "MULTI"), 4);
    assert_int_equal(fake_node_count(liar, "MULTI"), 2);
}

/* Of several blocks, one that only reads is sent again, whatever the others do. */
static void test_block_that_reads(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_CLOSE, "");
    fake_node_behave(honest, FAKE_ANSWER, "*1\r\n:1\r\n");
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "EXISTS", "foo");
    client_ask_expect(&c, "+QUEUED\r\n", "INCR", "bar");
    assert_true(client_send_command(&c, "EXEC", NULL));
    const char *reply = client_expect_start(&c, "*2\r\n-ERR slotgate: no answer from node ");
    assert_null(strstr(reply, "may have been executed"));
    assert_non_null(strstr(reply, "\r\n:1\r\n"));
    assert_in_range(fake_node_count(liar, "MULTI"), 2, 1000);
    assert_int_equal(fake_node_count(honest, "MULTI"), 1);
}

/* WATCH whose node is lost: aborted before the block is written, unknown after that. */
static void test_watch(void **state)
{
    (void)state;
    fake_node_behave(liar, FAKE_CLOSE_AT_EXEC, "");
    fake_node_behave(honest, FAKE_ANSWER, "+OK\r\n");
    client_ask_expect(&c, "+OK\r\n", "WATCH", "bar");
    fake_node_say(honest, "garbage\r\n"); /* all its connections end */
    fake_node_behave(honest, FAKE_ECHO, NULL);
    client_ask_expect(&c, "+OK\r\n", "MULTI");
    client_ask_expect(&c, "+QUEUED\r\n", "SET", "bar", "x");
    client_ask_expect(&c, "*-1\r\n", "EXEC");
    assert_int_equal(fake_node_count(honest, "SET"), 0);

    fake_node_behave(liar, FAKE_ANSWER, "+OK\r\n");
    client_ask_expect(&c, "+OK\r\n", "WATCH", "foo");
    fake_node_behave(liar, FAKE_CLOSE_AT_EXEC, "*2\r\n+OK\r\n");
    expect_unknown_fate(1);

    fake_node_behave(liar, FAKE_ANSWER, "+OK\r\n");
    client_ask_expect(&c, "+OK\r\n", "WATCH", "foo");
    fake_node_behave(liar, FAKE_SILENT, NULL);
    expect_unknown_fate(2);

    fake_node_behave(liar, FAKE_SILENT, NULL);
    client_ask_expect(&c, "-ERR slotgate: no answer from the node of a watched key in time\r\n",
                      "WATCH", "foo");
    client_ask_expect(&c, "+PONG\r\n", "PING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closes, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_publish_is_sent_once, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_silence, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_multi_refused, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_strange_answers, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_strange_answers_of_several, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_failed_block_of_several, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_block_that_reads, before_each, after_each),
        cmocka_unit_test_setup_teardown(test_watch, before_each, after_each),
    };

    return testenv_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
