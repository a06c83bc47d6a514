#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "proxy/config.h"
#include "proxy/options.h"
#include "test/lib/page.h"

static struct config c;
static char err[256];
static char dir[] = "/tmp/slotgate-config-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memset(&c, 0, sizeof(c));
    err[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_free(&c);
    config_free(&c);
    return 0;
}

/* Ends with NULL. */
static int load(const char *first, ...)
{
    char *argv[32] = { (char *)"slotgate" };
    int argc = 1;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a != NULL; a = va_arg(ap, const char *))
        argv[argc++] = (char *)(uintptr_t)a;
    va_end(ap);
    config_free(&c);
    return config_load(&c, argc, argv, err, sizeof(err));
}

static const char *put_file(const char *name, const char *text)
{
    static char paths[2][256];
    static unsigned at;
    char *path = paths[at++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static void fails(int code, const char *message)
{
    assert_int_equal(code, ERR_OPTION);
    assert_string_equal(err, message);
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(load("h:1", NULL), 0);
    assert_int_equal(c.port, 6379);
    assert_int_equal(c.bind.count, 1);
    assert_string_equal(c.bind.items[0], "*");
    assert_int_equal(c.tcp_backlog, 511);
    assert_int_equal(c.tcp_keepalive, 60000);
    assert_int_equal(c.maxclients, 10000);
    assert_int_equal(c.workers, 1);
    assert_null(c.auth);
    assert_null(c.auth_user);
    assert_int_equal(c.connect_timeout, 1000);
    assert_int_equal(c.request_timeout, 5000);
    assert_int_equal(c.topology_interval, 5000);
    assert_int_equal(c.topology_min_interval, 100);
    assert_int_equal(c.proto_max_bulk_len, 512 << 20);
    assert_int_equal(c.client_query_buffer_limit, 1 << 30);
    assert_int_equal(c.client_output_limit, 256 << 20);
    assert_int_equal(c.max_pipeline, 1024);
    assert_int_equal(c.node_buffer_limit, 64 << 20);
    assert_int_equal(c.shutdown_timeout, 10000);
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_true(c.enable_cross_slot);
    assert_int_equal(c.seed_count, 1);
}

static void worker_counts(void **state)
{
    char shown[16];
    (void)state;
    assert_int_equal(load("--workers", "5", "h:1", NULL), 0);
    assert_int_equal(config_worker_count(&c), 5);
    config_free(&c);
    assert_int_equal(load("--threads", "auto", "h:1", NULL), 0);
    assert_in_range(config_worker_count(&c), 1, CREW_MAX);
    option_format(&c.options, option_find(&c.options, "workers", 7), shown, sizeof(shown));
    assert_string_equal(shown, "auto");
}

/* A password may be read anew, but no client may set one. */
static void passwords_change_by_reload_only(void **state)
{
    const struct option *auth;
    (void)state;
    assert_int_equal(load("h:1", NULL), 0);
    auth = option_find(&c.options, "auth", 4);
    assert_int_equal(option_change(&c.options, auth, "x", 1, err, sizeof(err)), ERR_OPTION);
    assert_null(c.auth);
    struct config *fresh = calloc(1, sizeof(*fresh));
    char waiting[64];
    char *argv[] = { "slotgate", "-a", "pw", "h:1", NULL };
    assert_int_equal(config_load(fresh, 4, argv, err, sizeof(err)), 0);
    assert_int_equal(option_reload(&c.options, &fresh->options, waiting, sizeof(waiting)), 1);
    assert_string_equal(waiting, "");
    assert_string_equal(c.auth, "pw");
    config_free(fresh);
    free(fresh);
}

static void the_old_command_line(void **state)
{
    (void)state;
    assert_int_equal(load("--enable-cross-slot", "--threads", "8", "-p", "7777", "--auth-user", "u",
                          "-a", "pw", "10.0.0.1:7000,node-2.example.org:7001", "[::1]:7002", NULL),
                     0);
    assert_true(c.enable_cross_slot);
    assert_int_equal(c.workers, 8);
    assert_int_equal(c.port, 7777);
    assert_string_equal(c.auth_user, "u");
    assert_string_equal(c.auth, "pw");
    assert_int_equal(c.seed_count, 3);
    assert_string_equal(c.seeds[0].host, "10.0.0.1");
    assert_int_equal(c.seeds[0].port, 7000);
    assert_string_equal(c.seeds[1].host, "node-2.example.org");
    assert_string_equal(c.seeds[2].host, "::1");
    assert_int_equal(c.seeds[2].port, 7002);
}

/* proxy.conf of the tool that people come from, as far as it says the same here. */
static void the_old_file(void **state)
{
    const char *file = put_file("a.conf", "port 7777\nbind 127.0.0.1\nmaxclients 20\nthreads 8\n"
                                          "tcpkeepalive 300\ntcp-backlog 100\nlog-level warning\n"
                                          "enable-cross-slot yes\nauth pw\nauth-user u\n"
                                          "cluster 10.0.0.1:7000\ncluster 10.0.0.2:7000\n");
    (void)state;
    assert_int_equal(load("-c", file, NULL), 0);
    assert_int_equal(c.workers, 8);
    assert_int_equal(c.tcp_keepalive, 300000);
    assert_int_equal(c.log_level, LOG_LEVEL_WARN);
    assert_int_equal(c.seed_count, 2);
    assert_string_equal(c.seeds[1].host, "10.0.0.2");
}

static void addresses(void **state)
{
    (void)state;
    char longest[ENDPOINT_HOST_MAX + 1 + 8], too_long[ENDPOINT_HOST_MAX + 1 + 8];
    memset(longest, 'h', sizeof(longest));
    strcpy(longest + ENDPOINT_HOST_MAX, ":65535");
    memset(too_long, 'h', sizeof(too_long));
    strcpy(too_long + ENDPOINT_HOST_MAX + 1, ":1");
    struct endpoint a;
    assert_true(options_parse_address(longest, &a));
    assert_int_equal(strlen(a.host), ENDPOINT_HOST_MAX);
    assert_int_equal(a.port, 65535);
    assert_true(options_parse_address("[fe80::1]:1", &a));
    assert_string_equal(a.host, "fe80::1");
    assert_true(options_parse_address("redis_1:1", &a));

    static const char *const bad[] = {
        "",
        ":",
        ":1",
        "h",
        "h:",
        "h:0",
        "h:65536",
        "h:-1",
        "h:+1",
        "h:01",
        "h:1x",
        "h: 1",
        "h 1:1",
        "::1:7000",
        "[::1]",
        "[::1]7000",
        "[::1]:",
        "[]:1",
        "[h]:1",
        "[::1:1",
        "::1]:1",
        "[[::1]]:1",
        "a/b:1",
        "a:b:1",
        "h\n:1",
        "[127.0.0.1]:1",
        "[:1",
        "]:1",
        "redis://h:1",
        "u@h:1",
    };
    memset(&a, 0x5a, sizeof(a));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (options_parse_address(bad[i], &a))
            fail_msg("accepted %s", bad[i]);
    }
    assert_false(options_parse_address(too_long, &a));
    assert_int_equal(a.port, 0x5a5a); /* an output is written only on success */
}

static void wrong_calls(void **state)
{
    (void)state;
    fails(load(NULL), "no cluster node given; try slotgate HOST:PORT, or slotgate --help");
    fails(load("--cluster-nodes", "", NULL),
          "no cluster node given; try slotgate HOST:PORT, or slotgate --help");
    fails(load("h", NULL), "bad address (expected host:port or [IPv6]:port): \"h\"");
    fails(load("h:1,h:x", NULL), "bad address (expected host:port or [IPv6]:port): \"h:x\"");
    fails(load("--cluster-nodes", "h:0", NULL),
          "--cluster-nodes: bad address (expected host:port or [IPv6]:port): \"h:0\"");
    fails(load("--bind", "localhost", "h:1", NULL),
          "--bind: bad address (expected *, ::*, an IPv4 or an IPv6 address): \"localhost\"");
    fails(load("--bind", ",", "h:1", NULL), "bind names no address to listen on");
    fails(load("-p", "0", "h:1", NULL), "--port: \"0\" is not a whole number from 1 to 65535");
    fails(load("--threads", "0", "h:1", NULL),
          "--workers: \"0\" is not a whole number from 1 to 256");
    fails(load("--auth-user", "u", "h:1", NULL),
          "auth-user needs a password; give auth or auth-file");
    fails(load("--topology-interval", "100ms", "--topology-min-interval", "101ms", "h:1", NULL),
          "topology-min-interval is longer than topology-interval");
    fails(load("--verbose", "h:1", NULL), "unknown option --verbose");
    fails(load("-c", "/nonexistent/x.conf", "h:1", NULL),
          "cannot read /nonexistent/x.conf: No such file or directory");
}

static void binds(void **state)
{
    (void)state;
    assert_int_equal(load("--bind", "127.0.0.1 -::1,*,-::*", "h:1", NULL), 0);
    assert_int_equal(c.bind.count, 4);
    assert_string_equal(c.bind.items[1], "-::1");
}

static void log_levels_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int level;
    } names[] = {
        { "debug", LOG_LEVEL_DEBUG }, { "verbose", LOG_LEVEL_INFO }, { "notice", LOG_LEVEL_INFO },
        { "info", LOG_LEVEL_INFO },   { "warning", LOG_LEVEL_WARN }, { "warn", LOG_LEVEL_WARN },
        { "error", LOG_LEVEL_ERROR },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(load("--log-level", names[i].name, "h:1", NULL), 0);
        assert_int_equal(c.log_level, names[i].level);
        assert_int_equal(load("--loglevel", names[i].name, "h:1", NULL), 0);
        assert_int_equal(c.log_level, names[i].level);
    }
}

static void help_and_version_need_no_cluster(void **state)
{
    (void)state;
    setenv("SLOTGATE_PORT", "x", 1);
    assert_int_equal(load("--help", NULL), 0);
    assert_true(c.help);
    assert_int_equal(load("-v", NULL), 0);
    assert_true(c.version);
    unsetenv("SLOTGATE_PORT");
}

static void file_and_environment(void **state)
{
    (void)state;
    const char *conf = put_file("a.conf", "port 7001\ncluster-nodes f:1 f:2\nmaxclients 5\n"
                                          "tcp-keepalive 300\nauth \"file pw\"\n");
    setenv("SLOTGATE_CONFIG", conf, 1);
    setenv("SLOTGATE_PORT", "tcp://10.1.2.3:6379", 1);
    setenv("SLOTGATE_CLUSTER_NODES", "e:1,e:2,e:3", 1);
    setenv("SLOTGATE_AUTH", "env pw", 1);
    assert_int_equal(load("--maxclients", "6", NULL), 0);
    assert_int_equal(c.port, 7001);
    assert_int_equal(c.maxclients, 6);
    assert_int_equal(c.tcp_keepalive, 300000);
    assert_string_equal(c.auth, "env pw");
    assert_int_equal(c.seed_count, 3);
    assert_int_equal(load("a:1", NULL), 0);
    assert_int_equal(c.seed_count, 1);
    unsetenv("SLOTGATE_PORT");
    unsetenv("SLOTGATE_CLUSTER_NODES");
    unsetenv("SLOTGATE_AUTH");
    assert_int_equal(load(NULL), 0);
    assert_int_equal(c.seed_count, 2);
    assert_string_equal(c.auth, "file pw");
    put_file("a.conf", "cluster-nodes f\n");
    char expected[512];
    snprintf(expected, sizeof(expected),
             "%s:1: cluster-nodes: bad address (expected host:port or [IPv6]:port): \"f\"", conf);
    fails(load(NULL), expected);
    unsetenv("SLOTGATE_CONFIG");
}

static void password_files(void **state)
{
    (void)state;
    char expected[512];
    const char *path = put_file("pw", "s3cret with blank \r\n");
    assert_int_equal(load("--auth-file", path, "--auth-user", "u", "h:1", NULL), 0);
    assert_string_equal(c.auth, "s3cret with blank ");

    setenv("SLOTGATE_AUTH", "weaker", 1);
    assert_int_equal(load("--auth-file", path, "h:1", NULL), 0);
    assert_string_equal(c.auth, "s3cret with blank ");
    unsetenv("SLOTGATE_AUTH");
    setenv("SLOTGATE_AUTH_FILE", path, 1);
    assert_int_equal(load("--auth", "stronger", "h:1", NULL), 0);
    assert_string_equal(c.auth, "stronger");
    unsetenv("SLOTGATE_AUTH_FILE");
    assert_int_equal(load("--auth", "", "--auth-file", path, "h:1", NULL), 0);

    fails(load("--auth", "x", "--auth-file", path, "h:1", NULL),
          "auth and auth-file are both given; choose one");
    assert_int_equal(load("--requirepass-file", path, "--admin-password", "x", "h:1", NULL), 0);
    assert_string_equal(c.requirepass, "s3cret with blank ");
    assert_string_equal(c.admin_password, "x");
    assert_null(c.auth);
    fails(load("--admin-password-file", "/nonexistent/pw", "h:1", NULL),
          "cannot read admin-password-file /nonexistent/pw: No such file or directory");
    fails(load("--auth-file", "/nonexistent/pw", "h:1", NULL),
          "cannot read auth-file /nonexistent/pw: No such file or directory");
    snprintf(expected, sizeof(expected), "cannot read auth-file %s: Is a directory", dir);
    fails(load("--auth-file", dir, "h:1", NULL), expected);
    fails(load("--auth-file", "/dev/zero", "h:1", NULL),
          "auth-file /dev/zero is too large for a password");
    path = put_file("pw", "\n\n");
    snprintf(expected, sizeof(expected), "auth-file %s is empty", path);
    fails(load("--auth-file", path, "h:1", NULL), expected);
}

static char *text_of(void (*write_it)(FILE *))
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    write_it(out);
    fclose(out);
    return text;
}

static void help_text(void **state)
{
    (void)state;
    char *text = text_of(config_write_help);
    assert_non_null(strstr(text, "Usage: slotgate [options] host:port"));
    assert_non_null(strstr(text, "  -p, --port <port>"));
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        assert_true(end - line <= 100);
    free(text);
}

/* docs/configuration.md is what the rows say; `./dev docs` writes it again. */
static void the_page_is_up_to_date(void **state)
{
    (void)state;
    page_expect(CONFIGURATION_PAGE, config_write_doc);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = { "a.conf", "pw" };
    char path[256];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(worker_counts),
        TEST(passwords_change_by_reload_only),
        TEST(the_old_command_line),
        TEST(the_old_file),
        TEST(addresses),
        TEST(wrong_calls),
        TEST(binds),
        TEST(log_levels_of_redis),
        TEST(help_and_version_need_no_cluster),
        TEST(file_and_environment),
        TEST(password_files),
        TEST(help_text),
        TEST(the_page_is_up_to_date),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
