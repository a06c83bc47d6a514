/* The log in JSON: valid whatever the values are, and the same fields as in logfmt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_json.h"
#include "test/lib/json_line.h"

static int reader;
static char output[65536];

static int64_t fake_now(void)
{
    static int64_t now = INT64_C(1767225600) * 1000 + 7;
    return now += 1000; /* each line has its own budget */
}

static int setup(void **state)
{
    (void)state;
    int fds[2];
    if (pipe(fds) != 0)
        return -1;
    reader = fds[0];
    log_process.fd = fds[1];
    log_process.now_ms = fake_now;
    log_open(LOG_LEVEL_DEBUG);
    log_set_format(LOG_FORMAT_JSON);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close(log_process.fd);
    close(reader);
    log_process.fd = STDERR_FILENO;
    log_set_format(LOG_FORMAT_LOGFMT);
    return 0;
}

/* The one line that was written, without its end. */
static const char *line(void)
{
    ssize_t n = read(reader, output, sizeof(output) - 1);
    assert_true(n > 1);
    assert_int_equal(output[n - 1], '\n');
    output[n - 1] = '\0';
    assert_null(strchr(output, '\n'));
    const char *fault = json_line_fault(output, strlen(output));
    if (fault != NULL)
        fail_msg("%s: %s", fault, output);
    return output;
}

static void expect(const char *key, const char *value)
{
    char got[4096];
    assert_true(json_line_get(output, strlen(output), key, got, sizeof(got)));
    assert_string_equal(got, value);
}

static void absent(const char *key)
{
    char got[4096];
    assert_false(json_line_get(output, strlen(output), key, got, sizeof(got)));
}

static void one_line(void **state)
{
    (void)state;
    char expected[256];
    log_warn("node connection lost", "node=%s reason=%s pending=%u lag=%d", "10.0.0.1:7000",
             "reset", 3u, -1);
    snprintf(expected, sizeof(expected),
             "\"pid\":%d,\"event\":\"node connection lost\",\"node\":\"10.0.0.1:7000\","
             "\"reason\":\"reset\",\"pending\":3,\"lag\":-1}",
             (int)getpid());
    assert_non_null(strstr(line(), expected));
    assert_memory_equal(output, "{\"time\":\"2026-01-01T", 20);
    expect("level", "warn");
    log_error("started");
    assert_non_null(strstr(line(), "\"event\":\"started\"}"));
}

static void texts_stay_texts(void **state)
{
    (void)state;
    log_info("e", "name=%s digits=%s size=%zu big=%llu", log_text("007"), "12", (size_t)5,
             (unsigned long long)UINT64_MAX);
    assert_non_null(strstr(line(), "\"name\":\"007\",\"digits\":\"12\",\"size\":5,"
                                   "\"big\":18446744073709551615}"));
}

static void escapes(void **state)
{
    (void)state;
    log_info("e", "name=%s next=%s", log_text("a b\n\"c\"\\ =\x01"), "x");
    line();
    expect("name", "a b\n\"c\"\\ =\x01");
    expect("next", "x");
    log_info("e", "name=%s", "raw\t\"quote\" \\ and \x7f");
    line();
    expect("name", "raw\t\"quote\" \\ and \x7f");
}

static void no_field_is_forged(void **state)
{
    (void)state;
    log_info("client left", "name=%s id=%d", "a level=error event=forged", 7);
    line();
    expect("name", "a level=error event=forged");
    expect("event", "client left");
    expect("id", "7");
    absent("forged");
    log_info("e", "name=%s id=%d", log_text("x\" id=9 y=\"z"), 7);
    line();
    expect("name", "x\" id=9 y=\"z");
    expect("id", "7");
}

static void foreign_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *shown;
    } cases[] = {
        { "caf\xc3\xa9", "caf\xc3\xa9" },
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
        { "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b" },
        { "\xc3", "\xef\xbf\xbd" },                                 /* cut off */
        { "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd" },                 /* overlong */
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, /* a surrogate */
        { "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_info("e", "raw=%s quoted=%s", cases[i].bytes, log_text(cases[i].bytes));
        line();
        expect("raw", cases[i].shown);
        expect("quoted", cases[i].shown);
    }
}

static void long_values_are_cut(void **state)
{
    (void)state;
    static char big[3 * LOG_LINE_MAX];
    static const char fills[] = { 'x', '"', '\x01', '\xff' };
    for (size_t i = 0; i < sizeof(fills); i++) {
        memset(big, fills[i], sizeof(big) - 1);
        log_info("big", "value=%s next=%d", big, 1);
        assert_non_null(strstr(line(), "(...)\"}"));
        assert_true(strlen(output) < 4096); /* one write stays whole in a pipe */
        log_info("big", "value=%s next=%d", log_text(big), 1);
        line();
        expect("next", "1");
    }
}

/* Whatever bytes, whatever room: a sound object. */
static void random_bytes(void **state)
{
    (void)state;
    srandom(20260101);
    for (int round = 0; round < 20000; round++) {
        char value[64], fields[256], out[512];
        size_t n = (size_t)random() % sizeof(value);
        for (size_t i = 0; i < n; i++)
            value[i] = (char)(1 + random() % 255);
        if (n > 0)
            value[n - 1] = '\0';
        value[sizeof(value) - 1] = '\0';
        snprintf(fields, sizeof(fields), " a=%s b=%d c=%s", n > 0 ? value : "", round,
                 round % 2 == 0 && n > 0 ? value : "q");
        struct log_json j;
        log_json_begin(&j, out, LOG_JSON_MIN + (size_t)random() % (sizeof(out) - LOG_JSON_MIN));
        log_json_text(&j, "event", "random");
        log_json_fields(&j, " a=%s b=%d c=%s", fields);
        size_t len = log_json_end(&j);
        const char *fault = json_line_fault(out, len);
        if (fault != NULL)
            fail_msg("round %d, %s: %.*s", round, fault, (int)len, out);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_line),           TEST(texts_stay_texts), TEST(escapes),
        TEST(no_field_is_forged), TEST(foreign_bytes),    TEST(long_values_are_cut),
        TEST(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
