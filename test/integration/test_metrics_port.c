/*
 * The numbers of a running slotgate-migrate over HTTP: what Prometheus gets, and what else is asked
 * for in vain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/every_type.h"
#include "test/lib/http.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/testenv.h"

enum { KEYS = 500, TIMEOUT = 15000 };

static struct oracle source, target;
static redisContext *from;
static char source_at[32], target_at[32], path[300], port_text[8];
static uint16_t port;

static int start(void **state)
{
    static const char *const extra[] = { "--repl-diskless-sync-delay", "0", NULL };
    (void)state;
    oracle_start_with(&source, extra);
    oracle_start(&target);
    from = redis_open(source.port);
    port = port_take();
    snprintf(port_text, sizeof(port_text), "%u", port);
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%u", source.port);
    snprintf(target_at, sizeof(target_at), "127.0.0.1:%u", target.port);
    snprintf(path, sizeof(path), "%s/admin.sock", testenv_dir());
    for (int i = 0; i < KEYS; i++)
        redis_do(from, "SET key:%d %d", i, i);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redisFree(from);
    oracle_stop(&source);
    oracle_stop(&target);
    return 0;
}

static char page[64 * 1024];

/* The number of a line; -1: there is none. */
static long long metric(const char *name)
{
    char line[96];
    if (http_once(port, "GET", "/metrics", "", page, sizeof(page)) != 200)
        return -1;
    snprintf(line, sizeof(line), "\nslotgate_migrate_%s ", name);
    const char *at = strstr(page, line);
    return at != NULL ? atoll(at + strlen(line)) : -1;
}

static bool is_live(void *arg)
{
    (void)arg;
    return metric("keys") >= KEYS && strstr(page, "\nslotgate_migrate_phase{phase=\"stream\"} 1\n");
}

static bool has_applied(void *arg)
{
    return metric("commands_sent") >= *(long long *)arg && metric("lag_bytes") == 0;
}

static void begin(struct migrate *m, const char *more, const char *value)
{
    const char *const words[] = {
        "sync", source_at,        target_at, "--spool-dir", testenv_dir(), "--admin-socket",
        path,   "--metrics-port", port_text, more,          value,         NULL
    };
    migrate_start(m, words);
}

/* Each metric is told what it is, and stands there once. */
static void expect_format(void)
{
    char *save = NULL;
    unsigned metrics = 0;
    for (char *line = strtok_r(page, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# TYPE slotgate_migrate_", 24) == 0) {
            char name[64], *value = strtok_r(NULL, "\n", &save);
            assert_int_equal(sscanf(line, "# TYPE %63s gauge", name), 1);
            assert_non_null(value);
            assert_memory_equal(value, name, strlen(name));
            metrics++;
        } else {
            assert_memory_equal(line, "# HELP slotgate_migrate_", 24);
        }
    }
    assert_true(metrics > 20);
}

static void test_numbers(void **state)
{
    struct migrate m, same;
    struct http h;
    long long sent = 3;
    (void)state;
    begin(&m, "--repair", "no");
    assert_true(wait_until(is_live, NULL, scaled_ms(TIMEOUT)));
    for (int i = 0; i < sent; i++)
        redis_do(from, "INCR counter");
    assert_true(wait_until(has_applied, &sent, scaled_ms(TIMEOUT)));
    assert_int_equal(metric("keys_failed"), 0);

    assert_true(http_open(&h, port));
    assert_int_equal(http_ask(&h, "GET", "/metrics", ""), 200);
    assert_string_equal(http_header(&h, "content-type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(http_ask(&h, "HEAD", "/metrics", ""), 200);
    assert_int_equal(http_ask(&h, "POST", "/metrics", "Content-Length: 0\r\n"), 405);
    assert_int_equal(http_ask(&h, "GET", "/finish", ""), 404);
    assert_int_equal(http_ask(&h, "GET", "/metrics", ""), 200);
    http_close(&h);
    metric("keys");
    expect_format();

    /* The same numbers as over the socket. */
    migrate_run(&same, "metrics", path, NULL);
    assert_int_equal(same.code, 0);
    assert_non_null(strstr(same.out, "\nslotgate_migrate_keys 500\n"));
    assert_non_null(strstr(same.out, "# HELP slotgate_migrate_lag_bytes lag, bytes\n"));
    migrate_free(&same);
    migrate_expect_good("finish", path);
    migrate_wait(&m, scaled_ms(TIMEOUT));
    assert_int_equal(m.code, 0);
    assert_int_equal(http_once(port, "GET", "/metrics", "", page, sizeof(page)), 0);
    migrate_free(&m);
}

/* Somebody connects and says nothing; the end does not wait for him. */
static void test_silent_client(void **state)
{
    struct migrate m;
    struct http h;
    (void)state;
    begin(&m, "--repair", "no");
    assert_true(wait_until(is_live, NULL, scaled_ms(TIMEOUT)));
    assert_true(http_open(&h, port));
    assert_true(http_send(&h, "GET /met"));
    migrate_expect_good("finish", path);
    migrate_wait(&m, scaled_ms(TIMEOUT));
    assert_int_equal(m.code, 0);
    http_close(&h);
    migrate_free(&m);
}

static void test_no_such_address(void **state)
{
    struct migrate m;
    (void)state;
    begin(&m, "--metrics-bind", "192.0.2.1");
    migrate_wait(&m, scaled_ms(TIMEOUT));
    assert_int_equal(m.code, 1);
    assert_non_null(strstr(m.err, "cannot listen"));
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_silent_client),
        cmocka_unit_test(test_no_such_address),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
