#include "cluster/feed.h"

#include <stdlib.h>

#include "base/error.h"
#include "test/unit/loop_node.h"

/* A feed, the node that it is connected to, and what it has told its user. */
struct rig {
    struct loop loop;
    struct test_node node;
    struct link_options options;
    struct feed *f;
    unsigned ready, down;
    int why;
    char told[512]; /* one word per callback */
};

static void tell(struct feed *f, const char *what, struct span text)
{
    struct rig *g = f->context;
    size_t len = strlen(g->told);
    snprintf(g->told + len, sizeof(g->told) - len, "%s:%.*s ", what, (int)text.len, text.at);
}

static void on_ready(struct feed *f)
{
    ((struct rig *)f->context)->ready++;
}

static void on_joined(struct feed *f, void *tag)
{
    tell(f, "joined", (struct span){ tag, strlen(tag) });
}

static void on_refused(struct feed *f, void *tag, struct span error)
{
    tell(f, "refused", (struct span){ tag, strlen(tag) });
    tell(f, "error", (struct span){ error.at, error.len - 2 });
}

static void on_dropped(struct feed *f, struct span channel)
{
    tell(f, "dropped", channel);
}

static void on_message(struct feed *f, const struct feed_message *m)
{
    static const char *const kinds[] = { "message", "pmessage", "smessage" };
    tell(f, kinds[m->kind], m->topic);
    tell(f, "on", m->channel);
    assert_int_equal(m->whole.at[0], '*');
    assert_int_equal(m->whole.at[m->whole.len - 1], '\n');
}

static void on_down(struct feed *f, int why)
{
    struct rig *g = f->context;
    g->down++;
    g->why = why;
}

static const struct feed_user user = {
    .on_ready = on_ready,
    .on_joined = on_joined,
    .on_refused = on_refused,
    .on_dropped = on_dropped,
    .on_message = on_message,
    .on_down = on_down,
};

static void rig_open(struct rig *g, const char *password)
{
    memset(g, 0, sizeof(*g));
    g->options = (struct link_options){
        .connect_timeout = 500, .rest_min = 10, .rest_max = 100, .auth_password = password
    };
    loop_begin(&g->loop, NULL, NULL);
    node_open(&g->node);
    struct endpoint to = loop_endpoint("127.0.0.1", g->node.port);
    g->f = feed_new(&g->loop.net, &to, &g->options, &user, g);
    feed_dial(g->f);
    if (password == NULL)
        LOOP_UNTIL(&g->loop, g->ready == 1 && node_pump(&g->node) == 1);
}

static void rig_close(struct rig *g)
{
    feed_close(g->f, ERR_SHUTDOWN);
    LOOP_UNTIL(&g->loop, g->f->state == FEED_RESTING);
    assert_true(list_is_empty(&g->f->asks));
    feed_free(g->f);
    node_end(&g->node);
    loop_end(&g->loop);
}

static void expect_told(struct rig *g, const char *text)
{
    LOOP_UNTIL(&g->loop, strlen(g->told) >= strlen(text));
    assert_string_equal(g->told, text);
    g->told[0] = '\0';
}

static void test_answers_in_order(void **state)
{
    struct rig g;
    (void)state;
    rig_open(&g, NULL);
    feed_join(g.f, TOPIC_CHANNEL, SPAN("a"), "A");
    feed_join(g.f, TOPIC_SHARD, SPAN("s"), "S");
    feed_join(g.f, TOPIC_PATTERN, SPAN("p"), "P");
    node_expect(&g.loop, &g.node, 0, "SUBSCRIBE a");
    node_expect(&g.loop, &g.node, 0, "SSUBSCRIBE s");
    node_expect(&g.loop, &g.node, 0, "PSUBSCRIBE p");
    node_say(
        &g.node, 0,
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
        "-MOVED 1 127.0.0.1:9\r\n*3\r\n$10\r\npsubscribe\r\n$1\r\np\r\n:2\r\n"
        "*4\r\n$8\r\npmessage\r\n$1\r\np\r\n$1\r\nc\r\n$0\r\n\r\n");
    expect_told(&g, "joined:A message:a on:a refused:S error:-MOVED 1 127.0.0.1:9 joined:P "
                    "pmessage:p on:c ");
    rig_close(&g);
}

static void test_one_byte_at_a_time(void **state)
{
    static const char bytes[] = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n"
                                "$1\r\na\r\n$3\r\nx\r\n\r\n*3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n"
                                "$1\r\ny\r\n";
    struct rig g;
    (void)state;
    rig_open(&g, NULL);
    feed_join(g.f, TOPIC_CHANNEL, SPAN("a"), "A");
    for (size_t i = 0; i + 1 < sizeof(bytes); i++) {
        node_say(&g.node, 0, (char[]){ bytes[i], '\0' });
        uint64_t wanted = i + 1;
        LOOP_UNTIL(&g.loop, g.f->stream.received == wanted);
    }
    expect_told(&g, "joined:A message:a on:a smessage:s on:s ");
    rig_close(&g);
}

/* An end that nobody asked for is told apart from one that we did ask for. */
static void test_dropped_by_the_node(void **state)
{
    struct rig g;
    (void)state;
    rig_open(&g, NULL);
    feed_leave(g.f, TOPIC_SHARD, SPAN("mine"));
    assert_true(feed_is_leaving(g.f, TOPIC_SHARD, SPAN("mine")));
    assert_false(feed_is_leaving(g.f, TOPIC_SHARD, SPAN("other")));
    node_say(&g.node, 0,
             "*3\r\n$12\r\nsunsubscribe\r\n$5\r\nother\r\n:1\r\n"
             "*3\r\n$12\r\nsunsubscribe\r\n$4\r\nmine\r\n:0\r\n");
    expect_told(&g, "dropped:other ");
    LOOP_UNTIL(&g.loop, list_is_empty(&g.f->asks));
    assert_false(feed_is_leaving(g.f, TOPIC_SHARD, SPAN("mine")));
    rig_close(&g);
}

static void test_forgotten(void **state)
{
    struct rig g;
    char tag[] = "A";
    (void)state;
    rig_open(&g, NULL);
    feed_join(g.f, TOPIC_CHANNEL, SPAN("a"), tag);
    feed_forget(g.f, tag);
    feed_join(g.f, TOPIC_CHANNEL, SPAN("b"), "B");
    node_say(&g.node, 0, "-NOPERM no\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    expect_told(&g, "joined:B ");
    rig_close(&g);
}

/* Whatever makes no sense ends the connection, once. */
static void test_nonsense(void **state)
{
    static const char *const nonsense[] = {
        "+OK\r\n",
        "-ERR what\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*0\r\n",
        "*1\r\n$7\r\nmessage\r\n",
        "*2\r\n:1\r\n:2\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n",
        "*3\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\nx\r\n",
        "*3\r\n$7\r\nmessage\r\n*0\r\n$1\r\nx\r\n",
        "*3\r\n$6\r\nnosuch\r\n$1\r\na\r\n$1\r\nx\r\n",
        "HTTP/1.1 400 Bad Request\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        struct rig g;
        rig_open(&g, NULL);
        node_say(&g.node, 0, nonsense[i]);
        LOOP_UNTIL(&g.loop, g.down == 1);
        assert_int_equal(g.why, ERR_PROTOCOL);
        assert_int_equal(g.f->state, FEED_RESTING);
        assert_string_equal(g.told, "");
        rig_close(&g);
        assert_int_equal(g.down, 1);
    }
}

static void test_login(void **state)
{
    struct rig g;
    (void)state;
    rig_open(&g, "pw");
    node_expect(&g.loop, &g.node, 0, "AUTH pw");
    assert_int_equal(g.ready, 0);
    node_say(&g.node, 0, "+OK\r\n");
    LOOP_UNTIL(&g.loop, g.ready == 1);
    rig_close(&g);
    rig_open(&g, "pw");
    node_expect(&g.loop, &g.node, 0, "AUTH pw");
    node_say(&g.node, 0, "-WRONGPASS no\r\n");
    LOOP_UNTIL(&g.loop, g.down == 1);
    assert_int_equal(g.ready, 0);
    assert_int_equal(g.why, ERR_AUTH);
    rig_close(&g);
}

static void test_silence(void **state)
{
    struct rig g;
    (void)state;
    rig_open(&g, NULL);
    feed_tick(g.f, 3000);
    g.f->heard_at -= FEED_PING_MS; /* as if it were silent so long */
    feed_tick(g.f, 3000);
    feed_tick(g.f, 3000); /* asks only once */
    node_expect(&g.loop, &g.node, 0, "PING");
    node_say(&g.node, 0, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    LOOP_UNTIL(&g.loop, list_is_empty(&g.f->asks));
    g.f->heard_at -= 3000;
    feed_tick(g.f, 3000);
    LOOP_UNTIL(&g.loop, g.down == 1);
    assert_int_equal(g.why, ERR_TIMEOUT);
    assert_int_equal(node_received(&g.node, 0), 0);
    rig_close(&g);
}

/* At each moment of its life; and it can be dialled again. */
static void test_close_at_any_time(void **state)
{
    (void)state;
    for (int turns = 0; turns < 6; turns++) {
        struct rig g;
        rig_open(&g, "pw");
        for (int i = 0; i < turns; i++)
            uv_run(&g.loop.uv, UV_RUN_NOWAIT);
        feed_close(g.f, ERR_KILLED);
        feed_close(g.f, ERR_SHUTDOWN);
        LOOP_UNTIL(&g.loop, g.down == 1);
        feed_dial(g.f);
        LOOP_UNTIL(&g.loop, g.f->state == FEED_GREETING);
        rig_close(&g);
        assert_int_equal(g.down, 2);
    }
}

static void test_nobody_listens(void **state)
{
    struct rig g;
    (void)state;
    rig_open(&g, NULL);
    node_hang_up(&g.node, 0);
    node_stop_listening(&g.node);
    LOOP_UNTIL(&g.loop, g.down == 1);
    feed_dial(g.f);
    LOOP_UNTIL(&g.loop, g.down == 2);
    assert_int_equal(g.ready, 1);
    rig_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_in_order),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_dropped_by_the_node),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_close_at_any_time),
        cmocka_unit_test(test_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
