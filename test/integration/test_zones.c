/*
 * read-from az-affinity where the nodes themselves say in which zone they are: a real cluster of
 * Valkey, whose INFO has an availability_zone, and no --zone-map.
 *
 * Valkey 9, else 8.1, else 8.0; without any of them (./dev servers valkey-9) nothing is tested, and
 * that is said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/server.h"
#include "test/lib/testenv.h"

enum { MASTERS = 2, REPLICAS = 2, NODES = MASTERS * (1 + REPLICAS), KEYS = 60 };

/* Masters are in the zone 0, the replicas of each in 1 and 2. */
static const char *const zones[] = { "eu-1a", "eu-1b", "eu-1c" };

static int zone_of_node(int node)
{
    return node < MASTERS ? 0 : 1 + (node - MASTERS) % REPLICAS;
}

static int start(void **state)
{
    char seeds[512];
    (void)state;
    /* Nodes that have just begun may not show all replicas, so the map is asked for often. */
    cluster_start(&cluster, &(struct cluster_options){ .masters = MASTERS, .replicas = REPLICAS });
    assert_int_equal(cluster.count, NODES);
    for (int n = 0; n < NODES; n++)
        cluster_do(&cluster, n, "CONFIG SET availability-zone %s", zones[zone_of_node(n)]);
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--read-from", "az-affinity", "--zone", zones[0],
                                       "--log-level", "debug", "--topology-interval", "1s", NULL });
    return 0;
}

static void forget_calls(void)
{
    for (int n = 0; n < NODES; n++)
        cluster_do(&cluster, n, "CONFIG RESETSTAT");
}

/* How many GETs the nodes of that zone have served since. */
static long calls_in(int zone)
{
    long sum = 0;
    for (int n = 0; n < NODES; n++) {
        if (zone_of_node(n) != zone)
            continue;
        redisReply *r = cluster_ask(&cluster, n, "INFO commandstats");
        assert_non_null(r);
        const char *at = strstr(r->str, "cmdstat_get:calls=");
        sum += at != NULL ? strtol(at + strlen("cmdstat_get:calls="), NULL, 10) : 0;
        freeReplyObject(r);
    }
    return sum;
}

/* A client that begins anew chooses among all nodes that are well. */
static void read_keys(void)
{
    struct client c;
    char key[64];
    assert_true(client_open(&c, proxy.port));
    forget_calls();
    for (int i = 0; i < KEYS; i++) {
        cluster_key(&cluster, i % MASTERS, i, "k", key);
        client_ask_expect(&c, "$-1\r\n", "GET", key);
    }
    client_close(&c);
}

static void choose_zone(const char *zone)
{
    struct client c;
    assert_true(client_open(&c, proxy.port));
    proxy_login_admin(&c);
    client_ask_expect(&c, "+OK\r\n", "CONFIG", "SET", "zone", zone);
    client_close(&c);
}

static void test_nodes_tell_their_zones(void **state)
{
    char line[64];
    (void)state;
    proxy_await_log(&proxy, "replica is read from", MASTERS * REPLICAS, scaled_ms(20000));
    for (int z = 0; z < 3; z++) {
        snprintf(line, sizeof(line), " zone=%s", zones[z]);
        proxy_await_log(&proxy, line, MASTERS, scaled_ms(5000));
        assert_int_equal(proxy_log_count(&proxy, line), MASTERS);
    }
}

static void test_reads_stay_in_the_zone(void **state)
{
    (void)state;
    for (int zone = 0; zone < 3; zone++) {
        choose_zone(zones[zone]);
        /* Each worker asks for the zones when it is told which one is its own. */
        read_keys();
        for (int other = 0; other < 3; other++)
            assert_int_equal(calls_in(other), other == zone ? KEYS : 0);
    }
    choose_zone("nowhere"); /* any replica, but no master */
    read_keys();
    assert_int_equal(calls_in(0), 0);
    assert_int_equal(calls_in(1) + calls_in(2), KEYS);
}

/* A table of subnets counts for more than what a node says. */
static void test_map_comes_first(void **state)
{
    char seeds[512];
    (void)state;
    assert_true(proxy_stop(&proxy));
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--read-from", "az-affinity", "--zone", zones[1],
                                       "--zone-map", "127.0.0.1/32=eu-1c", "--log-level", "debug",
                                       "--topology-interval", "1s", NULL });
    proxy_await_log(&proxy, "replica is read from", MASTERS * REPLICAS, scaled_ms(20000));
    proxy_await_log(&proxy, " zone=eu-1c", NODES, scaled_ms(5000));
    read_keys();
    assert_int_equal(calls_in(0), 0); /* nobody is near, so any replica will do */
    assert_int_equal(calls_in(1) + calls_in(2), KEYS);
    choose_zone("eu-1c"); /* all are near, and a replica comes first */
    read_keys();
    assert_int_equal(calls_in(0), 0);
}

int main(void)
{
    static const char *const servers[] = { "valkey-9", "valkey-8.1", "valkey-8.0" };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_tell_their_zones),
        cmocka_unit_test(test_reads_stay_in_the_zone),
        cmocka_unit_test(test_map_comes_first),
    };
    const char *wanted = getenv("SLOTGATE_SERVER");
    size_t i = 0;
    bool found = wanted != NULL && strncmp(wanted, "valkey", 6) == 0;
    while (!found && i < ARRAY_LEN(servers))
        found = server_use(servers[i++]);
    if (!found) {
        fprintf(stderr, "skipped: there is no Valkey; ./dev servers valkey-9\n");
        return 0;
    }
    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
