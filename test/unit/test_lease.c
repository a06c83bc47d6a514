#include "cluster/lease.h"

#include "base/error.h"
#include "base/log.h"
#include "test/unit/loop_node.h"

/* A pool without a router; what its users hear is written down, each user under its letter. */
struct rig {
    struct loop loop;
    struct lease_pool pool;
    struct link_options options;
    struct test_node listener;
    struct node_table nodes;
    struct node *node;
    bool knows[NODE_CONNECTIONS]; /* CLIENT ID has been answered there */
    char log[4096];
};

struct holder {
    struct rig *rig;
    struct lease *lease;
    char letter;
    bool drops, gives_back; /* from inside on_reply, on the last reply */
};

static void note(struct rig *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct rig *g, const char *fmt, ...)
{
    size_t at = strlen(g->log);
    va_list args;
    va_start(args, fmt);
    vsnprintf(g->log + at, sizeof(g->log) - at, fmt, args);
    va_end(args);
}

static void on_reply(struct lease *l, void *context, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct holder *h = context;
    (void)chunk;
    assert_ptr_equal(h->lease, l);
    while (bytes.len > 0 && bytes.at[bytes.len - 1] < ' ')
        bytes.len--;
    note(h->rig, "%c%c%.*s%s ", h->letter, first == '-' ? '!' : '=', (int)bytes.len, bytes.at,
         done ? "" : "..");
    if (!done || lease_owed(l) > 0)
        return;
    if (h->drops)
        lease_drop(l);
    if (h->gives_back)
        lease_give_back(l);
    if (h->drops || h->gives_back)
        h->lease = NULL;
}

static void on_lost(struct lease *l, void *context, bool wrote, int why)
{
    struct holder *h = context;
    assert_ptr_equal(h->lease, l);
    note(h->rig, "%c:%s:%s ", h->letter, wrote ? "wrote" : "unwritten", error_name(why));
    h->lease = NULL;
}

static const struct lease_user user = { .on_reply = on_reply, .on_lost = on_lost };
static const struct link_user no_links;

static void begin(struct rig *g, const char *password, uint32_t limit)
{
    memset(g, 0, sizeof(*g));
    log_open(LOG_LEVEL_ERROR);
    loop_begin(&g->loop, NULL, NULL);
    node_open(&g->listener);
    g->options = (struct link_options){ .connect_timeout = 1000,
                                        .rest_min = 20,
                                        .rest_max = 100,
                                        .buffer_limit = 10000,
                                        .auth_password = password };
    node_table_open(&g->nodes, &g->loop.net, &g->options, &no_links, g);
    struct endpoint to = loop_endpoint("127.0.0.1", g->listener.port);
    g->node = node_get(&g->nodes, &to);
    g->node->in_map = true;
    lease_pool_open(&g->pool, &g->loop.net, &g->options, limit);
}

static void end(struct rig *g)
{
    lease_pool_close(&g->pool);
    lease_pool_close(&g->pool);
    LOOP_UNTIL(&g->loop, g->loop.net.streams == 0 && list_is_empty(&g->pool.closing));
    assert_int_equal(g->pool.count, 0);
    assert_int_equal(g->pool.dialling, 0);
    assert_int_equal(g->node->leases, 0);
    node_end(&g->listener);
    loop_end(&g->loop);
    lease_pool_free(&g->pool);
    node_table_free(&g->nodes);
}

static bool take(struct rig *g, struct holder *h, char letter, int protocol)
{
    *h = (struct holder){ .rig = g, .letter = letter };
    h->lease = lease_take(&g->pool, g->node, protocol, 0, &user, h);
    return h->lease != NULL;
}

/* Whatever is sent first, CLIENT ID goes before it. */
static void tell_id(struct rig *g, unsigned connection)
{
    if (g->knows[connection])
        return;
    g->knows[connection] = true;
    node_expect(&g->loop, &g->listener, connection, "CLIENT ID");
    node_say(&g->listener, connection, ":12\r\n");
}

static void say(struct rig *g, struct holder *h, const char *request, unsigned connection,
                const char *reply)
{
    lease_send(h->lease, (struct span){ request, strlen(request) }, 1);
    tell_id(g, connection);
    node_expect_raw(&g->loop, &g->listener, connection, (struct span){ request, strlen(request) });
    node_say(&g->listener, connection, reply);
    LOOP_UNTIL(&g->loop, h->lease == NULL || lease_owed(h->lease) == 0);
}

/* What is sent at once goes out behind the login; replies come one by one, and in pieces. */
static void test_login_and_replies(void **state)
{
    (void)state;
    struct rig g;
    struct holder a;
    begin(&g, "pw", 10);
    assert_true(take(&g, &a, 'a', 3));
    lease_send(a.lease, SPAN("one\r\n"), 1);
    lease_send(a.lease, SPAN("two\r\nthree\r\n"), 2);
    assert_false(lease_is_ready(a.lease));
    assert_int_equal(lease_owed(a.lease), 3);
    node_expect(&g.loop, &g.listener, 0, "AUTH pw");
    node_expect(&g.loop, &g.listener, 0, "HELLO 3");
    assert_int_equal(node_received(&g.listener, 0), 0);
    node_say(&g.listener, 0, "+OK\r\n%1\r\n+proto\r\n:3\r\n");
    assert_int_equal(lease_server_id(a.lease), 0);
    tell_id(&g, 0);
    node_expect_raw(&g.loop, &g.listener, 0, SPAN("one\r\ntwo\r\nthree\r\n"));
    node_say(&g.listener, 0, "+1\r\n-no\r\n$5\r\nab");
    LOOP_UNTIL(&g.loop, strcmp(g.log, "a=+1 a!-no a=$5\r\nab.. ") == 0);
    node_say(&g.listener, 0, "cde\r\n>1\r\n+push\r\n");
    LOOP_UNTIL(&g.loop, lease_owed(a.lease) == 0);
    assert_int_equal(lease_server_id(a.lease), 12);
    lease_give_back(a.lease);
    assert_int_equal(lease_pool_in_use(&g.pool), 0);
    end(&g);
    assert_string_equal(g.log, "a=+1 a!-no a=$5\r\nab.. a=cde ");
}

/* A connection that comes back is the next one's, if node and protocol are the same. */
static void test_reuse(void **state)
{
    (void)state;
    struct rig g;
    struct holder a, b, c;
    begin(&g, NULL, 10);
    assert_true(take(&g, &a, 'a', 2));
    a.gives_back = true;
    say(&g, &a, "one\r\n", 0, "+1\r\n");
    assert_null(a.lease);
    assert_true(take(&g, &b, 'b', 2));
    assert_true(lease_is_ready(b.lease));
    assert_true(take(&g, &c, 'c', 3));
    assert_false(lease_is_ready(c.lease));
    say(&g, &b, "two\r\n", 0, "+2\r\n");
    lease_drop(c.lease);
    b.drops = true;
    say(&g, &b, "three\r\n", 0, "+3\r\n");
    LOOP_UNTIL(&g.loop, (node_pump(&g.listener), g.listener.gone[0]));
    assert_int_equal(g.pool.counters.dialled, 2);
    end(&g);
    assert_string_equal(g.log, "a=+1 b=+2 b=+3 ");
}

/* Past the limit there is none; an idle one to elsewhere makes room. */
static void test_limit(void **state)
{
    (void)state;
    struct rig g;
    struct holder a, b, c;
    begin(&g, NULL, 2);
    assert_true(take(&g, &a, 'a', 2));
    assert_true(take(&g, &b, 'b', 2));
    assert_false(take(&g, &c, 'c', 2));
    assert_int_equal(g.pool.counters.refused, 1);
    say(&g, &a, "one\r\n", 0, "+1\r\n");
    lease_give_back(a.lease);
    assert_true(take(&g, &c, 'c', 3));
    LOOP_UNTIL(&g.loop, (node_pump(&g.listener), g.listener.gone[0]));
    node_expect(&g.loop, &g.listener, 2, "HELLO 3");
    node_say(&g.listener, 2, "%1\r\n+proto\r\n:3\r\n");
    LOOP_UNTIL(&g.loop, lease_is_ready(c.lease));
    assert_int_equal(g.pool.count, 2);
    lease_drop(b.lease);
    lease_drop(c.lease);
    end(&g);
}

/* Whether the latest request had left as a whole. */
static void test_lost(void **state)
{
    (void)state;
    struct rig g;
    struct holder a, b;
    begin(&g, NULL, 10);
    assert_true(take(&g, &a, 'a', 2));
    assert_true(take(&g, &b, 'b', 2));
    lease_send(a.lease, SPAN("one\r\n"), 1);
    lease_send(b.lease, SPAN("two\r\n"), 1);
    LOOP_UNTIL(&g.loop, node_pump(&g.listener) == 2);
    tell_id(&g, 0);
    tell_id(&g, 1);
    node_expect_raw(&g.loop, &g.listener, 0, SPAN("one\r\n"));
    node_hang_up(&g.listener, 0);
    LOOP_UNTIL(&g.loop, a.lease == NULL);
    node_expect_raw(&g.loop, &g.listener, 1, SPAN("two\r\n"));
    lease_send(b.lease, SPAN("three\r\n"), 1); /* still queued when the pool closes */
    end(&g);
    assert_string_equal(g.log, "a:wrote:closed_by_peer b:unwritten:shutdown ");
}

/* An idle connection that the node closes is no longer there. */
static void test_lost_while_idle(void **state)
{
    (void)state;
    struct rig g;
    struct holder a;
    begin(&g, NULL, 10);
    assert_true(take(&g, &a, 'a', 2));
    say(&g, &a, "one\r\n", 0, "+1\r\n");
    lease_give_back(a.lease);
    node_hang_up(&g.listener, 0);
    LOOP_UNTIL(&g.loop, g.pool.count == 0);
    assert_true(take(&g, &a, 'a', 2));
    say(&g, &a, "two\r\n", 1, "+2\r\n");
    lease_give_back(a.lease);
    g.node->in_map = false; /* nor is one whose node has left the map */
    LOOP_UNTIL(&g.loop, g.pool.count == 0);
    end(&g);
    assert_string_equal(g.log, "a=+1 a=+2 ");
}

/* One refused connection speaks for all that wait for the same node; then it is left alone. */
static void test_refused(void **state)
{
    (void)state;
    struct rig g;
    struct holder many[LEASE_DIALLING_MAX + 20];
    begin(&g, NULL, 1000);
    g.options.rest_min = g.options.rest_max = 1000; /* longer than a busy machine looks away */
    node_stop_listening(&g.listener);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_true(take(&g, &many[i], 'm', 2));
    assert_int_equal(g.pool.dialling, LEASE_DIALLING_MAX);
    LOOP_UNTIL(&g.loop, g.pool.count == 0);
    assert_int_equal(g.pool.counters.dialled, LEASE_DIALLING_MAX);
    assert_true(take(&g, &many[0], 'x', 2)); /* it rests: this one does not even try */
    assert_int_equal(g.pool.dialling, 0);
    LOOP_UNTIL(&g.loop, many[0].lease == NULL);
    LOOP_UNTIL(&g.loop, uv_now(&g.loop.uv) >= g.node->lease_rest_until);
    assert_true(take(&g, &many[0], 'y', 2));
    assert_int_equal(g.pool.dialling, 1);
    LOOP_UNTIL(&g.loop, many[0].lease == NULL);
    assert_int_equal(g.pool.counters.dialled, LEASE_DIALLING_MAX + 1);
    end(&g);
}

/* A login that is refused. */
static void test_login_refused(void **state)
{
    (void)state;
    struct rig g;
    struct holder a;
    begin(&g, "pw", 10);
    assert_true(take(&g, &a, 'a', 3));
    lease_send(a.lease, SPAN("one\r\n"), 1);
    node_expect(&g.loop, &g.listener, 0, "AUTH pw");
    node_say(&g.listener, 0, "-WRONGPASS invalid\r\n");
    LOOP_UNTIL(&g.loop, a.lease == NULL);
    assert_string_equal(g.log, "a:unwritten:auth ");
    end(&g);
}

/* Dropped in each state: nobody hears of it, and what was not written never leaves. */
static void test_drop(void **state)
{
    (void)state;
    struct rig g;
    struct holder many[LEASE_DIALLING_MAX + 20], a;
    begin(&g, "pw", 1000);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        assert_true(take(&g, &many[i], 'm', 2));
        lease_send(many[i].lease, SPAN("never\r\n"), 1);
    }
    LOOP_UNTIL(&g.loop, node_pump(&g.listener) > 8);
    for (size_t i = ARRAY_LEN(many); i > 1; i--) /* queued, dialling and greeting ones */
        lease_drop(many[i - 1].lease);
    assert_int_equal(g.pool.count, 1);
    node_expect(&g.loop, &g.listener, 0, "AUTH pw");
    node_say(&g.listener, 0, "+OK\r\n");
    tell_id(&g, 0);
    node_expect_raw(&g.loop, &g.listener, 0, SPAN("never\r\n"));
    lease_send(many[0].lease, SPAN("unsent\r\n"), 1);
    lease_drop(many[0].lease);
    node_stop_listening(&g.listener);
    LOOP_UNTIL(&g.loop, (node_pump(&g.listener), g.listener.gone[0]));
    assert_int_equal(node_received(&g.listener, 0), 0);
    LOOP_UNTIL(&g.loop, g.pool.count == 0 && list_is_empty(&g.pool.closing));
    assert_true(take(&g, &a, 'a', 2)); /* connection refused: lost soon, but dropped before */
    lease_drop(a.lease);
    end(&g);
    assert_string_equal(g.log, "");
}

/* The pool closes with leases in each state: all hear of it. */
static void test_close(void **state)
{
    (void)state;
    struct rig g;
    struct holder many[LEASE_DIALLING_MAX + 2];
    begin(&g, "pw", 1000);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_true(take(&g, &many[i], i < LEASE_DIALLING_MAX ? 'd' : 'q', 2));
    node_expect(&g.loop, &g.listener, 0, "AUTH pw");
    node_say(&g.listener, 0, "+OK\r\n");
    LOOP_UNTIL(&g.loop, lease_is_ready(many[0].lease));
    end(&g);
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        assert_null(many[i].lease);
    assert_memory_equal(g.log, "q:unwritten:shutdown ", 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_and_replies),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_lost_while_idle),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
