#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int64_t now;
static int reader;
static char output[65536];

static int64_t fake_now(void)
{
    return now;
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
    now = INT64_C(1767225600) * 1000 + 7; /* 2026-01-01T00:00:00.007Z */
    log_open(LOG_LEVEL_DEBUG);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_flush();
    close(log_process.fd);
    close(reader);
    log_process.fd = STDERR_FILENO;
    return 0;
}

/* What was written since the last call; the closing mark shows that nothing else was. */
static const char *written(void)
{
    assert_int_equal(write(log_process.fd, "", 1), 1);
    size_t len = 0;
    do {
        ssize_t n = read(reader, output + len, sizeof(output) - len);
        assert_true(n > 0);
        len += (size_t)n;
    } while (output[len - 1] != '\0');
    return output;
}

static int count_lines(const char *s)
{
    int lines = 0;
    for (; *s != '\0'; s++)
        lines += *s == '\n';
    return lines;
}

static void one_line(void **state)
{
    (void)state;
    char expected[256];
    log_info("topology changed", "nodes=%d epoch=%u", 3, 7u);
    snprintf(expected, sizeof(expected),
             "time=2026-01-01T00:00:00.007Z level=info pid=%d event=\"topology changed\" nodes=3 "
             "epoch=7\n",
             (int)getpid());
    assert_string_equal(written(), expected);
    log_error("started");
    snprintf(expected, sizeof(expected),
             "time=2026-01-01T00:00:00.007Z level=error pid=%d event=\"started\"\n", (int)getpid());
    assert_string_equal(written(), expected);
}

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

static void levels(void **state)
{
    (void)state;
    static const enum log_level all[] = { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN,
                                          LOG_LEVEL_ERROR };
    for (int i = 0; i < 4; i++) {
        now += 1000; /* each turn has its own budget */
        log_open(all[i]);
        log_debug("d");
        log_info("i");
        log_warn("w");
        log_error("e");
        assert_int_equal(count_lines(written()), 4 - i);
    }
    evaluated = 0;
    log_debug("d", "n=%d", evaluate());
    assert_int_equal(evaluated, 0);
}

static void say(int i)
{
    log_warn("node lost", "n=%d", i);
}

static void a_site_is_limited(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        say(i);
    assert_int_equal(count_lines(written()), LOG_SITE_LINES);

    log_tick(); /* the second is not over */
    assert_string_equal(written(), "");
    log_info("another site is not limited");
    assert_int_equal(count_lines(written()), 1);

    now += 1000;
    log_tick();
    const char *text = written();
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "level=warn"));
    assert_non_null(strstr(text, "event=\"node lost\" suppressed=90\n"));
    log_tick();
    assert_string_equal(written(), "");

    say(1);
    assert_non_null(strstr(written(), "n=1\n"));
}

static void suppressed_comes_before_the_next_line(void **state)
{
    (void)state;
    now += 5000;
    for (int i = 0; i < 12; i++)
        say(i);
    written();
    now += 1000;
    say(99);
    const char *text = written();
    assert_int_equal(count_lines(text), 2);
    const char *suppressed = strstr(text, "suppressed=2");
    assert_non_null(suppressed);
    assert_non_null(strstr(suppressed, "n=99"));

    for (int i = 0; i < 12; i++)
        say(i);
    written();
    log_flush();
    assert_non_null(strstr(written(), "suppressed=3"));
}

static void foreign_bytes_stay_in_the_line(void **state)
{
    (void)state;
    log_info("client left", "name=%s", "a\nlevel=error event=forged\r\x7f");
    const char *text = written();
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "name=a?level=error event=forged??\n"));

    log_info("client left", "name=%s peer=%s none=%s", log_text("a b\n\"c\""),
             log_bytes("127.0.0.1:7000xx", 14), log_text(NULL));
    assert_non_null(
        strstr(written(), " name=\"a b\\n\\\"c\\\"\" peer=127.0.0.1:7000 none=(none)\n"));
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    char big[3 * LOG_LINE_MAX];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    log_info("big", "value=%s", big);
    const char *text = written();
    assert_int_equal(count_lines(text), 1);
    assert_true(strlen(text) < LOG_LINE_MAX + 8);
    assert_non_null(strstr(text, "x(...)\n"));
    log_info("big", "value=%s", log_text(big));
    assert_true(strlen(written()) < LOG_TEXT_MAX + 100);
}

static void a_dead_log_is_survived(void **state)
{
    (void)state;
    int fd = log_process.fd;
    log_process.fd = -1;
    log_info("into the void");
    log_process.fd = fd;
    assert_string_equal(written(), "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_line),
        TEST(levels),
        TEST(a_site_is_limited),
        TEST(suppressed_comes_before_the_next_line),
        TEST(foreign_bytes_stay_in_the_line),
        TEST(a_long_line_is_cut),
        TEST(a_dead_log_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
