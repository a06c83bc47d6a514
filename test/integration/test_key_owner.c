/*
 * Owners of keys: a real nutcracker before real servers, with each of its hashes and distributions,
 * puts every key where migrate/key_owner.h says; and slotgate-migrate leaves out what lies
 * elsewhere.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/key_owner.h"
#include "test/lib/every_type.h"
#include "test/lib/migrate_process.h"
#include "test/lib/oracle.h"
#include "test/lib/testenv.h"

enum { SERVERS = 4, POOLS_MAX = 64, KEYS = 2000 };

static const char *const hashes[] = { "one_at_a_time", "md5",     "crc16",    "crc32",
                                      "crc32a",        "fnv1_64", "fnv1a_64", "fnv1_32",
                                      "fnv1a_32",      "hsieh",   "murmur",   "jenkins" };

static const struct style {
    const char *distribution, *tag;
    bool named; /* with names and weights of their own */
} styles[] = {
    { "ketama", NULL, true },
    { "modula", NULL, true },
    { "ketama", "{}", false },
};

static struct pool {
    uint16_t port;
    const char *hash;
    const struct style *style;
} pools[POOLS_MAX];

static struct oracle servers[SERVERS], target;
static redisContext *at[SERVERS], *to;
static struct process nutcracker;
static size_t pool_count;
static uint16_t stats_port;

/* HOST:PORT:WEIGHT NAME, parted by the text. */
static void server_list(const struct style *style, const char *between, char *out, size_t room)
{
    size_t len = 0;
    for (int i = 0; i < SERVERS; i++) {
        len += (size_t)snprintf(out + len, room - len, "%s127.0.0.1:%d:%d", i > 0 ? between : "",
                                servers[i].port, style->named ? 1 + i * 2 : 1);
        if (style->named)
            len += (size_t)snprintf(out + len, room - len, " server%d", i);
    }
}

static void add_pool(FILE *f, const char *hash, const struct style *style)
{
    char list[512];
    struct pool *p = &pools[pool_count++];
    *p = (struct pool){ port_take(), hash, style };
    server_list(style, "\n   - ", list, sizeof(list));
    fprintf(f,
            "pool%zu:\n  listen: 127.0.0.1:%d\n  hash: %s\n  distribution: %s\n  redis: true\n"
            "  auto_eject_hosts: false\n",
            pool_count, p->port, hash, style->distribution);
    if (style->tag != NULL)
        fprintf(f, "  hash_tag: \"%s\"\n", style->tag);
    fprintf(f, "  servers:\n   - %s\n", list);
}

static bool listens(void *arg)
{
    redisContext *r = redisConnect("127.0.0.1", *(uint16_t *)arg);
    bool yes = r != NULL && r->err == 0;
    redisFree(r);
    return yes;
}

static int start(void **state)
{
    char stats[16];
    (void)state;
    for (int i = 0; i < SERVERS; i++) {
        oracle_start_with(&servers[i], (const char *const[]){ "--repl-diskless-sync", "no", NULL });
        at[i] = redis_open(servers[i].port);
    }
    oracle_start(&target);
    to = redis_open(target.port);
    const char *path = testenv_file("nutcracker.yml", "");
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (size_t h = 0; h < ARRAY_LEN(hashes); h++)
        for (size_t s = 0; s < ARRAY_LEN(styles); s++)
            add_pool(f, hashes[h], &styles[s]);
    fclose(f);
    stats_port = port_take();
    snprintf(stats, sizeof(stats), "%d", stats_port);
    assert_true(process_start(&nutcracker, "nutcracker",
                              (const char *const[]){ "/usr/sbin/nutcracker", "-c", path, "-s",
                                                     stats, "-a", "127.0.0.1", NULL },
                              NULL));
    assert_true(wait_until(listens, &pools[pool_count - 1].port, scaled_ms(10000)));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    process_kill(&nutcracker);
    for (int i = 0; i < SERVERS; i++) {
        redisFree(at[i]);
        oracle_stop(&servers[i]);
    }
    redisFree(to);
    oracle_stop(&target);
    for (size_t i = 0; i < pool_count; i++)
        port_give_back(pools[i].port);
    port_give_back(stats_port);
    return 0;
}

static void empty_servers(void)
{
    for (int i = 0; i < SERVERS; i++)
        redis_do(at[i], "FLUSHALL");
    redis_do(to, "FLUSHALL");
}

/* Keys of all lengths up to 40, with tags and with bytes above 127. */
static struct span key_of(unsigned i, char out[80])
{
    int n = snprintf(out, 80, i % 3 == 0 ? "user:%u:{%u}%.*s" : "%u\xc3\xa4\xff{%u}:%.*s", i, i / 7,
                     (int)(i % 29), "abcdefghijklmnopqrstuvwxyz{}0123");
    return (struct span){ out, (size_t)n };
}

static void write_keys(uint16_t port)
{
    redisContext *r = redis_open(port);
    char text[80];
    void *reply = NULL;
    for (unsigned i = 0; i < KEYS; i++) {
        struct span key = key_of(i, text);
        redisAppendCommand(r, "SET %b %u", key.at, key.len, i);
    }
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(redisGetReply(r, &reply), REDIS_OK);
        if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
            fail_msg("%s", ((redisReply *)reply)->str);
        freeReplyObject(reply);
    }
    redisFree(r);
}

static struct key_owner *owner_of(const struct pool *p, const char *me)
{
    char list[512], text[800], err[200];
    server_list(p->style, "|", list, sizeof(list));
    snprintf(text, sizeof(text), "twemproxy:hash=%s,distribution=%s%s%s,servers=%s,me=%s", p->hash,
             p->style->distribution, p->style->tag != NULL ? ",hash_tag=" : "",
             p->style->tag != NULL ? p->style->tag : "", list, me);
    struct key_owner *o = key_owner_new(text, err, sizeof(err));
    if (o == NULL)
        fail_msg("%s: %s", text, err);
    return o;
}

static unsigned wrong_keys(const struct key_owner *o)
{
    unsigned wrong = 0, at_server[SERVERS] = { 0 };
    char text[80];
    for (unsigned i = 0; i < KEYS; i++) {
        struct span key = key_of(i, text);
        int server = key_owner_server(o, key);
        assert_in_range(server, 0, SERVERS - 1);
        redisAppendCommand(at[server], "EXISTS %b", key.at, key.len);
        at_server[server]++;
    }
    for (int s = 0; s < SERVERS; s++) {
        for (unsigned i = 0; i < at_server[s]; i++) {
            void *reply = NULL;
            assert_int_equal(redisGetReply(at[s], &reply), REDIS_OK);
            wrong += ((redisReply *)reply)->integer != 1;
            freeReplyObject(reply);
        }
    }
    return wrong;
}

static void test_as_nutcracker_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < pool_count; i++) {
        char me[32];
        const struct pool *p = &pools[i];
        snprintf(me, sizeof(me), "127.0.0.1:%d", servers[0].port);
        struct key_owner *o = owner_of(p, me);
        empty_servers();
        write_keys(p->port);
        unsigned wrong = wrong_keys(o);
        if (wrong > 0)
            fail_msg("%s, %s: %u of %d keys lie elsewhere", p->hash, p->style->distribution, wrong,
                     KEYS);
        key_owner_free(o);
    }
}

static long long count_at(redisContext *r)
{
    redisReply *reply = redis_ask(r, "DBSIZE");
    long long n = reply->integer;
    freeReplyObject(reply);
    return n;
}

static bool caught_up(void *arg)
{
    (void)arg;
    redisReply *reply = redis_ask(at[0], "WAIT 1 50");
    bool yes = reply->integer == 1;
    freeReplyObject(reply);
    return yes;
}

enum { STALE = 50 };

/* Server 0 also has old copies of keys that others own, as after it was ejected for a while. */
static void plant_stale_copies(const struct key_owner *o)
{
    char text[80];
    unsigned planted = 0;
    for (unsigned i = 0; planted < STALE; i++) {
        struct span key = key_of(i, text);
        if (key_owner_is_me(o, key))
            continue;
        redis_do(at[0], "SET %b stale", key.at, key.len);
        planted++;
    }
}

static void sync_server(const char *owner, const char *policy, const struct key_owner *o, int stale)
{
    char source_at[32], target_at[32], text[80];
    struct migrate m;
    snprintf(source_at, sizeof(source_at), "127.0.0.1:%d", servers[0].port);
    snprintf(target_at, sizeof(target_at), "127.0.0.1:%d", target.port);
    redis_do(to, "FLUSHALL");
    long long good = count_at(at[0]) - STALE;
    migrate_start(&m,
                  (const char *const[]){ "sync", source_at, target_at, "--spool-dir", testenv_dir(),
                                         "--owner", owner, "--owner-policy", policy, NULL });
    migrate_await(&m, "full copy done", 1);
    for (unsigned i = 0; i < 40; i++) { /* the stream, too */
        struct span key = key_of(i, text);
        redis_do(at[0], "APPEND %b +", key.at, key.len);
    }
    assert_true(wait_until(caught_up, NULL, scaled_ms(20000)));
    migrate_stop(&m, 0);
    assert_int_equal(migrate_count(&m, "stale copies"), STALE);
    assert_true(migrate_count(&m, "commands on stale copies") > 0);
    assert_int_equal(count_at(to), good + stale);
    for (unsigned i = 0; i < 40; i++) {
        struct span key = key_of(i, text);
        redisReply *reply = redis_ask(to, "EXISTS %b", key.at, key.len);
        assert_int_equal(reply->integer, key_owner_is_me(o, key) || stale > 0);
        freeReplyObject(reply);
    }
    migrate_free(&m);
}

static void test_stale_copies_stay_behind(void **state)
{
    char list[512], text[800], err[200];
    const struct pool *p = &pools[6 * ARRAY_LEN(styles)]; /* fnv1a_64, ketama */
    (void)state;
    server_list(p->style, "|", list, sizeof(list));
    snprintf(text, sizeof(text), "twemproxy:servers=%s,me=server0", list);
    struct key_owner *o = key_owner_new(text, err, sizeof(err));
    assert_non_null(o);
    empty_servers();
    write_keys(p->port);
    plant_stale_copies(o);
    sync_server(text, "drop", o, 0);
    empty_servers();
    write_keys(p->port);
    plant_stale_copies(o);
    sync_server(text, "report", o, STALE);
    key_owner_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_nutcracker_does),
        cmocka_unit_test(test_stale_copies_stay_behind),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
