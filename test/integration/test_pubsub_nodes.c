/*
 * Publish and subscribe while nodes die, hang, hand over and slots move: one subscription at the
 * cluster per topic, nothing twice, gaps that are short, and notifications about keys from every
 * master.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { NODES = 6, MANY = 50, EVENTS = 30, LONG_GAP_MS = 1500 };

static struct redis_cluster cluster;
static struct proxy proxy, second;

static int start(void **state)
{
    /* A node that hangs for some seconds is not replaced: that would save the proxy the work. */
    static const char *const events[] = { "--notify-keyspace-events", "KEA",
                                          "--cluster-node-timeout", "5000", NULL };
    char seeds[512];

    (void)state;
    cluster_start(&cluster, &(struct cluster_options){
                                .masters = 3, .replicas = 1, .partial = true, .extra = events });
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    return 0;
}

static void open_client(struct client *c, const struct proxy *p)
{
    assert_true(client_open(c, p->port));
}

static void subscribe(struct client *c, const char *verb, const char *topic)
{
    assert_true(client_send_command(c, verb, topic, NULL));
    client_expect_start(c, "*3\r\n");
}

/* --- what the nodes see ----------------------------------------------------------------------- */

/* The node's number of subscribers of one channel. */
static long long subscribers_at(int node, const char *verb, const char *channel)
{
    redisReply *r = cluster_ask(&cluster, node, "PUBSUB %s %s", verb, channel);
    long long n = r != NULL && r->elements == 2 ? r->element[1]->integer : 0;

    freeReplyObject(r);
    return n;
}

static long long subscribers(const char *verb, const char *channel)
{
    long long sum = 0;

    for (int i = 0; i < NODES; i++)
        if (cluster.node[i].process.pid != 0)
            sum += subscribers_at(i, verb, channel);
    return sum;
}

static int carrier_of(const char *channel)
{
    for (int i = 0; i < NODES; i++)
        if (cluster.node[i].process.pid != 0 && subscribers_at(i, "NUMSUB", channel) > 0)
            return i;
    return -1;
}

static bool nobody_is_subscribed(void *arg)
{
    (void)arg;
    for (int i = 0; i < NODES; i++) {
        redisReply *r = cluster_ask(&cluster, i, "PUBSUB CHANNELS");
        redisReply *s = cluster_ask(&cluster, i, "PUBSUB SHARDCHANNELS");
        bool none = r->elements == 0 && s->elements == 0 &&
                    cluster_number(&cluster, i, "PUBSUB NUMPAT") == 0;
        freeReplyObject(r);
        freeReplyObject(s);
        if (!none)
            return false;
    }
    return true;
}

static void test_one_subscription_at_the_cluster(void **state)
{
    struct client c[MANY], publisher;
    char n[32];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        open_client(&c[i], &proxy);
        subscribe(&c[i], "SUBSCRIBE", "one");
        subscribe(&c[i], "PSUBSCRIBE", "on?");
        subscribe(&c[i], "SSUBSCRIBE", "shard");
    }
    assert_int_equal(subscribers("NUMSUB", "one"), 1);
    assert_int_equal(subscribers("SHARDNUMSUB", "shard"), 1);
    open_client(&publisher, &proxy);
    snprintf(n, sizeof(n), ":%d\r\n", 2 * MANY);
    client_ask_expect(&publisher, n, "PUBLISH", "one", "x");
    for (int i = 0; i < MANY; i++) {
        client_expect(&c[i], "*3\r\n$7\r\nmessage\r\n$3\r\none\r\n$1\r\nx\r\n");
        client_expect(&c[i], "*4\r\n$8\r\npmessage\r\n$3\r\non?\r\n$3\r\none\r\n$1\r\nx\r\n");
    }
    snprintf(n, sizeof(n), "*2\r\n$3\r\none\r\n:%d\r\n", MANY);
    client_ask_expect(&publisher, n, "PUBSUB", "NUMSUB", "one");
    snprintf(n, sizeof(n), "*2\r\n$5\r\nshard\r\n:%d\r\n", MANY);
    client_ask_expect(&publisher, n, "PUBSUB", "SHARDNUMSUB", "shard");
    client_ask_expect(&publisher, ":1\r\n", "PUBSUB", "NUMPAT");
    for (int i = 0; i < MANY; i++) { /* each in a way of its own */
        if (i % 3 == 0)
            assert_non_null(client_ask(&c[i], "RESET", NULL));
        if (i % 3 == 1)
            client_abort(&c[i]);
        else
            client_close(&c[i]);
    }
    assert_true(wait_until(nobody_is_subscribed, NULL, scaled_ms(10000)));
    client_close(&publisher);
}

/* --- notifications about keys ----------------------------------------------------------------- */

struct listener {
    struct client *writer, *c;
    const char *key;
};

/* Whether a SET is told of now. Earlier ones may be told of late. */
static bool set_is_told(void *arg)
{
    struct listener *l = arg;
    const char *reply = client_ask(l->writer, "SET", l->key, "v", NULL);

    if (reply == NULL || strcmp(reply, "+OK\r\n") != 0)
        return false;
    l->c->timeout_ms = 300;
    reply = client_read(l->c, NULL);
    l->c->state = CLIENT_OPEN;
    l->c->timeout_ms = 5000;
    return reply != NULL && strstr(reply, l->key) != NULL;
}

/* Earlier ones are told of before the last one, as they come from the same node. */
static void take_late_events(struct listener *l)
{
    char last[80];
    const char *reply;

    snprintf(last, sizeof(last), "%s:last", l->key);
    client_ask_expect(l->writer, "+OK\r\n", "SET", last, "v");
    do {
        reply = client_read(l->c, NULL);
        assert_non_null(reply);
    } while (strstr(reply, last) == NULL);
}

struct change {
    struct client *writer;
    const char *key;
    int to;
};

/* The proxy's map has three masters, one of them the new one. Each SET that comes to the old one
   makes it look; until it has, what happens at the new one may be told of by both. */
static bool map_is_new(void *arg)
{
    const struct change *g = arg;
    char address[32], master[80];

    assert_non_null(client_ask(g->writer, "SET", g->key, "v", NULL));
    const char *shards = client_ask(g->writer, "PROXY", "CLUSTER", "NODES", NULL);
    assert_non_null(shards);
    snprintf(address, sizeof(address), "127.0.0.1:%d", cluster.node[g->to].port);
    snprintf(master, sizeof(master), "$4\r\nname\r\n$%zu\r\n%s\r\n", strlen(address), address);
    return strncmp(shards, "*3\r\n", 4) == 0 && strstr(shards, master) != NULL;
}

/* Keys of every shard: each SET is told of exactly once, in order. */
static void expect_events(struct client *writer, struct client *c, const char *topic_reply)
{
    for (int i = 0; i < EVENTS; i++) {
        char key[64], raw[256];
        cluster_key(&cluster, i % 3, i, "event", key);
        client_ask_expect(writer, "+OK\r\n", "SET", key, "v");
        snprintf(raw, sizeof(raw), "%s$18\r\n__keyevent@0__:set\r\n$%zu\r\n%s\r\n", topic_reply,
                 strlen(key), key);
        client_expect_bytes(c, raw, strlen(raw));
    }
    assert_true(client_hears_nothing(c, 50));
}

static void test_key_events_of_all_masters(void **state)
{
    struct client writer, channel, pattern;

    (void)state;
    open_client(&writer, &proxy);
    open_client(&channel, &proxy);
    open_client(&pattern, &proxy);
    subscribe(&channel, "SUBSCRIBE", "__keyevent@0__:set");
    subscribe(&pattern, "PSUBSCRIBE", "*event@*:set");
    expect_events(&writer, &channel, "*3\r\n$7\r\nmessage\r\n");
    for (int i = 0; i < EVENTS; i++)
        client_expect_start(&pattern, "*4\r\n$8\r\npmessage\r\n");
    expect_events(&writer, &pattern, "*4\r\n$8\r\npmessage\r\n$12\r\n*event@*:set\r\n");
    /* Everything else that such a pattern matches comes once, and is counted once. */
    subscribe(&pattern, "PSUBSCRIBE", "*");
    for (int i = 0; i < 20; i++) {
        client_ask_expect(&writer, ":1\r\n", "PUBLISH", "plain", "x");
        client_expect(&pattern, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$5\r\nplain\r\n$1\r\nx\r\n");
    }
    client_ask_expect(&writer, ":2\r\n", "PUBSUB", "NUMPAT");
    client_ask_expect(&writer, "*2\r\n$18\r\n__keyevent@0__:set\r\n:1\r\n", "PUBSUB", "NUMSUB",
                      "__keyevent@0__:set");
    assert_true(client_hears_nothing(&pattern, 50));
    client_close(&writer);
    client_close(&channel);
    client_close(&pattern);
    assert_true(wait_until(nobody_is_subscribed, NULL, scaled_ms(10000)));
}

/* The master hands over that carries the other channels as well: as a replica it goes on carrying
   these, and what it tells of keys must not be heard any more. */
static void test_key_events_after_failover(void **state)
{
    struct client writer, c;
    char key[64];

    (void)state;
    open_client(&writer, &proxy);
    open_client(&c, &proxy);
    subscribe(&c, "SUBSCRIBE", "plain");
    int master = carrier_of("plain"), replica = cluster_replica_of(&cluster, master);
    assert_in_range(master, 0, 2);
    subscribe(&c, "SUBSCRIBE", "__keyevent@0__:set");
    cluster_failover(&cluster, replica, "");
    cluster_await_settled(&cluster, 10000); /* or the old one may still take the first write */
    struct listener l = { &writer, &c, cluster_key(&cluster, master, 5, "event", key) };
    struct change there = { &writer, key, replica }, back = { &writer, key, master };
    assert_true(wait_until(map_is_new, &there, scaled_ms(10000)));
    assert_true(wait_until(set_is_told, &l, 10000));
    take_late_events(&l);
    expect_events(&writer, &c, "*3\r\n$7\r\nmessage\r\n");
    cluster_failover(&cluster, master, "");
    cluster_await_settled(&cluster, 10000);
    assert_true(wait_until(map_is_new, &back, scaled_ms(10000)));
    assert_true(wait_until(set_is_told, &l, 10000));
    take_late_events(&l);
    expect_events(&writer, &c, "*3\r\n$7\r\nmessage\r\n");
    client_close(&writer);
    client_close(&c);
}

/* A replica becomes an empty master that is given a slot. */
static void test_key_events_after_scale_out(void **state)
{
    struct client writer, c;
    char key[64];

    (void)state;
    open_client(&writer, &proxy);
    open_client(&c, &proxy);
    subscribe(&c, "SUBSCRIBE", "__keyevent@0__:set");
    int fresh = cluster_replica_of(&cluster, 2);
    cluster_do(&cluster, fresh, "CLUSTER RESET SOFT");
    for (int i = 0; i < NODES; i++)
        if (i != fresh)
            cluster_do(&cluster, fresh, "CLUSTER MEET 127.0.0.1 %d", cluster.node[i].port);
    cluster_await_settled(&cluster, 10000);
    cluster_key(&cluster, 2, 7, "event", key);
    cluster_slot_move(&cluster, cluster_slot(key), fresh);
    struct listener l = { &writer, &c, key };
    assert_true(wait_until(set_is_told, &l, 10000));
    assert_int_equal(cluster_owner(&cluster, cluster_slot(key)), fresh);
    take_late_events(&l);
    expect_events(&writer, &c, "*3\r\n$7\r\nmessage\r\n");
    cluster_slot_move(&cluster, cluster_slot(key), 2);
    cluster_do(&cluster, fresh, "CLUSTER REPLICATE %s", cluster.node[2].id);
    cluster_await_settled(&cluster, 10000);
    client_close(&writer);
    client_close(&c);
}

/* --- a steady flow of numbers ----------------------------------------------------------------- */

/* Numbers published at a living node every few milliseconds, and what a subscriber gets of them. */
struct numbers {
    struct client *c;
    int node; /* that they are published at */
    const char *channel;
    long sent, last, missed, twice;
    uint64_t heard_at, gap; /* ms */
};

static void take_numbers(struct numbers *f)
{
    while (!client_hears_nothing(f->c, 0)) {
        const char *reply = client_read(f->c, NULL);
        assert_non_null(reply);
        const char *text = strrchr(reply, '$');
        assert_non_null(strstr(reply, "message\r\n"));
        long n = strtol(strchr(text, '\n') + 1, NULL, 10);
        f->twice += n <= f->last;
        if (n > f->last + 1)
            f->missed += n - f->last - 1;
        if (n > f->last)
            f->last = n;
        uint64_t gap = now_ms() - f->heard_at;
        f->gap = gap > f->gap ? gap : f->gap;
        f->heard_at = now_ms();
    }
}

static void flow_on(struct numbers *f, int ms)
{
    uint64_t until = now_ms() + (uint64_t)ms;

    while (now_ms() < until) {
        redisReply *r = cluster_ask(&cluster, f->node, "PUBLISH %s %ld", f->channel, ++f->sent);
        assert_non_null(r);
        freeReplyObject(r);
        rest_us(2000); /* the pace */
        take_numbers(f);
    }
}

static void flow(struct numbers *f, int ms)
{
    f->heard_at = now_ms();
    flow_on(f, ms);
}

static bool all_numbers_came(void *arg)
{
    struct numbers *f = arg;

    take_numbers(f);
    return f->last == f->sent;
}

static int other_master(int node)
{
    for (int i = 0; i < NODES; i++)
        if (i != node && cluster.node[i].process.pid != 0 && cluster_is_master(&cluster, i))
            return i;
    return -1;
}

/* Nothing is missed or doubled while nothing happens, and the gap is short when its node dies. */
static void test_node_that_carries_it_dies(void **state)
{
    struct client c;

    (void)state;
    open_client(&c, &proxy);
    subscribe(&c, "SUBSCRIBE", "numbers");
    int carrier = carrier_of("numbers");
    assert_int_not_equal(carrier, -1);
    struct numbers f = { .c = &c, .node = other_master(carrier), .channel = "numbers" };
    flow(&f, 500);
    assert_true(wait_until(all_numbers_came, &f, scaled_ms(5000)));
    assert_int_equal(f.missed, 0);
    cluster_kill_node(&cluster, carrier);
    f.gap = 0;
    flow(&f, 1500);
    assert_true(wait_until(all_numbers_came, &f, scaled_ms(5000)));
    print_message("node killed: gap %llu ms, %ld of %ld missed\n", (unsigned long long)f.gap,
                  f.missed, f.sent);
    assert_int_equal(f.twice, 0);
    assert_in_range(f.gap, 0, scaled_ms(1000));
    assert_int_equal(subscribers("NUMSUB", "numbers"), 1);
    cluster_restart_node(&cluster, carrier);
    cluster_await_settled(&cluster, 20000);
    client_close(&c);
}

/* Every two nodes have both connections of the bus. One that is just made anew loses what is
   published meanwhile, which is the cluster's loss and not ours. */
static bool bus_is_whole(void *arg)
{
    size_t wanted = 2 * (size_t)(cluster.count - 1);
    bool whole = true;
    (void)arg;
    for (int n = 0; n < cluster.count && whole; n++) {
        redisReply *links = cluster_ask(&cluster, n, "CLUSTER LINKS");
        whole = links != NULL && links->elements == wanted;
        if (links != NULL)
            freeReplyObject(links);
    }
    return whole;
}

static void test_node_that_carries_it_hangs(void **state)
{
    struct client c;

    (void)state;
    open_client(&c, &proxy);
    subscribe(&c, "SUBSCRIBE", "numbers");
    int carrier = carrier_of("numbers");
    assert_int_not_equal(carrier, -1);
    struct numbers f = { .c = &c, .node = other_master(carrier), .channel = "numbers" };
    flow(&f, 200);
    cluster_stop_node(&cluster, carrier);
    /* Until some come again behind the gap. */
    uint64_t end = now_ms() + (uint64_t)scaled_ms(6000);
    for (f.heard_at = now_ms(); f.gap < LONG_GAP_MS && now_ms() < end;)
        flow_on(&f, 100);
    flow_on(&f, 500);
    assert_true(wait_until(all_numbers_came, &f, scaled_ms(5000)));
    print_message("node hangs: gap %llu ms, %ld of %ld missed\n", (unsigned long long)f.gap,
                  f.missed, f.sent);
    assert_in_range(f.gap, 0, scaled_ms(4000));
    cluster_continue_node(&cluster, carrier);
    flow(&f, 1000);
    assert_true(wait_until(all_numbers_came, &f, scaled_ms(5000)));
    assert_int_equal(f.twice, 0);
    cluster_await_settled(&cluster, 20000);
    assert_true(wait_until(bus_is_whole, NULL, scaled_ms(10000)));
    client_close(&c);
}

/* A planned hand-over costs no message that a subscriber at the node itself gets: what the bus
   loses is not ours to bring. */
static void test_failover_of_the_carrier(void **state)
{
    struct client c, direct;

    (void)state;
    open_client(&c, &proxy);
    subscribe(&c, "SUBSCRIBE", "numbers");
    int carrier = carrier_of("numbers");
    struct numbers f = { .c = &c, .node = other_master(carrier), .channel = "numbers" };
    struct numbers d = { .c = &direct, .node = f.node, .channel = "numbers" };
    assert_true(client_open(&direct, cluster.node[carrier].port));
    subscribe(&direct, "SUBSCRIBE", "numbers");
    int replica = cluster_replica_of(&cluster, carrier);
    flow(&f, 200);
    cluster_failover(&cluster, replica, "");
    flow(&f, 1000);
    assert_true(wait_until(all_numbers_came, &f, scaled_ms(5000)));
    assert_int_equal(f.twice, 0);
    d.sent = f.sent;
    assert_true(wait_until(all_numbers_came, &d, scaled_ms(5000)));
    assert_int_equal(f.missed, d.missed);
    client_close(&c);
    client_close(&direct);
}

/* --- shard channels --------------------------------------------------------------------------- */

struct shard_probe {
    struct client *c, *publisher;
    const char *channel;
    long sent;
};

/* Whether a message that is published now comes within the time; the client sees nothing else than
   messages. */
static bool shard_message_comes_within(struct shard_probe *p, int ms)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld", ++p->sent);
    const char *reply = client_ask(p->publisher, "SPUBLISH", p->channel, text, NULL);
    assert_non_null(reply);
    p->c->timeout_ms = ms;
    while ((reply = client_read(p->c, NULL)) != NULL) {
        if (strncmp(reply, "*3\r\n$8\r\nsmessage\r\n", 18) != 0)
            fail_msg("no message: %s", reply);
        if (strtol(strchr(strrchr(reply, '$'), '\n') + 1, NULL, 10) == p->sent)
            break;
    }
    p->c->state = CLIENT_OPEN;
    p->c->timeout_ms = 5000;
    return reply != NULL;
}

/* One that is published while nobody is subscribed is lost, so another one is tried soon. */
static bool shard_message_comes(void *arg)
{
    return shard_message_comes_within(arg, 200);
}

struct direct_probe {
    struct client *c;
    int node;
    const char *channel;
};

static bool direct_message_comes(void *arg)
{
    struct direct_probe *p = arg;

    cluster_do(&cluster, p->node, "SPUBLISH %s direct", p->channel);
    p->c->timeout_ms = 50;
    const char *reply = client_read(p->c, NULL);
    p->c->state = CLIENT_OPEN;
    p->c->timeout_ms = 5000;
    return reply != NULL && strstr(reply, "direct") != NULL;
}

static void expect_each_once(struct shard_probe *p)
{
    for (int i = 0; i < 20; i++)
        assert_true(shard_message_comes_within(p, scaled_ms(5000)));
    assert_true(client_hears_nothing(p->c, 30));
}

static void test_shard_channel_moves(void **state)
{
    struct client c, publisher;
    char channel[64];

    (void)state;
    open_client(&c, &proxy);
    open_client(&publisher, &proxy);
    cluster_key(&cluster, 0, 3, "channel", channel);
    int slot = cluster_slot(channel), home = cluster_owner(&cluster, slot);
    subscribe(&c, "SSUBSCRIBE", channel);
    struct shard_probe p = { .c = &c, .publisher = &publisher, .channel = channel };
    expect_each_once(&p);
    int away = other_master(home);
    cluster_slot_move(&cluster, slot, away);
    /* The proxy is told of it by nobody but the node that the subscription was at. */
    struct direct_probe d = { .c = &c, .node = away, .channel = channel };
    assert_true(wait_until(direct_message_comes, &d, scaled_ms(3000)));
    expect_each_once(&p);
    assert_int_equal(subscribers_at(away, "SHARDNUMSUB", channel), 1);
    cluster_slot_move(&cluster, slot, home);
    assert_true(wait_until(shard_message_comes, &p, scaled_ms(10000)));
    expect_each_once(&p);
    /* And when its master is replaced, which has told everybody that the slot is back. */
    cluster_await_settled(&cluster, 20000);
    cluster_failover(&cluster, cluster_replica_of(&cluster, home), "");
    assert_true(wait_until(shard_message_comes, &p, scaled_ms(10000)));
    expect_each_once(&p);
    client_close(&c);
    client_close(&publisher);
    assert_true(wait_until(nobody_is_subscribed, NULL, scaled_ms(10000)));
}

/* --- other proxies, and rights ---------------------------------------------------------------- */

static bool one_is_counted(void *arg)
{
    const char *reply = client_ask(arg, "PUBSUB", "NUMSUB", "both", NULL);

    return reply != NULL && strcmp(reply, "*2\r\n$4\r\nboth\r\n:1\r\n") == 0;
}

/* Another proxy counts as one, however many clients it has. */
static void test_two_proxies(void **state)
{
    struct client here[2], there[3], c;
    char seeds[512];

    (void)state;
    cluster_await_settled(&cluster, 20000);
    proxy_start(&second, cluster_seeds(&cluster, seeds), NULL);
    open_client(&c, &proxy);
    for (int i = 0; i < 3; i++) {
        open_client(&there[i], &second);
        subscribe(&there[i], "SUBSCRIBE", "both");
    }
    /* The first proxy may have to learn first which nodes are masters now. */
    assert_true(wait_until(one_is_counted, &c, 10000));
    for (int i = 0; i < 2; i++) {
        open_client(&here[i], &proxy);
        subscribe(&here[i], "SUBSCRIBE", "both");
    }
    client_ask_expect(&c, "*2\r\n$4\r\nboth\r\n:3\r\n", "PUBSUB", "NUMSUB", "both");
    client_ask_expect(&c, "*1\r\n$4\r\nboth\r\n", "PUBSUB", "CHANNELS");
    const char *reply = client_ask(&c, "PUBLISH", "both", "x", NULL);
    assert_non_null(reply);
    assert_in_range(strtol(reply + 1, NULL, 10), 2, 3); /* the other one's node may be another */
    for (int i = 0; i < 3; i++) {
        client_expect(&there[i], "*3\r\n$7\r\nmessage\r\n$4\r\nboth\r\n$1\r\nx\r\n");
        client_close(&there[i]);
    }
    for (int i = 0; i < 2; i++) {
        client_expect(&here[i], "*3\r\n$7\r\nmessage\r\n$4\r\nboth\r\n$1\r\nx\r\n");
        client_close(&here[i]);
    }
    client_close(&c);
}

/* A node's refusal is the reply, byte for byte, and the client is subscribed to none of them. */
static void test_no_right_to_the_channel(void **state)
{
    struct client c, other;

    (void)state;
    open_client(&c, &proxy);
    open_client(&other, &proxy);
    subscribe(&other, "SUBSCRIBE", "free");
    for (int i = 0; i < NODES; i++)
        cluster_do(&cluster, i, "ACL SETUSER default resetchannels &free*");
    client_ask_expect(&c,
                      "-NOPERM this user has no permissions to access one of the channels used as "
                      "arguments\r\n",
                      "SUBSCRIBE", "free:1", "secret", "free:2");
    client_ask_expect(&c, "+PONG\r\n", "PING");
    client_ask_expect(&c, "*3\r\n$9\r\nsubscribe\r\n$6\r\nfree:1\r\n:1\r\n", "SUBSCRIBE", "free:1");
    for (int i = 0; i < NODES; i++)
        cluster_do(&cluster, i, "ACL SETUSER default allchannels");
    client_ask_expect(&c, "*3\r\n$9\r\nsubscribe\r\n$6\r\nsecret\r\n:2\r\n", "SUBSCRIBE", "secret");
    assert_int_equal(subscribers("NUMSUB", "free:2"), 0);
    client_close(&c);
    client_close(&other);
}

/* --- when no node can be had ------------------------------------------------------------------ */

static void test_no_node_confirms(void **state)
{
    char seeds[512];
    struct client c, other;

    (void)state;
    proxy_start(&second, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--request-timeout", "1s", NULL });
    open_client(&c, &second);
    open_client(&other, &second);
    for (int i = 0; i < NODES; i++)
        cluster_stop_node(&cluster, i);
    uint64_t began = now_ms();
    assert_true(client_send_command(&c, "SUBSCRIBE", "late", "later", NULL));
    client_expect(&c, "-ERR slotgate: no node confirmed the subscription in time\r\n");
    assert_in_range(now_ms() - began, 900, scaled_ms(3000));
    client_ask_expect(&c, "+PONG\r\n", "PING"); /* it is not subscribed */
    /* One whose client leaves, and one that is answered when the nodes are back. */
    assert_true(client_send_command(&other, "SUBSCRIBE", "late", NULL));
    client_abort(&other);
    for (int i = 0; i < NODES; i++)
        cluster_continue_node(&cluster, i);
    cluster_await_settled(&cluster, 20000);
    client_ask_expect(&c, "*3\r\n$9\r\nsubscribe\r\n$4\r\nlate\r\n:1\r\n", "SUBSCRIBE", "late");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_subscription_at_the_cluster),
        cmocka_unit_test(test_key_events_of_all_masters),
        cmocka_unit_test(test_key_events_after_failover),
        cmocka_unit_test(test_key_events_after_scale_out),
        cmocka_unit_test(test_node_that_carries_it_dies),
        cmocka_unit_test(test_node_that_carries_it_hangs),
        cmocka_unit_test(test_failover_of_the_carrier),
        cmocka_unit_test(test_shard_channel_moves),
        cmocka_unit_test_teardown(test_two_proxies, after_each),
        cmocka_unit_test(test_no_right_to_the_channel),
        cmocka_unit_test_teardown(test_no_node_confirms, after_each),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
