/*
 * The promises that a client has to be able to build on, while the cluster changes under it:
 *   1  exactly one reply per request, its own, in order         (each reply is checked as it comes)
 *   2  a write is never executed twice: acknowledged <= value <= acknowledged + uncertain
 *   3  one client's commands on one slot take effect in order   (lists of rising numbers)
 * See test/lib/load.h for how the load keeps the books.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/load.h"
#include "test/lib/testenv.h"

enum { TAGS = 6, CUTTING_MS = 7000 };

static char tag_text[TAGS][16]; /* two hash tags in the first share of each master */
static const char *tags[TAGS];
static int tag_slot[TAGS];

static int start(void **state)
{
    (void)state;
    beside_start_alone(&(struct cluster_options){ .masters = 3, .replicas = 1 }, NULL);
    for (int i = 0; i < TAGS; i++) {
        tags[i] = cluster_tag(&cluster, i % 3, i / 3, tag_text[i]);
        tag_slot[i] = cluster_slot(tags[i]);
    }
    return 0;
}

static int before_each(void **state)
{
    (void)state;
    cluster_await_settled(&cluster, 20000);
    return 0;
}

static void cut_all_connections(void)
{
    for (int n = 0; n < cluster.count; n++)
        cluster_do(&cluster, n, "CLIENT KILL TYPE normal");
}

static void test_connections_cut(void **state)
{
    (void)state;
    /* Hardly any rest, so that each cut meets requests on their way. How many cuts there are is up
       to the proxy: it may keep off a node that loses its connections again and again. */
    struct load *load = load_start(
        &(struct load_options){ .port = proxy.port, .clients = 12, .depth = 48, .rest_us = 300 });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    int cuts = 0;
    for (uint64_t end = now_ms() + CUTTING_MS; flows && now_ms() < end; cuts++) {
        cut_all_connections();
        flows = load_goes_on(load, 200, scaled_ms(8000));
    }
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    fprintf(stderr, "%d cuts\n", cuts);
    assert_true(flows);
    assert_true(tally.uncertain > 0); /* otherwise this test has shown nothing */
}

/* A master that hands over to its replica loses nothing, so the books have to balance exactly. */
static void test_graceful_failovers(void **state)
{
    (void)state;
    struct load *load =
        load_start(&(struct load_options){ .port = proxy.port, .clients = 12, .rest_us = 6000 });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    for (int i = 0; flows && i < 4; i++) {
        int master = cluster_owner(&cluster, tag_slot[i % 3]);
        int replica = cluster_replica_of(&cluster, master);
        assert_true(replica >= 0);
        cluster_failover(&cluster, replica, "");
        flows = load_goes_on(load, 500, scaled_ms(8000));
        cluster_await_settled(&cluster, 20000);
    }
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    /* The nodes only ever said MOVED; no connection was lost, so nothing may be uncertain. */
    assert_int_equal(tally.uncertain, 0);
    assert_string_equal(tally.first_error, "");
}

static void test_order_while_slots_move(void **state)
{
    (void)state;
    /* Long pipelines on few keys: at each change there is something on the way. */
    struct load *load = load_start(&(struct load_options){ .port = proxy.port,
                                                           .clients = 8,
                                                           .depth = 48,
                                                           .keys = 2,
                                                           .rest_us = 8000,
                                                           .tags = tags,
                                                           .tag_count = TAGS });
    bool flows = load_goes_on(load, 1000, scaled_ms(5000));
    for (int i = 0; flows && i < 2 * TAGS; i++) {
        int slot = tag_slot[i % TAGS], from = cluster_owner(&cluster, slot), to = (from + 1) % 3;

        while (!cluster_is_master(&cluster, to) || to == from)
            to = (to + 1) % cluster.count;
        cluster_slot_open(&cluster, slot, from, to);
        while (flows && cluster_slot_move_keys(&cluster, slot, from, to, 2) > 0)
            flows = load_goes_on(load, 150, scaled_ms(5000));
        cluster_slot_close(&cluster, slot, to);
        flows = flows && load_goes_on(load, 150, scaled_ms(5000));
    }
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    assert_string_equal(tally.first_error, "");
}

/* Both at once: slots move while connections break. */
static void test_moves_and_cuts(void **state)
{
    (void)state;
    struct load *load = load_start(&(struct load_options){ .port = proxy.port,
                                                           .clients = 8,
                                                           .depth = 24,
                                                           .keys = 3,
                                                           .rest_us = 1000,
                                                           .tags = tags,
                                                           .tag_count = TAGS });
    bool flows = load_goes_on(load, 500, scaled_ms(5000));
    uint64_t end = now_ms() + CUTTING_MS;
    for (int i = 0; flows && i < TAGS && now_ms() < end; i++) {
        int slot = tag_slot[i], from = cluster_owner(&cluster, slot), to = (from + 1) % 3;

        while (!cluster_is_master(&cluster, to) || to == from)
            to = (to + 1) % cluster.count;
        cluster_slot_open(&cluster, slot, from, to);
        /* Some keys, a cut with the slot in two halves, the rest, and a cut right at its end. */
        cluster_slot_move_keys(&cluster, slot, from, to, 5);
        cut_all_connections();
        flows = load_goes_on(load, 150, scaled_ms(8000));
        while (cluster_slot_move_keys(&cluster, slot, from, to, 5) > 0)
            flows = flows && load_goes_on(load, 50, scaled_ms(8000));
        cluster_slot_close(&cluster, slot, to);
        cut_all_connections();
        flows = flows && load_goes_on(load, 150, scaled_ms(8000));
    }
    load_check(load, &cluster);
    assert_true(flows);
}

/* Replication is asynchronous, so a killed master takes acknowledged writes with it; but what is
   there was written once, in order, and every request got its reply. */
static void test_master_killed(void **state)
{
    (void)state;
    int master = cluster_owner(&cluster, tag_slot[0]);
    struct load *load = load_start(&(struct load_options){ .port = proxy.port,
                                                           .clients = 12,
                                                           .rest_us = 6000,
                                                           .lossy = true,
                                                           .tags = tags,
                                                           .tag_count = TAGS });
    bool flows = load_goes_on(load, 1000, scaled_ms(5000));
    int replica = cluster_replica_of(&cluster, master);
    assert_true(replica >= 0);
    cluster_kill_node(&cluster, master);
    cluster_await_master(&cluster, replica, 15000);
    flows = flows && load_goes_on(load, 1000, scaled_ms(10000));
    cluster_restart_node(&cluster, master);
    cluster_await_settled(&cluster, 20000);
    flows = flows && load_goes_on(load, 500, scaled_ms(8000));
    load_check(load, &cluster);
    assert_true(flows);
}

#define PROMISED(test) cmocka_unit_test_setup(test, before_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROMISED(test_connections_cut),        PROMISED(test_graceful_failovers),
        PROMISED(test_order_while_slots_move), PROMISED(test_moves_and_cuts),
        PROMISED(test_master_killed),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
