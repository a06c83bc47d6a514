/*
 * slotgate-migrate whose terminal or reader is gone: SIGHUP, once and twice, and under nohup; its
 * output a pipe that nobody reads any more; askers at the socket that leave before the answer.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/moving.h"
#include "test/lib/testenv.h"

enum { TIMEOUT = 20000, COUNTS = 50, ROUNDS = 5, DIFFERING = 3000 };

static char state_dir[220], socket_at[100];

static int start(void **state)
{
    (void)state;
    moving_start(&(struct moving){ .parts = MOVING_PLAIN });
    return 0;
}

static void begin(void)
{
    moving_empty();
    snprintf(state_dir, sizeof(state_dir), "%s", migrate_state_dir());
    assert_true(snprintf(socket_at, sizeof(socket_at), "%s/one.sock", state_dir) <
                (int)sizeof(socket_at));
}

static void start_sync(struct migrate *m)
{
    migrate_start(m, (const char *const[]){ "sync", source_at, target_at, "--name", "one",
                                            "--state-dir", state_dir, NULL });
    migrate_await_stream(m);
}

static void count_up(void)
{
    for (int i = 0; i < COUNTS; i++)
        redis_do(from, "INCR counter");
}

static bool has_received(void *arg)
{
    redisReply *reply = redis_ask(from, "INFO replication");
    const char *at = strstr(reply->str, "master_repl_offset:");
    long long sent = at != NULL ? atoll(at + strlen("master_repl_offset:")) : -1;
    freeReplyObject(reply);
    (void)arg;
    return sent >= 0 && migrate_status(socket_at, "offset received") >= sent;
}

/* --- signals ------------------------------------------------------------------------------- */

/* What was received is applied, though the shell and the system both tell it. */
static void test_terminal(void **state)
{
    struct migrate m;
    (void)state;
    begin();
    start_sync(&m);
    process_signal(&target.process, SIGSTOP);
    count_up();
    assert_true(wait_until(has_received, NULL, scaled_ms(TIMEOUT)));
    process_signal(&m.process, SIGHUP);
    migrate_await(&m, "stopping: what has been received is still applied", 1);
    process_signal(&m.process, SIGHUP);
    process_signal(&target.process, SIGCONT);
    migrate_wait(&m, TIMEOUT);
    if (m.code != 0)
        fail_msg("exit code %d: %.4000s", m.code, m.err);
    migrate_free(&m);
    moving_expect_but_markers(true);
    count_up();
    start_sync(&m); /* the next one goes on */
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_but_markers(true);
}

static void test_nohup(void **state)
{
    struct migrate m;
    (void)state;
    begin();
    signal(SIGHUP, SIG_IGN);
    start_sync(&m);
    signal(SIGHUP, SIG_DFL);
    process_signal(&m.process, SIGHUP);
    count_up();
    moving_finish(&m);
    migrate_free(&m);
    moving_expect_but_markers(true);
}

/* No half of a file stays behind. */
static void test_dump(void **state)
{
    struct migrate m;
    char file[260], partial[280];
    (void)state;
    begin();
    snprintf(file, sizeof(file), "%s/dump.rdb", testenv_dir());
    snprintf(partial, sizeof(partial), "%s.partial", file);
    redis_do(from, "DEBUG POPULATE 3000 filler 20");
    redis_do(from, "CONFIG SET rdb-key-save-delay 1000");
    migrate_start(&m, (const char *const[]){ "dump", source_at, file, NULL });
    migrate_await(&m, "full copy begins", 1);
    process_signal(&m.process, SIGHUP);
    migrate_wait(&m, TIMEOUT);
    assert_int_equal(m.code, 1);
    migrate_free(&m);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(access(partial, F_OK), -1);
    redis_do(from, "CONFIG SET rdb-key-save-delay 0");
}

/* --- readers ------------------------------------------------------------------------------- */

/* Runs it with all its output in a pipe, whose reader leaves behind the first byte. */
static void start_unread(struct process *p, const char *const *words)
{
    static int number;
    const char *argv[32] = { "/bin/sh", "-c", "exec \"$@\" >\"$0\" 2>&1" };
    char fifo[260], name[32], byte;
    size_t n = 3;
    snprintf(name, sizeof(name), "unread-%d", number++);
    snprintf(fifo, sizeof(fifo), "%s/%s.fifo", testenv_dir(), name);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    argv[n++] = fifo;
    argv[n++] = getenv("SLOTGATE_MIGRATE_BIN");
    for (; *words != NULL; words++)
        argv[n++] = *words;
    assert_true(process_start(p, name, argv, NULL));
    int fd = open(fifo, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
}

static bool is_there(void *path)
{
    return access(path, F_OK) == 0;
}

static void test_log_unread(void **state)
{
    struct process p;
    (void)state;
    begin();
    redis_do(from, "SET wrong x");
    start_unread(&p, (const char *const[]){ "sync", source_at, target_at, "--name", "one",
                                            "--state-dir", state_dir, NULL });
    assert_true(wait_until(is_there, socket_at, scaled_ms(TIMEOUT)));
    count_up();
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(TIMEOUT)));
    redis_do(to, "DEL wrong");
    redis_do(to, "SADD wrong x");
    redis_do(from, "APPEND wrong x"); /* a line of the log that nobody reads */
    count_up();
    assert_true(wait_until(moving_caught_up, NULL, scaled_ms(TIMEOUT)));
    migrate_expect_good("cutover", socket_at);
    migrate_expect_good("finish", socket_at);
    assert_true(process_wait(&p, scaled_ms(TIMEOUT)));
    assert_int_equal(p.exit_code, 0);
    moving_expect_but_markers(true);
}

static void test_verify_unread(void **state)
{
    struct process p;
    char file[260];
    int lines = 0;
    (void)state;
    begin();
    snprintf(file, sizeof(file), "%s/differing", testenv_dir());
    redis_do(from, "DEBUG POPULATE %d here 20", DIFFERING);
    start_unread(&p, (const char *const[]){ "verify", source_at, target_at, "--rounds", "1",
                                            "--diff-file", file, NULL });
    assert_true(process_wait(&p, scaled_ms(TIMEOUT)));
    assert_int_equal(p.exit_code, 1);
    char *text = file_text(file);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    free(text);
    assert_int_equal(lines, DIFFERING);
}

static void ask_and_leave(const char *command)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", socket_at);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_true(write(fd, command, strlen(command)) > 0);
    close(fd);
}

static void test_askers_leave(void **state)
{
    struct migrate m;
    (void)state;
    begin();
    start_sync(&m);
    for (int i = 0; i < ROUNDS; i++) {
        ask_and_leave("status\n");
        ask_and_leave("metrics\n");
        assert_true(migrate_status(socket_at, "keys copied") >= 0); /* one behind the other */
    }
    ask_and_leave("cutover sample=1000 pause=0\n");
    count_up();
    migrate_await(&m, "cutover ends", 1);
    moving_catch_up(&m);
    ask_and_leave("finish\n");
    migrate_wait(&m, TIMEOUT);
    assert_int_equal(m.code, 0);
    migrate_free(&m);
    moving_expect_but_markers(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_terminal),      cmocka_unit_test(test_nohup),
        cmocka_unit_test(test_dump),          cmocka_unit_test(test_log_unread),
        cmocka_unit_test(test_verify_unread), cmocka_unit_test(test_askers_leave),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, moving_end));
}
