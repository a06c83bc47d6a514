/*
 * Every command of Redis 7.0 on the proxy and on one plain Redis, after the same preparation: the
 * replies are compared byte for byte, or by the rule that stands beside the calls, in RESP2 and in
 * RESP3, with all keys in one slot and with keys in several. No command of COMMAND LIST may be
 * without calls, unless it is left out by name and with a reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "test/lib/beside.h"
#include "test/lib/differ.h"
#include "test/lib/testenv.h"

/* Calls are sent one after the other and stand between " ; "; differ_request says how they are
   written. Each row begins with the keys of `preparation` and nothing else. */
struct row {
    const char *calls;
    enum differ_rule rule;
};

#define BY(name, text)                                                                             \
    {                                                                                              \
        .calls = (text), .rule = DIFFER_##name                                                     \
    }
#define SAME(text) BY(SAME, text)
#define SET(text) BY(SET, text)
#define PAIRS(text) BY(PAIRS, text)
#define DEEP(text) BY(DEEP, text)
#define NEAR(text) BY(NEAR, text)
#define SHAPE(text) BY(SHAPE, text)
#define KIND(text) BY(KIND, text)

static const struct row rows[] = {
#include "test/integration/every_command.inc"
};

/* Commands that Redis executes and the proxy refuses on purpose. */
static const char *const refused[] = {
    "ACL DELUSER x",
    "ACL LOAD",
    "ACL SAVE",
    "ACL SETUSER x",
    "DEBUG SLEEP 0",
    "FAILOVER",
    "MODULE LOAD x",
    "MODULE LOADEX x",
    "MODULE UNLOAD x",
    "PFDEBUG ENCODING p1",
    "PFSELFTEST",
    "PSYNC ? -1",
    "REPLCONF x y",
    "REPLICAOF NO ONE",
    "RESTORE-ASKING k 0 x",
    "SCRIPT DEBUG YES",
    "SHUTDOWN",
    "SLAVEOF NO ONE",
    "SYNC",
    "MIGRATE h 1 k 0 1",
};

/* What the tests of other files judge, and which. */
static const struct {
    const char *names, *why;
} elsewhere[] = {
    { "acl|dryrun", "the users are those of the nodes" },
    { "multi exec discard watch unwatch", "transactions have tests of their own" },
    { "blpop brpop blmove blmpop brpoplpush bzpopmin bzpopmax bzmpop wait",
      "blocking commands have tests of their own" },
    { "subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe monitor",
      "subscribers have tests of their own" },
    { "client|pause client|unpause client|unblock client|caching client|tracking",
      "local: they concern other clients of the proxy" },
    { "config|rewrite", "config_get: a proxy without a file" },
};

static const char *const preparation[] = {
    "FLUSHALL",
    "SET @s1 foobar^text",
    "SET @s2 abcdef^foo",
    "SET @n 10",
    "SET @f 3.5",
    "SET @t1 v EX 100000",
    "RPUSH @l1 a b c a 1",
    "RPUSH @l2 x y",
    "SADD @e1 a b c d",
    "SADD @e2 c d e",
    "SADD @i1 3 1 2",
    "SADD @i2 3 4",
    "HSET @h1 f1 v1 f2 v2 n 5",
    "ZADD @z0 0 a 0 b 0 c 0 d",
    "ZADD @z1 1 a 2 b 3 c",
    "ZADD @z2 10 b 20 c 30 d",
    "PFADD @p1 x y z",
    "PFADD @p2 z w",
    "GEOADD @g1 13.361389 38.115556 Palermo 15.087269 37.502669 Catania",
    "XADD @x1 1-1 f v",
    "XADD @x1 2-1 f w g x",
    "XADD @x2 1-2 f v",
    "XGROUP CREATE @x1 gr 0",
    "XGROUP CREATE @x2 gr 0",
    "FUNCTION FLUSH",
    "FUNCTION LOAD #!lua^name=lib\n"
    "redis.register_function{function_name='get',callback=function(k)^return^redis.call('GET',k[1])"
    "^end,flags={'no-writes'}}\n"
    "redis.register_function('set',function(k,a)^return^redis.call('SET',k[1],a[1])^end)\n"
    "redis.register_function('both',function(k)^return^{k[2],redis.call('GET',k[2])}^end)",
};

struct pair {
    struct client proxy, oracle;
};

/* --- one row --------------------------------------------------------------------------------- */

static void prepare(struct client *c, const char *tag)
{
    for (size_t i = 0; i < ARRAY_LEN(preparation); i++) {
        size_t len;
        char *request = differ_request(preparation[i], strlen(preparation[i]), tag, &len);
        assert_true(client_send(c, request, len));
        free(request);
    }
    for (size_t i = 0; i < ARRAY_LEN(preparation); i++) {
        size_t len;
        const char *reply = client_read(c, &len);
        if (reply == NULL || reply[0] == '-')
            fail_msg("%s: %s", preparation[i], reply != NULL ? reply : client_state_text(c));
    }
}

static void open_one(struct client *c, uint16_t port, int protocol, const char *tag)
{
    assert_true(client_open(c, port));
    c->timeout_ms = scaled_ms(10000);
    prepare(c, tag);
    const char *hello = client_ask(c, "HELLO", protocol == 3 ? "3" : "2", NULL);
    assert_non_null(hello);
    assert_int_not_equal(hello[0], '-');
}

static void show(const char *who, const char *reply, size_t len)
{
    print_message("  %s: ", who);
    for (size_t i = 0; i < len && i < 600; i++)
        print_message(reply[i] >= ' ' && reply[i] <= '~' ? "%c" : "\\x%02x",
                      (unsigned char)reply[i]);
    print_message("\n");
}

/* Whether both give the same to one call; shows what they say otherwise. */
static bool call_agrees(struct pair *p, const struct row *row, const char *call, size_t call_len,
                        const char *tag)
{
    size_t request_len, len, wanted_len;
    char *request = differ_request(call, call_len, tag, &request_len);
    assert_true(client_send(&p->oracle, request, request_len));
    assert_true(client_send(&p->proxy, request, request_len));
    free(request);
    const char *wanted = client_read(&p->oracle, &wanted_len);
    const char *reply = client_read(&p->proxy, &len);
    if (wanted == NULL)
        fail_msg("Redis itself gives no reply to %.*s", (int)call_len, call);
    if (reply != NULL && differ_agree(row->rule, wanted, wanted_len, reply, len))
        return true;
    print_message("%.*s\n", (int)call_len, call);
    show("Redis", wanted, wanted_len);
    show("proxy", reply != NULL ? reply : client_state_text(&p->proxy), reply != NULL ? len : 20);
    return false;
}

/* SCAN has another cursor: the whole walk has to give the same keys. */
static char *scan_all(struct client *c, const char *call, size_t call_len, const char *tag,
                      size_t *len)
{
    char cursor[32] = "0", words[256], *found = NULL;
    size_t used = 0, count = 0;
    do {
        size_t request_len, reply_len;
        snprintf(words, sizeof(words), "SCAN %s%.*s", cursor, (int)call_len - 6, call + 6);
        char *request = differ_request(words, strlen(words), tag, &request_len);
        assert_true(client_send(c, request, request_len));
        free(request);
        const char *reply = client_read(c, &reply_len);
        assert_non_null(reply);
        assert_int_equal(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]\r\n*", cursor), 1);
        const char *list = strstr(reply, "\r\n*") + 3;
        const char *first = strchr(list, '\n') + 1;
        size_t size = reply_len - (size_t)(first - reply);
        count += strtoul(list, NULL, 10);
        found = realloc(found, used + size + 32);
        REQUIRE(found != NULL);
        memcpy(found + used, first, size);
        used += size;
    } while (strcmp(cursor, "0") != 0);
    char header[32];
    int n = snprintf(header, sizeof(header), "*%zu\r\n", count);
    memmove(found + n, found, used);
    memcpy(found, header, (size_t)n);
    *len = used + (size_t)n;
    found[*len] = '\0';
    return found;
}

static bool scan_agrees(struct pair *p, const char *call, size_t call_len, const char *tag)
{
    size_t len, wanted_len;
    char *wanted = scan_all(&p->oracle, call, call_len, tag, &wanted_len);
    char *found = scan_all(&p->proxy, call, call_len, tag, &len);
    bool agree = differ_agree(DIFFER_SET, wanted, wanted_len, found, len);
    if (!agree) {
        print_message("%.*s\n", (int)call_len, call);
        show("Redis", wanted, wanted_len);
        show("proxy", found, len);
    }
    free(wanted);
    free(found);
    return agree;
}

/* The number of calls of a row that differ. */
static int run_row(const struct row *row, int protocol, const char *tag)
{
    struct pair p;
    int wrong = 0;
    open_one(&p.proxy, proxy.port, protocol, tag);
    open_one(&p.oracle, oracle.port, protocol, tag);
    for (const char *call = row->calls; call != NULL;) {
        const char *end = strstr(call, " ; ");
        size_t len = end != NULL ? (size_t)(end - call) : strlen(call);
        bool scan = strncmp(call, "SCAN 0", 6) == 0;
        if (!(scan ? scan_agrees(&p, call, len, tag) : call_agrees(&p, row, call, len, tag)))
            wrong++;
        call = end != NULL ? end + 3 : NULL;
    }
    client_close(&p.proxy);
    client_close(&p.oracle);
    return wrong;
}

static void run_all(int protocol, const char *tag)
{
    int wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        wrong += run_row(&rows[i], protocol, tag);
    assert_int_equal(wrong, 0);
}

static void test_one_slot(void **state)
{
    (void)state;
    run_all(2, "{t}");
}

static void test_one_slot_resp3(void **state)
{
    (void)state;
    run_all(3, "{t}");
}

static void test_several_slots(void **state)
{
    (void)state;
    run_all(2, "");
}

static void test_several_slots_resp3(void **state)
{
    (void)state;
    run_all(3, "");
}

/* --- what has no row -------------------------------------------------------------------------- */

static void test_refused(void **state)
{
    struct client c;
    (void)state;
    assert_true(client_open(&c, proxy.port));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        size_t len;
        char *request = differ_request(refused[i], strlen(refused[i]), "", &len);
        assert_true(client_send(&c, request, len));
        free(request);
        const char *reply = client_expect_start_at(&c, "-ERR slotgate: ", __FILE__, __LINE__);
        if (strstr(reply, " is refused: ") == NULL)
            fail_msg("%s: %s", refused[i], reply);
    }
    client_close(&c);
}

/* Whether the calls have one of that name; "container|sub" stands for two words. */
static bool calls_have(const char *calls, const char *name)
{
    size_t len = strlen(name);
    for (const char *call = calls; call != NULL; call = strstr(call, " ; ")) {
        call += strncmp(call, " ; ", 3) == 0 ? 3 : 0;
        size_t i = 0;
        while (i < len &&
               (strncasecmp(call + i, name + i, 1) == 0 || (call[i] == ' ' && name[i] == '|')))
            i++;
        if (i == len && (call[i] == ' ' || call[i] == '\0'))
            return true;
    }
    return false;
}

static bool is_elsewhere(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        const char *at = elsewhere[i].names;
        for (; at != NULL; at = strchr(at, ' ')) {
            at += *at == ' ';
            if (strncmp(at, name, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
                return true;
        }
    }
    return false;
}

static bool is_covered(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (calls_have(rows[i].calls, name))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (calls_have(refused[i], name))
            return true;
    return is_elsewhere(name);
}

static void test_none_is_missing(void **state)
{
    redisContext *c = redisConnect("127.0.0.1", oracle.port);
    int missing = 0;
    (void)state;
    assert_non_null(c);
    redisReply *list = redisCommand(c, "COMMAND LIST");
    assert_non_null(list);
    assert_true(list->elements > 300);
    for (size_t i = 0; i < list->elements; i++) {
        if (is_covered(list->element[i]->str))
            continue;
        print_message("no row has %s\n", list->element[i]->str);
        missing++;
    }
    freeReplyObject(list);
    redisFree(c);
    assert_int_equal(missing, 0);
}

/* Each command with nothing behind its name: the error of the arity is Redis's own. */
static void test_bare_names(void **state)
{
    struct pair p;
    int wrong = 0;
    (void)state;
    open_one(&p.proxy, proxy.port, 2, "");
    open_one(&p.oracle, oracle.port, 2, "");
    redisContext *c = redisConnect("127.0.0.1", oracle.port);
    assert_non_null(c);
    redisReply *all = redisCommand(c, "COMMAND");
    assert_non_null(all);
    for (size_t i = 0; i < all->elements; i++) {
        const redisReply *one = all->element[i];
        long long arity = one->element[1]->integer;
        struct row row = { .calls = one->element[0]->str };
        if (arity == 1 || arity == -1 || strncmp(row.calls, "pf", 2) == 0)
            continue;
        wrong += !call_agrees(&p, &row, row.calls, strlen(row.calls), "");
    }
    freeReplyObject(all);
    redisFree(c);
    client_close(&p.proxy);
    client_close(&p.oracle);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_missing),
        cmocka_unit_test(test_bare_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_one_slot),
        cmocka_unit_test(test_one_slot_resp3),
        cmocka_unit_test(test_several_slots),
        cmocka_unit_test(test_several_slots_resp3),
    };

    return testenv_finish(cmocka_run_group_tests(tests, beside_begin, beside_end));
}
