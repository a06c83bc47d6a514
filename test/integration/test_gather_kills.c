/*
 * Commands over several slots, killed at every step: a preloaded library ends the proxy just before
 * its first, second, third ... write to a node, until the command gets through. After each death
 * nothing is lost, and nothing temporary is left that would not expire. The same with a proxy that
 * waits at that place while a node dies and its replica takes over.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/die_at_write.h"
#include "test/lib/gather_case.h"
#include "test/lib/testenv.h"

enum { STEPS_MAX = 40, WORDS_MAX = 8 };

static struct die_at_write *rule;
static char rule_file[256];
static const char *keys[3]; /* @A, @B, @C: each at another master */

static int start(void **state)
{
    static char room[3][64];
    (void)state;
    /* For the proxies: our library comes before the sanitizer's, and a killed one leaks. */
    setenv("ASAN_OPTIONS", "detect_leaks=0:verify_asan_link_order=0", 1);
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3, .replicas = 1 });
    for (int i = 0; i < 3; i++)
        keys[i] = cluster_key(&cluster, i, 3, "kill", room[i]);
    snprintf(rule_file, sizeof(rule_file), "%s/rule", testenv_dir());
    int fd = open(rule_file, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, sizeof(*rule)) == 0);
    void *place = mmap(NULL, sizeof(*rule), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(place != MAP_FAILED);
    rule = place;
    return 0;
}

/* --- a proxy that can be killed --------------------------------------------------------------- */

/* It asks for the slot map when it starts, and then no more by itself; and its worker may stand
   still as long as it is told to. */
static void launch(struct proxy *p, struct client *c)
{
    char seeds[512], file[300], preload[512], port[64];
    uint16_t own = port_take();
    atomic_store(&rule->left, 0);
    snprintf(port, sizeof(port), "%d", own);
    const char *const extra[] = { "-p", port, "--topology-interval", "10m", "--worker-timeout",
                                  "0",  NULL };
    char port_env[64];
    snprintf(port_env, sizeof(port_env), "DIE_AT_WRITE_PORT=%d", own);
    snprintf(file, sizeof(file), "DIE_AT_WRITE_FILE=%s", rule_file);
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", DIE_AT_WRITE_LIBRARY);
    const char *const env[] = { file, preload, port_env, NULL };
    proxy_launch(p, cluster_seeds(&cluster, seeds), extra, env);
    port_give_back(p->port);
    p->port = own;
    proxy_await_ready(p, scaled_ms(10000));
    assert_true(client_open(c, p->port));
    c->timeout_ms = scaled_ms(20000);
}

static void end(struct proxy *p, struct client *c)
{
    client_close(c);
    process_kill(&p->process);
    port_give_back(p->port);
    p->port = 0;
}

/* The words with the keys' names in them. */
static const char *with_keys(const char *words)
{
    static char out[1024];
    size_t at = 0;
    for (const char *p = words; *p != '\0'; p++) {
        if (p[0] == '@' && p[1] >= 'A' && p[1] <= 'C')
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s", keys[*++p - 'A']);
        else
            out[at++] = *p;
        REQUIRE(at < sizeof(out) - 64);
    }
    out[at] = '\0';
    return out;
}

static const char *ask(struct client *c, const char *words)
{
    size_t len;
    char *request = request_of_words(with_keys(words), &len);
    bool sent = client_send(c, request, len);
    free(request);
    return sent ? client_read(c, &len) : NULL;
}

/* An integer, or the number of elements. */
static long long number_of(struct client *c, const char *words)
{
    const char *reply = ask(c, words);
    if (reply == NULL || strchr(":*", reply[0]) == NULL)
        fail_msg("%s: %s", words, reply == NULL ? "no reply" : reply);
    return strtoll(reply + 1, NULL, 10);
}

/* --- the cases -------------------------------------------------------------------------------- */

/* Elements that the checks count; each of them has to be somewhere. */
struct found {
    const char *words[2]; /* their numbers are added */
    long long at_least;
};

struct kill_case {
    const char *command, *reply; /* the reply begins so */
    const char *before[WORDS_MAX];
    struct found found[WORDS_MAX];
};

#define MOVE_SCRIPT "EVAL local\tx=redis.call('LPOP',KEYS[1])redis.call('RPUSH',KEYS[2],x)return(x)"

static const struct kill_case cases[] = {
    { "RENAME @A @B",
      "+OK",
      { "SADD @A 1 2 3", "SADD @B 9" },
      { { { "SUNION @A @B" }, 3 }, { { "SISMEMBER @A 1", "SISMEMBER @B 1" }, 1 } } },
    { "RENAMENX @A @B",
      ":1",
      { "SADD @A 1 2 3" },
      { { { "SUNION @A @B" }, 3 }, { { "EXISTS @A @B" }, 1 } } },
    { "COPY @A @B REPLACE",
      ":1",
      { "SADD @A 1 2 3", "SADD @B 9" },
      { { { "SCARD @A" }, 3 }, { { "SCARD @B" }, 1 } } },
    { "SMOVE @A @B 1",
      ":1",
      { "SADD @A 1 2", "SADD @B 9" },
      { { { "SISMEMBER @A 1", "SISMEMBER @B 1" }, 1 }, { { "SUNION @A @B" }, 3 } } },
    { "LMOVE @A @B LEFT RIGHT",
      "$1",
      { "RPUSH @A x y", "RPUSH @B z" },
      { { { "LPOS @A x COUNT 0", "LPOS @B x COUNT 0" }, 1 },
        { { "LPOS @A y COUNT 0" }, 1 },
        { { "LPOS @B z COUNT 0" }, 1 } } },
    { "LMPOP 2 @A @B LEFT COUNT 1", "*2", { "RPUSH @B x y z" }, { { { "LLEN @B" }, 2 } } },
    { "ZMPOP 2 @A @B MIN COUNT 1", "*2", { "ZADD @B 1 x 2 y 3 z" }, { { { "ZCARD @B" }, 2 } } },
    { "SINTERSTORE @C @A @B",
      ":2",
      { "SADD @A 1 2 3", "SADD @B 2 3 4", "SADD @C 77" },
      { { { "SCARD @A" }, 3 }, { { "SCARD @B" }, 3 }, { { "SCARD @C" }, 1 } } },
    { "ZUNIONSTORE @C 2 @A @B",
      ":3",
      { "ZADD @A 1 x 2 y", "ZADD @B 3 z", "ZADD @C 4 w" },
      { { { "ZCARD @A" }, 2 }, { { "ZCARD @B" }, 1 }, { { "ZCARD @C" }, 1 } } },
    { "PFMERGE @C @A @B",
      "+OK",
      { "PFADD @A 1 2 3", "PFADD @B 4", "PFADD @C 5" },
      { { { "PFCOUNT @A" }, 3 }, { { "PFCOUNT @B" }, 1 }, { { "PFCOUNT @C" }, 1 } } },
    { "BITOP OR @C @A @B",
      ":3",
      { "SET @A abc", "SET @B de", "SET @C f" },
      { { { "STRLEN @A" }, 3 }, { { "STRLEN @B" }, 2 }, { { "STRLEN @C" }, 1 } } },
    { "SORT @A STORE @B",
      ":3",
      { "RPUSH @A 3 1 2", "RPUSH @B 7" },
      { { { "LLEN @A" }, 3 }, { { "LLEN @B" }, 1 } } },
    { "MSETNX @A 1 @B 2 @C 3", ":1", { "SET other x" }, { { { "EXISTS other" }, 1 } } },
    { "GEOSEARCHSTORE @B @A FROMLONLAT 15 37 BYRADIUS 400 km",
      ":1",
      { "GEOADD @A 13.36 38.11 Palermo", "GEOADD @B 1 1 x" },
      { { { "ZCARD @A" }, 1 }, { { "ZCARD @B" }, 1 } } },
    /* From home to another slot, and the other way. */
    { MOVE_SCRIPT " 2 @A @B",
      "$1",
      { "RPUSH @A x y", "RPUSH @B z" },
      { { { "LPOS @A x COUNT 0", "LPOS @B x COUNT 0" }, 1 },
        { { "LPOS @A y COUNT 0" }, 1 },
        { { "LPOS @B z COUNT 0" }, 1 } } },
    { "EVAL local\tx=redis.call('LPOP',KEYS[2])redis.call('RPUSH',KEYS[1],x)return(x) 3 @A @B @C",
      "$1",
      { "RPUSH @B x", "SET @C v" },
      { { { "LPOS @A x COUNT 0", "LPOS @B x COUNT 0" }, 1 }, { { "STRLEN @C" }, 1 } } },
    /* Fewer elements, but longer ones. */
    { "EVAL local\tx=redis.call('LPOP',KEYS[1])redis.call('LSET',KEYS[1],0,redis.sha1hex('y'))"
      "redis.call('RPUSH',KEYS[2],x)return(x) 2 @A @B",
      "$1",
      { "RPUSH @A x y" },
      { { { "LPOS @A x COUNT 0", "LPOS @B x COUNT 0" }, 1 }, { { "LLEN @A" }, 1 } } },
    { "EVAL redis.call('INCR',KEYS[1])redis.call('RENAME',KEYS[2],KEYS[3])return(5) 3 @A @B @C",
      ":5",
      { "SET @A 5", "SADD @B 1 2" },
      { { { "SUNION @B @C" }, 2 }, { { "INCRBY @A 0" }, 5 } } },
};

static void prepare(struct client *c, const struct kill_case *k)
{
    for (int i = 0; i < 3; i++)
        assert_true(number_of(c, i == 0 ? "DEL @A" : i == 1 ? "DEL @B" : "DEL @C") >= 0);
    for (int i = 0; i < WORDS_MAX && k->before[i] != NULL; i++) {
        const char *reply = ask(c, k->before[i]);
        assert_true(reply != NULL && reply[0] != '-');
    }
}

static void check_nothing_lost(struct client *c, const struct kill_case *k, int step)
{
    for (int i = 0; i < WORDS_MAX && k->found[i].words[0] != NULL; i++) {
        const struct found *f = &k->found[i];
        long long n = number_of(c, f->words[0]);
        if (f->words[1] != NULL)
            n += number_of(c, f->words[1]);
        if (n < f->at_least)
            fail_msg("%s, killed before write %d: %s gives %lld of %lld", k->command, step,
                     f->words[0], n, f->at_least);
    }
}

/* No temporary key without an end on any master. */
static void check_temporaries(const struct kill_case *k, int step)
{
    for (int node = 0; node < cluster.count; node++) {
        redisReply *names = cluster_ask(&cluster, node, "KEYS *slotgate:tmp*");
        for (size_t i = 0; names != NULL && i < names->elements; i++) {
            redisReply *ttl = cluster_ask(&cluster, node, "PTTL %s", names->element[i]->str);
            if (ttl != NULL && ttl->type == REDIS_REPLY_INTEGER && ttl->integer == -1)
                fail_msg("%s, killed before write %d: a temporary key stays", k->command, step);
            freeReplyObject(ttl);
        }
        freeReplyObject(names);
    }
}

/* --- the proxy dies --------------------------------------------------------------------------- */

/* True: the command got through. */
static bool kill_before_write(const struct kill_case *k, int step)
{
    struct proxy p;
    struct client c;
    char code[16];
    launch(&p, &c);
    prepare(&c, k);
    atomic_store(&rule->left, step);
    const char *reply = ask(&c, k->command);
    bool through = reply != NULL;
    atomic_store(&rule->left, 0);
    if (through && strncmp(reply, k->reply, strlen(k->reply)) != 0)
        fail_msg("%s: %s", k->command, reply);
    if (!through) {
        snprintf(code, sizeof(code), "code=%d", DIE_AT_WRITE_CODE);
        proxy_await_log(&p, code, 1, scaled_ms(5000));
        end(&p, &c);
        launch(&p, &c); /* the next one finds it all */
    }
    check_nothing_lost(&c, k, step);
    check_temporaries(k, step);
    end(&p, &c);
    return through;
}

static void test_the_proxy_dies_at_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int step = 1;
        while (!kill_before_write(&cases[i], step))
            assert_true(++step < STEPS_MAX);
        print_message("  %d places: %s\n", step - 1, cases[i].command);
        assert_true(step > 2);
    }
}

/* --- a node dies ------------------------------------------------------------------------------ */

static bool stands_still_or_answers(void *arg)
{
    struct pollfd at = { .fd = ((struct client *)arg)->fd, .events = POLLIN };
    return atomic_load(&rule->stopped_at) != 0 || poll(&at, 1, 0) != 0;
}

static bool replica_has_all(void *arg)
{
    int master = *(int *)arg;
    redisReply *r = cluster_ask(&cluster, master, "WAIT 1 100");
    bool all = r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer == 1;
    freeReplyObject(r);
    if (!all || cluster_replica_of(&cluster, master) < 0)
        return false;
    int replica = cluster_replica_of(&cluster, master);
    return cluster_number(&cluster, master, "DBSIZE") ==
           cluster_number(&cluster, replica, "DBSIZE");
}

/* Which node the proxy was about to write to; or, of the first two keys' nodes, the other one. */
static int victim(bool other)
{
    int at = atomic_load(&rule->stopped_at);
    for (int i = 0; i < 2; i++) {
        int owner = cluster_owner(&cluster, cluster_slot(keys[i]));
        if (owner >= 0 && (cluster.node[owner].port == at) != other)
            return owner;
    }
    return cluster_owner(&cluster, cluster_slot(keys[2]));
}

/* The master dies with a replica that has everything, which takes over. */
static void replace(int master)
{
    assert_true(wait_until(replica_has_all, &master, 10000));
    int replica = cluster_replica_of(&cluster, master);
    cluster_kill_node(&cluster, master);
    cluster_failover(&cluster, replica, "TAKEOVER");
}

/* True: the command makes fewer writes than that. */
static bool node_dies_before_write(const struct kill_case *k, int step, bool other)
{
    struct proxy p;
    struct client c;
    size_t len;
    launch(&p, &c);
    prepare(&c, k);
    atomic_store(&rule->stops, 1);
    atomic_store(&rule->left, step);
    char *request = request_of_words(with_keys(k->command), &len);
    assert_true(client_send(&c, request, len));
    free(request);
    assert_true(wait_until(stands_still_or_answers, &c, scaled_ms(10000)));
    bool stopped = atomic_load(&rule->stopped_at) != 0;
    int dead = stopped ? victim(other) : -1;
    if (stopped)
        replace(dead);
    atomic_store(&rule->left, 0);
    atomic_store(&rule->stops, 0);
    atomic_store(&rule->stopped_at, 0);
    const char *reply = client_read(&c, &len); /* done, or an error */
    assert_non_null(reply);
    assert_true(reply[0] == '-' || strncmp(reply, k->reply, strlen(k->reply)) == 0);
    if (stopped) {
        cluster_restart_node(&cluster, dead);
        cluster_await_settled(&cluster, 20000);
    }
    check_nothing_lost(&c, k, step);
    check_temporaries(k, step);
    end(&p, &c);
    return !stopped;
}

static void test_a_node_dies_at_every_step(void **state)
{
    static const char *const commands[] = { "RENAME ", "LMOVE ", "SINTERSTORE " };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * 2; i++) {
        const struct kill_case *k = &cases[i / 2];
        int step = 1;
        bool chosen = false;
        for (size_t n = 0; n < ARRAY_LEN(commands); n++)
            chosen = chosen || strncmp(k->command, commands[n], strlen(commands[n])) == 0;
        while (chosen && !node_dies_before_write(k, step, i % 2 == 1))
            assert_true(++step < STEPS_MAX);
        if (chosen)
            print_message("  %d places: %s\n", step - 1, k->command);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_proxy_dies_at_every_step),
        cmocka_unit_test(test_a_node_dies_at_every_step),
    };

    return testenv_finish(cmocka_run_group_tests(tests, start, beside_end));
}
