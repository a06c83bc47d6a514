/*
 * Who may do what: requirepass as one Redis has it, the user admin, and the commands of the proxy
 * that only the admin may give.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/testenv.h"

static char password_file[256];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int start(void **state)
{
    char seeds[512];
    (void)state;
    struct client o;
    oracle_start(&oracle);
    assert_true(client_open(&o, oracle.port));
    client_ask_expect(&o, "+OK\r\n", "CONFIG", "SET", "requirepass", "open sesame");
    client_close(&o);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    snprintf(password_file, sizeof(password_file), "%s/requirepass", testenv_dir());
    write_file(password_file, "open sesame\n");
    proxy_launch(&proxy, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--requirepass-file", password_file, NULL }, NULL);
    proxy_await_log(&proxy, "event=\"listening\"", 1, scaled_ms(5000));
    return 0;
}

/* --- requirepass, as one Redis ---------------------------------------------------------------- */

static void test_nobody(void **state)
{
    static const char *const words[] = {
        "GET a",         "PING",  "nosuch a",    "GET",          "HELLO 3",
        "HELLO",         "RESET", "CLIENT LIST", "MULTI",        "SUBSCRIBE a",
        "AUTH wrong",    "GET a", "AUTH",        "AUTH default", "AUTH default wrong",
        "AUTH nobody x", "GET a", "AUTH a b c",  "CLIENT ID",    "HELLO 3 AUTH default wrong",
    };
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&c, &o, words[i]);
    beside_close(&c, &o);
}

static void test_login(void **state)
{
    static const char auth[] = "*2\r\n$4\r\nAUTH\r\n$11\r\nopen sesame\r\n";
    static const char named[] = "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$11\r\nopen sesame\r\n";
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    oracle_compare(&c, &o, auth, sizeof(auth) - 1);
    oracle_compare_words(&c, &o, "SET a 1");
    oracle_compare_words(&c, &o, "ACL WHOAMI");
    /* Who fails to log in anew stays who he is. */
    oracle_compare_words(&c, &o, "AUTH wrong");
    oracle_compare_words(&c, &o, "GET a");
    oracle_compare_words(&c, &o, "RESET");
    oracle_compare_words(&c, &o, "GET a");
    oracle_compare(&c, &o, named, sizeof(named) - 1);
    oracle_compare_words(&c, &o, "GET a");
    beside_close(&c, &o);

    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_command(&c, "HELLO", "3", "AUTH", "default", "open sesame", "SETNAME",
                                    "app", NULL));
    client_expect_start(&c, "%7\r\n");
    client_ask_expect(&c, "$3\r\napp\r\n", "CLIENT", "GETNAME");
    client_close(&c);
    assert_int_equal(proxy_log_count(&proxy, "sesame"), 0);
    assert_true(proxy_log_count(&proxy, "login refused") > 0);
}

/* In one packet: what stands before AUTH is refused, what stands behind it is not. */
static void test_pipeline(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_true(client_send_text(&c, "GET p\r\nAUTH \"open sesame\"\r\nSET p 1\r\nGET p\r\n"));
    client_expect(&c, "-NOAUTH Authentication required.\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "+OK\r\n");
    client_expect(&c, "$1\r\n1\r\n");
    client_close(&c);
}

/* Who has not logged in cannot make the proxy collect much. */
static void test_nobody_is_bounded(void **state)
{
    static const char *const starts[] = { "*11\r\n", "*2\r\n$4\r\nAUTH\r\n$16385\r\n" };
    struct client c;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        assert_true(client_open(&c, proxy.port));
        assert_true(client_send_text(&c, starts[i]));
        client_expect_start(&c, "-ERR Protocol error: invalid ");
        assert_true(client_sees_end(&c));
        client_close(&c);
    }
}

static bool takes_the_new_one(void *arg)
{
    const char *reply = client_ask(arg, "AUTH", "another one", NULL);
    assert_non_null(reply);
    return strcmp(reply, "+OK\r\n") == 0;
}

/* A new password holds for who comes; who is in stays in. */
static void test_new_password(void **state)
{
    struct client in, c;
    (void)state;
    assert_true(client_open(&in, proxy.port));
    client_ask_expect(&in, "+OK\r\n", "AUTH", "open sesame");
    write_file(password_file, "another one\n");
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "event=\"configuration reloaded\"", 1, scaled_ms(3000));
    assert_true(client_open(&c, proxy.port));
    assert_true(wait_until(takes_the_new_one, &c, scaled_ms(3000)));
    client_ask_expect(&c, "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                      "AUTH", "open sesame");
    client_ask_expect(&in, "+PONG\r\n", "PING");
    client_close(&c);
    client_close(&in);
    write_file(password_file, "open sesame\n");
    process_signal(&proxy.process, SIGHUP);
    proxy_await_log(&proxy, "event=\"configuration reloaded\"", 2, scaled_ms(3000));
}

/* --- the admin -------------------------------------------------------------------------------- */

#define FOR_THE_ADMIN(what) "-NOPERM slotgate: " what " is for the admin: AUTH admin PASSWORD\r\n"

static void test_admin_only(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    client_ask_expect(&c, "-NOAUTH Authentication required.\r\n", "PROXY", "SHUTDOWN");
    client_ask_expect(&c, "+OK\r\n", "AUTH", "open sesame");
    client_ask_expect(&c, FOR_THE_ADMIN("PROXY SHUTDOWN"), "PROXY", "SHUTDOWN");
    client_ask_expect(&c, FOR_THE_ADMIN("PROXY SHUTDOWN"), "PROXY", "SHUTDOWN", "ASAP");
    client_ask_expect(&c, FOR_THE_ADMIN("PROXY LOG"), "PROXY", "LOG", "hello");
    client_ask_expect(&c, FOR_THE_ADMIN("PROXY CLUSTER UPDATE"), "PROXY", "CLUSTER", "UPDATE");
    client_ask_expect(&c, FOR_THE_ADMIN("PROXY CONFIG SET"), "PROXY", "CONFIG", "SET",
                      "max-pipeline", "7");
    client_ask_expect(&c, FOR_THE_ADMIN("setting the proxy's own options"), "CONFIG", "SET",
                      "max-pipeline", "7");
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "slowlog-max-len", "100");
    client_ask_expect(&c, "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                      "AUTH", "admin", "open sesame");
    proxy_login_admin(&c);
    client_ask_expect(&c, "$5\r\nadmin\r\n", "ACL", "WHOAMI");
    client_ask_expect(&c, "+OK\r\n", "PROXY", "CONFIG", "SET", "max-pipeline", "7");
    client_ask_expect(&c, "*2\r\n$12\r\nmax-pipeline\r\n$1\r\n7\r\n", "PROXY", "CONFIG", "GET",
                      "max-pipe*");
    client_ask_expect(&c, "*2\r\n$11\r\nrequirepass\r\n$8\r\n(hidden)\r\n", "PROXY", "CONFIG",
                      "GET", "requirepass");
    client_ask_expect(&c, "+OK\r\n", "PROXY", "CLUSTER", "UPDATE");
    client_ask_expect(&c, "+OK\r\n", "PROXY", "LOG", "warning", "two words\n");
    assert_int_equal(proxy_log_count(&proxy, "event=\"message of the admin\""), 1);
    client_ask_expect(&c, "+RESET\r\n", "RESET");
    client_ask_expect(&c, "-NOAUTH Authentication required.\r\n", "PROXY", "LOG", "hello");
    client_close(&c);
}

/* Without a password for it, nobody is the admin. */
static void test_no_admin(void **state)
{
    struct proxy open;
    struct client c;
    char seeds[512];
    (void)state;
    proxy_start(&open, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--admin-password", "", NULL });
    assert_true(client_open(&c, open.port));
    client_ask_expect(&c, "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                      "AUTH", "admin", "");
    client_ask_expect(
        &c, "-NOPERM slotgate: PROXY SHUTDOWN is for the admin, and no admin-password is set\r\n",
        "PROXY", "SHUTDOWN");
    /* As with one Redis, the user default takes any password then. */
    client_ask_expect(&c, "+OK\r\n", "AUTH", "default", "anything");
    client_close(&c);
    assert_true(proxy_stop(&open));
}

/* --- what the proxy tells --------------------------------------------------------------------- */

static void test_info(void **state)
{
    struct client c;
    size_t len;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    proxy_login_admin(&c);
    const char *all[] = { "# Proxy\r\nproxy_version:",
                          "\r\n\r\n# Clients\r\nconnected_clients:",
                          "\r\nthread_0_clients:",
                          "\r\n\r\n# Cluster\r\ncluster_status:updated\r\n",
                          "cluster_slots:16384\r\ncluster_masters:3\r\n",
                          "\r\n\r\n# Slotgate\r\nslotgate_version:" };
    assert_true(client_send_command(&c, "PROXY", "INFO", NULL));
    const char *text = client_read(&c, &len);
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strstr(text, all[i]) == NULL)
            fail_msg("\"%s\" is not in %s", all[i], text);
    assert_true(client_send_command(&c, "PROXY", "INFO", "cluster", NULL));
    text = client_read(&c, &len);
    assert_non_null(strstr(text, "# Cluster"));
    assert_null(strstr(text, "# Proxy"));
    client_ask_expect(&c, "+updated\r\n", "PROXY", "CLUSTER", "STATUS");
    client_ask_expect(&c, "+shared\r\n", "PROXY", "CLUSTER", "CONNECTION");
    client_ask_expect(&c, "+OK\r\n", "WATCH", "a");
    client_ask_expect(&c, "+private\r\n", "PROXY", "CLUSTER", "CONNECTION");
    assert_true(client_send_command(&c, "PROXY", "CLUSTER", "NODES", NULL));
    const char *node = client_expect_start(&c, "*3\r\n*14\r\n$4\r\nname\r\n$");
    assert_non_null(strstr(node, "$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n:"));
    assert_non_null(strstr(node, "$8\r\nreplicas\r\n:0\r\n$9\r\nconnected\r\n:"));
    client_ask_expect(&c, "+off\r\n", "PROXY", "MULTIPLEXING", "STATUS");
    client_ask_expect(&c, "+OK\r\n", "UNWATCH");
    client_ask_expect(&c, "+on\r\n", "PROXY", "MULTIPLEXING", "status");
    assert_true(client_send_command(&c, "PROXY", "MULTIPLEXING", "OFF", NULL));
    client_expect_start(&c, "-ERR slotgate: multiplexing cannot be turned off");
    for (int i = 0; i < 2; i++) {
        assert_true(client_send_text(&c, i == 0 ? "PROXY CLUSTER\r\n" : "PROXY CLUSTER INFO\r\n"));
        client_expect_start(&c, "*6\r\n$6\r\nstatus\r\n+updated\r\n$10\r\nconnection\r\n"
                                "+shared\r\n$5\r\nnodes\r\n*3\r\n*14\r\n$4\r\nname\r\n");
    }
    static const char *const helpful[] = { "CLIENT", "CLUSTER", "DEBUG" };
    for (size_t i = 0; i < ARRAY_LEN(helpful); i++) {
        assert_true(client_send_command(&c, "PROXY", helpful[i], "HELP", NULL));
        assert_non_null(strstr(client_expect_start(&c, "*"), helpful[i]));
    }
    client_ask_expect(&c, ":0\r\n", "PROXY", "CLIENT", "THREAD");
    client_ask_expect(&c, "-ERR syntax error, try PROXY HELP\r\n", "PROXY", "CLIENT", "NONSENSE");
    client_close(&c);
}

/* A worker ends as by a crash, and is replaced. */
static void test_debug(void **state)
{
    static const char *const how[] = { "SEGFAULT", "assert" };
    char seeds[512];
    struct proxy p;
    struct client c;
    (void)state;
    proxy_start(&p, cluster_seeds(&cluster, seeds), NULL);
    for (int i = 0; i < 2; i++) {
        proxy_await_ready(&p, scaled_ms(10000));
        assert_true(client_open(&c, p.port));
        client_ask_expect(&c, FOR_THE_ADMIN("PROXY DEBUG"), "PROXY", "DEBUG", how[i]);
        proxy_login_admin(&c);
        client_ask_expect(&c, "-ERR syntax error, try PROXY HELP\r\n", "PROXY", "DEBUG", "x");
        assert_true(client_send_command(&c, "PROXY", "DEBUG", how[i], NULL));
        assert_true(client_sees_end(&c));
        client_close(&c);
        proxy_await_log(&p, i == 0 ? "signal=11" : "signal=6", 2, scaled_ms(5000));
    }
    proxy_await_ready(&p, scaled_ms(10000));
    assert_true(proxy_stop(&p));
}

static int exit_code_of(struct proxy *p)
{
    int status;
    assert_int_equal(waitpid(p->process.pid, &status, 0), p->process.pid);
    assert_true(WIFEXITED(status));
    p->process.pid = 0;
    return WEXITSTATUS(status);
}

static void test_shutdown(void **state)
{
    static const char *const how[] = { NULL, "ASAP" };
    struct proxy p;
    struct client c;
    char seeds[512];
    (void)state;
    for (int i = 0; i < 2; i++) {
        proxy_start(&p, cluster_seeds(&cluster, seeds),
                    (const char *const[]){ "--workers", "2", "--shutdown-timeout", "30s", NULL });
        assert_true(client_open(&c, p.port));
        proxy_login_admin(&c);
        client_ask_expect(&c, "-ERR syntax error, try PROXY HELP\r\n", "PROXY", "SHUTDOWN", "WHEN");
        /* Keeps a worker that drains waiting. */
        assert_true(client_send_command(&c, "MULTI", NULL));
        client_expect(&c, "+OK\r\n");
        client_ask_expect(&c, "+QUEUED\r\n", "GET", "nothing");
        struct client other;
        assert_true(client_open(&other, p.port));
        proxy_login_admin(&other);
        uint64_t began = now_ms();
        assert_true(client_send_command(&other, "PROXY", "SHUTDOWN", how[i], NULL));
        if (i == 0)
            client_ask_expect(&c, "*1\r\n$-1\r\n", "EXEC");
        assert_int_equal(exit_code_of(&p), i);
        assert_in_range(now_ms() - began, 0, scaled_ms(5000));
        client_close(&c);
        client_close(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),       cmocka_unit_test(test_login),
        cmocka_unit_test(test_pipeline),     cmocka_unit_test(test_nobody_is_bounded),
        cmocka_unit_test(test_new_password), cmocka_unit_test(test_admin_only),
        cmocka_unit_test(test_no_admin),     cmocka_unit_test(test_info),
        cmocka_unit_test(test_debug),        cmocka_unit_test(test_shutdown),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
