#include "test/lib/proxy_process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/testenv.h"

const char *proxy_binary(void)
{
    const char *path = getenv("SLOTGATE_BIN");

    if (path == NULL || path[0] == '\0') {
        fprintf(stderr, "SLOTGATE_BIN does not name the proxy\n");
        exit(1);
    }
    return path;
}

/* Whether the test sets this option itself. */
static bool named_in(const char *const *extra, const char *option)
{
    for (; extra != NULL && *extra != NULL; extra++)
        if (strcmp(*extra, option) == 0)
            return true;
    return false;
}

void proxy_launch(struct proxy *p, const char *seeds, const char *const *extra,
                  const char *const *env)
{
    /* The sanitizer keeps freed memory for a while; were it much, it would look like a leak. */
    const char *all_env[16] = { "ASAN_OPTIONS=quarantine_size_mb=4:detect_leaks=1" };
    const char *argv[48] = { proxy_binary() };
    char port[8], name[32];
    size_t n = 1, e = 1;

    signal(SIGPIPE, SIG_IGN);
    *p = (struct proxy){ .port = port_take() };
    snprintf(port, sizeof(port), "%d", p->port);
    snprintf(name, sizeof(name), "slotgate-%d", p->port);
    const char *const defaults[][2] = { { "-p", port },
                                        { "--bind", "127.0.0.1" },
                                        { "--request-timeout", "5s" },
                                        { "--worker-timeout", "15s" },
                                        { "--log-level", "info" },
                                        { "--admin-password", PROXY_ADMIN_PASSWORD } };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (named_in(extra, defaults[i][0]))
            continue;
        argv[n++] = defaults[i][0];
        argv[n++] = defaults[i][1];
    }
    for (; extra != NULL && *extra != NULL; extra++) {
        REQUIRE(n + 2 < ARRAY_LEN(argv));
        argv[n++] = *extra;
    }
    argv[n++] = seeds;
    argv[n] = NULL;
    for (; env != NULL && *env != NULL; env++) {
        REQUIRE(e + 1 < ARRAY_LEN(all_env));
        all_env[e++] = *env;
    }
    all_env[e] = NULL;
    assert_true(process_start(&p->process, name, argv, all_env));
}

void proxy_login_admin(struct client *c)
{
    client_ask_expect(c, "+OK\r\n", "AUTH", "admin", PROXY_ADMIN_PASSWORD);
}

bool proxy_answers(struct proxy *p)
{
    struct client c;
    bool answers = false;

    if (client_open(&c, p->port)) {
        const char *reply = client_ask(&c, "PING", NULL);
        answers = reply != NULL && strcmp(reply, "+PONG\r\n") == 0;
    }
    client_close(&c);
    return answers;
}

static bool ready_or_ended(void *arg)
{
    struct proxy *p = arg;

    return process_ended(&p->process) || proxy_answers(p);
}

void proxy_await_ready(struct proxy *p, int timeout_ms)
{
    if (!wait_until(ready_or_ended, p, timeout_ms))
        fail_msg("the proxy does not answer on port %d", p->port);
    if (p->process.pid == 0)
        fail_msg("the proxy ended with %d instead of listening", p->process.exit_code);
}

void proxy_start(struct proxy *p, const char *seeds, const char *const *extra)
{
    proxy_launch(p, seeds, extra, NULL);
    proxy_await_ready(p, scaled_ms(10000));
}

/* What no log of a healthy proxy contains. */
static const char *complaint_in(const char *log)
{
    static const char *const bad[] = { "AddressSanitizer", "LeakSanitizer",
                                       "runtime error:", "this must hold" };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (strstr(log, bad[i]) != NULL)
            return bad[i];
    return NULL;
}

/* What it ended with, and what it has said. */
static bool has_ended_well(struct proxy *p)
{
    bool clean = p->process.exit_code == 0;

    if (!clean)
        testenv_problem("the proxy left with %d", p->process.exit_code);
    char *log = proxy_log(p);
    const char *complaint = log != NULL ? complaint_in(log) : NULL;
    if (complaint != NULL) {
        testenv_problem("the proxy's log contains \"%s\"", complaint);
        clean = false;
    }
    free(log);
    port_give_back(p->port);
    p->port = 0;
    return clean;
}

bool proxy_await_end(struct proxy *p)
{
    if (process_wait(&p->process, scaled_ms(20000)))
        return has_ended_well(p);
    testenv_problem("the proxy does not leave when it is told to");
    process_kill(&p->process);
    (void)has_ended_well(p);
    return false;
}

bool proxy_stop(struct proxy *p)
{
    if (p->port == 0)
        return true;
    if (process_ended(&p->process)) {
        testenv_problem("the proxy had ended by itself with %d", p->process.exit_code);
        (void)has_ended_well(p);
        return false;
    }
    process_signal(&p->process, SIGTERM);
    return proxy_await_end(p);
}

int proxy_workers(const struct proxy *p, pid_t *pids, int max)
{
    char path[64];
    int n = 0, pid;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)p->process.pid,
             (int)p->process.pid);
    FILE *file = fopen(path, "re");
    while (file != NULL && n < max && fscanf(file, "%d", &pid) == 1)
        pids[n++] = pid;
    if (file != NULL)
        fclose(file);
    return n;
}

static pid_t first_worker(const struct proxy *p)
{
    pid_t pid = 0;

    return proxy_workers(p, &pid, 1) == 1 ? pid : 0;
}

/* One number of the worker's /proc/PID/status. */
static long status_kib(const struct proxy *p, const char *field)
{
    char path[64];
    long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)first_worker(p));
    char *status = file_text(path);
    const char *line = status != NULL ? strstr(status, field) : NULL;
    if (line != NULL)
        kib = strtol(line + strlen(field), NULL, 10);
    free(status);
    return kib;
}

long proxy_rss_kib(const struct proxy *p)
{
    return status_kib(p, "VmRSS:");
}

long proxy_peak_kib(const struct proxy *p)
{
    return status_kib(p, "VmHWM:");
}

void proxy_forget_peak(const struct proxy *p)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)first_worker(p));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("5", f); /* see proc(5): resets the peak and touches nothing else */
    fclose(f);
}

char *proxy_log(const struct proxy *p)
{
    return file_text(p->process.err);
}

int proxy_log_count(const struct proxy *p, const char *text)
{
    char *log = proxy_log(p);
    int n = 0;

    for (const char *at = log; at != NULL && (at = strstr(at, text)) != NULL; at++)
        n++;
    free(log);
    return n;
}

struct awaited {
    const struct proxy *proxy;
    const char *text;
    int n;
};

static bool is_logged(void *arg)
{
    const struct awaited *a = arg;

    return proxy_log_count(a->proxy, a->text) >= a->n;
}

void proxy_await_log(const struct proxy *p, const char *text, int n, int timeout_ms)
{
    struct awaited a = { p, text, n };

    if (!wait_until(is_logged, &a, timeout_ms))
        fail_msg("the log does not say %d times: %s", n, text);
}

static bool has_workers(void *arg)
{
    const struct awaited *a = arg;
    pid_t pids[300];

    return proxy_workers(a->proxy, pids, (int)ARRAY_LEN(pids)) == a->n;
}

void proxy_await_workers(const struct proxy *p, int n, int timeout_ms)
{
    struct awaited a = { p, NULL, n };

    if (!wait_until(has_workers, &a, timeout_ms))
        fail_msg("there are not %d workers", n);
}
