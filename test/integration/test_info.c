/*
 * INFO as one Redis prints it: the same sections and fields in the same order, sums over the
 * masters, and nothing that shows a cluster.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/testenv.h"

enum { NAMES_ROOM = 32 * 1024 };

static int start(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3, .replicas = 1 }, NULL);
    return 0;
}

static void open_client(struct client *c, uint16_t port, int protocol)
{
    char number[4];
    assert_true(client_open(c, port));
    snprintf(number, sizeof(number), "%d", protocol);
    assert_non_null(client_ask(c, "HELLO", number, NULL));
}

static const char *ask(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(words, &len);
    assert_true(client_send(c, request, len));
    free(request);
    const char *reply = client_read(c, &len);
    assert_non_null(reply);
    return reply;
}

/* Fields that come and go with what a server has done. */
static bool is_common(const char *line)
{
    static const char *const others[] = { "cmdstat_", "errorstat_", "latency_percentiles_", "db0" };
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (strncmp(line, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

/* The reply without values, and without our own section, which is the last. */
static void names_of(const char *reply, char *out)
{
    const char *line = strstr(reply, "\r\n") + 2;
    const char *type = reply[0] == '=' ? "verbatim\n" : "bulk\n";
    strcpy(out, type);
    while (*line != '\0' && strncmp(line, "# Slotgate", 10) != 0) {
        size_t whole = strcspn(line, "\r"), name = strcspn(line, ":\r");
        if (strncmp(line, "txt:", 4) == 0) {
            line += 4;
            continue;
        }
        if (is_common(line) && whole > 0)
            strncat(strncat(out, line, name), "\n", 2);
        line += whole;
        line += strncmp(line, "\r\n", 2) == 0 ? 2 : strlen(line);
    }
}

static void test_names_and_order(void **state)
{
    static const char *const words[] = {
        "INFO",
        "INFO everything",
        "INFO all",
        "INFO default",
        "INFO server",
        "INFO clients",
        "INFO MEMORY",
        "INFO persistence",
        "INFO stats",
        "INFO replication",
        "INFO cpu",
        "INFO modules",
        "INFO commandstats",
        "INFO errorstats",
        "INFO latencystats",
        "INFO cluster",
        "INFO keyspace",
        "INFO nosuch",
        "INFO server nosuch keyspace clients server",
        "INFO default commandstats",
        "INFO sentinel",
    };
    char *have = malloc(NAMES_ROOM), *want = malloc(NAMES_ROOM);
    (void)state;
    assert_non_null(have);
    assert_non_null(want);
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        open_client(&c, proxy.port, protocol);
        open_client(&o, oracle.port, protocol);
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            names_of(ask(&c, words[i]), have);
            names_of(ask(&o, words[i]), want);
            assert_string_equal(have, want);
        }
        client_close(&c);
        client_close(&o);
    }
    free(have);
    free(want);
}

static void test_same_bytes(void **state)
{
    static const char *const words[] = { "FLUSHALL",     "INFO nosuch",  "INFO keyspace",
                                         "INFO modules", "INFO cluster", "INFO nosuch sentinel" };
    (void)state;
    for (int protocol = 2; protocol <= 3; protocol++) {
        struct client c, o;
        open_client(&c, proxy.port, protocol);
        open_client(&o, oracle.port, protocol);
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            oracle_compare_words(&c, &o, words[i]);
        client_close(&c);
        client_close(&o);
    }
}

static long long number_in(const char *info, const char *name)
{
    char field[64];
    snprintf(field, sizeof(field), "\n%s:", name);
    const char *at = strstr(info, field);
    if (at == NULL)
        fail_msg("no %s in %.200s", name, info);
    return atoll(at + strlen(field));
}

static void expect_in(const char *info, const char *line)
{
    if (strstr(info, line) == NULL)
        fail_msg("no %s in %s", line, info);
}

static void test_one_lone_master(void **state)
{
    struct client c;
    char line[64];
    pid_t worker;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    const char *info = ask(&c, "INFO everything");
    static const char *const lines[] = {
        "\nredis_mode:standalone\r\n", "\nrole:master\r\n",  "\nconnected_slaves:0\r\n",
        "\ncluster_enabled:0\r\n",     "\nloading:0\r\n",    "\nconnected_clients:1\r\n",
        "\nredis_version:7.0.15\r\n",  "\nconfig_file:\r\n", "\nmaxclients:10000\r\n",
        "\nmaster_repl_offset:0\r\n",  "\nshards:3\r\n",     "\nslots_covered:16384\r\n",
        "\nslotgate_version:",         "\nexecutable:/",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        expect_in(info, lines[i]);
    assert_null(strstr(info, "\nslave0:"));
    snprintf(line, sizeof(line), "\ntcp_port:%u\r\n", proxy.port);
    expect_in(info, line);
    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    snprintf(line, sizeof(line), "\nprocess_id:%d\r\n", (int)worker);
    expect_in(info, line);
    assert_true(number_in(info, "uptime_in_seconds") < 300);
    client_close(&c);
}

static void test_sums(void **state)
{
    enum { KEYS = 60 };
    struct client c;
    long long commands = 0, memory = 0;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    assert_string_equal(ask(&c, "FLUSHALL"), "+OK\r\n");
    assert_string_equal(ask(&c, "CONFIG RESETSTAT"), "+OK\r\n");
    for (int i = 0; i < KEYS; i++) {
        char words[64];
        snprintf(words, sizeof(words), "SET key:%d value%s", i, i % 3 == 0 ? " EX 1000" : "");
        assert_string_equal(ask(&c, words), "+OK\r\n");
    }
    const char *stats = ask(&c, "INFO commandstats keyspace errorstats");
    expect_in(stats, "\ncmdstat_set:calls=60,usec=");
    expect_in(stats, "\ndb0:keys=60,expires=20,avg_ttl=");
    const char *ttl = strstr(stats, "avg_ttl=");
    assert_true(atoll(ttl + 8) >= 0 && atoll(ttl + 8) <= 1000000); /* nodes only sample it */
    for (int i = 0; i < 3; i++) {
        redisReply *r = cluster_ask(&cluster, i, "INFO");
        assert_non_null(r);
        commands += number_in(r->str, "total_commands_processed");
        memory += number_in(r->str, "used_memory");
        freeReplyObject(r);
    }
    const char *info = ask(&c, "INFO");
    assert_true(number_in(info, "total_commands_processed") >= commands);
    assert_true(number_in(info, "total_commands_processed") < commands + 500);
    assert_true(number_in(info, "used_memory") > memory / 2);
    assert_true(number_in(info, "used_memory") < memory * 2);
    assert_true(number_in(info, "requests") >= KEYS);
    client_close(&c);
}

/* A part that is missing makes no smaller sum. */
static void test_a_master_is_away(void **state)
{
    struct client c;
    struct proxy hasty;
    char seeds[512];
    (void)state;
    proxy_start(&hasty, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--request-timeout", "300ms", NULL });
    assert_true(client_open(&c, hasty.port));
    cluster_stop_node(&cluster, 1);
    assert_int_equal(ask(&c, "INFO")[0], '-');
    cluster_continue_node(&cluster, 1);
    client_close(&c);
    assert_true(proxy_stop(&hasty));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes),       cmocka_unit_test(test_names_and_order),
        cmocka_unit_test(test_one_lone_master),  cmocka_unit_test(test_sums),
        cmocka_unit_test(test_a_master_is_away),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
