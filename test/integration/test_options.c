/*
 * What an operator types: options from the command line, the environment and a file, what is said
 * about wrong ones, and passwords, which reach the nodes and nothing else.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

#define SECRET "s3cr3t-Of-The-Default-User"
#define USER_SECRET "s3cr3t-Of-Alice"

static struct redis_cluster open_cluster, closed_cluster;
static struct proxy proxy;
static struct process child;
static char open_seeds[512], closed_seeds[512];

static int start(void **state)
{
    static const char *const alice[] = { "--user", "alice", "on",    ">" USER_SECRET,
                                         "~*",     "&*",    "+@all", NULL };

    (void)state;
    cluster_start(&open_cluster, &(struct cluster_options){ .masters = 1 });
    cluster_start(&closed_cluster,
                  &(struct cluster_options){ .masters = 2, .password = SECRET, .extra = alice });
    cluster_seeds(&open_cluster, open_seeds);
    cluster_seeds(&closed_cluster, closed_seeds);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    cluster_stop(&open_cluster);
    cluster_stop(&closed_cluster);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    if (child.pid != 0)
        process_kill(&child);
    return 0;
}

/* Runs the proxy with just these arguments until it ends by itself; its exit code. The texts are
   the caller's to free. */
static int run(const char *const *arguments, char **out, char **err)
{
    static int number;
    const char *argv[32] = { proxy_binary() };
    char name[32];
    size_t n = 1;

    for (; *arguments != NULL; arguments++) {
        REQUIRE(n + 1 < ARRAY_LEN(argv));
        argv[n++] = *arguments;
    }
    argv[n] = NULL;
    snprintf(name, sizeof(name), "run-%d", ++number);
    assert_true(process_start(&child, name, argv, NULL));
    if (!process_wait(&child, scaled_ms(5000))) {
        process_kill(&child);
        fail_msg("still running: %s %s", argv[0], argv[1]);
    }
    *out = file_text(child.out);
    *err = file_text(child.err);
    assert_true(*out != NULL && *err != NULL);
    return child.exit_code;
}

/* Exit code 2, nothing on stdout and one line on stderr, which contains the part. */
static void expect_refusal(const char *const *arguments, const char *part)
{
    char *out, *err;
    int code = run(arguments, &out, &err);
    size_t len = strlen(err);

    if (code != 2 || len == 0 || strchr(err, '\n') != err + len - 1 || out[0] != '\0' ||
        strstr(err, part) == NULL)
        fail_msg("%s %s: code %d, wanted one line with \"%s\", stdout: %s stderr: %s", arguments[0],
                 arguments[1] != NULL ? arguments[1] : "", code, part, out, err);
    free(out);
    free(err);
}

static void test_wrong_options(void **state)
{
    static const struct {
        const char *arguments[6];
        const char *part; /* of the line: what a person needs to find the mistake */
    } wrong[] = {
        { { "--no-such-option", "127.0.0.1:7000" }, "no-such-option" },
        { { "-Q", "127.0.0.1:7000" }, "Q" },
        { { "--request-timeout", "banana", "127.0.0.1:7000" }, "request-timeout" },
        { { "--request-timeout", "-5s", "127.0.0.1:7000" }, "request-timeout" },
        { { "--request-timeout", "127.0.0.1:7000" }, "" }, /* the address is taken as its value */
        { { "127.0.0.1:7000", "--request-timeout" }, "request-timeout" },
        { { "-p", "notaport", "127.0.0.1:7000" }, "notaport" },
        { { "-p", "99999", "127.0.0.1:7000" }, "99999" },
        { { "-p", "-1", "127.0.0.1:7000" }, "" },
        { { "--max-pipeline", "0", "127.0.0.1:7000" }, "max-pipeline" },
        { { "--workers", "-3", "127.0.0.1:7000" }, "workers" },
        { { "--log-level", "loud", "127.0.0.1:7000" }, "log-level" },
        { { "--bind", "not-an-address", "127.0.0.1:7000" }, "not-an-address" },
        { { "-c", "/nonexistent/slotgate.conf", "127.0.0.1:7000" }, "/nonexistent/slotgate.conf" },
        { { "--auth-file", "/nonexistent/secret", "127.0.0.1:7000" }, "/nonexistent/secret" },
        { { "127.0.0.1:notaport" }, "127.0.0.1:notaport" },
        { { "127.0.0.1:0" }, "127.0.0.1:0" },
        { { "127.0.0.1:70000" }, "127.0.0.1:70000" },
        { { ":7000" }, ":7000" },
        { { "-p", "12000" }, "" }, /* no seed at all */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        expect_refusal(wrong[i].arguments, wrong[i].part);
}

static void test_wrong_files(void **state)
{
    const char *unknown = testenv_file("unknown.conf", "port 12000\nno-such-option 1\n");
    const char *bad = testenv_file("bad.conf", "# fine\n\nrequest-timeout banana\n");
    const char *empty = testenv_file("empty-secret", "");

    (void)state;
    expect_refusal((const char *const[]){ "-c", unknown, "127.0.0.1:7000", NULL },
                   "no-such-option");
    expect_refusal((const char *const[]){ "-c", bad, "127.0.0.1:7000", NULL }, "request-timeout");
    expect_refusal((const char *const[]){ "-c", testenv_dir(), "127.0.0.1:7000", NULL },
                   testenv_dir()); /* a directory cannot be read */
    expect_refusal((const char *const[]){ "--auth-file", empty, "127.0.0.1:7000", NULL }, empty);
}

static void test_version_and_help(void **state)
{
    char *out, *err;

    (void)state;
    assert_int_equal(run((const char *const[]){ "--version", NULL }, &out, &err), 0);
    assert_non_null(strstr(out, SLOTGATE_VERSION));
    assert_string_equal(err, "");
    free(out);
    free(err);
    assert_int_equal(run((const char *const[]){ "--help", NULL }, &out, &err), 0);
    assert_non_null(strstr(out, "--request-timeout"));
    assert_non_null(strstr(out, "--auth-file"));
    assert_non_null(strstr(out, "--workers"));
    assert_string_equal(err, "");
    free(out);
    free(err);
}

static bool serves(void)
{
    struct client c;
    const char *reply;
    bool ok = client_open(&c, proxy.port) &&
              (reply = client_ask(&c, "SET", "k", "v", NULL)) != NULL &&
              strcmp(reply, "+OK\r\n") == 0;

    client_close(&c);
    return ok;
}

static bool listens_or_ended(void *arg)
{
    (void)arg;
    return process_ended(&proxy.process) || proxy_answers(&proxy);
}

/* Starts it with exactly these arguments and environment; it is to serve on that port. */
static void expect_service(uint16_t port, const char *const *argv, const char *const *env)
{
    static int number;
    char name[32];

    proxy = (struct proxy){ .port = port };
    snprintf(name, sizeof(name), "options-%d", ++number);
    assert_true(process_start(&proxy.process, name, argv, env));
    assert_true(wait_until(listens_or_ended, NULL, scaled_ms(8000)));
    assert_true(proxy.process.pid != 0);
    assert_true(serves());
}

static void test_environment(void **state)
{
    uint16_t port = port_take();
    char variable[32];

    (void)state;
    snprintf(variable, sizeof(variable), "SLOTGATE_PORT=%d", port);
    expect_service(port, (const char *const[]){ proxy_binary(), open_seeds, NULL },
                   (const char *const[]){ variable, "SLOTGATE_BIND=127.0.0.1", NULL });
}

static void test_wrong_environment(void **state)
{
    char *err;

    (void)state;
    assert_true(process_start(&child, "wrong-env",
                              (const char *const[]){ proxy_binary(), "127.0.0.1:7000", NULL },
                              (const char *const[]){ "SLOTGATE_REQUEST_TIMEOUT=banana", NULL }));
    assert_true(process_wait(&child, scaled_ms(5000)));
    assert_int_equal(child.exit_code, 2);
    err = file_text(child.err);
    assert_non_null(err);
    assert_true(strstr(err, "SLOTGATE_REQUEST_TIMEOUT") != NULL || strstr(err, "request-timeout"));
    free(err);
}

static void test_file(void **state)
{
    uint16_t port = port_take();
    char text[256];

    (void)state;
    snprintf(text, sizeof(text),
             "# a comment\n\nport %d\nbind 127.0.0.1\n  request-timeout   2s\nlog-level \"info\"\n",
             port);
    expect_service(port,
                   (const char *const[]){ proxy_binary(), "-c", testenv_file("slotgate.conf", text),
                                          open_seeds, NULL },
                   NULL);
}

/* The nearer to the person who starts it, the stronger: command line, environment, file. */
static void test_precedence(void **state)
{
    uint16_t port = port_take();
    char text[64], port_text[8];
    const char *file;

    (void)state;
    snprintf(text, sizeof(text), "port 1\nbind 127.0.0.1\nrequest-timeout 2s\n");
    file = testenv_file("weak.conf", text);
    snprintf(port_text, sizeof(port_text), "%d", port);
    expect_service(
        port,
        (const char *const[]){ proxy_binary(), "-c", file, "-p", port_text, open_seeds, NULL },
        (const char *const[]){ "SLOTGATE_PORT=2", NULL });
    assert_true(proxy_stop(&proxy));
    port = port_take();
    snprintf(text, sizeof(text), "SLOTGATE_PORT=%d", port);
    expect_service(port, (const char *const[]){ proxy_binary(), "-c", file, open_seeds, NULL },
                   (const char *const[]){ text, NULL });
}

static void test_port_in_use(void **state)
{
    char port[8];
    char *out, *err;

    (void)state;
    snprintf(port, sizeof(port), "%d", open_cluster.node[0].port);
    int code = run((const char *const[]){ "-p", port, "--bind", "127.0.0.1", open_seeds, NULL },
                   &out, &err);
    assert_int_not_equal(code, 0);
    assert_true(code > 0);
    assert_non_null(strstr(err, port));
    free(out);
    free(err);
}

/* The start script of those who come from redis-cluster-proxy, with our program under its name. */
static void test_start_script_of_old(void **state)
{
    uint16_t port = port_take();
    char program[256], path[512], variable[32], text[1024];

    (void)state;
    snprintf(program, sizeof(program), "%s/redis-cluster-proxy", testenv_dir());
    assert_int_equal(symlink(proxy_binary(), program), 0);
    snprintf(path, sizeof(path), "PATH=%s:/usr/bin:/bin", testenv_dir());
    snprintf(variable, sizeof(variable), "PORT=%d", port);
    snprintf(text, sizeof(text),
             "#!/bin/sh\n"
             "exec redis-cluster-proxy --enable-cross-slot --threads 2 -p $PORT %s\n",
             open_seeds);
    expect_service(port,
                   (const char *const[]){ "sh", testenv_file("start-redis-proxy.sh", text), NULL },
                   (const char *const[]){ path, variable, "SLOTGATE_BIND=127.0.0.1", NULL });
    assert_true(proxy_stop(&proxy));
}

static void test_seeds_as_several_arguments(void **state)
{
    char first[32], second[32];

    (void)state;
    snprintf(first, sizeof(first), "127.0.0.1:%d", port_take()); /* nobody is there */
    snprintf(second, sizeof(second), "127.0.0.1:%d", open_cluster.node[0].port);
    proxy_start(&proxy, second, (const char *const[]){ first, NULL });
    assert_true(serves());
}

/* Serves with the password, and neither secret shows in what it logs at its most talkative. */
static void expect_secret_service(const char *const *extra, const char *const *env)
{
    const char *all[16] = { "--log-level", "debug" };
    size_t n = 2;
    struct client c;

    for (; *extra != NULL; extra++)
        all[n++] = *extra;
    all[n] = NULL;
    proxy_launch(&proxy, closed_seeds, all, env);
    proxy_await_ready(&proxy, scaled_ms(8000));
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 2; i++) {
        char key[64];
        const char *reply =
            client_ask(&c, "SET", cluster_key(&closed_cluster, i, 0, "k", key), "v", NULL);
        assert_non_null(reply);
        assert_string_equal(reply, "+OK\r\n");
    }
    /* A new connection after the old ones were cut has to log in again. */
    for (int n_node = 0; n_node < 2; n_node++)
        cluster_do(&closed_cluster, n_node, "CLIENT KILL TYPE normal");
    const char *reply = client_ask(&c, "GET", "k", NULL);
    assert_true(reply != NULL && reply[0] == '$');
    client_close(&c);
    char path[160];
    snprintf(path, sizeof(path), "%s", proxy.process.err);
    assert_true(proxy_stop(&proxy));
    char *log = file_text(path);
    assert_non_null(log);
    assert_null(strstr(log, SECRET));
    assert_null(strstr(log, USER_SECRET));
    free(log);
}

static void test_password_of_the_nodes(void **state)
{
    const char *secret = testenv_file("secret", SECRET "\n");
    const char *user_secret = testenv_file("user-secret", USER_SECRET "\n");

    (void)state;
    chmod(secret, 0600);
    chmod(user_secret, 0600);
    expect_secret_service((const char *const[]){ "-a", SECRET, NULL }, NULL);
    expect_secret_service((const char *const[]){ "--auth", SECRET, NULL }, NULL);
    expect_secret_service(
        (const char *const[]){ "--auth-user", "alice", "--auth", USER_SECRET, NULL }, NULL);
    expect_secret_service((const char *const[]){ "--auth-file", secret, NULL }, NULL);
    expect_secret_service(
        (const char *const[]){ "--auth-user", "alice", "--auth-file", user_secret, NULL }, NULL);
    expect_secret_service((const char *const[]){ NULL },
                          (const char *const[]){ "SLOTGATE_AUTH=" SECRET, NULL });
}

static bool log_names_the_reason(void *arg)
{
    char *log = proxy_log(&proxy);
    bool named = log != NULL && (strstr(log, "NOAUTH") != NULL || strstr(log, "WRONGPASS") != NULL);

    (void)arg;
    free(log);
    return named;
}

/* It does not listen, tells why, and shows no password while it does so. */
static void test_wrong_password(void **state)
{
    struct client c;

    (void)state;
    proxy_launch(&proxy, closed_seeds, (const char *const[]){ "-a", "wrong-" SECRET, NULL }, NULL);
    assert_true(wait_until(log_names_the_reason, NULL, scaled_ms(8000)));
    assert_false(client_open(&c, proxy.port));
    client_close(&c);
    char *log = proxy_log(&proxy);
    assert_null(strstr(log, SECRET));
    free(log);
}

/* A wrong command line with a password in it: the line on stderr does not repeat the password. */
static void test_password_beside_a_mistake(void **state)
{
    char *out, *err;

    (void)state;
    assert_int_equal(
        run((const char *const[]){ "-a", SECRET, "--no-such-option", "127.0.0.1:7000", NULL }, &out,
            &err),
        2);
    assert_null(strstr(err, SECRET));
    free(out);
    free(err);
}

#define OPTION_TEST(test) cmocka_unit_test_teardown(test, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPTION_TEST(test_wrong_options),
        OPTION_TEST(test_wrong_files),
        OPTION_TEST(test_version_and_help),
        OPTION_TEST(test_environment),
        OPTION_TEST(test_wrong_environment),
        OPTION_TEST(test_file),
        OPTION_TEST(test_precedence),
        OPTION_TEST(test_port_in_use),
        OPTION_TEST(test_start_script_of_old),
        OPTION_TEST(test_seeds_as_several_arguments),
        OPTION_TEST(test_password_of_the_nodes),
        OPTION_TEST(test_wrong_password),
        OPTION_TEST(test_password_beside_a_mistake),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
