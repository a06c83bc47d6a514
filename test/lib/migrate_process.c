#include "test/lib/migrate_process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/testenv.h"

enum { WORDS_MAX = 40, PATIENCE_MS = 60000, AWAIT_MS = 30000 };

static const char *binary(void)
{
    const char *path = getenv("SLOTGATE_MIGRATE_BIN");
    if (path == NULL || path[0] == '\0') {
        fprintf(stderr, "SLOTGATE_MIGRATE_BIN does not name the program\n");
        exit(1);
    }
    return path;
}

void migrate_start(struct migrate *m, const char *const *words)
{
    const char *argv[WORDS_MAX + 1] = { binary() };
    static unsigned number;
    char name[32];
    size_t n = 1;
    for (; *words != NULL; words++) {
        REQUIRE(n < WORDS_MAX);
        argv[n++] = *words;
    }
    *m = (struct migrate){ .code = -1 };
    snprintf(name, sizeof(name), "migrate-%u", number++);
    assert_true(process_start(&m->process, name, argv,
                              (const char *const[]){ "ASAN_OPTIONS=detect_leaks=1", NULL }));
}

/* For the case that a comparison fails afterwards; under a name whose end is not printed then. */
static void keep_log(const struct migrate *m)
{
    char path[sizeof(m->process.err) + 8];
    snprintf(path, sizeof(path), "%s.log", m->process.err);
    rename(m->process.err, path);
}

void migrate_wait(struct migrate *m, int timeout_ms)
{
    if (!process_wait(&m->process, scaled_ms(timeout_ms))) {
        process_kill(&m->process);
        char *err = file_text(m->process.err);
        fail_msg("slotgate-migrate does not end: %.3000s", err != NULL ? err : "");
    }
    m->code = m->process.exit_code;
    m->out = file_text(m->process.out);
    m->err = file_text(m->process.err);
    assert_non_null(m->out);
    assert_non_null(m->err);
    if (strstr(m->err, "Sanitizer") != NULL || strstr(m->err, "runtime error") != NULL ||
        strstr(m->err, "fatal") != NULL || m->code < 0)
        fail_msg("exit code %d: %.6000s", m->code, m->err);
    unlink(m->process.out);
    keep_log(m);
}

void migrate_run(struct migrate *m, const char *word, ...)
{
    const char *words[WORDS_MAX + 1] = { word };
    va_list args;
    size_t n = 1;
    va_start(args, word);
    while (n < WORDS_MAX && (words[n] = va_arg(args, const char *)) != NULL)
        n++;
    va_end(args);
    migrate_start(m, words);
    migrate_wait(m, PATIENCE_MS);
}

void migrate_free(struct migrate *m)
{
    free(m->out);
    free(m->err);
}

long long migrate_count(const struct migrate *m, const char *name)
{
    const char *at = strstr(m->out, name);
    return at == NULL ? -1 : strtoll(at + strlen(name), NULL, 10);
}

long long migrate_status(const char *socket, const char *name)
{
    struct migrate m;
    migrate_run(&m, "status", socket, NULL);
    long long n = m.code == 0 ? migrate_count(&m, name) : -1;
    migrate_free(&m);
    return n;
}

int migrate_says(const struct migrate *m, const char *text)
{
    char *log = file_text(m->process.err);
    int times = 0;
    for (char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at++)
        times++;
    free(log);
    return times;
}

void migrate_stop(struct migrate *m, int code)
{
    process_signal(&m->process, SIGTERM);
    migrate_wait(m, AWAIT_MS);
    if (m->code != code)
        fail_msg("exit code %d: %.4000s%s", m->code, m->err, m->out);
}

struct saying {
    const struct migrate *m;
    const char *text;
    int times;
};

static bool has_said(void *arg)
{
    const struct saying *s = arg;
    return migrate_says(s->m, s->text) >= s->times;
}

static bool follows(void *m)
{
    return migrate_says(m, "full copy done") > 0 || migrate_says(m, "the stream goes on") > 0;
}

static void fail_without(const struct migrate *m, const char *text)
{
    char *log = file_text(m->process.err);
    fail_msg("it does not say \"%s\": %.5000s", text, log != NULL ? log : "");
}

void migrate_await(const struct migrate *m, const char *text, int times)
{
    struct saying s = { m, text, times };
    if (!wait_until(has_said, &s, scaled_ms(AWAIT_MS)))
        fail_without(m, text);
}

void migrate_await_stream(struct migrate *m)
{
    if (!wait_until(follows, m, scaled_ms(AWAIT_MS)))
        fail_without(m, "full copy done");
}

const char *migrate_state_dir(void)
{
    static char path[256];
    static int number;
    snprintf(path, sizeof(path), "%s/state-%d", testenv_dir(), number++);
    assert_int_equal(mkdir(path, 0700), 0);
    return path;
}

long long migrate_state(const char *dir, const char *name)
{
    char path[300], line[64];
    snprintf(path, sizeof(path), "%s/state", dir);
    snprintf(line, sizeof(line), "\n%s ", name);
    char *text = file_text(path);
    char *at = text != NULL ? strstr(text, line) : NULL;
    long long n = at != NULL ? atoll(at + strlen(line)) : -1;
    free(text);
    return n;
}
