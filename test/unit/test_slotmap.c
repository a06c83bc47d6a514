#include "cluster/slotmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct endpoint asked = { "asked.example", 7000 };

/* Read from memory of exactly that size, so that a sanitizer sees a read behind its end. */
static struct slotmap *parse(const char *text, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    struct slotmap *m = slotmap_parse((struct span){ copy, len }, &asked);
    free(copy);
    return m;
}

static struct slotmap *parse_text(const char *text)
{
    return parse(text, strlen(text));
}

static void assert_endpoint(const struct endpoint *e, const char *host, uint16_t port)
{
    assert_string_equal(e->host, host);
    assert_int_equal(e->port, port);
}

/* 6.0: [from, to, [ip, port, id] ...]. */
static const char shape_6[] = "*3\r\n"
                              "*4\r\n:0\r\n:5460\r\n"
                              "*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$3\r\nid1\r\n"
                              "*3\r\n$9\r\n127.0.0.1\r\n:7003\r\n$3\r\nid4\r\n"
                              "*3\r\n:5461\r\n:10922\r\n*3\r\n$3\r\n::1\r\n:7001\r\n$3\r\nid2\r\n"
                              "*4\r\n:10924\r\n:16383\r\n"
                              "*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$3\r\nid1\r\n"
                              "*3\r\n$9\r\n127.0.0.1\r\n:7003\r\n$3\r\nid4\r\n";

/* 7.0: a list of metadata behind the id, a map in RESP3; unknown endpoints. */
static const char shape_7[] =
    "*2\r\n"
    "*5\r\n:0\r\n:9999\r\n"
    "*4\r\n$11\r\nnode-a.test\r\n:7000\r\n$3\r\nid1\r\n*2\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n"
    "*4\r\n$-1\r\n:7001\r\n$3\r\nid2\r\n*0\r\n"
    "*4\r\n$1\r\n?\r\n:7002\r\n$3\r\nid3\r\n*2\r\n$2\r\nip\r\n$8\r\n10.0.0.3\r\n"
    "*3\r\n:10000\r\n:16383\r\n*4\r\n$0\r\n\r\n:7004\r\n$3\r\nid5\r\n*0\r\n";

static const char shape_7_resp3[] =
    "*2\r\n"
    "*5\r\n:0\r\n:9999\r\n"
    "*4\r\n$11\r\nnode-a.test\r\n:7000\r\n$3\r\nid1\r\n%1\r\n$2\r\nip\r\n$8\r\n10.0.0.1\r\n"
    "*4\r\n_\r\n:7001\r\n$3\r\nid2\r\n%0\r\n"
    "*4\r\n$1\r\n?\r\n:7002\r\n$3\r\nid3\r\n%1\r\n$2\r\nip\r\n$8\r\n10.0.0.3\r\n"
    "*3\r\n:10000\r\n:16383\r\n*4\r\n$0\r\n\r\n:7004\r\n$3\r\nid5\r\n%0\r\n";

static void test_6(void **state)
{
    (void)state;
    struct slotmap *m = parse_text(shape_6);
    assert_non_null(m);
    assert_int_equal(m->covered, SLOT_COUNT - 1);
    assert_int_equal(m->shard_count, 2); /* two ranges of one master are one shard */
    assert_int_equal(m->shard_of[0], 0);
    assert_int_equal(m->shard_of[5460], 0);
    assert_int_equal(m->shard_of[5461], 1);
    assert_int_equal(m->shard_of[10922], 1);
    assert_int_equal(m->shard_of[10923], SLOTMAP_NO_SHARD);
    assert_int_equal(m->shard_of[16383], 0);
    assert_endpoint(&m->shards[0].master, "127.0.0.1", 7000);
    assert_int_equal(m->shards[0].replica_count, 1);
    assert_endpoint(&m->shards[0].replicas[0], "127.0.0.1", 7003);
    assert_endpoint(&m->shards[1].master, "::1", 7001);
    slotmap_free(m);
}

/* No endpoint means the node that was asked; '?' is nobody. */
static void test_7(void **state)
{
    (void)state;
    struct slotmap *m = parse_text(shape_7), *m3 = parse_text(shape_7_resp3);
    assert_non_null(m);
    assert_non_null(m3);
    assert_true(slotmap_equal(m, m3));
    assert_int_equal(m->covered, SLOT_COUNT);
    assert_endpoint(&m->shards[0].master, "node-a.test", 7000);
    assert_int_equal(m->shards[0].replica_count, 1);
    assert_endpoint(&m->shards[0].replicas[0], "asked.example", 7001);
    assert_endpoint(&m->shards[1].master, "asked.example", 7004);
    slotmap_free(m);
    slotmap_free(m3);
}

/* A master that nobody can reach leaves its slots uncovered and the rest as it is. */
static void test_unusable(void **state)
{
    (void)state;
    static const char *const masters[] = { "*2\r\n$1\r\n?\r\n:7002\r\n", "*2\r\n$1\r\na\r\n:0\r\n",
                                           "*2\r\n$6\r\na\r\n+OK\r\n:7\r\n",
                                           "*2\r\n$3\r\na b\r\n:7\r\n" };
    for (size_t i = 0; i < ARRAY_LEN(masters); i++) {
        char text[512];
        strcpy(text, "*2\r\n*4\r\n:0\r\n:10\r\n");
        strcat(text, masters[i]);
        strcat(text, "*2\r\n$1\r\nr\r\n:1\r\n*3\r\n:11\r\n:16383\r\n*2\r\n$1\r\nb\r\n:8\r\n");
        struct slotmap *m = parse_text(text);
        assert_non_null(m);
        assert_int_equal(m->covered, SLOT_COUNT - 11);
        assert_int_equal(m->shard_count, 1);
        slotmap_free(m);
    }
}

static void test_bad(void **state)
{
    (void)state;
#define NODE "*2\r\n$1\r\na\r\n:7\r\n"
    static const char *const rows[] = {
        "",
        "*",
        "*0\r\n",
        "*-1\r\n",
        "$-1\r\n",
        "+OK\r\n",
        "-ERR no cluster\r\n",
        ":1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE,
        "*1\r\n*3\r\n:-1\r\n:5\r\n" NODE,
        "*1\r\n*3\r\n:6\r\n:5\r\n" NODE,
        "*1\r\n*3\r\n$1\r\n0\r\n:5\r\n" NODE,
        "*1\r\n*2\r\n:0\r\n:5\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*1\r\n$1\r\na\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n:1\r\n:7\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n:-1\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\na\r\n$1\r\n7\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\n?\r\n:7\r\n", /* covers nothing */
        /* A slot twice: within a range's neighbour, and by the same node. */
        "*2\r\n*3\r\n:0\r\n:5\r\n" NODE "*3\r\n:5\r\n:9\r\n*2\r\n$1\r\nb\r\n:7\r\n",
        "*2\r\n*3\r\n:0\r\n:5\r\n" NODE "*3\r\n:5\r\n:9\r\n" NODE,
        /* Counts that promise what never comes. */
        "*4000000000\r\n*3\r\n:0\r\n:5\r\n" NODE,
        "*1\r\n*4000000000\r\n:0\r\n:5\r\n" NODE,
        "*1\r\n*3\r\n:0\r\n:5\r\n*4000000000\r\n$1\r\na\r\n:7\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*4\r\n$1\r\na\r\n:7\r\n$1\r\ni\r\n*4000000000\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_null(parse_text(rows[i]));
#undef NODE
}

/* Every truncation and every changed byte: a map that holds together, or none. */
static void test_damaged(void **state)
{
    (void)state;
    static const struct span good[] = { { shape_6, sizeof(shape_6) - 1 },
                                        { shape_7, sizeof(shape_7) - 1 },
                                        { shape_7_resp3, sizeof(shape_7_resp3) - 1 } };
    for (size_t g = 0; g < ARRAY_LEN(good); g++) {
        for (size_t len = 0; len < good[g].len; len++)
            assert_null(parse(good[g].at, len));
        char damaged[sizeof(shape_7_resp3) + sizeof(shape_6)];
        for (size_t i = 0; i < good[g].len * 4; i++) {
            memcpy(damaged, good[g].at, good[g].len);
            damaged[i / 4] = "9-\n*"[i % 4];
            struct slotmap *m = parse(damaged, good[g].len);
            if (m == NULL)
                continue;
            uint32_t covered = 0;
            for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
                if (m->shard_of[slot] == SLOTMAP_NO_SHARD)
                    continue;
                covered++;
                assert_true(m->shard_of[slot] < m->shard_count);
            }
            assert_int_equal(covered, m->covered);
            slotmap_free(m);
        }
    }
}

/* Two nodes of one cluster list ranges and replicas in different orders; the map is the same. */
static void test_order_does_not_matter(void **state)
{
    (void)state;
#define A "*2\r\n$1\r\na\r\n:1\r\n"
#define B "*2\r\n$1\r\nb\r\n:1\r\n"
#define R1 "*2\r\n$1\r\nr\r\n:1\r\n"
#define R2 "*2\r\n$1\r\nr\r\n:2\r\n"
    struct slotmap *x = parse_text("*3\r\n*5\r\n:0\r\n:99\r\n" A R1 R2 "*3\r\n:100\r\n:199\r\n" B
                                   "*5\r\n:200\r\n:16383\r\n" A R1 R2);
    struct slotmap *y =
        parse_text("*3\r\n*3\r\n:100\r\n:199\r\n" B "*5\r\n:200\r\n:16383\r\n" A R2 R1
                   "*5\r\n:0\r\n:99\r\n" A R2 R1);
    struct slotmap *z =
        parse_text("*3\r\n*3\r\n:100\r\n:200\r\n" B "*5\r\n:201\r\n:16383\r\n" A R2 R1
                   "*5\r\n:0\r\n:99\r\n" A R2 R1);
    struct slotmap *w = parse_text("*3\r\n*3\r\n:100\r\n:199\r\n" B "*4\r\n:200\r\n:16383\r\n" A R1
                                   "*4\r\n:0\r\n:99\r\n" A R1);
    assert_non_null(x);
    assert_non_null(y);
    assert_non_null(z);
    assert_non_null(w);
    assert_true(slotmap_equal(x, y));
    assert_endpoint(&y->shards[y->shard_of[0]].master, "a", 1);
    assert_endpoint(&y->shards[y->shard_of[150]].master, "b", 1);
    assert_false(slotmap_equal(x, z));
    assert_false(slotmap_equal(x, w));
    slotmap_free(x);
    slotmap_free(y);
    slotmap_free(z);
    slotmap_free(w);
#undef A
#undef B
#undef R1
#undef R2
}

static void test_moved(void **state)
{
    (void)state;
    struct slotmap *m = parse_text(shape_6);
    assert_non_null(m);
    /* To a known master, to a new one, and of a slot that nobody had. */
    struct slotmap *known = slotmap_moved(m, 1, &m->shards[1].master);
    assert_int_equal(known->shard_of[1], 1);
    assert_int_equal(known->shard_count, 2);
    assert_int_equal(known->covered, m->covered);
    assert_int_equal(m->shard_of[1], 0); /* the old one is as it was */
    assert_false(slotmap_equal(m, known));
    struct slotmap *fresh = slotmap_moved(known, 10923, &asked);
    assert_int_equal(fresh->shard_count, 3);
    assert_int_equal(fresh->covered, SLOT_COUNT);
    assert_endpoint(&fresh->shards[fresh->shard_of[10923]].master, "asked.example", 7000);
    assert_int_equal(fresh->shards[0].replica_count, 1);
    struct slotmap *back = slotmap_moved(known, 1, &m->shards[0].master);
    assert_true(slotmap_equal(m, back));
    slotmap_free(m);
    slotmap_free(known);
    slotmap_free(fresh);
    slotmap_free(back);
    slotmap_free(NULL);
}

/* A node that sends everybody elsewhere cannot make the map grow for ever. */
static void test_moved_is_bounded(void **state)
{
    (void)state;
    struct slotmap *m = parse_text("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\na\r\n:1\r\n");
    assert_non_null(m);
    m->shards = realloc(m->shards, SLOTMAP_SHARDS_MAX * sizeof(m->shards[0]));
    assert_non_null(m->shards);
    for (; m->shard_count < SLOTMAP_SHARDS_MAX; m->shard_count++) {
        m->shards[m->shard_count] = m->shards[0];
        m->shards[m->shard_count].master.port = (uint16_t)(m->shard_count + 1);
    }
    struct slotmap *same = slotmap_moved(m, 5, &asked);
    assert_int_equal(same->shard_count, SLOTMAP_SHARDS_MAX);
    assert_true(slotmap_equal(m, same));
    slotmap_free(same);
    slotmap_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_6),        cmocka_unit_test(test_7),
        cmocka_unit_test(test_unusable), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_damaged),  cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_moved),    cmocka_unit_test(test_moved_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
