/*
 * MONITOR, and CLIENT PAUSE: what touches the commands of everybody. A plain redis-server is the
 * judge of the lines and errors.
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

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 },
                 (const char *const[]){ "--enable-monitor", "yes", NULL });
    return 0;
}

static const char *send_words(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);

    assert_true(client_send(c, request, len));
    free(request);
    return client_read(c, NULL);
}

/* The line without time and address: from "] " on. */
static char *line_of(struct client *monitor, const char *words)
{
    const char *line = client_read(monitor, NULL);
    const char *end = line != NULL ? strstr(line, "] ") : NULL;

    if (end == NULL)
        fail_msg("%s: no line of MONITOR: %s", words,
                 line != NULL ? line : client_state_text(monitor));
    double at;
    char address[64];
    assert_int_equal(sscanf(line, "+%lf [0 %63[0-9.:]]", &at, address), 2);
    return strdup(end);
}

static void test_lines(void **state)
{
    static const char *const requests[] = {
        "SET k v",
        "get k",
        "MGET a b c",
        "PING",
        "ECHO \x01\n\r\t\a\b\"\\~\x7f\xff",
        "SELECT 0",
        "AUTH secret",
        "AUTH default secret",
        "HELLO 2 AUTH default secret SETNAME x",
        "CLIENT SETNAME hugo",
        "DBSIZE",
        "EVAL return{} 0",
        "PUBLISH a b",
        "DEL k a b",
        "QUIT",
    };
    struct client monitor[2], c[2];
    const uint16_t ports[2] = { proxy.port, oracle.port };

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(client_open(&monitor[i], ports[i]));
        assert_true(client_open(&c[i], ports[i]));
        client_ask_expect(&monitor[i], "+OK\r\n", "MONITOR");
    }
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        char *lines[2];
        for (int k = 0; k < 2; k++) {
            assert_non_null(send_words(&c[k], requests[i]));
            lines[k] = line_of(&monitor[k], requests[i]);
        }
        assert_string_equal(lines[0], lines[1]);
        assert_null(strstr(lines[0], "secret"));
        free(lines[0]);
        free(lines[1]);
    }
    for (int i = 0; i < 2; i++) {
        client_close(&c[i]);
        assert_true(client_open(&c[i], ports[i]));
        /* Not shown: what fails before it is executed, and what administers the server. */
        assert_non_null(send_words(&c[i], "nosuch x"));
        assert_non_null(send_words(&c[i], "GET"));
        assert_non_null(send_words(&c[i], "CONFIG GET port"));
        assert_non_null(send_words(&c[i], "CLIENT LIST"));
        assert_true(client_hears_nothing(&monitor[i], 50));
    }
    client_close(&c[0]);
    client_close(&c[1]);
    client_close(&monitor[0]);
    client_close(&monitor[1]);
}

/* What the monitoring client itself may do. */
static void test_own_commands(void **state)
{
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    static const char *const requests[] = { "MONITOR",  "GET k", "SET k v",
                                            "MGET k a", "RESET", "GET none" };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    client_ask_expect(&c, "+OK\r\n", "MONITOR");
    const char *list = client_ask(&c, "CLIENT", "LIST", NULL);
    assert_non_null(strstr(list, "flags=O "));
    beside_close(&c, &o);
}

static void test_pipeline_of_another(void **state)
{
    struct client monitor, c;

    (void)state;
    assert_true(client_open(&monitor, proxy.port));
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&monitor, "+OK\r\n", "MONITOR");
    for (int i = 0; i < 1000; i++) {
        char n[16];
        snprintf(n, sizeof(n), "%d", i);
        assert_true(client_send_command(&c, "ECHO", n, NULL));
    }
    for (int i = 0; i < 1000; i++) {
        char wanted[32];
        char *line = line_of(&monitor, "ECHO");
        snprintf(wanted, sizeof(wanted), "] \"ECHO\" \"%d\"\r\n", i);
        assert_string_equal(line, wanted);
        free(line);
    }
    client_close(&c);
    client_close(&monitor);
}

static void test_not_allowed(void **state)
{
    struct proxy closed;
    struct client c;
    char seeds[512];

    (void)state;
    proxy_start(&closed, cluster_seeds(&cluster, seeds), NULL);
    assert_true(client_open(&c, closed.port));
    client_ask_expect(&c, "-ERR slotgate: MONITOR is not allowed; enable-monitor yes allows it\r\n",
                      "MONITOR");
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "enable-monitor", "yes");
    client_ask_expect(&c, "+OK\r\n", "MONITOR");
    client_close(&c);
    assert_true(proxy_stop(&closed));
}

/* --- CLIENT PAUSE ----------------------------------------------------------------------------- */

static void test_pause_errors(void **state)
{
    static const char *const requests[] = {
        "CLIENT PAUSE",
        "CLIENT PAUSE x",
        "CLIENT PAUSE -1",
        "CLIENT PAUSE 10 NONE",
        "CLIENT PAUSE 10 WRITE x",
        "CLIENT UNPAUSE x",
        "CLIENT UNPAUSE",
        "CLIENT PAUSE 0",
        "CLIENT PAUSE 1 all",
        "PING",
    };
    struct client c, o;

    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        oracle_compare_words(&c, &o, requests[i]);
    beside_close(&c, &o);
}

static void test_pause_all(void **state)
{
    struct client c, other, late;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&other, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
    uint64_t began = now_ms();
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "PAUSE", "1500");
    assert_true(client_send_text(&other, "GET k\r\nPING\r\nSET k 2\r\nGET k\r\n"));
    assert_true(client_open(&late, proxy.port));
    assert_true(client_send_text(&late, "PING\r\n"));
    assert_true(client_hears_nothing(&other, 200));
    client_expect(&other, "$1\r\nv\r\n");
    assert_in_range(now_ms() - began, 1490, scaled_ms(4000));
    client_expect(&other, "+PONG\r\n");
    client_expect(&other, "+OK\r\n");
    client_expect(&other, "$1\r\n2\r\n");
    client_expect(&late, "+PONG\r\n");
    client_close(&c);
    client_close(&other);
    client_close(&late);
}

static void test_pause_writes(void **state)
{
    struct client c, writer;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_open(&writer, proxy.port));
    client_ask_expect(&c, "+OK\r\n", "SET", "k", "v");
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "PAUSE", "60000", "WRITE");
    client_ask_expect(&c, "$1\r\nv\r\n", "GET", "k");
    assert_true(client_send_text(&writer, "GET k\r\nSET k 2\r\nGET k\r\n"));
    client_expect(&writer, "$1\r\nv\r\n");
    assert_true(client_hears_nothing(&writer, 100));
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "UNPAUSE");
    client_expect(&writer, "+OK\r\n");
    client_expect(&writer, "$1\r\n2\r\n");
    client_close(&c);
    client_close(&writer);
}

/* A paused proxy ends when it is told to. */
static void test_pause_and_stop(void **state)
{
    struct proxy second;
    struct client c, other;
    char seeds[512];

    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds), NULL);
    assert_true(client_open(&c, second.port));
    assert_true(client_open(&other, second.port));
    client_ask_expect(&c, "+OK\r\n", "CLIENT", "PAUSE", "60000");
    assert_true(client_send_text(&other, "GET k\r\n"));
    assert_true(client_hears_nothing(&other, 50));
    uint64_t began = now_ms();
    assert_true(proxy_stop(&second));
    assert_in_range(now_ms() - began, 0, scaled_ms(2000));
    client_close(&c);
    client_close(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_own_commands),
        cmocka_unit_test(test_pipeline_of_another),
        cmocka_unit_test(test_not_allowed),
        cmocka_unit_test(test_pause_errors),
        cmocka_unit_test(test_pause_all),
        cmocka_unit_test(test_pause_writes),
        cmocka_unit_test(test_pause_and_stop),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
