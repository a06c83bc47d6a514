#include "cluster/link.h"

#include "base/error.h"
#include "base/log.h"
#include "test/unit/loop_node.h"

enum { REQUESTS = 16 };

/* A link without a router: requests are plain records, and what becomes of them is written down. */
struct rig {
    struct loop loop;
    struct link link;
    struct link_options options;
    struct test_node node;
    struct endpoint to;
    struct request requests[REQUESTS];
    struct chunk *chunk;
    char log[4096];
    unsigned ready, down;
    int why;
};

static void note(struct rig *g, const char *what, const struct request *r)
{
    size_t at = strlen(g->log);
    snprintf(g->log + at, sizeof(g->log) - at, "%s%d ", what, (int)(r - g->requests));
}

static void on_reply(struct link *l, struct request *r, struct span bytes, struct chunk *chunk,
                     char first, bool done)
{
    struct rig *g = l->context;
    (void)bytes, (void)chunk;
    if (!done)
        return;
    note(g, first == '-' ? "error" : "reply", r);
    link_forget(l, r);
}

static void on_lost(struct link *l, struct request *r, bool wrote, int why)
{
    struct rig *g = l->context;
    (void)why;
    assert_int_equal(l->state, LINK_CLOSING); /* nobody can use it from here */
    assert_false(link_accepts(l, UINT64_MAX));
    assert_int_equal(g->down, 1); /* told first */
    note(g, wrote ? "wrote" : "unwritten", r);
    link_forget(l, r);
}

static void on_ready(struct link *l)
{
    ((struct rig *)l->context)->ready++;
}

static void on_down(struct link *l, int why)
{
    struct rig *g = l->context;
    g->down++;
    g->why = why;
}

static void on_room(struct link *l)
{
    struct rig *g = l->context;
    g->ready++;
}

static const struct link_user user = { .on_reply = on_reply,
                                       .on_lost = on_lost,
                                       .on_ready = on_ready,
                                       .on_room = on_room,
                                       .on_down = on_down };

static void begin(struct rig *g, enum link_kind kind, const char *name, const char *password)
{
    memset(g, 0, sizeof(*g));
    log_open(LOG_LEVEL_ERROR);
    loop_begin(&g->loop, NULL, NULL);
    node_open(&g->node);
    g->to = loop_endpoint("127.0.0.1", g->node.port);
    g->options = (struct link_options){ .connect_timeout = 1000,
                                        .rest_min = 20,
                                        .rest_max = 100,
                                        .buffer_limit = 10000,
                                        .auth_user = name,
                                        .auth_password = password };
    link_init(&g->link, kind, NULL, &g->to, &g->loop.net, &g->options, &user, g);
    g->chunk = chunk_take(&g->loop.net.store.chunks, CHUNK_READ);
    memset(g->chunk->bytes, 'x', CHUNK_READ);
    for (int i = 0; i < REQUESTS; i++) {
        int n = snprintf(g->chunk->bytes + i * 8, 8, "r%02d\r\n", i);
        g->requests[i] = (struct request){ .chunk = g->chunk,
                                           .bytes = g->chunk->bytes + i * 8,
                                           .len = (uint32_t)n,
                                           .deadline = UINT64_MAX };
        list_init(&g->requests[i].call.link);
    }
}

static void put(struct rig *g, int i)
{
    assert_true(link_accepts(&g->link, uv_now(&g->loop.uv)));
    link_put(&g->link, &g->requests[i], NULL);
    assert_int_equal(g->requests[i].state, REQUEST_SENT);
}

static void end(struct rig *g)
{
    link_close(&g->link, ERR_SHUTDOWN);
    link_close(&g->link, ERR_IDLE);
    g->down = 0;
    LOOP_UNTIL(&g->loop, g->loop.net.streams == 0 &&
                             (g->link.state == LINK_IDLE || g->link.state == LINK_RESTING));
    assert_int_equal(g->link.pending, 0);
    assert_int_equal(g->link.pending_bytes, 0);
    chunk_unref(g->chunk);
    node_end(&g->node);
    loop_end(&g->loop);
}

/* The whole login leaves at once; requests only when it is through, in order. */
static void test_login(void **state)
{
    (void)state;
    static const struct {
        enum link_kind kind;
        const char *name, *password, *first, *second, *answers[2];
    } rows[] = {
        { LINK_RESP2, NULL, NULL, NULL, NULL, { NULL, NULL } },
        { LINK_BULK2, "", "pw", "AUTH pw", NULL, { "+OK\r\n", NULL } },
        { LINK_RESP2, "me", "pw", "AUTH me pw", NULL, { "+OK\r\n", NULL } },
        { LINK_RESP3, "me", "", "HELLO 3", NULL, { "%1\r\n+proto\r\n:3\r\n", NULL } },
        { LINK_BULK3,
          "me",
          "pw",
          "AUTH me pw",
          "HELLO 3",
          { "+OK\r\n", "%1\r\n+proto\r\n:3\r\n" } },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig g;
        begin(&g, rows[i].kind, rows[i].name, rows[i].password);
        put(&g, 0);
        put(&g, 1);
        assert_true(link_is_unsent(&g.requests[0]));
        if (rows[i].first != NULL)
            node_expect(&g.loop, &g.node, 0, rows[i].first);
        if (rows[i].second != NULL)
            node_expect(&g.loop, &g.node, 0, rows[i].second);
        for (int j = 0; j < 2 && rows[i].answers[j] != NULL; j++) {
            put(&g, 2 + j);
            loop_run_ms(&g.loop, 5);
            assert_int_equal(node_received(&g.node, 0), 0);
            assert_int_equal(g.ready, 0);
            node_say(&g.node, 0, rows[i].answers[j]);
        }
        node_expect_raw(&g.loop, &g.node, 0, SPAN("r00\r\nr01\r\n"));
        if (rows[i].first != NULL)
            node_expect_raw(&g.loop, &g.node, 0, SPAN("r02\r\n"));
        if (rows[i].second != NULL)
            node_expect_raw(&g.loop, &g.node, 0, SPAN("r03\r\n"));
        assert_int_equal(g.ready, 1);
        assert_false(link_is_unsent(&g.requests[0]));
        node_say(&g.node, 0, "+a\r\n-b\r\n");
        LOOP_UNTIL(&g.loop, strcmp(g.log, "reply0 error1 ") == 0);
        end(&g);
    }
}

/* A login that is refused gives back what waits, as surely not written, and rests. */
static void test_login_refused(void **state)
{
    (void)state;
    static const char *const answers[] = { "-WRONGPASS no\r\n", "+OK\r\n-NOPROTO no\r\n",
                                           "-NOAUTH no\r\n-NOPROTO no\r\n", "!6\r\nERR no\r\n",
                                           "+OK\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct rig g;
        begin(&g, LINK_RESP3, "me", "pw");
        put(&g, 0);
        put(&g, 1);
        node_expect(&g.loop, &g.node, 0, "AUTH me pw");
        node_expect(&g.loop, &g.node, 0, "HELLO 3");
        node_say(&g.node, 0, answers[i]);
        if (i == ARRAY_LEN(answers) - 1)
            node_hang_up(&g.node, 0); /* half-way */
        LOOP_UNTIL(&g.loop, g.down);
        assert_string_equal(g.log, "unwritten0 unwritten1 ");
        assert_int_equal(g.why, i == ARRAY_LEN(answers) - 1 ? ERR_CLOSED_BY_PEER : ERR_AUTH);
        assert_int_equal(g.link.last_error, g.why);
        assert_int_equal(g.ready, 0);
        assert_false(link_accepts(&g.link, uv_now(&g.loop.uv)));
        end(&g);
    }
}

/* What was written, what was not, and what came in the turn of the loss: oldest first. */
static void test_lost(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, NULL);
    put(&g, 0);
    put(&g, 1);
    node_expect_raw(&g.loop, &g.node, 0, SPAN("r00\r\nr01\r\n"));
    node_say(&g.node, 0, "+a\r\n");
    LOOP_UNTIL(&g.loop, g.link.pending == 1);
    put(&g, 2);
    link_send(&g.link, &g.requests[3], SPAN("hot\r\n"));
    link_close(&g.link, ERR_TIMEOUT);
    assert_false(link_accepts(&g.link, UINT64_MAX));
    LOOP_UNTIL(&g.loop, g.down);
    assert_string_equal(g.log, "reply0 wrote1 unwritten2 unwritten3 ");
    assert_int_equal(g.why, ERR_TIMEOUT);
    chunk_unref(g.requests[3].chunk); /* it had taken a place in the connection's output */
    end(&g);
}

/* Refused connections: each pause is longer, with jitter, up to the limit; a request is what dials.
 */
static void test_back_off(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, NULL);
    node_stop_listening(&g.node);
    uint64_t expected = g.options.rest_min;
    for (int i = 0; i < 6; i++) {
        LOOP_UNTIL(&g.loop, link_accepts(&g.link, uv_now(&g.loop.uv)));
        g.down = 0;
        put(&g, 0);
        LOOP_UNTIL(&g.loop, g.down);
        uint64_t pause = g.link.rest_until - uv_now(&g.loop.uv);
        assert_in_range(pause, expected / 2 - (expected > 2 ? 1 : 0), expected * 3 / 2);
        assert_int_equal(g.link.last_error, ERR_CONNECT);
        expected = expected * 2 < g.options.rest_max ? expected * 2 : g.options.rest_max;
    }
    assert_int_equal(g.link.rest, g.options.rest_max);
    end(&g);
}

/* A node that takes every connection and drops it at once is not asked ever so often. One that has
   answered is called back soon. */
static void test_back_off_of_a_node_that_drops(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, NULL);
    for (unsigned i = 0; i < 4; i++) {
        LOOP_UNTIL(&g.loop, link_accepts(&g.link, uv_now(&g.loop.uv)));
        g.down = 0;
        put(&g, 0);
        node_expect_raw(&g.loop, &g.node, i, SPAN("r00\r\n"));
        node_hang_up(&g.node, i);
        LOOP_UNTIL(&g.loop, g.down);
    }
    assert_int_equal(g.link.rest, g.options.rest_max);
    LOOP_UNTIL(&g.loop, link_accepts(&g.link, uv_now(&g.loop.uv)));
    g.down = 0;
    put(&g, 0);
    node_expect_raw(&g.loop, &g.node, 4, SPAN("r00\r\n"));
    node_say(&g.node, 4, "+OK\r\n");
    LOOP_UNTIL(&g.loop, g.link.pending == 0);
    node_hang_up(&g.node, 4);
    LOOP_UNTIL(&g.loop, g.down);
    assert_int_equal(g.link.rest, 2 * g.options.rest_min);
    end(&g);
}

/* Requests and an ASKING taken back out while the link connects; the rest goes as if they had never
   been there. */
static void test_withdraw(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, "pw");
    put(&g, 0);
    put(&g, 1);
    put(&g, 2);
    node_expect(&g.loop, &g.node, 0, "AUTH pw");
    link_withdraw(&g.link, &g.requests[0]);
    link_withdraw(&g.link, &g.requests[2]);
    assert_int_equal(g.link.pending, 1);
    put(&g, 3);
    node_say(&g.node, 0, "+OK\r\n");
    node_expect_raw(&g.loop, &g.node, 0, SPAN("r01\r\nr03\r\n"));
    node_say(&g.node, 0, "+1\r\n+3\r\n");
    LOOP_UNTIL(&g.loop, strcmp(g.log, "reply1 reply3 ") == 0);
    end(&g);
}

/* Past its limit a link accepts no more, and says when it does again. */
static void test_limit(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, NULL);
    g.options.buffer_limit = 14;
    put(&g, 0);
    put(&g, 1);
    put(&g, 2);
    assert_false(link_accepts(&g.link, uv_now(&g.loop.uv)));
    LOOP_UNTIL(&g.loop, g.ready == 1);
    node_say(&g.node, 0, "+0\r\n");
    LOOP_UNTIL(&g.loop, g.link.pending == 2);
    assert_true(link_accepts(&g.link, uv_now(&g.loop.uv)));
    node_say(&g.node, 0, "+1\r\n");
    LOOP_UNTIL(&g.loop, g.ready == 2);
    node_say(&g.node, 0, "+2\r\n");
    LOOP_UNTIL(&g.loop, g.link.pending == 0);
    assert_int_equal(g.ready, 2);
    end(&g);
}

/* Large requests are shared, not copied, and arrive as they are. */
static void test_large(void **state)
{
    (void)state;
    struct rig g;
    begin(&g, LINK_RESP2, NULL, NULL);
    struct span large = { g.chunk->bytes + 100, 20000 };
    g.requests[0].bytes = large.at;
    g.requests[0].len = (uint32_t)large.len;
    put(&g, 0);
    uint32_t before = g.chunk->refs;
    LOOP_UNTIL(&g.loop, g.ready);
    assert_true(g.chunk->refs > before || pipe_unsent(&g.link.pipe) == 0);
    node_expect_raw(&g.loop, &g.node, 0, large);
    node_say(&g.node, 0, "+0\r\n");
    LOOP_UNTIL(&g.loop, g.link.pending == 0);
    assert_int_equal(g.chunk->refs, before);
    end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_back_off),
        cmocka_unit_test(test_back_off_of_a_node_that_drops),
        cmocka_unit_test(test_withdraw),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
