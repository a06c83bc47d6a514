/*
 * router_rig.h: a router with two nodes, a and b, that the test plays itself, and a flow or two
 * whose answers are written down: "label:+OK label:$1/x", line ends as '/'.
 *
 * Slots below 8192 belong to a (key {b}, slot 3300), the others to b (key {a}, slot 15495).
 */
#ifndef TEST_ROUTER_RIG_H
#define TEST_ROUTER_RIG_H

#include "base/error.h"
#include "base/log.h"
#include "cluster/keys.h"
#include "cluster/order.h"
#include "cluster/router.h"
#include "resp/request.h"
#include "test/unit/loop_node.h"

struct rig_flow {
    struct flow flow;
    struct rig *rig;
    char log[8192];
    struct writer held; /* said while walking */
    unsigned broken;
};

struct rig {
    struct loop loop;
    struct command_table *commands;
    struct router_options options;
    struct router router;
    struct test_node a, b;
    struct rig_flow one, two;
    unsigned doubts;
    unsigned own_ends;
    int own_status;
    void (*on_own)(struct rig *g);
};

static inline void rig_turn_end(void *context)
{
    router_turn_end(context);
}

static inline void rig_doubt(void *context)
{
    ((struct rig *)context)->doubts++;
}

static inline void rig_note(struct rig_flow *f, struct span text)
{
    size_t at = strlen(f->log);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\r')
            continue;
        assert_true(at + 2 < sizeof(f->log));
        f->log[at++] = text.at[i] == '\n' ? '/' : text.at[i];
    }
    f->log[at] = '\0';
}

/* As a client does: replies are kept until their turn. */
static inline void rig_deliver(struct rig_flow *f)
{
    while (f->flow.count > 0 && flow_head(&f->flow)->state == REQUEST_DONE) {
        struct request *r = flow_head(&f->flow);
        const char *label = r->own_context;
        rig_note(f, (struct span){ label, strlen(label) });
        rig_note(f, SPAN(":"));
        for (struct piece *p = r->reply.head; p != NULL; p = p->next)
            rig_note(f, (struct span){ p->at, p->len });
        rig_note(f, SPAN(" "));
        router_release(&f->rig->router, r);
    }
}

static inline void rig_on_reply(struct flow *flow, struct request *r, struct span bytes,
                                struct chunk *chunk, bool done)
{
    struct rig_flow *f = (struct rig_flow *)(void *)flow;
    struct chunk *current = NULL;
    (void)chunk;
    rope_copy(&r->reply, &f->rig->loop.net.store, &current, bytes);
    chunk_unref(current);
    if (done && !flow->walking)
        rig_deliver(f);
}

static inline void rig_on_walked(struct flow *flow)
{
    rig_deliver((struct rig_flow *)(void *)flow);
}

static inline void rig_on_broken(struct flow *flow, struct request *r, int why)
{
    struct rig_flow *f = (struct rig_flow *)(void *)flow;
    (void)why;
    f->broken++;
    rope_clear(&r->reply, &f->rig->loop.net.store);
    router_release(&f->rig->router, r);
}

static const struct flow_user rig_flow_user = { .on_reply = rig_on_reply,
                                                .on_walked = rig_on_walked,
                                                .on_broken = rig_on_broken };

/* A map in which slots from `from` on belong to b, and what is below to a. */
static inline struct slotmap *rig_map(struct rig *g, unsigned from)
{
    char text[300];
    snprintf(text, sizeof(text),
             "*2\r\n*3\r\n:0\r\n:%u\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n"
             "*3\r\n:%u\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n",
             from - 1, g->a.port, from, g->b.port);
    struct endpoint asked = loop_endpoint("127.0.0.1", 1);
    struct slotmap *m = slotmap_parse((struct span){ text, strlen(text) }, &asked);
    assert_non_null(m);
    return m;
}

static inline void rig_begin(struct rig *g, struct router_options options)
{
    memset(g, 0, sizeof(*g));
    log_open(LOG_LEVEL_ERROR);
    loop_begin(&g->loop, rig_turn_end, &g->router);
    g->commands = command_table_new();
    g->options = options;
    router_open(&g->router, &g->loop.net, g->commands, &g->options);
    g->router.on_doubt = rig_doubt;
    g->router.doubt_context = g;
    node_open(&g->a);
    node_open(&g->b);
    g->one.rig = g->two.rig = g;
    flow_init(&g->one.flow, &rig_flow_user, 0);
    flow_init(&g->two.flow, &rig_flow_user, 1);
}

static inline struct router_options rig_options(void)
{
    return (struct router_options){
        .request_timeout = 3000,
        .bulk_min = 64 * 1024,
        .link = { .connect_timeout = 1000, .rest_min = 5, .rest_max = 50, .buffer_limit = 1 << 20 }
    };
}

static inline void rig_begin_with_map(struct rig *g)
{
    rig_begin(g, rig_options());
    router_set_map(&g->router, rig_map(g, 8192));
}

static inline void rig_end(struct rig *g)
{
    flow_abandon(&g->router, &g->one.flow);
    flow_abandon(&g->router, &g->two.flow);
    router_close(&g->router);
    node_end(&g->a);
    node_end(&g->b);
    LOOP_UNTIL(&g->loop, g->loop.net.streams == 0);
    loop_run_ms(&g->loop, 5);
    assert_int_equal(g->one.flow.bytes + g->two.flow.bytes, 0);
    /* What the router holds goes before the loop's own accounts are looked at. */
    uv_close((uv_handle_t *)&g->loop.guard, NULL);
    net_close(&g->loop.net);
    uv_run(&g->loop.uv, UV_RUN_DEFAULT);
    router_free(&g->router);
    assert_int_equal(g->router.outstanding, 0);
    assert_int_equal(g->router.requests.live, 0);
    assert_int_equal(g->loop.net.store.pieces.live, 0);
    assert_int_equal(g->loop.net.store.chunks.live, g->loop.net.read_chunk != NULL);
    net_free(&g->loop.net);
    assert_int_equal(uv_loop_close(&g->loop.uv), 0);
    command_table_free(g->commands);
}

/* A request without being sent: "SET {a} 1". */
static inline struct request *rig_make(struct rig *g, struct rig_flow *f, const char *label,
                                       const char *words, struct writer *w)
{
    writer_init(w, 2);
    write_words(w, words);
    struct request_parser p = { 0 };
    struct arg_room room = { 0 };
    struct argv argv;
    size_t used;
    const char *error;
    assert_int_equal(
        request_parse(&p, &request_limits_default, &room, w->at, w->len, &argv, &used, &error),
        REQUEST_ARGS);
    const struct command *cmd = command_find(g->commands, argv_get(&argv, 0));
    assert_non_null(cmd);
    int slot = keys_slot(cmd, &argv);
    arg_room_close(&room);
    struct request *r =
        router_request(&g->router, &f->flow, cmd, slot >= 0 ? (uint16_t)slot : SLOT_ANY);
    r->own_context = (void *)label;
    return r;
}

static inline struct request *rig_send(struct rig *g, struct rig_flow *f, const char *label,
                                       const char *words)
{
    struct writer w;
    struct request *r = rig_make(g, f, label, words, &w);
    router_submit(&g->router, r, writer_span(&w), NULL);
    writer_close(&w);
    return r;
}

static inline void rig_on_own(struct request *r, int status)
{
    struct rig *g = r->own_context;
    g->own_ends++;
    g->own_status = status;
    if (g->on_own != NULL)
        g->on_own(g);
}

static inline void rig_expect(struct rig *g, struct test_node *n, unsigned connection,
                              const char *words)
{
    node_expect(&g->loop, n, connection, words);
}

/* "-MOVED 3300 127.0.0.1:port" and the like. */
static inline void rig_redirect(struct rig *g, struct test_node *from, unsigned connection,
                                const char *what, const struct test_node *to)
{
    char text[100];
    (void)g;
    snprintf(text, sizeof(text), "-%s 127.0.0.1:%u\r\n", what, to->port);
    node_say(from, connection, text);
}

static inline void rig_await(struct rig *g, struct rig_flow *f, const char *log)
{
    LOOP_UNTIL(&g->loop, f->flow.count == 0);
    assert_string_equal(f->log, log);
    f->log[0] = '\0';
    assert_int_equal(f->flow.parked, 0);
    assert_int_equal(f->flow.irregular, 0);
    assert_int_equal(f->flow.bytes, 0);
}

/* Both nodes have one connection and the flow is regular. */
static inline void rig_warm_up(struct rig *g)
{
    rig_send(g, &g->one, "a", "GET {b}");
    rig_send(g, &g->one, "b", "GET {a}");
    rig_expect(g, &g->a, 0, "GET {b}");
    rig_expect(g, &g->b, 0, "GET {a}");
    node_say(&g->a, 0, "$-1\r\n");
    node_say(&g->b, 0, "$-1\r\n");
    rig_await(g, &g->one, "a:$-1/ b:$-1/ ");
}

#endif
