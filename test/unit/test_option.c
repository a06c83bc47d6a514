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
#include "base/option.h"
#include "base/option_doc.h"

struct settings {
    bool fast;
    int port;
    int depth;
    size_t limit;
    uint64_t timeout;
    uint64_t keepalive;
    int level;
    char *name;
    char *password;
    struct option_list nodes;
    struct option_list bind;
    char *file;
    bool version;
};

static const char *node_fault(const char *text)
{
    return strchr(text, ':') != NULL ? NULL : "bad address";
}

static const char *secret_fault(const char *text)
{
    return strlen(text) < 512 ? NULL : "the secret is too long";
}

static const struct option_choice levels[] = {
    { "debug", 0 }, { "info", 1 }, { "notice", 1 }, { "warn", 2 }, { NULL, 0 },
};

#define FIELD(f) OPTION_FIELD(struct settings, f)

static const struct option rows[] = {
    { .name = "port",
      .letter = 'p',
      .type = OPTION_INT,
      .fallback = "6379",
      .min = 1,
      .max = 65535,
      .group = "Network",
      .argument = "port",
      .help = "The port.",
      FIELD(port) },
    { .name = "bind",
      .type = OPTION_LIST,
      .fallback = "*",
      .group = "Network",
      .help = "Addresses.",
      FIELD(bind) },
    { .name = "nodes",
      .alias = "seeds",
      .type = OPTION_LIST,
      .flags = OPTION_POSITIONAL,
      .wrong = node_fault,
      .group = "Network",
      .help = "Nodes.",
      FIELD(nodes) },
    { .name = "fast",
      .letter = 'f',
      .type = OPTION_BOOL,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Be fast | or not.",
      FIELD(fast) },
    { .name = "depth",
      .type = OPTION_INT,
      .min = -5,
      .group = "Work",
      .help = "Depth.",
      .flags = OPTION_RELOADABLE,
      FIELD(depth) },
    { .name = "size-limit",
      .type = OPTION_SIZE,
      .fallback = "64kb",
      .min = 1024,
      .max = 1 << 30,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Limit.",
      FIELD(limit) },
    { .name = "request-timeout",
      .type = OPTION_DURATION,
      .fallback = "5s",
      .min = 1,
      .max = 3600000,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Timeout.",
      FIELD(timeout) },
    { .name = "keepalive",
      .type = OPTION_DURATION,
      .fallback = "60s",
      .bare_ms = 1000,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Keepalive.",
      FIELD(keepalive) },
    { .name = "level",
      .type = OPTION_ENUM,
      .fallback = "info",
      .choices = levels,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Level.",
      FIELD(level) },
    { .name = "name",
      .type = OPTION_STRING,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Name.",
      FIELD(name) },
    { .name = "auth",
      .letter = 'a',
      .type = OPTION_SECRET,
      .wrong = secret_fault,
      .flags = OPTION_RELOADABLE,
      .group = "Work",
      .help = "Password.",
      FIELD(password) },
    { .name = "config",
      .letter = 'c',
      .type = OPTION_STRING,
      .flags = OPTION_NO_FILE,
      .group = "Other",
      .help = "File.",
      FIELD(file) },
    { .name = "version",
      .type = OPTION_BOOL,
      .flags = OPTION_NO_FILE | OPTION_NO_ENV,
      .group = "Other",
      .help = "Version.",
      FIELD(version) },
};

static struct settings s;
static struct options o;
static char err[256];
static char dir[] = "/tmp/slotgate-option-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memset(&s, 0xa5, sizeof(s)); /* option_init must set every field */
    option_init(&o, rows, ARRAY_LEN(rows), "OPTTEST_", &s);
    err[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    option_free(&o);
    option_free(&o);
    return 0;
}

/* Ends with NULL. */
static int args(const char *first, ...)
{
    char *argv[32] = { (char *)"program" };
    int argc = 1;
    va_list ap;
    va_start(ap, first);
    for (const char *a = first; a != NULL; a = va_arg(ap, const char *))
        argv[argc++] = (char *)(uintptr_t)a;
    va_end(ap);
    return option_read_args(&o, argc, argv, err, sizeof(err));
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static const char *put_file(const char *name, const char *text)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static int file(const char *text)
{
    return option_read_file(&o, put_file("a.conf", text), err, sizeof(err));
}

static const char *shown(const char *name)
{
    static char buf[256];
    const struct option *row = option_find(&o, name, strlen(name));
    assert_non_null(row);
    size_t len = option_format(&o, row, buf, sizeof(buf));
    assert_int_equal(len, strlen(buf));
    return buf;
}

static void defaults(void **state)
{
    (void)state;
    assert_int_equal(s.port, 6379);
    assert_false(s.fast);
    assert_int_equal(s.depth, 0);
    assert_int_equal(s.limit, 65536);
    assert_int_equal(s.timeout, 5000);
    assert_int_equal(s.keepalive, 60000);
    assert_int_equal(s.level, 1);
    assert_null(s.name);
    assert_null(s.password);
    assert_int_equal(s.nodes.count, 0);
    assert_int_equal(s.bind.count, 1);
    assert_string_equal(s.bind.items[0], "*");
}

static void command_line(void **state)
{
    (void)state;
    assert_int_equal(args("--port", "7777", "--size-limit=1mb", "h1:1,h2:2", "--name", "a b",
                          "h3:3", "-asecret", "--level", "WARN", NULL),
                     0);
    assert_int_equal(s.port, 7777);
    assert_int_equal(s.limit, 1 << 20);
    assert_string_equal(s.name, "a b");
    assert_string_equal(s.password, "secret");
    assert_int_equal(s.level, 2);
    assert_int_equal(s.nodes.count, 3);
    assert_string_equal(s.nodes.items[0], "h1:1");
    assert_string_equal(s.nodes.items[2], "h3:3");

    assert_int_equal(args("-p", "1", "-p2", "--PORT", "3", "--", "h4:4", NULL), 0);
    assert_int_equal(s.port, 3);
    assert_int_equal(args("--bind", "10.0.0.1", "--bind", "10.0.0.2, 10.0.0.3", NULL), 0);
    assert_string_equal(shown("bind"), "10.0.0.1,10.0.0.2,10.0.0.3"); /* the default is gone */
    assert_int_equal(args("--seeds", "h5:5", NULL), 0);
    assert_string_equal(shown("nodes"), "h1:1,h2:2,h3:3,h4:4,h5:5");
    assert_int_equal(args("--depth", "-5", "--name=", NULL), 0);
    assert_int_equal(s.depth, -5);
    assert_string_equal(s.name, "");
    assert_int_equal(args("--name=--x=y", NULL), 0);
    assert_string_equal(s.name, "--x=y");
    assert_int_equal(args(NULL), 0);
}

static void switches(void **state)
{
    (void)state;
    assert_int_equal(args("--fast", NULL), 0);
    assert_true(s.fast);
    assert_int_equal(args("--fast", "no", NULL), 0);
    assert_false(s.fast);
    assert_int_equal(args("--fast", "yes", "--version", NULL), 0);
    assert_true(s.fast);
    assert_true(s.version);
    assert_int_equal(args("-f", "no", NULL), 0);
    assert_false(s.fast);
    assert_int_equal(args("--fast", "h:1", NULL), 0); /* the word is not the switch's */
    assert_true(s.fast);
    assert_int_equal(s.nodes.count, 1);
    assert_int_equal(args("--fast=False", NULL), 0);
    assert_false(s.fast);
    assert_int_equal(args("--fast", "--port", "1", NULL), 0);
    assert_true(s.fast);
}

static void fails(int code, const char *message)
{
    assert_int_equal(code, ERR_OPTION);
    assert_string_equal(err, message);
}

static void wrong_command_lines(void **state)
{
    (void)state;
    fails(args("--prot", "1", NULL), "unknown option --prot");
    fails(args("--prot=secret", NULL), "unknown option --prot");
    fails(args("-x", NULL), "unknown option -x");
    fails(args("-xsecret", NULL), "unknown option -x");
    fails(args("--=1", NULL), "unknown option --");
    fails(args("--port", NULL), "--port needs a value");
    fails(args("-p", NULL), "--port needs a value");
    fails(args("--name", "--fast", NULL), "--name needs a value");
    fails(args("--port", "abc", NULL), "--port: \"abc\" is not a whole number from 1 to 65535");
    fails(args("--port=", NULL), "--port: \"\" is not a whole number from 1 to 65535");
    fails(args("--port", "0", NULL), "--port: \"0\" is not a whole number from 1 to 65535");
    fails(args("--port", "65536", NULL), "--port: \"65536\" is not a whole number from 1 to 65535");
    fails(args("--port", "1 ", NULL), "--port: \"1 \" is not a whole number from 1 to 65535");
    fails(args("--depth", "-6", NULL), "--depth: \"-6\" is not a whole number at least -5");
    fails(args("--depth", "2147483648", NULL),
          "--depth: \"2147483648\" is not a whole number at least -5");
    fails(args("--size-limit", "1tb", NULL),
          "--size-limit: \"1tb\" is not a size such as 65536, 64kb or 1gb");
    fails(args("--size-limit", "1023", NULL), "--size-limit: \"1023\" is not from 1kb to 1gb");
    fails(args("--size-limit", "2gb", NULL), "--size-limit: \"2gb\" is not from 1kb to 1gb");
    fails(args("--request-timeout", "5", NULL),
          "--request-timeout: \"5\" is not a duration such as 500ms, 5s or 1m");
    fails(args("--request-timeout", "2h", NULL), "--request-timeout: \"2h\" is not from 1ms to 1h");
    fails(args("--request-timeout", "0", NULL), "--request-timeout: \"0\" is not from 1ms to 1h");
    fails(args("--keepalive", "18446744073709551615ms", NULL),
          "--keepalive: \"18446744073709551615ms\" is not in range");
    fails(args("--level", "loud", NULL), "--level: \"loud\" is not one of debug, info, warn");
    fails(args("--fast=maybe", NULL), "--fast: \"maybe\" is not yes or no");
    fails(args("--nodes", "h:1,here", NULL), "--nodes: bad address: \"here\"");
    fails(args("h:1", "here\n", NULL), "bad address: \"here\"");
    fails(args("-", NULL), "bad address: \"-\"");
    fails(args("--", "--port", NULL), "bad address: \"--port\"");
    assert_int_equal(s.port, 6379);
}

static void secrets_stay_secret(void **state)
{
    (void)state;
    char big[1024];
    memset(big, 's', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    fails(args("--auth", big, NULL), "--auth: the secret is too long");
    assert_string_equal(shown("auth"), "");
    assert_int_equal(args("--auth", "", NULL), 0);
    assert_string_equal(shown("auth"), "");
    assert_int_equal(args("--auth", "hunter2", NULL), 0);
    assert_string_equal(shown("auth"), "(hidden)");
    assert_string_equal(s.password, "hunter2");
}

static void a_long_wrong_value_is_cut(void **state)
{
    (void)state;
    char big[4096];
    memset(big, '9', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(args("--port", big, NULL), ERR_OPTION);
    assert_true(strlen(err) < 200);
    assert_non_null(strstr(err, "from 1 to 65535"));
    char unknown[4096];
    memset(unknown, '-', sizeof(unknown) - 1);
    unknown[sizeof(unknown) - 1] = '\0';
    assert_int_equal(args(unknown, NULL), ERR_OPTION);
    assert_true(strlen(err) < 200);
    char tiny[8];
    assert_int_equal(
        option_read_args(&o, 2, (char *[]){ (char *)"x", (char *)"--nix" }, tiny, sizeof(tiny)),
        ERR_OPTION);
    assert_string_equal(tiny, "unknown");
}

static void no_positional_row(void **state)
{
    (void)state;
    option_free(&o);
    option_init(&o, rows, 2, "OPTTEST_", &s);
    fails(args("h:1", NULL), "unexpected argument \"h:1\"");
    option_free(&o);
    memset(&s, 0, sizeof(s));
    option_init(&o, rows, ARRAY_LEN(rows), "OPTTEST_", &s);
}

static void environment(void **state)
{
    (void)state;
    setenv("OPTTEST_REQUEST_TIMEOUT", "7s", 1);
    setenv("OPTTEST_FAST", "1", 1);
    setenv("OPTTEST_PORT", "", 1);
    setenv("OPTTEST_SEEDS", "h1:1 h2:2", 1);
    setenv("OPTTEST_CONFIG", "/x", 1);
    setenv("OPTTEST_VERSION", "yes", 1);
    assert_int_equal(option_read_env(&o, err, sizeof(err)), 0);
    assert_int_equal(s.timeout, 7000);
    assert_true(s.fast);
    assert_int_equal(s.port, 6379);
    assert_string_equal(shown("nodes"), "h1:1,h2:2");
    assert_string_equal(s.file, "/x");
    assert_false(s.version);

    setenv("OPTTEST_PORT", "tcp://10.0.0.7:6379", 1); /* a Kubernetes service of our name */
    assert_int_equal(option_read_env(&o, err, sizeof(err)), 0);
    assert_int_equal(s.port, 6379);

    setenv("OPTTEST_PORT", "x", 1);
    fails(option_read_env(&o, err, sizeof(err)),
          "OPTTEST_PORT: \"x\" is not a whole number from 1 to 65535");
    unsetenv("OPTTEST_REQUEST_TIMEOUT");
    unsetenv("OPTTEST_FAST");
    unsetenv("OPTTEST_PORT");
    unsetenv("OPTTEST_SEEDS");
    unsetenv("OPTTEST_CONFIG");
    unsetenv("OPTTEST_VERSION");
}

static void configuration_file(void **state)
{
    (void)state;
    assert_int_equal(file("# a comment\n"
                          "\n"
                          "   # another\r\n"
                          "port 7000\n"
                          "port 7001\r\n"
                          "\tSIZE-LIMIT\t1mb  \n"
                          "bind 127.0.0.1 ::1\n"
                          "bind 10.0.0.1,10.0.0.2\n"
                          "nodes h:1 \"h:2\"\n"
                          "name \"a \\\"b\\\"\\t\\x41\\xzz # no comment\"\n"
                          "auth #pass'word\n"
                          "keepalive 90"),
                     ERR_OPTION); /* the quote in the password opens a quoted part */
    assert_int_equal(file("name ''\nname 'it\\'s \\n'\nkeepalive 90\nfast yes\nauth '#pass word'"),
                     0);
    assert_string_equal(s.name, "it's \\n");
    assert_string_equal(s.password, "#pass word");
    assert_true(s.fast);
    assert_int_equal(s.keepalive, 90000);
    assert_int_equal(s.port, 7001);
    assert_int_equal(s.limit, 1 << 20);
    assert_string_equal(shown("bind"), "127.0.0.1,::1,10.0.0.1,10.0.0.2");
    assert_string_equal(shown("nodes"), "h:1,h:2");
    assert_int_equal(file("name \"a \\\"b\\\"\\t\\x41\\xzz # no comment\"\n"), 0);
    assert_string_equal(s.name, "a \"b\"\tAxzz # no comment");
    assert_int_equal(file(""), 0);
}

static void file_fails(const char *text, int line, const char *message)
{
    char expected[512];
    int code = file(text);
    if (line > 0)
        snprintf(expected, sizeof(expected), "%s:%d: %s", path_of("a.conf"), line, message);
    else
        snprintf(expected, sizeof(expected), "%s", message);
    fails(code, expected);
}

static void wrong_files(void **state)
{
    (void)state;
    file_fails("port 1\n\nprot 2\n", 3, "unknown option \"prot\"");
    file_fails("port 99999", 1, "port: \"99999\" is not a whole number from 1 to 65535");
    file_fails("port", 1, "port needs a value");
    file_fails("fast\n", 1, "fast needs a value");
    file_fails("port 1 2", 1, "port takes one value; put quotes around one with blanks");
    file_fails("port 1 # here", 1, "port takes one value; put quotes around one with blanks");
    file_fails("name \"abc", 1, "unbalanced quotes");
    file_fails("name 'abc", 1, "unbalanced quotes");
    file_fails("name \"abc\"d", 1, "unbalanced quotes");
    file_fails("name \"abc\\\"", 1, "unbalanced quotes");
    file_fails("name \"a\\x00b\"", 1, "name: the value has a zero byte in it");
    file_fails("nodes h:1 here h:2", 1, "nodes: bad address: \"here\"");
    file_fails("config x", 1, "\"config\" cannot stand in a file");
    file_fails("version yes", 1, "\"version\" cannot stand in a file");
    file_fails("--port 1", 1, "unknown option \"--port\"");
    file_fails("port\x01 1", 1, "unknown option \"port\\x01\"");
    file_fails("\"\" 1", 1, "unknown option \"\"");
    file_fails("include", 1, "unknown option \"include\"");

    char many[1024] = "nodes";
    for (int i = 0; i < 130; i++)
        strcat(many, " h:1");
    file_fails(many, 1, "too many words");

    char expected[512];
    snprintf(expected, sizeof(expected), "cannot read %s: No such file or directory",
             path_of("none.conf"));
    fails(option_read_file(&o, path_of("none.conf"), err, sizeof(err)), expected);
    snprintf(expected, sizeof(expected), "cannot read %s: Is a directory", dir);
    fails(option_read_file(&o, dir, err, sizeof(err)), expected);
}

static void a_huge_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(option_read_file(&o, "/dev/zero", err, sizeof(err)), ERR_OPTION);
    assert_non_null(strstr(err, "too large"));
}

static void includes(void **state)
{
    (void)state;
    put_file("b.conf", "port 7002\nfast yes\n");
    assert_int_equal(file("port 7001\ninclude b.conf\nname x\n"), 0);
    assert_int_equal(s.port, 7002);
    assert_true(s.fast);
    assert_string_equal(s.name, "x");

    char text[512], expected[512];
    snprintf(text, sizeof(text), "include \"%s\"\n", path_of("b.conf"));
    put_file("b.conf", "\nport 0\n");
    snprintf(expected, sizeof(expected), "%s:2: port: \"0\" is not a whole number from 1 to 65535",
             path_of("b.conf"));
    fails(file(text), expected);

    put_file("b.conf", "include a.conf\n");
    file_fails("include b.conf", 0, "include: nested too deeply; does a file include itself?");
}

static void includes_missing(void **state)
{
    (void)state;
    char expected[512];
    int code = file("include c.conf\n");
    snprintf(expected, sizeof(expected), "cannot read %s: No such file or directory",
             path_of("c.conf"));
    fails(code, expected);
}

static void precedence(void **state)
{
    (void)state;
    setenv("OPTTEST_PORT", "2", 1);
    setenv("OPTTEST_NAME", "env", 1);
    setenv("OPTTEST_NODES", "env:1", 1);
    assert_int_equal(args("--port", "1", NULL), 0);
    assert_int_equal(option_read_env(&o, err, sizeof(err)), 0);
    assert_int_equal(file("port 3\nname file\ndepth 3\nnodes file:1"), 0);
    assert_int_equal(s.port, 1);
    assert_string_equal(s.name, "env");
    assert_int_equal(s.depth, 3);
    assert_string_equal(shown("nodes"), "env:1");
    assert_int_equal(option_source(&o, option_find(&o, "port", 4)), OPTION_FROM_ARGS);
    assert_int_equal(option_source(&o, option_find(&o, "name", 4)), OPTION_FROM_ENV);
    assert_int_equal(option_source(&o, option_find(&o, "depth", 5)), OPTION_FROM_FILE);
    assert_int_equal(option_source(&o, option_find(&o, "level", 5)), OPTION_FROM_DEFAULT);
    assert_int_equal(args("arg:1", NULL), 0);
    assert_string_equal(shown("nodes"), "arg:1");
    file_fails("port x", 1, "port: \"x\" is not a whole number from 1 to 65535");
    unsetenv("OPTTEST_PORT");
    unsetenv("OPTTEST_NAME");
    unsetenv("OPTTEST_NODES");
}

static int change(const char *name, const char *value)
{
    return option_change(&o, option_find(&o, name, strlen(name)), value, strlen(value), err,
                         sizeof(err));
}

static void run_time_changes(void **state)
{
    (void)state;
    assert_int_equal(args("--request-timeout", "1s", NULL), 0);
    assert_int_equal(change("request-timeout", "2s"), 0);
    assert_int_equal(s.timeout, 2000);
    assert_int_equal(change("request-timeout", "3s"), 0);
    assert_int_equal(s.timeout, 3000);
    fails(change("port", "1"), "port cannot change while the program runs");
    fails(change("request-timeout", "x"),
          "request-timeout: \"x\" is not a duration such as 500ms, 5s or 1m");
    assert_int_equal(s.timeout, 3000);
    assert_int_equal(change("auth", "x"), 0);
    assert_string_equal(shown("auth"), "(hidden)");
}

static void reloading(void **state)
{
    (void)state;
    struct settings s2;
    struct options fresh;
    char waiting[64];
    option_init(&fresh, rows, ARRAY_LEN(rows), "OPTTEST_", &s2);
    const char *path = put_file("r.conf", "port 1\nname new\nfast yes\nbind ::1\nauth pw\n"
                                          "level warn\ndepth 0\nnodes h:1");
    assert_int_equal(option_read_file(&fresh, path, err, sizeof(err)), 0);
    assert_int_equal(option_reload(&o, &fresh, waiting, sizeof(waiting)), 4);
    assert_string_equal(waiting, "port,bind,nodes");
    option_free(&fresh); /* what was taken over is a copy */
    assert_string_equal(s.name, "new");
    assert_string_equal(s.password, "pw");
    assert_true(s.fast);
    assert_int_equal(s.level, 2);
    assert_int_equal(s.port, 6379);
    assert_string_equal(shown("bind"), "*");

    option_init(&fresh, rows, ARRAY_LEN(rows), "OPTTEST_", &s2);
    assert_int_equal(option_reload(&o, &fresh, waiting, sizeof(waiting)), 4); /* back again */
    assert_string_equal(waiting, "");
    assert_null(s.name);
    assert_int_equal(option_reload(&o, &fresh, waiting, sizeof(waiting)), 0);
    option_free(&fresh);
}

static void showing(void **state)
{
    (void)state;
    assert_string_equal(shown("port"), "6379");
    assert_string_equal(shown("fast"), "no");
    assert_string_equal(shown("size-limit"), "65536");
    assert_string_equal(shown("request-timeout"), "5s");
    assert_string_equal(shown("keepalive"), "60");
    assert_string_equal(shown("level"), "info");
    assert_string_equal(shown("name"), "");
    assert_int_equal(args("--keepalive", "1500ms", "--level", "notice", "h:1", "h:2", NULL), 0);
    assert_string_equal(shown("keepalive"), "1500ms");
    assert_string_equal(shown("level"), "info");
    char buf[4];
    assert_int_equal(option_format(&o, option_find(&o, "nodes", 5), buf, sizeof(buf)), 7);
    assert_string_equal(buf, "h:1");
    assert_int_equal(option_format(&o, option_find(&o, "nodes", 5), NULL, 0), 7);
}

static void matching(void **state)
{
    (void)state;
    size_t at = 0;
    assert_string_equal(option_match(&o, "*re*s*", 6, &at)->name, "request-timeout");
    assert_null(option_match(&o, "*re*s*", 6, &at));
    at = 0;
    assert_string_equal(option_match(&o, "SEED?", 5, &at)->name, "nodes");
    at = 0;
    size_t n = 0;
    while (option_match(&o, "*", 1, &at) != NULL)
        n++;
    assert_int_equal(n, ARRAY_LEN(rows));
    assert_null(option_find(&o, "por", 3));
    assert_null(option_find(&o, "", 0));
}

static void writing(void **state)
{
    (void)state;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    option_write_help(rows, ARRAY_LEN(rows), out);
    fclose(out);
    assert_non_null(strstr(text, "Network:\n  -p, --port <port>"));
    assert_non_null(strstr(text, "The port. (default 6379)\n"));
    assert_non_null(strstr(text, "      --nodes                   Nodes. (also --seeds)\n"));
    assert_non_null(strstr(text, "\n\nWork:\n  -f, --fast"));
    assert_null(strstr(text, " \n"));
    free(text);

    out = open_memstream(&text, &len);
    option_write_doc(rows, ARRAY_LEN(rows), "OPTTEST_", out);
    fclose(out);
    assert_non_null(strstr(text, "`OPTTEST_REQUEST_TIMEOUT=5s`"));
    assert_non_null(strstr(text, "\n## Network\n"));
    assert_non_null(
        strstr(text, "\n| `port`, `-p` | number, from 1 to 65535 | `6379` | no | The port. |\n"));
    assert_non_null(
        strstr(text, "\n| `fast`, `-f` | yes or no | `no` | yes | Be fast \\| or not. |\n"));
    assert_non_null(strstr(text, "\n| `level` | debug, info, warn | `info` | yes | Level. |\n"));
    assert_non_null(strstr(text, "Command line only. |"));
    free(text);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = { "a.conf", "b.conf", "r.conf" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(path_of(names[i]));
    return rmdir(dir);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(command_line),
        TEST(switches),
        TEST(wrong_command_lines),
        TEST(secrets_stay_secret),
        TEST(a_long_wrong_value_is_cut),
        TEST(no_positional_row),
        TEST(environment),
        TEST(configuration_file),
        TEST(wrong_files),
        TEST(a_huge_file_is_refused),
        TEST(includes),
        TEST(includes_missing),
        TEST(precedence),
        TEST(run_time_changes),
        TEST(reloading),
        TEST(showing),
        TEST(matching),
        TEST(writing),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
