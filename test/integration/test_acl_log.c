/*
 * ACL LOG beside a redis-server 7.0 that reads the same ACL file: the same refusals are the same
 * entries, in RESP2 and RESP3; and those of two workers are shown as one log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/crowd.h"
#include "test/lib/testenv.h"

enum { WORKERS = 2 };

static const char users[] =
    "user default on nopass ~* &* +@all\n"
    "user limited on >pw ~app:* &news.* +@read +@connection +publish +multi +exec +discard\n"
    "user other on >pw ~* +ping\n";

static struct proxy two; /* with two workers */

static int start(void **state)
{
    char seeds[512];
    (void)state;
    const char *file = testenv_file("users.acl", users);
    oracle_start_with(&oracle, (const char *const[]){ "--aclfile", file, NULL });
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--acl-file", file, NULL });
    proxy_launch(&two, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--acl-file", file, "--workers", "2", NULL }, NULL);
    proxy_await_log(&two, "event=\"listening\"", WORKERS, scaled_ms(10000));
    return 0;
}

static int end(void **state)
{
    proxy_stop(&two);
    return beside_end(state);
}

/* --- beside one Redis ------------------------------------------------------------------------- */

struct pair {
    struct client proxy, oracle;
};

static void open_pair(struct pair *p, const char *hello)
{
    assert_true(client_open(&p->proxy, proxy.port));
    assert_true(client_open(&p->oracle, oracle.port));
    if (hello == NULL)
        return;
    assert_non_null(client_ask(&p->proxy, "HELLO", hello, NULL));
    assert_non_null(client_ask(&p->oracle, "HELLO", hello, NULL));
}

static void close_pair(struct pair *p)
{
    client_close(&p->proxy);
    client_close(&p->oracle);
}

/* The value behind a name, without what is the same in no two entries: the age, and of the client
   all but user and command. */
static size_t skip_value(const char *value, char *out, const char *keep)
{
    const char *end = value + reply_length(value, strlen(value)), *at = strstr(value, keep);
    if (*keep == '\0' || at == NULL || at > end)
        return (size_t)(end - value);
    sprintf(out, "%.*s", (int)strcspn(at + 1, " \r"), at + 1);
    return (size_t)(end - value);
}

/* What two logs have in common; the caller frees it. */
static char *essence_of(const char *reply)
{
    static const char age[] = "$11\r\nage-seconds\r\n", info[] = "$11\r\nclient-info\r\n";
    char *out = calloc(1, strlen(reply) + 1), *to = out;
    assert_non_null(out);
    while (*reply != '\0') {
        if (strncmp(reply, age, sizeof(age) - 1) == 0) {
            reply += sizeof(age) - 1;
            *to++ = *reply == '$' || *reply == ',' ? *reply : '?';
            reply += skip_value(reply, to, "");
        } else if (strncmp(reply, info, sizeof(info) - 1) == 0) {
            reply += sizeof(info) - 1;
            (void)skip_value(reply, to, " cmd=");
            to += strlen(to);
            reply += skip_value(reply, to, " user=");
            to += strlen(to);
        } else {
            *to++ = *reply++;
        }
    }
    return out;
}

static void compare_log(struct pair *p, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);
    assert_true(client_send(&p->proxy, request, len) && client_send(&p->oracle, request, len));
    char *mine = essence_of(client_read(&p->proxy, &len));
    char *wanted = essence_of(client_read(&p->oracle, &len));
    if (strcmp(mine, wanted) != 0)
        fail_msg("%s: %s instead of %s", words, mine, wanted);
    free(mine);
    free(wanted);
    free(request);
}

static const char *const refused[] = {
    "AUTH limited wrong",
    "AUTH nobody pw",
    "auth limited wrong",
    "HELLO 3 AUTH limited wrong",
    "hello 2 auth other wrong SETNAME x",
    "AUTH limited pw",
    "SET app:1 v",
    "GET other",
    "MGET app:1 other app:2 third",
    "CONFIG GET maxmemory",
    "config set maxmemory 0",
    "GET other",
    "PUBLISH weather rain",
    "CLIENT INFO x y", /* a wrong number of arguments is no refusal */
    "NOSUCH x",
    "MULTI",
    "SET app:1 v",
    "GET other",
    "GET app:1",
    "EXEC",
    "MULTI",
    "GET other",
    "DISCARD",
    "AUTH other wrong",
    "AUTH other pw",
    "GET other",
    "EXEC",
    "AUTH limited pw",
    "GET other",
};

/* One after the other; the log is looked at after each. */
static void test_entries(void **state)
{
    static const char *const protocols[] = { "2", "3" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct pair watching, acting;
        open_pair(&watching, protocols[i]);
        open_pair(&acting, NULL);
        oracle_compare_words(&watching.proxy, &watching.oracle, "ACL LOG RESET");
        oracle_compare_words(&watching.proxy, &watching.oracle, "ACL LOG");
        for (size_t n = 0; n < ARRAY_LEN(refused); n++) {
            oracle_compare_words(&acting.proxy, &acting.oracle, refused[n]);
            compare_log(&watching, "ACL LOG");
        }
        compare_log(&watching, "ACL LOG 100");
        compare_log(&watching, "ACL LOG 2");
        compare_log(&watching, "ACL LOG 0");
        compare_log(&watching, "ACL LOG -1");
        close_pair(&acting);
        close_pair(&watching);
    }
}

static void test_arguments(void **state)
{
    static const char *const calls[] = { "ACL LOG x",         "ACL LOG 1 2",   "ACL LOG reset 1",
                                         "ACL LOG 1.5",       "acl log rESET", "ACL LOG",
                                         "CONFIG GET acllog*" };
    struct pair p;
    (void)state;
    open_pair(&p, NULL);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        oracle_compare_words(&p.proxy, &p.oracle, calls[i]);
    close_pair(&p);
}

/* Refusals of `count` different keys. */
static void refuse_keys(struct pair *p, int count)
{
    char words[64];
    oracle_compare_words(&p->proxy, &p->oracle, "AUTH limited pw");
    for (int i = 0; i < count; i++) {
        snprintf(words, sizeof(words), "GET secret:%d", i);
        oracle_compare_words(&p->proxy, &p->oracle, words);
    }
}

static void test_limits(void **state)
{
    struct pair p, acting;
    (void)state;
    open_pair(&p, NULL);
    open_pair(&acting, NULL);
    oracle_compare_words(&p.proxy, &p.oracle, "ACL LOG RESET");
    refuse_keys(&acting, 40); /* more than are scanned for the same one */
    refuse_keys(&acting, 40);
    compare_log(&p, "ACL LOG 1000");
    oracle_compare_words(&p.proxy, &p.oracle, "CONFIG SET acllog-max-len 5");
    refuse_keys(&acting, 8);
    compare_log(&p, "ACL LOG 1000");
    oracle_compare_words(&p.proxy, &p.oracle, "CONFIG SET acllog-max-len 0");
    refuse_keys(&acting, 2);
    compare_log(&p, "ACL LOG 1000");
    oracle_compare_words(&p.proxy, &p.oracle, "CONFIG SET acllog-max-len 128");
    close_pair(&acting);
    close_pair(&p);
}

/* A key as long as a client likes does not stay as long. */
static void test_long_names(void **state)
{
    struct client c, looks;
    char key[5000];
    (void)state;
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_true(client_open(&c, proxy.port) && client_open(&looks, proxy.port));
    client_ask_expect(&looks, "+OK\r\n", "ACL", "LOG", "RESET");
    client_ask_expect(&c, "+OK\r\n", "AUTH", "limited", "pw");
    assert_non_null(client_ask(&c, "GET", key, NULL));
    const char *log = client_ask(&looks, "ACL", "LOG", NULL);
    assert_non_null(log);
    assert_non_null(strstr(log, "$1024\r\nkkkk"));
    client_close(&c);
    client_close(&looks);
}

/* --- all workers ------------------------------------------------------------------------------ */

static int count_of(const char *reply, const char *text)
{
    int n = 0;
    for (const char *at = reply; at != NULL && (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static void test_workers(void **state)
{
    struct client c[WORKERS], looks[WORKERS];
    const char *log;
    (void)state;
    crowd_open_on_each(c, WORKERS, two.port);
    crowd_open_on_each(looks, WORKERS, two.port);
    for (int i = 0; i < WORKERS; i++) {
        client_ask_expect(&c[i], "+OK\r\n", "AUTH", "limited", "pw");
        for (int n = 0; n <= i; n++)
            assert_non_null(client_ask(&c[i], "GET", "secret", NULL));
        assert_non_null(client_ask(&c[i], "GET", i == 0 ? "zero" : "one", NULL));
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_non_null(log = client_ask(&looks[i], "ACL", "LOG", NULL));
        assert_int_equal(strncmp(log, "*3\r\n", 4), 0);
        assert_int_equal(count_of(log, "$6\r\nsecret\r\n"), 1);
        assert_int_equal(count_of(log, "$5\r\ncount\r\n:3\r\n"), 1);
        assert_true(strstr(log, "$3\r\none\r\n") < strstr(log, "$4\r\nzero\r\n"));
        assert_non_null(log = client_ask(&looks[i], "ACL", "LOG", "1", NULL));
        assert_int_equal(strncmp(log, "*1\r\n", 4), 0);
        assert_non_null(strstr(log, "$3\r\none\r\n"));
    }
    client_ask_expect(&looks[0], "+OK\r\n", "ACL", "LOG", "RESET");
    client_ask_expect(&looks[1], "*0\r\n", "ACL", "LOG");
    crowd_close(c, WORKERS);
    crowd_close(looks, WORKERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries), cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_workers),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, end));
}
