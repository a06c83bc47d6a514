/*
 * Slots move and maps are wrong, and a client notices nothing: ASK, TRYAGAIN and MOVED are the
 * proxy's business, within the deadline of each request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/client.h"
#include "test/lib/fake_node.h"
#include "test/lib/load.h"
#include "test/lib/testenv.h"

static struct proxy second; /* the second one belongs to the running test */
static struct fake_node *fake_a, *fake_b;

static int start(void **state)
{
    (void)state;
    beside_start_alone(&(struct cluster_options){ .masters = 3 }, NULL);
    return 0;
}

static int after_each(void **state)
{
    (void)state;
    proxy_stop(&second);
    fake_node_stop(fake_a);
    fake_node_stop(fake_b);
    fake_a = fake_b = NULL;
    return 0;
}

static void ask_and_expect(struct client *c, const char *command, const char *key,
                           const char *value, const char *raw)
{
    if (value != NULL)
        assert_true(client_send_command(c, command, key, value, NULL));
    else
        assert_true(client_send_command(c, command, key, NULL));
    client_expect_bytes(c, raw, strlen(raw));
}

/* Key names "{tag}0".."{tag}9" in a slot that began at master 0. */
static const char *tagged(int tag, int i)
{
    static char key[64];
    char name[16];

    snprintf(name, sizeof(name), "%d", i);
    return cluster_key(&cluster, 0, tag, name, key);
}

static void test_half_migrated_slot(void **state)
{
    int slot = cluster_slot(tagged(0, 0));
    struct client c;

    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < 8; i++)
        ask_and_expect(&c, "SET", tagged(0, i), "old", "+OK\r\n");
    cluster_slot_open(&cluster, slot, 0, 1);
    for (int i = 0; i < 4; i++)
        cluster_key_move(&cluster, tagged(0, i), 0, 1);
    for (int i = 0; i < 8; i++)
        ask_and_expect(&c, "GET", tagged(0, i), NULL, "$3\r\nold\r\n");
    for (int i = 0; i < 8; i++)
        ask_and_expect(&c, "APPEND", tagged(0, i), "er", ":5\r\n");
    ask_and_expect(&c, "SET", tagged(0, 8), "new", "+OK\r\n"); /* is made where the slot goes */
    ask_and_expect(&c, "GET", tagged(0, 8), NULL, "$3\r\nnew\r\n");
    ask_and_expect(&c, "GET", tagged(0, 9), NULL, "$-1\r\n");
    ask_and_expect(&c, "DEL", tagged(0, 1), NULL, ":1\r\n");
    /* In one pipeline the replies of both nodes come in the order of the requests. */
    for (int i = 0; i < 8; i++)
        assert_true(client_send_command(&c, "STRLEN", tagged(0, i), NULL));
    for (int i = 0; i < 8; i++) {
        const char *wanted = i == 1 ? ":0\r\n" : ":5\r\n";
        client_expect_bytes(&c, wanted, 4);
    }
    assert_int_equal(cluster_slot_move_keys(&cluster, slot, 0, 1, 100), 4);
    ask_and_expect(&c, "GET", tagged(0, 7), NULL, "$5\r\nolder\r\n");
    cluster_slot_close(&cluster, slot, 1);
    for (int i = 2; i < 8; i++)
        ask_and_expect(&c, "GET", tagged(0, i), NULL, "$5\r\nolder\r\n");
    cluster_do(&cluster, 1, "GET %s", tagged(0, 8));
    client_close(&c);
}

/* A command with two keys of which one has moved has to wait for the other, and only it waits. */
static void test_tryagain(void **state)
{
    int slot = cluster_slot(tagged(1, 0));
    char one[64], two[64];
    struct client waiting, writing, other;

    (void)state;
    snprintf(one, sizeof(one), "%s", tagged(1, 1));
    snprintf(two, sizeof(two), "%s", tagged(1, 2));
    assert_true(client_open(&waiting, proxy.port));
    assert_true(client_open(&writing, proxy.port));
    assert_true(client_open(&other, proxy.port));
    ask_and_expect(&other, "SADD", one, "a", ":1\r\n");
    ask_and_expect(&other, "SADD", two, "a", ":1\r\n");
    cluster_slot_open(&cluster, slot, 0, 1);
    cluster_key_move(&cluster, one, 0, 1);
    ask_and_expect(&other, "SADD", one, "b", ":1\r\n");

    assert_true(client_send_command(&waiting, "SINTER", one, two, NULL));
    assert_true(client_send_command(&waiting, "SCARD", one, NULL));
    assert_true(client_send_command(&writing, "SMOVE", one, two, "b", NULL));
    assert_true(client_hears_nothing(&waiting, 300));
    assert_true(client_hears_nothing(&writing, 0));
    uint64_t began = now_ms();
    ask_and_expect(&other, "SCARD", two, NULL, ":1\r\n");
    ask_and_expect(&other, "SCARD", one, NULL, ":2\r\n");
    assert_in_range(now_ms() - began, 0, scaled_ms(500));

    cluster_key_move(&cluster, two, 0, 1);
    cluster_slot_close(&cluster, slot, 1);
    client_expect(&writing, ":1\r\n");
    client_expect_start(&waiting, "*"); /* a and perhaps b: the move may come first */
    client_expect_start(&waiting, ":");
    ask_and_expect(&other, "SMEMBERS", one, NULL, "*1\r\n$1\r\na\r\n");
    ask_and_expect(&other, "SCARD", two, NULL, ":2\r\n");
    client_close(&waiting);
    client_close(&writing);
    client_close(&other);
}

/* When the move never ends, the deadline does. */
static void test_tryagain_without_end(void **state)
{
    static const char *const quick[] = { "--request-timeout", "1s", NULL };
    int slot = cluster_slot(tagged(2, 0));
    char one[64], two[64], seeds[512];
    struct client c;

    (void)state;
    snprintf(one, sizeof(one), "%s", tagged(2, 1));
    snprintf(two, sizeof(two), "%s", tagged(2, 2));
    proxy_start(&second, cluster_seeds(&cluster, seeds), quick);
    assert_true(client_open(&c, second.port));
    ask_and_expect(&c, "SADD", one, "a", ":1\r\n");
    ask_and_expect(&c, "SADD", two, "a", ":1\r\n");
    cluster_slot_open(&cluster, slot, 0, 1);
    cluster_key_move(&cluster, one, 0, 1);
    uint64_t began = now_ms();
    assert_true(client_send_command(&c, "SMOVE", one, two, "a", NULL));
    const char *reply = client_expect_start(&c, "-");
    assert_null(strstr(reply, "may have been executed")); /* it certainly was not */
    assert_in_range(now_ms() - began, 500, scaled_ms(2500));
    ask_and_expect(&c, "SCARD", one, NULL, ":1\r\n");
    cluster_key_move(&cluster, two, 0, 1);
    cluster_slot_close(&cluster, slot, 1);
    assert_true(client_send_command(&c, "SMOVE", one, two, "a", NULL));
    client_expect(&c, ":1\r\n");
    client_close(&c);
}

/* Slots wander through the cluster, key by key, while clients use them: no error, no promise
 * broken. */
static void test_moves_under_load(void **state)
{
    enum { TAGS = 4, ROUNDS = 3 };
    static char tag_text[TAGS][16];
    const char *tags[TAGS];
    int slot[TAGS];

    (void)state;
    for (int i = 0; i < TAGS; i++) {
        tags[i] = cluster_tag(&cluster, i % 3, 10 + i, tag_text[i]);
        slot[i] = cluster_slot(tags[i]);
    }
    struct load *load =
        load_start(&(struct load_options){ .port = proxy.port, .tags = tags, .tag_count = TAGS });
    bool flows = load_goes_on(load, 500, 5000);
    for (int round = 0; flows && round < ROUNDS; round++) {
        for (int i = 0; flows && i < TAGS; i++) {
            int from = cluster_owner(&cluster, slot[i]), to = (from + 1) % 3;

            cluster_slot_open(&cluster, slot[i], from, to);
            while (flows && cluster_slot_move_keys(&cluster, slot[i], from, to, 3) > 0)
                flows = load_goes_on(load, 100, scaled_ms(5000));
            cluster_slot_close(&cluster, slot[i], to);
            flows = flows && load_goes_on(load, 200, scaled_ms(5000));
        }
    }
    load_stop(load);
    struct load_tally tally = load_now(load);
    load_check(load, &cluster);
    assert_true(flows);
    assert_string_equal(tally.first_error, "");
}

static long long moved_errors(void)
{
    long long sum = 0;

    for (int n = 0; n < 3; n++) {
        redisReply *r = cluster_ask(&cluster, n, "INFO errorstats");
        assert_non_null(r);
        const char *at = strstr(r->str, "errorstat_MOVED:count=");
        sum += at != NULL ? strtoll(at + strlen("errorstat_MOVED:count="), NULL, 10) : 0;
        freeReplyObject(r);
    }
    return sum;
}

/* Asks for 30 keys of all masters and says whether none was asked of the wrong node. */
static bool all_go_straight(void *arg)
{
    struct client *c = arg;

    for (int n = 0; n < 3; n++)
        cluster_do(&cluster, n, "CONFIG RESETSTAT");
    for (int i = 0; i < 30; i++) {
        char key[64];
        cluster_key(&cluster, i % 3, 20 + i, "w", key);
        ask_and_expect(c, "GET", key, NULL, "$1\r\nv\r\n");
    }
    return moved_errors() == 0;
}

/* The only seed names each slot's wrong master; the first MOVED makes the proxy ask the others. */
static void test_wrong_map(void **state)
{
    struct fake_range wrong[3];
    struct client c;
    char seed[32];

    (void)state;
    for (int n = 0; n < 3; n++)
        wrong[n] = (struct fake_range){ cluster.node[n].first_slot, cluster.node[n].last_slot,
                                        cluster.node[(n + 1) % 3].port };
    uint16_t port = port_take();
    fake_a = fake_node_start(port);
    fake_node_map(fake_a, wrong, 3);
    snprintf(seed, sizeof(seed), "127.0.0.1:%d", port);
    proxy_start(&second, seed, NULL);
    assert_true(client_open(&c, second.port));
    for (int i = 0; i < 30; i++) {
        char key[64];
        cluster_key(&cluster, i % 3, 20 + i, "w", key);
        ask_and_expect(&c, "SET", key, "v", "+OK\r\n");
    }
    assert_true(wait_until(all_go_straight, &c, scaled_ms(5000)));
    client_close(&c);
}

/* Two fakes share the slots; "foo" is in fake_b's half, slot 12182. Starts `second` before them. */
static void start_two_fakes(uint16_t port[2])
{
    static const char *const quick[] = { "--request-timeout", "1s", NULL };
    char seed[64];

    port[0] = port_take();
    port[1] = port_take();
    const struct fake_range map[] = { { 0, 8191, port[0] }, { 8192, 16383, port[1] } };
    fake_a = fake_node_start(port[0]);
    fake_b = fake_node_start(port[1]);
    fake_node_map(fake_a, map, 2);
    fake_node_map(fake_b, map, 2);
    snprintf(seed, sizeof(seed), "127.0.0.1:%d,127.0.0.1:%d", port[0], port[1]);
    proxy_start(&second, seed, quick);
}

static void test_moved_loop(void **state)
{
    char to_a[64], to_b[64];
    uint16_t port[2];
    struct client c;

    (void)state;
    assert_int_equal(cluster_slot("foo"), 12182);
    start_two_fakes(port);
    snprintf(to_a, sizeof(to_a), "-MOVED 12182 127.0.0.1:%d\r\n", port[0]);
    snprintf(to_b, sizeof(to_b), "-MOVED 12182 127.0.0.1:%d\r\n", port[1]);
    fake_node_behave(fake_a, FAKE_ANSWER, to_b);
    fake_node_behave(fake_b, FAKE_ANSWER, to_a);
    assert_true(client_open(&c, second.port));
    uint64_t began = now_ms();
    assert_true(client_send_command(&c, "GET", "foo", NULL));
    assert_true(client_send_command(&c, "PING", NULL));
    client_expect_start(&c, "-");
    client_expect(&c, "+PONG\r\n");
    assert_in_range(now_ms() - began, 0, scaled_ms(2500));
    fake_node_behave(fake_a, FAKE_ECHO, NULL);
    fake_node_behave(fake_b, FAKE_ECHO, NULL);
    ask_and_expect(&c, "GET", "foo", NULL, "$3\r\nfoo\r\n");
    client_close(&c);
}

static void test_ask_loop(void **state)
{
    char to_a[64], to_b[64];
    uint16_t port[2];
    struct client c;

    (void)state;
    start_two_fakes(port);
    snprintf(to_a, sizeof(to_a), "-ASK 12182 127.0.0.1:%d\r\n", port[0]);
    snprintf(to_b, sizeof(to_b), "-ASK 12182 127.0.0.1:%d\r\n", port[1]);
    fake_node_behave(fake_a, FAKE_ANSWER, to_b);
    fake_node_behave(fake_b, FAKE_ANSWER, to_a);
    assert_true(client_open(&c, second.port));
    uint64_t began = now_ms();
    assert_true(client_send_command(&c, "SET", "foo", "x", NULL));
    const char *reply = client_expect_start(&c, "-");
    assert_null(strstr(reply, "may have been executed")); /* both nodes said that they did not */
    assert_in_range(now_ms() - began, 0, scaled_ms(2500));
    client_close(&c);
}

/* A node that no map has named yet, by its address and by "the same host as mine". */
static void test_moved_to_an_unknown_node(void **state)
{
    static const char *const endpoints[] = { "127.0.0.1", "" };

    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        uint16_t port[2] = { port_take(), port_take() };
        const struct fake_range map = { 0, 16383, port[0] };
        char moved[64], seed[32];
        struct client c;

        fake_a = fake_node_start(port[0]);
        fake_b = fake_node_start(port[1]);
        fake_node_map(fake_a, &map, 1);
        fake_node_map(fake_b, &map, 1);
        snprintf(moved, sizeof(moved), "-MOVED 12182 %s:%d\r\n", endpoints[i], port[1]);
        fake_node_behave(fake_a, FAKE_ANSWER, moved);
        snprintf(seed, sizeof(seed), "127.0.0.1:%d", port[0]);
        proxy_start(&second, seed, NULL);
        assert_true(client_open(&c, second.port));
        ask_and_expect(&c, "GET", "foo", NULL, "$3\r\nfoo\r\n");
        client_close(&c);
        after_each(state);
    }
}

/* A redirect that makes no sense is an error for its client, and no more than that. */
static void test_senseless_redirects(void **state)
{
    static const char *const senseless[] = { "-MOVED\r\n",
                                             "-MOVED abc\r\n",
                                             "-MOVED 12182\r\n",
                                             "-MOVED 12182 nowhere\r\n",
                                             "-MOVED 99999 127.0.0.1:1\r\n",
                                             "-ASK 12182 127.0.0.1:0\r\n",
                                             "-MOVED 12182 127.0.0.1:99999\r\n",
                                             "-ASK\r\n" };
    uint16_t port[2];
    struct client c;

    (void)state;
    start_two_fakes(port);
    assert_true(client_open(&c, second.port));
    for (size_t i = 0; i < ARRAY_LEN(senseless); i++) {
        fake_node_behave(fake_b, FAKE_ANSWER, senseless[i]);
        assert_true(client_send_command(&c, "GET", "foo", NULL));
        client_expect_start(&c, "-");
        ask_and_expect(&c, "GET", "bar", NULL, "$3\r\nbar\r\n"); /* fake_a's */
    }
    fake_node_behave(fake_b, FAKE_ECHO, NULL);
    ask_and_expect(&c, "GET", "foo", NULL, "$3\r\nfoo\r\n");
    client_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_migrated_slot),
        cmocka_unit_test(test_tryagain),
        cmocka_unit_test_teardown(test_tryagain_without_end, after_each),
        cmocka_unit_test(test_moves_under_load),
        cmocka_unit_test_teardown(test_wrong_map, after_each),
        cmocka_unit_test_teardown(test_moved_loop, after_each),
        cmocka_unit_test_teardown(test_ask_loop, after_each),
        cmocka_unit_test_teardown(test_moved_to_an_unknown_node, after_each),
        cmocka_unit_test_teardown(test_senseless_redirects, after_each),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
