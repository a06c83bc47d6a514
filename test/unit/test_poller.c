#include "cluster/poller.h"

#include "test/unit/router_rig.h"

/* The router's rig with a poller that asks node a first, then b. */
struct polled {
    struct rig g;
    struct poller poller;
    unsigned maps;
};

static void on_map(void *context)
{
    ((struct polled *)context)->maps++;
}

static void begin(struct polled *p, uint64_t interval, uint64_t min_interval)
{
    memset(p, 0, sizeof(*p));
    rig_begin(&p->g, rig_options());
    struct topology_options options = { interval, min_interval, 20 };
    struct endpoint seeds[2] = { loop_endpoint("127.0.0.1", p->g.a.port),
                                 loop_endpoint("127.0.0.1", p->g.b.port) };
    poller_open(&p->poller, &p->g.router, &options, seeds, 2, 150, on_map, p);
}

static void end(struct polled *p)
{
    poller_close(&p->poller);
    rig_end(&p->g);
    poller_free(&p->poller);
}

/* A map in which b serves everything, or all but the last slots. */
static void say_map(struct polled *p, struct test_node *n, unsigned connection, unsigned last,
                    const struct test_node *owner)
{
    char text[200];
    (void)p;
    snprintf(text, sizeof(text), "*1\r\n*3\r\n:0\r\n:%u\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n", last,
             owner->port);
    node_say(n, connection, text);
}

/* Seeds that refuse, talk nonsense or say nothing are passed over; the first map lets all go on. */
static void test_start(void **state)
{
    (void)state;
    static const char *const nonsense[] = { "-ERR This instance has cluster support disabled\r\n",
                                            "*0\r\n", "+OK\r\n", NULL };
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        struct polled p;
        begin(&p, 10000, 10);
        rig_send(&p.g, &p.g.one, "1", "GET {a}");
        rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS");
        if (nonsense[i] != NULL)
            node_say(&p.g.a, 0, nonsense[i]);
        rig_expect(&p.g, &p.g.b, 0, "CLUSTER SLOTS");
        assert_int_equal(p.maps, 0);
        say_map(&p, &p.g.b, 0, 16383, &p.g.b);
        LOOP_UNTIL(&p.g.loop, p.maps == 1);
        rig_expect(&p.g, &p.g.b, 0, "GET {a}");
        node_say(&p.g.b, 0, "+x\r\n");
        rig_await(&p.g, &p.g.one, "1:+x/ ");
        end(&p);
    }
}

/* The same map again changes nothing; a doubt asks soon; fewer slots are not believed at once. */
static void test_doubts(void **state)
{
    (void)state;
    struct polled p;
    begin(&p, 60000, 10);
    rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS");
    say_map(&p, &p.g.a, 0, 16383, &p.g.b);
    LOOP_UNTIL(&p.g.loop, p.maps == 1);
    uint32_t epoch = p.g.router.epoch;
    rig_send(&p.g, &p.g.one, "1", "GET {a}");
    rig_expect(&p.g, &p.g.b, 0, "GET {a}");
    node_say(&p.g.b, 0, "-CLUSTERDOWN no\r\n");
    rig_expect(&p.g, &p.g.b, 0, "CLUSTER SLOTS"); /* b is the one known node */
    say_map(&p, &p.g.b, 0, 16383, &p.g.b);
    rig_expect(&p.g, &p.g.b, 0, "GET {a}");
    assert_int_equal(p.maps, 1);
    assert_int_equal(p.g.router.epoch, epoch);
    node_say(&p.g.b, 0, "-CLUSTERDOWN no\r\n");
    rig_expect(&p.g, &p.g.b, 0, "CLUSTER SLOTS");
    say_map(&p, &p.g.b, 0, 99, &p.g.b);
    rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS");
    say_map(&p, &p.g.a, 0, 16383, &p.g.a);
    LOOP_UNTIL(&p.g.loop, p.maps == 2);
    rig_expect(&p.g, &p.g.a, 0, "GET {a}");
    node_say(&p.g.a, 0, "+x\r\n");
    rig_await(&p.g, &p.g.one, "1:+x/ ");
    end(&p);
}

/* A question that times out ends the round with a map: nodes may be swept, and nobody walks over
   one that is gone. The nodes of maps long past stand right behind the one that is asked. */
static void test_map_adopted_at_a_timeout(void **state)
{
    (void)state;
    struct polled p;
    begin(&p, 60000, 10);
    rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS");
    say_map(&p, &p.g.a, 0, 16383, &p.g.a);
    LOOP_UNTIL(&p.g.loop, p.maps == 1);
    p.g.router.on_doubt(p.g.router.doubt_context);
    rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS");
    say_map(&p, &p.g.a, 0, 99, &p.g.a);
    rig_expect(&p.g, &p.g.a, 0, "CLUSTER SLOTS"); /* the same node as the first seed */
    node_say(&p.g.a, 0, "-ERR not now\r\n");
    rig_expect(&p.g, &p.g.b, 0, "CLUSTER SLOTS"); /* the last one: silent */
    for (int i = 0; i < 20; i++) {
        char host[20];
        snprintf(host, sizeof(host), "old%d", i);
        struct endpoint e = loop_endpoint(host, 1);
        assert_non_null(node_get(&p.g.router.nodes, &e));
    }
    LOOP_UNTIL(&p.g.loop, p.maps == 2);
    assert_int_equal(p.g.router.map->covered, 100);
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_map_adopted_at_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
