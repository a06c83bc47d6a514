#include <stdlib.h>

#include "test/unit/router_rig.h"

/* What is sent before the connection stands goes out first and in order; replies come back byte for
   byte, also a server's own error. */
static void test_way_of_a_request(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_send(&g, &g.one, "2", "GET {a}");
    rig_send(&g, &g.one, "3", "LPUSH {b} x");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_expect(&g, &g.a, 0, "LPUSH {b} x");
    rig_send(&g, &g.one, "4", "INCR {b}n");
    rig_expect(&g, &g.b, 0, "GET {a}");
    rig_expect(&g, &g.a, 0, "INCR {b}n");
    node_say(&g.a, 0, "+OK\r\n-WRONGTYPE no list\r\n");
    loop_run_ms(&g.loop, 10);
    assert_string_equal(g.one.log, "1:+OK/ "); /* the order is the client's */
    node_say(&g.b, 0, "$5\r\nhel");
    loop_run_ms(&g.loop, 5);
    node_say(&g.b, 0, "lo\r\n");
    node_say(&g.a, 0, ":7\r\n");
    rig_await(&g, &g.one, "1:+OK/ 2:$5/hello/ 3:-WRONGTYPE no list/ 4::7/ ");
    assert_int_equal(g.a.accepted + g.b.accepted, 2);
    assert_int_equal(g.doubts, 0);
    rig_end(&g);
}

static void test_moved(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_redirect(&g, &g.a, 0, "MOVED 3300", &g.b);
    rig_expect(&g, &g.b, 0, "SET {b} 1");
    node_say(&g.b, 0, "+OK\r\n");
    rig_await(&g, &g.one, "1:+OK/ ");
    assert_int_equal(g.doubts, 1);
    /* The map has learned it, for this slot alone. */
    rig_send(&g, &g.one, "2", "GET {b}");
    rig_expect(&g, &g.b, 0, "GET {b}");
    node_say(&g.b, 0, "+x\r\n");
    rig_await(&g, &g.one, "2:+x/ ");
    assert_int_equal(g.router.map->shard_of[3301], g.router.map->shard_of[0]);
    assert_int_equal(g.router.counters.moved, 1);
    rig_end(&g);
}

/* ASKING goes right before the request, its reply goes nowhere, and the map stays as it is. */
static void test_ask(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_send(&g, &g.two, "x", "SET {a} x"); /* somebody else on b, in the same turn */
    rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
    rig_expect(&g, &g.b, 0, "SET {a} x");
    rig_expect(&g, &g.b, 0, "ASKING");
    rig_expect(&g, &g.b, 0, "SET {b} 1");
    node_say(&g.b, 0, "+OK\r\n+OK\r\n-ERR mine\r\n");
    rig_await(&g, &g.one, "1:-ERR mine/ ");
    rig_await(&g, &g.two, "x:+OK/ ");
    rig_send(&g, &g.one, "2", "GET {b}");
    rig_expect(&g, &g.a, 0, "GET {b}");
    node_say(&g.a, 0, "+x\r\n");
    rig_await(&g, &g.one, "2:+x/ ");
    rig_end(&g);
}

/* A client that leaves before its ASKING has left takes it along: it would count for the next one.
 */
static void test_asking_goes_with_its_request(void **state)
{
    (void)state;
    struct rig g;
    struct router_options o = rig_options();
    o.link.auth_password = "secret";
    rig_begin(&g, o);
    router_set_map(&g.router, rig_map(&g, 8192));
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_expect(&g, &g.a, 0, "AUTH secret");
    node_say(&g.a, 0, "+OK\r\n");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
    rig_expect(&g, &g.b, 0, "AUTH secret");
    rig_send(&g, &g.two, "x", "SET {a} x");
    loop_run_ms(&g.loop, 10);
    flow_abandon(&g.router, &g.one.flow);
    assert_int_equal(g.router.outstanding, 1);
    node_say(&g.b, 0, "+OK\r\n");
    rig_expect(&g, &g.b, 0, "SET {a} x");
    node_say(&g.b, 0, "+OK\r\n");
    rig_await(&g, &g.two, "x:+OK/ ");
    rig_end(&g);
}

/* Refusals are tried again until the deadline; then the client gets the server's own words, whole.
 */
static void test_refusals(void **state)
{
    (void)state;
    static const char *const refusals[] = { "-TRYAGAIN later\r\n", "-CLUSTERDOWN down\r\n",
                                            "-LOADING disk\r\n", "-READONLY replica\r\n" };
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        rig_send(&g, &g.one, "1", "SET {b} 1");
        rig_expect(&g, &g.a, 0, "SET {b} 1");
        node_say(&g.a, 0, refusals[i]);
        rig_expect(&g, &g.a, 0, "SET {b} 1");
        node_say(&g.a, 0, "+OK\r\n");
        rig_await(&g, &g.one, "1:+OK/ ");
    }
    assert_int_equal(g.doubts, 3);
    g.options.request_timeout = 120;
    char text[2000] = "-CLUSTERDOWN ", want[2100];
    memset(text + 13, 'x', 1500);
    strcpy(text + 1513, "\r\n");
    snprintf(want, sizeof(want), "1:%.1513s/ ", text);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    while (g.one.flow.count > 0) {
        if (node_received(&g.a, 0) > 0) {
            rig_expect(&g, &g.a, 0, "SET {b} 1");
            node_say(&g.a, 0, text);
        }
        uv_run(&g.loop.uv, UV_RUN_ONCE);
    }
    rig_await(&g, &g.one, want);
    rig_end(&g);
}

/* Two nodes that send everybody to each other: no spinning, and an answer at the deadline. */
static void test_redirects_without_end(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    g.options.request_timeout = 500;
    rig_send(&g, &g.one, "1", "SET {b} 1");
    unsigned hops = 0;
    while (g.one.flow.count > 0) {
        for (int i = 0; i < 2; i++) {
            struct test_node *n = i ? &g.b : &g.a;
            if (node_received(n, 0) == 0)
                continue;
            rig_expect(&g, n, 0, "SET {b} 1");
            rig_redirect(&g, n, 0, "MOVED 3300", i ? &g.a : &g.b);
            hops++;
        }
        uv_run(&g.loop.uv, UV_RUN_ONCE);
    }
    assert_in_range(hops, 5, 20);
    assert_memory_equal(g.one.log, "1:-ERR slotgate: ", 17);
    assert_null(strstr(g.one.log, "MOVED"));
    rig_end(&g);
}

/* The node dies with requests written: reads are tried again, a write may have been executed. */
static void test_lost(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "w", "INCR {b}n");
    rig_send(&g, &g.one, "r", "GET {b}");
    rig_expect(&g, &g.a, 0, "INCR {b}n");
    rig_expect(&g, &g.a, 0, "GET {b}");
    node_hang_up(&g.a, 0);
    rig_expect(&g, &g.a, 1, "GET {b}");
    node_say(&g.a, 1, "+x\r\n");
    LOOP_UNTIL(&g.loop, g.one.flow.count == 0);
    assert_non_null(strstr(g.one.log, "w:-ERR slotgate: "));
    assert_non_null(strstr(g.one.log, "may have been executed/ r:+x/ "));
    assert_int_equal(g.doubts, 1);
    assert_int_equal(node_received(&g.a, 1), 0);
    rig_end(&g);
}

/* A node that dies inside the login was given nothing, so writes are tried again too. */
static void test_lost_unwritten(void **state)
{
    (void)state;
    struct rig g;
    struct router_options o = rig_options();
    o.link.auth_password = "secret";
    rig_begin(&g, o);
    router_set_map(&g.router, rig_map(&g, 8192));
    rig_send(&g, &g.one, "1", "INCR {b}n");
    rig_send(&g, &g.one, "2", "INCR {b}n");
    for (unsigned i = 0; i < 3; i++) {
        rig_expect(&g, &g.a, i, "AUTH secret");
        node_hang_up(&g.a, i);
    }
    rig_expect(&g, &g.a, 3, "AUTH secret");
    node_say(&g.a, 3, "+OK\r\n");
    rig_expect(&g, &g.a, 3, "INCR {b}n");
    rig_expect(&g, &g.a, 3, "INCR {b}n");
    node_say(&g.a, 3, ":1\r\n:2\r\n");
    rig_await(&g, &g.one, "1::1/ 2::2/ ");
    rig_end(&g);
}

static const struct span question = { "*1\r\n$4\r\nPING\r\n", 14 };

static void ask_again(struct rig *g)
{
    struct endpoint a = loop_endpoint("127.0.0.1", g->a.port);
    if (g->own_ends == 1)
        router_ask(&g->router, node_get(&g->router.nodes, &a), question, 2000, rig_on_own, g);
}

/* The poller's question is lost with a write behind it, and is asked again on the same link while
   that one still hands back what it had: the write must not look unwritten. */
static void test_link_used_again_while_it_hands_back(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    g.on_own = ask_again;
    struct endpoint a = loop_endpoint("127.0.0.1", g.a.port);
    router_ask(&g.router, node_get(&g.router.nodes, &a), question, 2000, rig_on_own, &g);
    rig_send(&g, &g.one, "w", "INCR {b}n");
    rig_send(&g, &g.two, "w", "INCR {b}n");
    rig_expect(&g, &g.a, 0, "PING");
    rig_expect(&g, &g.a, 0, "INCR {b}n");
    rig_expect(&g, &g.a, 0, "INCR {b}n");
    node_hang_up(&g.a, 0);
    LOOP_UNTIL(&g.loop, g.one.flow.count + g.two.flow.count == 0 && g.own_ends == 2);
    assert_non_null(strstr(g.one.log, "may have been executed/ "));
    assert_non_null(strstr(g.two.log, "may have been executed/ "));
    assert_int_equal(g.own_status, ERR_CONNECT); /* refused, not sent from inside */
    loop_run_ms(&g.loop, 20);
    assert_int_equal(node_received(&g.a, 1), 0);
    rig_end(&g);
}

static void test_deadline_parked(void **state)
{
    (void)state;
    struct rig g;
    struct router_options o = rig_options();
    o.request_timeout = 150;
    rig_begin(&g, o); /* no map yet */
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_send(&g, &g.one, "2", "PUBLISH c m");
    LOOP_UNTIL(&g.loop, g.one.flow.count == 0);
    assert_memory_equal(g.one.log, "1:-ERR slotgate: ", 17);
    assert_non_null(strstr(g.one.log, "2:-ERR slotgate: "));
    /* A node that refuses connections, and then one that swallows them. */
    node_stop_listening(&g.a);
    router_set_map(&g.router, rig_map(&g, 8192));
    rig_send(&g, &g.two, "3", "SET {b} 1");
    LOOP_UNTIL(&g.loop, g.two.flow.count == 0);
    assert_memory_equal(g.two.log, "3:-ERR slotgate: ", 17);
    assert_non_null(strstr(g.two.log, "127.0.0.1"));
    assert_null(strstr(g.two.log, "may have been executed"));
    rig_end(&g);
}

/* The login hangs: what waits behind it is answered in time, and surely was not executed. */
static void test_deadline_unsent(void **state)
{
    (void)state;
    struct rig g;
    struct router_options o = rig_options();
    o.request_timeout = 150;
    o.link.auth_password = "secret";
    o.link.connect_timeout = 5000;
    rig_begin(&g, o);
    router_set_map(&g.router, rig_map(&g, 8192));
    struct endpoint a = loop_endpoint("127.0.0.1", g.a.port);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_send(&g, &g.two, "2", "SET {b} 2");
    router_ask(&g.router, node_get(&g.router.nodes, &a), question, 150, rig_on_own, &g);
    g.options.request_timeout = 1500;
    rig_send(&g, &g.one, "3", "SET {b} 3");
    rig_expect(&g, &g.a, 0, "AUTH secret");
    LOOP_UNTIL(&g.loop, g.own_ends == 1 && g.one.flow.count == 1 && g.two.flow.count == 0);
    assert_null(strstr(g.one.log, "may have been executed"));
    assert_null(strstr(g.two.log, "may have been executed"));
    assert_true(g.own_status != 0);
    node_say(&g.a, 0, "+OK\r\n");
    rig_expect(&g, &g.a, 0, "SET {b} 3");
    node_say(&g.a, 0, "+OK\r\n");
    LOOP_UNTIL(&g.loop, g.one.flow.count == 0);
    assert_non_null(strstr(g.one.log, "3:+OK/ "));
    assert_int_equal(node_received(&g.a, 0), 0);
    rig_end(&g);
}

/* The node is silent: a read says so, a write may have been executed. The replies that come after
   all go nowhere, and the next request gets its own. */
static void test_deadline_sent(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    g.options.request_timeout = 1000;
    rig_send(&g, &g.one, "r", "GET {b}");
    rig_send(&g, &g.one, "w", "INCR {b}n");
    rig_expect(&g, &g.a, 0, "GET {b}");
    rig_expect(&g, &g.a, 0, "INCR {b}n");
    loop_run_ms(&g.loop, 600);
    node_say(&g.a, 0, "$3\r\nab"); /* not silent enough for its connection to be given up */
    LOOP_UNTIL(&g.loop, g.one.flow.count == 0);
    assert_memory_equal(g.one.log, "r:-ERR slotgate: no answer", 26);
    assert_non_null(strstr(g.one.log, "w:-ERR slotgate: "));
    assert_non_null(strstr(g.one.log, "may have been executed/ "));
    g.one.log[0] = '\0';
    rig_send(&g, &g.one, "3", "GET {b}");
    rig_expect(&g, &g.a, 0, "GET {b}");
    node_say(&g.a, 0, "c\r\n:1\r\n+third\r\n");
    rig_await(&g, &g.one, "3:+third/ ");
    assert_int_equal(g.a.accepted, 1);
    rig_end(&g);
}

/* A question with little time behind requests with much is given up in its own time. */
static void test_deadlines_out_of_order(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    struct endpoint a = loop_endpoint("127.0.0.1", g.a.port);
    uint64_t begun = uv_hrtime();
    rig_send(&g, &g.one, "1", "GET {b}");
    router_ask(&g.router, node_get(&g.router.nodes, &a), question, 100, rig_on_own, &g);
    LOOP_UNTIL(&g.loop, g.own_ends == 1);
    assert_int_equal(g.own_status, ERR_TIMEOUT);
    assert_true(uv_hrtime() - begun < 1000000000u);
    rig_expect(&g, &g.a, 0, "GET {b}");
    rig_expect(&g, &g.a, 0, "PING");
    node_say(&g.a, 0, "+x\r\n+PONG\r\n");
    rig_await(&g, &g.one, "1:+x/ ");
    LOOP_UNTIL(&g.loop, g.router.outstanding == 0);
    assert_int_equal(g.own_ends, 1);
    rig_end(&g);
}

/* --- order --------------------------------------------------------------------------------- */

/* The map changes with a request in flight: the next one on that slot waits for its answer, one on
   another slot does not. */
static void test_order_across_a_map(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    router_set_map(&g.router, rig_map(&g, 3000)); /* {b} belongs to b now */
    rig_send(&g, &g.one, "2", "SET {b} 2");
    rig_send(&g, &g.one, "3", "GET {a}");
    rig_expect(&g, &g.b, 0, "GET {a}");
    loop_run_ms(&g.loop, 30);
    assert_int_equal(node_received(&g.b, 0), 0);
    rig_redirect(&g, &g.a, 0, "MOVED 3300", &g.b);
    rig_expect(&g, &g.b, 0, "SET {b} 1");
    rig_expect(&g, &g.b, 0, "SET {b} 2");
    node_say(&g.b, 0, "+3\r\n+1\r\n+2\r\n");
    rig_await(&g, &g.one, "1:+1/ 2:+2/ 3:+3/ ");
    rig_end(&g);
}

/* The oldest request has been sent again by the new map; a younger one is still where the old map
   said. What comes next on its slot must wait for it all the same. */
static void test_order_with_an_old_request_behind_a_new_one(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET foo 1"); /* slot 12182: b */
    rig_send(&g, &g.one, "2", "SET {b} 2");
    rig_expect(&g, &g.b, 0, "SET foo 1");
    rig_expect(&g, &g.a, 0, "SET {b} 2");
    node_say(&g.b, 0, "-TRYAGAIN later\r\n");
    LOOP_UNTIL(&g.loop, g.one.flow.parked == 1);
    router_set_map(&g.router, rig_map(&g, 3000));
    rig_expect(&g, &g.b, 0, "SET foo 1"); /* by the new map */
    rig_send(&g, &g.one, "3", "SET {b} 3");
    loop_run_ms(&g.loop, 30);
    assert_int_equal(node_received(&g.b, 0), 0);
    node_say(&g.a, 0, "+2\r\n");
    rig_expect(&g, &g.b, 0, "SET {b} 3");
    node_say(&g.b, 0, "+1\r\n+3\r\n");
    rig_await(&g, &g.one, "1:+1/ 2:+2/ 3:+3/ ");
    rig_end(&g);
}

/* An older request was refused, a younger one on the same key was not: too late for the older one.
   On another key of the slot, and between two reads, nobody could tell. */
static void test_overtaken(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET {b}x 1");
    rig_send(&g, &g.one, "2", "GET {b}x");
    rig_expect(&g, &g.a, 0, "SET {b}x 1");
    rig_expect(&g, &g.a, 0, "GET {b}x");
    node_say(&g.a, 0, "-TRYAGAIN later\r\n");
    loop_run_ms(&g.loop, 30);
    assert_int_equal(node_received(&g.a, 0), 0); /* not while the younger one is in flight */
    node_say(&g.a, 0, "$-1\r\n");
    rig_await(&g, &g.one, "1:-TRYAGAIN later/ 2:$-1/ ");
    static const char *const pairs[][2] = { { "SET {b}x 1", "SET {b}y 2" },
                                            { "GET {b}x", "GET {b}x" } };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        rig_send(&g, &g.one, "1", pairs[i][0]);
        rig_send(&g, &g.one, "2", pairs[i][1]);
        rig_expect(&g, &g.a, 0, pairs[i][0]);
        rig_expect(&g, &g.a, 0, pairs[i][1]);
        node_say(&g.a, 0, "-TRYAGAIN later\r\n+2\r\n");
        rig_expect(&g, &g.a, 0, pairs[i][0]);
        node_say(&g.a, 0, "+1\r\n");
        rig_await(&g, &g.one, "1:+1/ 2:+2/ ");
    }
    /* Both refused: they go again in order. */
    rig_send(&g, &g.one, "1", "SET {b}x 1");
    rig_send(&g, &g.one, "2", "SET {b}x 2");
    rig_expect(&g, &g.a, 0, "SET {b}x 1");
    rig_expect(&g, &g.a, 0, "SET {b}x 2");
    rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
    rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
    rig_expect(&g, &g.b, 0, "ASKING");
    rig_expect(&g, &g.b, 0, "SET {b}x 1");
    rig_expect(&g, &g.b, 0, "ASKING");
    rig_expect(&g, &g.b, 0, "SET {b}x 2");
    node_say(&g.b, 0, "+OK\r\n+1\r\n+OK\r\n+2\r\n");
    rig_await(&g, &g.one, "1:+1/ 2:+2/ ");
    rig_end(&g);
}

/* A request that was never executed overtakes nobody, though it is answered. */
static void test_failed_request_overtakes_nobody(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET {b}x 1");
    rig_send(&g, &g.one, "2", "MSET {b}x 2 {b}y 2");
    rig_send(&g, &g.one, "3", "SET {b}y 3");
    rig_expect(&g, &g.a, 0, "SET {b}x 1");
    rig_expect(&g, &g.a, 0, "MSET {b}x 2 {b}y 2");
    rig_expect(&g, &g.a, 0, "SET {b}y 3");
    node_say(&g.a, 0, "-TRYAGAIN 1\r\n-TRYAGAIN 2\r\n+3\r\n");
    rig_expect(&g, &g.a, 0, "SET {b}x 1");
    node_say(&g.a, 0, "+1\r\n");
    rig_await(&g, &g.one, "1:+1/ 2:-TRYAGAIN 2/ 3:+3/ ");
    rig_end(&g);
}

/* Large requests have a connection of their own, and the order holds across the two. */
static void test_bulk(void **state)
{
    (void)state;
    static const uint32_t bulk_mins[] = { 64 * 1024, 100 };
    for (size_t i = 0; i < ARRAY_LEN(bulk_mins); i++) {
        struct rig g;
        rig_begin_with_map(&g);
        g.options.bulk_min = bulk_mins[i];
        rig_warm_up(&g);
        struct writer w, big;
        writer_init(&big, 2);
        write_array(&big, 3);
        write_bulk_text(&big, "SET");
        write_bulk_text(&big, "{b}");
        char *value = calloc(1, bulk_mins[i]);
        assert_non_null(value);
        write_bulk(&big, (struct span){ value, bulk_mins[i] });
        free(value);
        for (int round = 0; round < 2; round++) { /* its connection is made, and is there */
            rig_send(&g, &g.one, "1", "SET {b} 1");
            struct request *r = rig_make(&g, &g.one, "2", "SET {b} 2", &w);
            router_submit(&g.router, r, writer_span(&big), NULL);
            writer_close(&w);
            rig_send(&g, &g.one, "3", "SET {b} 3");
            rig_expect(&g, &g.a, 0, "SET {b} 1");
            loop_run_ms(&g.loop, 20);
            assert_int_equal(node_received(&g.a, 1), 0);
            node_say(&g.a, 0, "+1\r\n");
            node_expect_raw(&g.loop, &g.a, 1, writer_span(&big));
            loop_run_ms(&g.loop, 20);
            assert_int_equal(node_received(&g.a, 0), 0);
            node_say(&g.a, 1, "+2\r\n");
            rig_expect(&g, &g.a, 0, "SET {b} 3");
            node_say(&g.a, 0, "+3\r\n");
            rig_await(&g, &g.one, "1:+1/ 2:+2/ 3:+3/ ");
        }
        writer_close(&big);
        rig_end(&g);
    }
}

/* Commands without a key go to the flow's own master, in order; to another when that one is down.
 */
static void test_any(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "PUBLISH c 1");
    rig_send(&g, &g.two, "x", "PUBLISH c x");
    rig_send(&g, &g.one, "2", "PUBLISH c 2");
    rig_expect(&g, &g.a, 0, "PUBLISH c 1");
    rig_expect(&g, &g.a, 0, "PUBLISH c 2");
    rig_expect(&g, &g.b, 0, "PUBLISH c x");
    node_say(&g.a, 0, ":1\r\n:2\r\n");
    node_say(&g.b, 0, ":3\r\n");
    rig_await(&g, &g.one, "1::1/ 2::2/ ");
    rig_await(&g, &g.two, "x::3/ ");
    node_stop_listening(&g.a);
    node_hang_up(&g.a, 0);
    LOOP_UNTIL(&g.loop, g.doubts > 0);
    rig_send(&g, &g.one, "3", "PUBLISH c 3");
    rig_expect(&g, &g.b, 0, "PUBLISH c 3");
    node_say(&g.b, 0, ":0\r\n");
    rig_await(&g, &g.one, "3::0/ ");
    rig_end(&g);
}

/* A node that takes no more for now: what is kept back goes on when there is room, and not only at
   the next tick (which is stopped here). */
static void test_room_again(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    g.options.link.buffer_limit = 20;
    rig_send(&g, &g.one, "1", "GET {b}1");
    rig_send(&g, &g.one, "2", "GET {b}2");
    rig_send(&g, &g.two, "x", "GET {b}x");
    rig_expect(&g, &g.a, 0, "GET {b}1");
    loop_run_ms(&g.loop, 10);
    assert_int_equal(node_received(&g.a, 0), 0);
    uv_timer_stop(&g.router.tick);
    node_say(&g.a, 0, "+1\r\n");
    rig_expect(&g, &g.a, 0, "GET {b}2");
    node_say(&g.a, 0, "+2\r\n");
    rig_await(&g, &g.one, "1:+1/ 2:+2/ ");
    rig_expect(&g, &g.a, 0, "GET {b}x");
    node_say(&g.a, 0, "+x\r\n");
    rig_await(&g, &g.two, "x:+x/ ");
    g.router.ticking = false;
    rig_end(&g);
}

/* --- leaving ------------------------------------------------------------------------------- */

/* A flow ends with a request in every state; replies to those in flight go nowhere. */
static void test_abandon(void **state)
{
    (void)state;
    struct rig g;
    struct writer w;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.two, "y", "SET {b} y");
    rig_send(&g, &g.one, "1", "SET {b} 1"); /* in flight */
    rig_expect(&g, &g.a, 0, "SET {b} y");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_send(&g, &g.one, "2", "GET {a}"); /* done, and waits for its turn */
    rig_expect(&g, &g.b, 0, "GET {a}");
    node_say(&g.b, 0, "$3\r\nabc\r\n");
    struct request *half = rig_send(&g, &g.one, "3", "GET {a}"); /* half a reply has come */
    rig_expect(&g, &g.b, 0, "GET {a}");
    node_say(&g.b, 0, "$3\r\na");
    LOOP_UNTIL(&g.loop, half->reply.bytes > 0);
    rig_send(&g, &g.one, "4", "SET foo 1");   /* parked with a hint: ASK */
    rig_make(&g, &g.one, "5", "GET {a}", &w); /* new */
    writer_close(&w);
    flow_abandon(&g.router, &g.one.flow);
    assert_int_equal(g.one.flow.count, 0);
    assert_true(list_is_empty(&g.one.flow.requests));
    node_say(&g.b, 0, "bc\r\n+4\r\n");
    node_say(&g.a, 0, "+y\r\n-MOVED 3300 127.0.0.1:1\r\n");
    rig_await(&g, &g.two, "y:+y/ ");
    LOOP_UNTIL(&g.loop, g.router.outstanding == 0);
    assert_string_equal(g.one.log, "");
    assert_int_equal(g.router.counters.moved, 0); /* an orphan's redirect teaches nothing */
    rig_end(&g);
}

static void test_abandon_parked(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    rig_send(&g, &g.one, "1", "SET {b} 1");
    rig_expect(&g, &g.a, 0, "SET {b} 1");
    rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
    LOOP_UNTIL(&g.loop, g.one.flow.irregular > 0 || node_received(&g.b, 0) > 0);
    rig_send(&g, &g.one, "2", "SET {b} 2"); /* waits for 1, which is elsewhere */
    loop_run_ms(&g.loop, 20);
    assert_int_equal(g.one.flow.parked, 1);
    flow_abandon(&g.router, &g.one.flow);
    rig_expect(&g, &g.b, 0, "ASKING");
    rig_expect(&g, &g.b, 0, "SET {b} 1");
    node_say(&g.b, 0, "+OK\r\n+OK\r\n");
    LOOP_UNTIL(&g.loop, g.router.outstanding == 0);
    assert_true(list_is_empty(&g.router.stalled) && list_is_empty(&g.router.kicked));
    rig_end(&g);
}

/* Everything at once and then the end: nothing is left, whatever was under way. */
static void test_end_at_any_moment(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct rig g;
        rig_begin_with_map(&g);
        struct endpoint b = loop_endpoint("127.0.0.1", g.b.port);
        rig_send(&g, &g.one, "1", "SET {b} 1");
        rig_send(&g, &g.two, "2", "GET {a}");
        rig_send(&g, &g.one, "3", "PUBLISH c 1");
        router_ask(&g.router, node_get(&g.router.nodes, &b), question, 1000, rig_on_own, &g);
        for (int i = 0; i < turns; i++) {
            uv_run(&g.loop.uv, UV_RUN_NOWAIT);
            if (i == 4 && node_received(&g.a, 0) > 0)
                rig_redirect(&g, &g.a, 0, "ASK 3300", &g.b);
            if (i == 6 && node_pump(&g.b) > 0)
                node_hang_up(&g.b, 0);
        }
        rig_end(&g);
        assert_int_equal(g.own_ends, 1);
    }
}

/* A node that sends everybody to strangers makes us know a few thousand of them, and a map has room
   for its masters all the same. */
static void test_strangers_are_bounded(void **state)
{
    (void)state;
    struct rig g;
    rig_begin_with_map(&g);
    rig_warm_up(&g);
    for (uint32_t i = 0; g.router.nodes.count < NODES_BY_REDIRECT_MAX; i++) {
        char host[20];
        snprintf(host, sizeof(host), "n%u", i);
        struct endpoint e = loop_endpoint(host, 1);
        assert_non_null(node_get(&g.router.nodes, &e));
    }
    static const char *const redirects[] = { "-MOVED 3300 stranger:1\r\n",
                                             "-ASK 3300 stranger:1\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(redirects); i++) {
        rig_send(&g, &g.one, "1", "SET {b} 1");
        rig_expect(&g, &g.a, 0, "SET {b} 1");
        node_say(&g.a, 0, redirects[i]);
        rig_expect(&g, &g.a, 0, "SET {b} 1");
        node_say(&g.a, 0, "+OK\r\n");
        rig_await(&g, &g.one, "1:+OK/ ");
    }
    assert_int_equal(g.router.nodes.count, NODES_BY_REDIRECT_MAX);
    struct endpoint fresh = loop_endpoint("fresh", 1);
    router_set_map(&g.router, slotmap_moved(g.router.map, 1, &fresh));
    assert_string_equal(g.router.masters[g.router.map->shard_of[1]]->endpoint.host, "fresh");
    node_table_sweep(&g.router.nodes, uv_now(&g.loop.uv) + 100000);
    assert_int_equal(g.router.nodes.count, 3);
    rig_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_way_of_a_request),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_asking_goes_with_its_request),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_redirects_without_end),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_unwritten),
        cmocka_unit_test(test_link_used_again_while_it_hands_back),
        cmocka_unit_test(test_deadline_parked),
        cmocka_unit_test(test_deadline_unsent),
        cmocka_unit_test(test_deadline_sent),
        cmocka_unit_test(test_deadlines_out_of_order),
        cmocka_unit_test(test_order_across_a_map),
        cmocka_unit_test(test_order_with_an_old_request_behind_a_new_one),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_failed_request_overtakes_nobody),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_room_again),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_abandon_parked),
        cmocka_unit_test(test_end_at_any_moment),
        cmocka_unit_test(test_strangers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
