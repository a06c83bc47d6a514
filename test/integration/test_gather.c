/*
 * Commands that read or write keys of several slots and are gathered in one (proxy/gather.c): the
 * same replies as from one Redis, no temporary key left, limits, and scripts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/gather_case.h"
#include "test/lib/testenv.h"

static void test_sets(void **state)
{
    static const char *const words[] = {
        "SADD a 1 2 3 4",
        "SADD b 3 4 5",
        "SADD c 4 5 6 7",
        "SINTER a b c",
        "SINTER a b nokey",
        "SUNION a b c nokey",
        "SUNION nokey1 nokey2",
        "SDIFF a b c",
        "SDIFF nokey a",
        "SUNION a a b b a",
        "SINTERCARD 3 a b c",
        "SINTERCARD 2 a b LIMIT 1",
        "SINTERCARD 2 a b LIMIT -1",
        "SINTERCARD 2 a b NONSENSE",
        "SINTERCARD 3 a b",
        "SINTERCARD 0 a b",
        "SINTERSTORE d a b",
        "SMEMBERS d",
        "OBJECT ENCODING d",
        "SUNIONSTORE a a b c",
        "SMEMBERS a",
        "SDIFFSTORE e a b",
        "SMEMBERS e",
        "SDIFFSTORE e b a",
        "EXISTS e",
        "SINTERSTORE new nokey1 nokey2",
        "EXISTS new",
        "SADD ints1 5 9 -3",
        "SADD ints2 1 9 10",
        "SUNION ints1 ints2 a",
        "SDIFF ints2 ints1 ints1",
        "SDIFF ints2 ints2",
        "SINTER ints1 ints2 ints1",
        "SINTER ints2 nokey ints1",
        "SINTERCARD 2 ints1 ints1 LIMIT 2",
        "SINTERCARD 3 ints1 ints2 ints1 LIMIT 0",
        "SINTERCARD 2 ints1 ints2 LIMIT x",
        "SINTERCARD 2 ints1 ints2 limit 9223372036854775807",
        "SINTERCARD 2 ints1 ints2 LIMIT 9223372036854775808",
        "SADD s x y z",
        "SADD t y z",
        "SUNIONSTORE u s t",
        "SCARD u",
        "SMISMEMBER u x y z w",
        "OBJECT ENCODING u",
        "LPUSH list x",
        "SUNION a list",
        "SINTER list nokey",
        "SINTER nokey list",
        "SUNION nokey list",
        "SDIFF nokey list",
        "SINTERCARD 2 nokey list",
        "SINTERCARD 2 list nokey NONSENSE",
        "SINTERSTORE d a list",
        "SMEMBERS d",
        "SUNIONSTORE list a b",
        "TYPE list",
        "SET text v",
        "SDIFF a text",
        "SUNIONSTORE withttl a b",
        "EXPIRE withttl 100",
        "SUNIONSTORE withttl a c",
        "TTL withttl",
        "EXPIRE a 100",
        "SUNIONSTORE d a b",
        "TTL d",
        "TTL a",
        "DBSIZE",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

static void test_sorted_sets(void **state)
{
    static const char *const words[] = {
        "ZADD a 1 x 2 y 3 z",
        "ZADD b 10 y 20 z 30 w",
        "SADD s x w",
        "ZUNION 2 a b",
        "ZUNION 2 a b WITHSCORES",
        "ZUNION 2 a b WEIGHTS 2 3 WITHSCORES",
        "ZUNION 2 a b WEIGHTS 2.5 -1 AGGREGATE MAX WITHSCORES",
        "ZUNION 2 a b WEIGHTS 2",
        "ZUNION 2 a b NONSENSE",
        "ZUNION 3 a b s WITHSCORES",
        "ZINTER 2 a b WITHSCORES",
        "ZINTER 2 a nokey WITHSCORES",
        "ZDIFF 2 a b WITHSCORES",
        "ZINTERCARD 2 a b",
        "ZINTERCARD 2 a b LIMIT 1",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2 AGGREGATE MIN",
        "ZRANGE d 0 -1 WITHSCORES",
        "ZINTERSTORE d 2 a s",
        "ZRANGE d 0 -1 WITHSCORES",
        "ZDIFFSTORE d 2 a b",
        "ZRANGE d 0 -1 WITHSCORES",
        "OBJECT ENCODING d",
        "ZDIFFSTORE d 2 nokey a",
        "EXISTS d",
        "ZRANGESTORE d a 1 2",
        "ZRANGE d 0 -1 WITHSCORES",
        "ZRANGESTORE d b 15 +inf BYSCORE LIMIT 0 1",
        "ZRANGE d 0 -1 WITHSCORES",
        "ZRANGESTORE d nokey 0 -1",
        "EXISTS d",
        "SET text v",
        "ZUNION 2 a text",
        "ZUNIONSTORE d 2 text a",
        "ZRANGESTORE d text 0 -1",
        "GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
        "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km",
        "ZRANGE d 0 -1 WITHSCORES",
        "GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST",
        "ZRANGE d 0 -1 WITHSCORES",
        "GEORADIUS g 15 37 200 km STORE d2",
        "ZRANGE d2 0 -1 WITHSCORES",
        "GEORADIUS g 15 37 100 km STOREDIST d2",
        "ZRANGE d2 0 -1 WITHSCORES",
        "GEORADIUSBYMEMBER g Palermo 200 km STORE d3",
        "ZRANGE d3 0 -1 WITHSCORES",
        "GEORADIUS text 15 37 100 km STORE d2",
        "GEORADIUS nokey 15 37 100 km STORE d2",
        "EXISTS d2",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

static void test_strings_and_lists(void **state)
{
    static const char *const words[] = {
        "PFADD a 1 2 3",
        "PFADD b 3 4",
        "PFCOUNT a b",
        "PFCOUNT a b nokey",
        "PFMERGE d a b",
        "PFCOUNT d",
        "PFMERGE a b nokey",
        "PFCOUNT a",
        "SET text hello",
        "PFCOUNT a text",
        "PFMERGE d text",
        "SET t1 abcdef",
        "SET t2 xbydzf",
        "BITOP AND d2 t1 t2",
        "GET d2",
        "BITOP OR d2 t1 t2 nokey",
        "GET d2",
        "BITOP XOR t1 t1 t2",
        "STRLEN t1",
        "BITOP NOT d2 t2",
        "BITOP NOT d2 t1 t2",
        "BITOP NONSENSE d2 t1 t2",
        "BITOP AND d2 nokey1 nokey2",
        "EXISTS d2",
        "LCS text t2",
        "LCS text t2 LEN",
        "LCS text t2 IDX MINMATCHLEN 1 WITHMATCHLEN",
        "LCS text nokey",
        "RPUSH list 3 1 2",
        "LCS text list",
        "BITOP AND d2 text list",
        "SORT list STORE sorted",
        "LRANGE sorted 0 -1",
        "OBJECT ENCODING sorted",
        "SORT list LIMIT 0 2 DESC STORE sorted",
        "LRANGE sorted 0 -1",
        "RPUSH words b a",
        "SORT words STORE sorted",
        "LRANGE sorted 0 -1",
        "SORT words ALPHA STORE sorted",
        "LRANGE sorted 0 -1",
        "SORT nokey STORE sorted",
        "EXISTS sorted",
        "SORT text STORE sorted",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

static void test_first_that_has_something(void **state)
{
    static const char *const words[] = {
        "LMPOP 3 l1 l2 l3 LEFT",
        "RPUSH l2 a b c",
        "RPUSH l3 d",
        "LMPOP 3 l1 l2 l3 LEFT",
        "LMPOP 3 l1 l2 l3 RIGHT COUNT 5",
        "LMPOP 3 l1 l2 l3 RIGHT COUNT 5",
        "LMPOP 3 l1 l2 l3 RIGHT COUNT 5",
        "LMPOP 3 l1 l2 l3 NONSENSE",
        "LMPOP 2 l1 l2 LEFT COUNT 0",
        "SET text v",
        "LMPOP 2 l1 text LEFT",
        "RPUSH l1 x",
        "LMPOP 2 l1 text LEFT",
        "ZADD z2 1 a 2 b",
        "ZMPOP 2 z1 z2 MIN",
        "ZMPOP 2 z1 z2 MAX COUNT 9",
        "ZMPOP 2 z1 z2 MAX COUNT 9",
        "ZMPOP 3 z1 text z2 MAX",
        "ZMPOP 2 z1 z2",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

static void test_streams(void **state)
{
    static const char *const words[] = {
        "XADD s1 1-1 f a",
        "XADD s1 1-2 f b",
        "XADD s2 2-1 f c",
        "XADD s3 3-1 f d",
        "XREAD STREAMS s3 s1 s2 0 0 0",
        "XREAD STREAMS s3 nokey s2 s1 0 0 2-1 1-1",
        "XREAD COUNT 1 STREAMS s1 s2 s3 0 0 3-1",
        "XREAD STREAMS s1 s2 s1 0 0 1-1",
        "XREAD STREAMS s1 s2 9-9 9-9",
        "XREAD STREAMS nokey1 nokey2 0 0",
        "XREAD STREAMS s1 s2 $ $",
        "XREAD STREAMS s1 s2 0",
        "XREAD STREAMS s1 s2 s3 0 0",
        "XREAD COUNT x STREAMS s1 s2 0 0",
        "XREAD STREAMS s1 s2 0 nonsense",
        "XREAD STREAMS s1 s2 > 0",
        "SET text v",
        "XREAD STREAMS s1 text s2 0 0 0",
        "XREAD STREAMS s1 text s2 nonsense 0 0",
        "XREADGROUP GROUP g me STREAMS s1 s2 > >",
        "XGROUP CREATE s1 g 0",
        "XREADGROUP GROUP g me STREAMS s2 s3 > >",
        "XGROUP CREATE s2 g 0",
        "XGROUP CREATE s3 g $",
        "XREADGROUP GROUP g me COUNT 1 STREAMS s3 s2 s1 > > >",
        "XREADGROUP GROUP g me NOACK STREAMS s1 s2 > >",
        "XREADGROUP GROUP g me STREAMS s1 s2 > >",
        "XREADGROUP GROUP g me STREAMS s1 s2 0 0",
        "XREADGROUP GROUP g you STREAMS s1 s2 s3 0 0 >",
        "XREADGROUP GROUP g me STREAMS s1 s2 $ >",
        "XREADGROUP GROUP g me STREAMS text nokey > >",
        "XREADGROUP GROUP g me STREAMS s1 s2 s3 > >",
        "XREADGROUP NOACK NOACK NOACK STREAMS s1 s2 > >",
        "XPENDING s1 g",
        "XPENDING s2 g",
        "XACK s1 g 1-1",
        "XREADGROUP GROUP g me STREAMS s1 s2 0 0",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

/* Long replies, and a place among other commands. */
static void test_streams_in_a_pipeline(void **state)
{
    struct client c, o;
    (void)state;
    beside_open(&c, &o);
    for (int i = 1; i <= 400; i++) {
        char text[64];
        snprintf(text, sizeof(text), "XADD long:%d 1-%d field %032d", i % 3, i, i);
        oracle_compare_words(&c, &o, text);
    }
    for (int i = 0; i < 50; i++) {
        static const char text[] = "XREAD STREAMS long:0 long:1 long:2 0 0 0\r\n"
                                   "XDEL long:1 1-1\r\n"
                                   "XREAD COUNT 3 STREAMS long:2 long:1 0 0\r\n";
        assert_true(client_send_text(&c, text) && client_send_text(&o, text));
    }
    for (int i = 0; i < 150; i++) {
        size_t len;
        const char *want = client_read(&o, &len);
        assert_non_null(want);
        client_expect_bytes(&c, want, len);
    }
    assert_true(client_send_text(&c, "CLIENT REPLY SKIP\r\nXREAD STREAMS long:0 long:1 0 0\r\n"
                                     "XREAD STREAMS nokey:1 nokey:2 0 0\r\n"));
    client_expect(&c, "*-1\r\n");
    beside_close(&c, &o);
}

static void test_scripts(void **state)
{
    static const char *const words[] = {
        "SET a 1",
        "SET b 2",
        "EVAL return{redis.call('GET',KEYS[1]),redis.call('GET',KEYS[2]),ARGV[1]} 2 a b c",
        "EVAL return{KEYS[1],KEYS[2]} 2 a b",
        "EVAL return{KEYS[1],{KEYS[2],KEYS[3]},{err=KEYS[2]}} 3 a b nokey",
        "EVAL redis.call('SET',KEYS[1],'x');return(redis.call('SET',KEYS[2],'y')) 2 a b",
        "GET a",
        "GET b",
        "EVAL return(redis.call('DEL',KEYS[1],KEYS[2])) 2 a b",
        "EXISTS a b",
        "EVAL redis.call('SADD',KEYS[2],1,2)return(redis.call('LPUSH',KEYS[1],'v')) 2 l s",
        "SMEMBERS s",
        "TTL s",
        "TTL l",
        "EVAL redis.call('SADD',KEYS[2],3)redis.call('NOSUCH') 2 l s",
        "SMEMBERS s",
        "EXPIRE s 100",
        "EVAL return{redis.call('TTL',KEYS[2]),redis.call('SADD',KEYS[2],9)} 2 l s",
        "TTL s",
        "EVAL return(redis.call('PERSIST',KEYS[2])) 2 l s",
        "TTL s",
        "EVAL return(redis.call('EXPIRE',KEYS[2],500)) 2 l s",
        "TTL s",
        "EVAL return(redis.call('INCRBY',KEYS[2],5)+redis.call('INCRBY',KEYS[3],7)) 3 l n n",
        "GET n",
        "EVAL return(redis.call('GET',KEYS[2])) 2 l s",
        "EVAL_RO return{redis.call('LRANGE',KEYS[1],0,-1),redis.call('TYPE',KEYS[2])} 2 l s",
        "EVAL_RO return(redis.call('SADD',KEYS[2],1)) 2 l s",
        "EVAL syntaxerror( 2 l s",
        "EVALSHA ffffffffffffffffffffffffffffffffffffffff 2 l s",
        "FCALL nosuch 2 l s",
        "DBSIZE",
    };
    (void)state;
    gather_compare_all(words, ARRAY_LEN(words));
}

/* What a script only looked at is not written again, so a watcher of it sees nothing. */
static void test_script_leaves_what_it_reads(void **state)
{
    struct client c;
    char read[64], request[256];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    cluster_key(&cluster, 1, 0, "read", read);
    for (int i = 0; i < 700; i++) {
        snprintf(request, sizeof(request), "SADD %s member%d", read, i);
        assert_int_equal(gather_number(&c, request), 1);
    }
    cluster_do(&cluster, 1, "CONFIG RESETSTAT");
    snprintf(request, sizeof(request), "EVAL return(redis.call('SCARD',KEYS[2])) 2 other %s", read);
    assert_int_equal(gather_number(&c, request), 700);
    redisReply *stats = cluster_ask(&cluster, 1, "INFO commandstats");
    assert_non_null(stats);
    assert_null(strstr(stats->str, "cmdstat_restore"));
    freeReplyObject(stats);
    client_close(&c);
    gather_nothing_left(&cluster);
}

static void test_large_sets_and_binary_members(void **state)
{
    struct client c, o;
    char member[16];
    (void)state;
    beside_open(&c, &o);
    for (int i = 0; i < 3000; i++) {
        for (int key = 0; key < 2; key++) {
            int n = snprintf(member, sizeof(member), "%c%c\r\n%d", 0, 200 + key, i * (2 + key));
            const char *const argv[] = { "SADD", key ? "big1" : "big2", member };
            const size_t len[] = { 4, 4, (size_t)n };
            member[1] = 'x';
            assert_true(client_send_argv(&c, 3, argv, len));
            assert_true(client_send_argv(&o, 3, argv, len));
            client_expect(&o, ":1\r\n");
            client_expect(&c, ":1\r\n");
        }
    }
    static const char *const words[] = {
        "SINTERCARD 2 big1 big2",
        "SUNIONSTORE u big1 big2",
        "SCARD u",
        "SINTERSTORE i big1 big2",
        "SCARD i",
        "OBJECT ENCODING i",
        "SDIFFSTORE d u i",
        "SCARD d",
        "SINTERCARD 3 u i d",
        "SUNIONSTORE v d i",
        "SDIFFSTORE w u v",
        "RENAME v renamed",
        "SDIFFSTORE w u renamed",
        "SCARD renamed",
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        oracle_compare_words(&c, &o, words[i]);
    beside_close(&c, &o);
    gather_nothing_left(&cluster);
}

static long long members_of(struct client *c, const char *words)
{
    size_t len;
    assert_true(client_send_text(c, words) && client_send_text(c, "\r\n"));
    const char *reply = client_read(c, &len);
    assert_non_null(reply);
    assert_int_equal(reply[0], '*');
    return strtoll(reply + 1, NULL, 10);
}

/* Small sets are merged in the proxy, and no node restores anything; larger ones, or with long
   members, are gathered. The results are the same. */
static void test_small_sets_are_merged_here(void **state)
{
    static const struct {
        int members, length;
        bool here;
    } sizes[] = { { 100, 10, true }, { 400, 10, true }, { 600, 10, false }, { 300, 1000, false } };
    char key[2][64], text[300], member[1100];
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
        for (int k = 0; k < 2; k++) {
            cluster_key(&cluster, k, (int)n, "small", key[k]);
            for (int i = 0; i < sizes[n].members; i++) {
                snprintf(member, sizeof(member), "%0*d", sizes[n].length, i * (2 + k));
                assert_true(client_send_command(&c, "SADD", key[k], member, NULL));
                client_expect(&c, ":1\r\n");
            }
        }
        cluster_do(&cluster, 0, "CONFIG RESETSTAT");
        int common = (2 * (sizes[n].members - 1)) / 6 + 1; /* multiples of 2 and of 3 */
        snprintf(text, sizeof(text), "SINTER %s %s", key[0], key[1]);
        assert_int_equal(members_of(&c, text), common);
        snprintf(text, sizeof(text), "SUNION %s %s", key[0], key[1]);
        assert_int_equal(members_of(&c, text), 2 * sizes[n].members - common);
        snprintf(text, sizeof(text), "SDIFF %s %s", key[0], key[1]);
        assert_int_equal(members_of(&c, text), sizes[n].members - common);
        snprintf(text, sizeof(text), "SINTERCARD 2 %s %s", key[0], key[1]);
        assert_int_equal(gather_number(&c, text), common);
        redisReply *stats = cluster_ask(&cluster, 0, "INFO commandstats");
        assert_non_null(stats);
        assert_int_equal(strstr(stats->str, "cmdstat_restore") == NULL, sizes[n].here);
        freeReplyObject(stats);
    }
    client_close(&c);
    gather_nothing_left(&cluster);
}

/* Order around a gathered command in one pipeline, and what CLIENT REPLY takes away. */
static void test_order_in_a_pipeline(void **state)
{
    struct client c, o;
    const int rounds = 200, replies = 6;
    (void)state;
    beside_open(&c, &o);
    for (int i = 0; i < rounds; i++) {
        char text[300];
        snprintf(text, sizeof(text),
                 "SADD p:%d 1 2\r\nSADD q:%d 2 3\r\nSINTER p:%d q:%d\r\nSADD q:%d 1\r\n"
                 "SUNIONSTORE p:%d p:%d q:%d\r\nSMEMBERS p:%d\r\n",
                 i, i, i, i, i, i, i, i, i);
        assert_true(client_send_text(&c, text) && client_send_text(&o, text));
    }
    for (int i = 0; i < rounds * replies; i++) {
        size_t len;
        const char *want = client_read(&o, &len);
        assert_non_null(want);
        client_expect_bytes(&c, want, len);
    }
    assert_true(client_send_text(&c, "CLIENT REPLY SKIP\r\nSUNION p:1 q:2\r\nSUNION p:1 q:1\r\n"));
    client_expect(&c, "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    beside_close(&c, &o);
}

static void test_size_limit(void **state)
{
    struct proxy small;
    struct client c;
    char seeds[512], value[3001];
    (void)state;
    proxy_start(&small, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--cross-slot-max-bytes", "4096", NULL });
    assert_true(client_open(&c, small.port));
    for (size_t i = 0; i < sizeof(value) - 1; i++)
        value[i] = (char)('!' + rand() % 90);
    value[sizeof(value) - 1] = '\0';
    const char *const keys[] = { "limit:a", "limit:b", "limit:c" };
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_true(client_send_command(&c, "SADD", keys[i], value, NULL));
        client_expect_start(&c, ":");
    }
    assert_true(client_send_text(&c, "SINTERCARD 2 limit:a limit:b\r\n"));
    client_expect(&c, ":1\r\n");
    assert_true(client_send_text(&c, "SUNIONSTORE limit:d limit:a limit:b limit:c\r\n"));
    client_expect_start(&c, "-ERR slotgate: the keys of this command");
    assert_true(client_send_text(&c, "EXISTS limit:d\r\nRENAME limit:a limit:d\r\n"));
    client_expect(&c, ":0\r\n");
    client_expect(&c, "+OK\r\n");
    client_close(&c);
    assert_true(proxy_stop(&small));
    gather_nothing_left(&cluster);
}

/* The op goes on without its client, and the proxy ends without a leak. */
static void test_clients_that_leave(void **state)
{
    struct proxy other;
    char seeds[512];
    (void)state;
    proxy_start(&other, cluster_seeds(&cluster, seeds), NULL);
    for (int i = 0; i < 200; i++) {
        struct client c;
        assert_true(client_open(&c, other.port));
        assert_true(client_send_text(&c, "SADD leave:1 1 2\r\nSADD leave:2 2 3\r\n"
                                         "SUNIONSTORE leave:3 leave:1 leave:2\r\n"
                                         "EVAL return(KEYS[2]) 2 leave:3 leave:1\r\n"
                                         "RENAME leave:3 leave:4\r\n"));
        rest_us(rand() % 2000); /* at any moment of the work */
        if (i % 2 == 0)
            client_abort(&c);
        client_close(&c);
    }
    assert_true(proxy_stop(&other));
    gather_nothing_left(&cluster);
}

static void test_switched_off(void **state)
{
    static const char *const words[] = {
        "SUNION a b",          "SINTERSTORE a b c", "RENAME a b",    "EVAL return 2 a b",
        "LMOVE a b LEFT LEFT", "MSETNX a 1 b 2",    "PFCOUNT a b c", "XREAD STREAMS a b 0 0",
    };
    struct proxy strict;
    struct client c;
    char seeds[512];
    (void)state;
    proxy_start(&strict, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--enable-cross-slot", "no", NULL });
    assert_true(client_open(&c, strict.port));
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_true(client_send_text(&c, words[i]) && client_send_text(&c, "\r\n"));
        client_expect(&c, "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    }
    client_close(&c);
    assert_true(proxy_stop(&strict));
}

/* One of the nodes is away: an error, nothing is lost, nothing invented. */
static void test_a_node_is_away(void **state)
{
    struct client c;
    char key[3][64], request[300];
    (void)state;
    assert_true(client_open(&c, proxy.port));
    c.timeout_ms = 20000;
    for (int i = 0; i < 3; i++) {
        cluster_key(&cluster, i, 0, "away", key[i]);
        snprintf(request, sizeof(request), "SADD %s 1 2 %d", key[i], i + 10);
        assert_int_equal(gather_number(&c, request), 3);
    }
    cluster_kill_node(&cluster, 1);
    assert_true(client_send_command(&c, "SUNIONSTORE", key[0], key[1], key[2], NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "SUNION", key[1], key[2], NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "RENAME", key[0], key[1], NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "RENAME", key[1], key[0], NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "SMOVE", key[0], key[1], "1", NULL));
    client_expect_start(&c, "-");
    assert_true(client_send_command(&c, "EVAL", "return redis.call('SADD',KEYS[1],99)", "2", key[0],
                                    key[1], NULL));
    client_expect_start(&c, "-");
    for (int i = 0; i < 3; i += 2) {
        snprintf(request, sizeof(request), "SCARD %s", key[i]);
        assert_int_equal(gather_number(&c, request), 3);
    }
    client_close(&c);
    gather_nothing_left(&cluster);
    cluster_restart_node(&cluster, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_sorted_sets),
        cmocka_unit_test(test_strings_and_lists),
        cmocka_unit_test(test_first_that_has_something),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_streams_in_a_pipeline),
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_script_leaves_what_it_reads),
        cmocka_unit_test(test_large_sets_and_binary_members),
        cmocka_unit_test(test_small_sets_are_merged_here),
        cmocka_unit_test(test_order_in_a_pipeline),
        cmocka_unit_test(test_size_limit),
        cmocka_unit_test(test_clients_that_leave),
        cmocka_unit_test(test_switched_off),
        cmocka_unit_test(test_a_node_is_away),
    };

    return testenv_finish(cmocka_run_group_tests(tests, gather_begin, beside_end));
}
