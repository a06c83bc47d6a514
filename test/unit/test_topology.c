#include "cluster/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { INTERVAL = 10000, MIN_INTERVAL = 500, RETRY = 50, SEEDS = 2 };

static const struct topology_options options = { INTERVAL, MIN_INTERVAL, RETRY };
static const struct endpoint seeds[SEEDS] = { { "seed", 1 }, { "seed", 2 } };

/* A map of `shards` masters "m:1", "m:2" ..., of which the first `covered` slots are served. */
static struct slotmap *make_map(uint32_t shards, uint32_t covered)
{
    char text[4096];
    size_t n = (size_t)snprintf(text, sizeof(text), "*%u\r\n", shards);
    for (uint32_t i = 0; i < shards; i++) {
        uint32_t from = covered * i / shards, to = covered * (i + 1) / shards - 1;
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "*3\r\n:%u\r\n:%u\r\n*2\r\n$1\r\nm\r\n:%u\r\n", from, to, i + 1);
    }
    struct endpoint asked = { "x", 1 };
    struct slotmap *m = slotmap_parse((struct span){ text, n }, &asked);
    assert_non_null(m);
    return m;
}

static struct topology *make(uint64_t random)
{
    return topology_new(&options, seeds, SEEDS, random);
}

static struct endpoint ask(struct topology *t, uint64_t now)
{
    struct topology_step step = topology_next(t, now);
    assert_int_equal(step.want, TOPOLOGY_ASK);
    assert_true(topology_due(t) == UINT64_MAX);
    struct topology_step none = topology_next(t, now);
    assert_int_equal(none.want, TOPOLOGY_WAIT);
    assert_true(none.at == UINT64_MAX);
    return step.who;
}

static uint64_t wait(struct topology *t, uint64_t now)
{
    struct topology_step step = topology_next(t, now);
    assert_int_equal(step.want, TOPOLOGY_WAIT);
    assert_true(step.at > now);
    assert_true(step.at == topology_due(t));
    return step.at;
}

static void assert_about(uint64_t from, uint64_t at, uint64_t ms)
{
    assert_in_range(at - from, ms - ms / 10, ms + ms / 10);
}

/* The first map; gives the time of the next round. */
static uint64_t adopt_first(struct topology *t, uint64_t now, uint32_t shards, uint32_t covered)
{
    ask(t, now);
    struct slotmap *m = topology_answered(t, now, make_map(shards, covered), NULL);
    assert_non_null(m);
    slotmap_free(m);
    return wait(t, now);
}

/* Dead seeds: each is asked once a round, in order, and the back-off grows up to the interval. */
static void test_dead_seeds(void **state)
{
    (void)state;
    struct topology *t = make(1);
    uint64_t now = 1000, back_off = RETRY;
    assert_true(topology_due(t) <= now);
    for (int round = 0; round < 12; round++) {
        for (uint16_t i = 0; i < SEEDS; i++) {
            struct endpoint who = ask(t, now);
            assert_string_equal(who.host, "seed");
            assert_int_equal(who.port, i + 1);
            now += 100;
            assert_null(topology_failed(t, now));
        }
        uint64_t at = wait(t, now);
        assert_about(now, at, back_off);
        now = at;
        back_off = back_off * 2 < INTERVAL ? back_off * 2 : INTERVAL;
    }
    adopt_first(t, now, 3, SLOT_COUNT);
    /* It has answered: the back-off begins anew. */
    now += 2 * INTERVAL;
    for (int i = 0; i < 3 + SEEDS; i++) {
        ask(t, now);
        assert_null(topology_failed(t, now));
    }
    assert_about(now, wait(t, now), RETRY);
    topology_free(t);
}

/* Known nodes first, each once, in an order that differs; the seeds when none of them answers. */
static void test_rounds(void **state)
{
    (void)state;
    unsigned first_seen = 0;
    for (uint64_t random = 1; random < 60; random++) {
        struct topology *t = make(random * 7919);
        uint64_t now = adopt_first(t, 0, 4, SLOT_COUNT);
        unsigned seen = 0;
        for (int i = 0; i < 4; i++) {
            struct endpoint who = ask(t, now);
            assert_string_equal(who.host, "m");
            assert_false(seen & 1u << who.port);
            seen |= 1u << who.port;
            if (i == 0)
                first_seen |= 1u << who.port;
            assert_null(topology_failed(t, now));
        }
        assert_int_equal(seen, 0x1e);
        for (uint16_t i = 0; i < SEEDS; i++) {
            assert_int_equal(ask(t, now).port, i + 1);
            assert_null(topology_failed(t, now));
        }
        wait(t, now);
        topology_free(t);
    }
    assert_int_equal(first_seen, 0x1e);
}

static void test_jitter(void **state)
{
    (void)state;
    uint64_t least = UINT64_MAX, most = 0;
    for (uint64_t random = 0; random < 300; random++) {
        struct topology *t = make(random * 104729);
        uint64_t at = adopt_first(t, 0, 1, SLOT_COUNT);
        assert_about(0, at, INTERVAL);
        least = at < least ? at : least;
        most = at > most ? at : most;
        topology_free(t);
    }
    assert_true(least < INTERVAL - INTERVAL / 20 && most > INTERVAL + INTERVAL / 20);
}

static void test_pokes(void **state)
{
    (void)state;
    struct topology *t = make(3);
    topology_poke(t, 5000); /* before the first round: nothing to wait for */
    assert_true(topology_due(t) <= 5000);
    adopt_first(t, 5000, 2, SLOT_COUNT);
    /* Right after a round: the rate limit counts from its beginning. */
    for (int i = 0; i < 5; i++)
        topology_poke(t, 5001);
    assert_int_equal(wait(t, 5001), 5000 + MIN_INTERVAL);
    ask(t, 5500);
    /* During a round: it goes on as it is, whatever made somebody doubt will do so again. */
    topology_poke(t, 5510);
    assert_true(topology_due(t) == UINT64_MAX);
    struct slotmap *m = topology_answered(t, 5520, make_map(2, SLOT_COUNT), NULL);
    slotmap_free(m);
    assert_about(5520, wait(t, 5520), INTERVAL);
    /* Long after it: at once. A poke never delays. */
    topology_poke(t, 9000);
    assert_int_equal(topology_due(t), 9000);
    topology_poke(t, 9500);
    assert_int_equal(topology_due(t), 9000);
    ask(t, 9500);
    slotmap_free(topology_answered(t, 9500, make_map(2, SLOT_COUNT), NULL));
    topology_free(t);
}

/* A node that has just come back knows little: fewer slots need three answers. */
static void test_fewer_slots(void **state)
{
    (void)state;
    struct topology *t = make(4);
    struct slotmap *current = make_map(4, SLOT_COUNT);
    uint64_t now = adopt_first(t, 0, 4, SLOT_COUNT);
    ask(t, now);
    assert_null(topology_answered(t, now, make_map(1, 100), current));
    assert_int_equal(topology_due(t), 0); /* the round goes on at once */
    ask(t, now);
    struct slotmap *m = topology_answered(t, now, make_map(2, SLOT_COUNT), current);
    assert_non_null(m); /* whoever covers it all is believed */
    assert_int_equal(m->shard_count, 2);
    slotmap_free(m);
    now = wait(t, now);
    /* Three that cover less: the one that covers most. */
    static const uint32_t covered[] = { 100, 900, 500 };
    for (int i = 0; i < 3; i++) {
        ask(t, now);
        m = topology_answered(t, now, make_map(1, covered[i]), current);
        assert_true((m != NULL) == (i == 2));
    }
    assert_int_equal(m->covered, 900);
    slotmap_free(m);
    wait(t, now);
    slotmap_free(current);
    topology_free(t);
}

/* The candidates are used up before three have answered: the best that was heard will do. */
static void test_best_at_the_end(void **state)
{
    (void)state;
    struct topology *t = make(5);
    struct slotmap *current = make_map(1, SLOT_COUNT);
    uint64_t now = adopt_first(t, 0, 1, SLOT_COUNT);
    ask(t, now); /* m:1 */
    assert_null(topology_answered(t, now, make_map(1, 700), current));
    ask(t, now);
    assert_null(topology_failed(t, now));
    ask(t, now);
    struct slotmap *m = topology_failed(t, now);
    assert_non_null(m);
    assert_int_equal(m->covered, 700);
    assert_about(now, wait(t, now), INTERVAL);
    slotmap_free(m);
    /* The same when the last one answers with less still; an unfinished round frees its best. */
    now += 2 * INTERVAL;
    ask(t, now);
    assert_null(topology_answered(t, now, make_map(1, 500), current));
    ask(t, now);
    assert_null(topology_failed(t, now));
    ask(t, now);
    m = topology_answered(t, now, make_map(1, 400), current);
    assert_non_null(m);
    assert_int_equal(m->covered, 500);
    slotmap_free(m);
    now += 2 * INTERVAL;
    ask(t, now);
    assert_null(topology_answered(t, now, make_map(1, 500), current));
    slotmap_free(current);
    topology_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_seeds),  cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_jitter),      cmocka_unit_test(test_pokes),
        cmocka_unit_test(test_fewer_slots), cmocka_unit_test(test_best_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
