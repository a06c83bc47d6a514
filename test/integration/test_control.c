/*
 * Both ends of slotgate-migrate's admin socket when the other one does not behave: a process that
 * goes before, in or behind its answer; askers that send garbage, or nothing, or that hang up.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

/* CLIENTS and LINE are the limits of migrate/admin.h. */
enum { TIMEOUT = 15000, GONE = 20, CLIENTS = 8, LINE = 4096, LEAVING = 200 };

static char path[300];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    snprintf(path, sizeof(path), "%s/admin.sock", testenv_dir());
    return 0;
}

static struct sockaddr_un address(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    assert_true(strlen(path) < sizeof(at.sun_path));
    memcpy(at.sun_path, path, strlen(path));
    return at;
}

/* --- a process that goes ------------------------------------------------------------------- */

struct mortal {
    int listener;
    bool reads;         /* takes the line first */
    const char *answer; /* what it still says; or NULL */
};

static void *serve(void *arg)
{
    struct mortal *m = arg;
    char line[LINE];
    int fd;
    while ((fd = accept(m->listener, NULL, NULL)) >= 0) {
        if (m->reads && read(fd, line, sizeof(line)) <= 0)
            testenv_problem("the command does not come");
        if (m->answer != NULL && write(fd, m->answer, strlen(m->answer)) < 0)
            testenv_problem("nobody takes the answer");
        close(fd);
    }
    return NULL;
}

/* On one processor whoever waits in accept is mostly faster than the next line of the asker. */
static void stay_on_one(cpu_set_t *before)
{
    cpu_set_t one;
    assert_int_equal(sched_getaffinity(0, sizeof(*before), before), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, before) && CPU_COUNT(&one) == 0)
            CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void ask_a_mortal(struct mortal m, int times, const char *out, const char *err)
{
    struct sockaddr_un at = address();
    pthread_t thread;
    cpu_set_t before;
    m.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m.listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(m.listener, 1), 0);
    stay_on_one(&before);
    assert_int_equal(pthread_create(&thread, NULL, serve, &m), 0);
    for (int i = 0; i < times; i++) {
        struct migrate asker;
        migrate_run(&asker, "status", path, NULL);
        assert_int_equal(asker.code, 1);
        assert_string_equal(asker.out, out);
        if (strstr(asker.err, err) == NULL)
            fail_msg("it says: %.500s", asker.err);
        migrate_free(&asker);
    }
    shutdown(m.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(m.listener);
    unlink(path);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void test_process_goes(void **state)
{
    static const char gone[] = "the process has gone without an answer";
    (void)state;
    ask_a_mortal((struct mortal){ 0 }, GONE, "", gone);
    ask_a_mortal((struct mortal){ .reads = true }, 1, "", gone);
    ask_a_mortal((struct mortal){ .reads = true, .answer = "half an an" }, 1, "half an an\n", gone);
    ask_a_mortal((struct mortal){ .reads = true, .answer = "a line\nERR why\n" }, 1, "a line\n",
                 "slotgate-migrate: why\n");
    /* What it has said before counts, though it does not read. */
    ask_a_mortal((struct mortal){ .answer = "ERR full\n" }, GONE, "", "slotgate-migrate: full\n");
}

static void expect_no_process(const char *at, const char *why)
{
    struct migrate m;
    migrate_run(&m, "cutover", at, NULL);
    assert_int_equal(m.code, 1);
    assert_string_equal(m.out, "");
    assert_non_null(strstr(m.err, why));
    assert_non_null(strstr(m.err, "is a sync running with this --admin-socket?"));
    migrate_free(&m);
}

static void test_no_process(void **state)
{
    char longer[LINE];
    (void)state;
    expect_no_process(path, "No such file or directory");
    expect_no_process(testenv_dir(), "Connection refused");
    memset(longer, 'a', 200);
    longer[200] = '\0';
    expect_no_process(longer, "File name too long");
}

/* --- askers that do not behave ------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_un at = address();
    const struct timeval patience = { .tv_sec = scaled_ms(TIMEOUT) / 1000 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* All that comes until the other side closes. */
static void hear(int fd, char *answer, size_t room)
{
    size_t len = 0;
    ssize_t n;
    while ((n = recv(fd, answer + len, room - 1 - len, 0)) > 0 || (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    if (n != 0)
        fail_msg("%s behind %zu bytes", strerror(errno), len);
    answer[len] = '\0';
    close(fd);
}

static void expect_answer(const char *words, size_t len, const char *expected)
{
    char answer[LINE];
    int fd = dial();
    if (len > 0) /* who is turned away may be so already */
        assert_int_equal(send(fd, words, len, MSG_NOSIGNAL), len);
    hear(fd, answer, sizeof(answer));
    if (strncmp(answer, expected, strlen(expected)) != 0)
        fail_msg("it answers: %.300s", answer);
}

static bool is_asked(void *arg)
{
    (void)arg;
    return migrate_status(path, "repair set") >= 0;
}

static void expect_garbage_refused(void)
{
    static const char zeros[32] = { [31] = '\n' };
    char words[LINE];
    expect_answer("\n", 1, "ERR unknown command: ");
    expect_answer(zeros, sizeof(zeros), "ERR unknown command: ");
    expect_answer("statusstatus\n", 13, "ERR unknown command: ");
    expect_answer("pausepause\nstatus\n", 18, "ERR unknown command: ");
    expect_answer("\xff\xfe\x80 \x01\n", 6, "ERR unknown command: ");
    memset(words, 'a', sizeof(words));
    words[LINE - 2] = '\n'; /* as long as one may be */
    expect_answer(words, LINE - 1, "ERR unknown command: ");
}

/* A line without an end. */
static void expect_longest(void)
{
    char words[LINE], answer[LINE];
    int fd = dial();
    memset(words, 'a', sizeof(words));
    assert_int_equal(send(fd, words, LINE - 1, MSG_NOSIGNAL), LINE - 1);
    hear(fd, answer, sizeof(answer));
    assert_string_equal(answer, "");
}

static void hang_up_in_between(void)
{
    static const char *const words[] = { "status\n", "metrics\n", "sta", "" };
    for (size_t i = 0; i < LEAVING; i++) {
        int fd = dial();
        (void)!send(fd, words[i % 4], strlen(words[i % 4]), MSG_NOSIGNAL);
        close(fd);
    }
    assert_true(wait_until(is_asked, NULL, scaled_ms(TIMEOUT)));
}

/* Whoever says nothing holds a place for five seconds; the next one is told why he is not heard. */
static void expect_silent_ones_closed(void)
{
    int silent[CLIENTS];
    char answer[LINE];
    for (int i = 0; i < CLIENTS; i++)
        silent[i] = dial();
    expect_answer("", 0, "ERR 8 others are asking");
    for (int i = 0; i < CLIENTS; i++) {
        hear(silent[i], answer, sizeof(answer));
        assert_string_equal(answer, "");
    }
    assert_true(is_asked(NULL));
}

static void test_askers(void **state)
{
    struct migrate m;
    (void)state;
    moving_begin(&m, (const char *const[]){ "sync", source_at, target_at, "--spool-dir",
                                            testenv_dir(), "--admin-socket", path, NULL });
    expect_garbage_refused();
    expect_longest();
    hang_up_in_between();
    expect_silent_ones_closed();
    redis_do(from, "SET goes on");
    moving_finish(&m);
    moving_expect_plain();
    migrate_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_process),
        cmocka_unit_test(test_process_goes),
        cmocka_unit_test(test_askers),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
