/*
 * slotgate-migrate sync delivers each command of the stream exactly once through a load balancer
 * and several slotgates: source -> sync -> haproxy -> three slotgates -> cluster, while any of them
 * is killed or cut off.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/every_type.h"
#include "test/lib/exact_case.h"
#include "test/lib/ledger.h"
#include "test/lib/proxy_process.h"
#include "test/lib/sockets.h"
#include "test/lib/testenv.h"

enum { PROXIES = 3 };

struct front {
    struct proxy proxies[PROXIES];
    struct process balancer;
    struct proxy *serving; /* the one that is_served has found */
    uint16_t port;
    char at[32];
};

static bool answers(void *arg)
{
    struct client c;
    const struct front *f = arg;
    bool yes = client_open(&c, f->port);
    const char *reply = yes ? client_ask(&c, "PING", NULL) : NULL;
    yes = reply != NULL && strcmp(reply, "+PONG\r\n") == 0;
    client_close(&c);
    return yes;
}

/* The balancer gives up a slotgate that says nothing to PING. */
static void front_start(struct front *f, const char *workers)
{
    char text[2048];
    int n;
    f->port = port_take();
    snprintf(f->at, sizeof(f->at), "127.0.0.1:%d", f->port);
    n = snprintf(text, sizeof(text),
                 "defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n"
                 " timeout server 1m\n timeout check 300ms\n retries 3\n option redispatch\n"
                 "listen redis\n bind 127.0.0.1:%d\n balance roundrobin\n option redis-check\n",
                 f->port);
    for (int i = 0; i < PROXIES; i++) {
        proxy_start(&f->proxies[i], seeds,
                    (const char *const[]){ "--workers", workers, "--worker-timeout", "60s", NULL });
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      " server s%d 127.0.0.1:%d check inter 100 fall 2 rise 1\n", i,
                      f->proxies[i].port);
    }
    const char *const argv[] = { "haproxy", "-db", "-f", testenv_file("haproxy.cfg", text), NULL };
    assert_true(process_start(&f->balancer, "haproxy", argv, NULL));
    assert_true(wait_until(answers, f, scaled_ms(10000)));
}

static void front_stop(struct front *f)
{
    process_kill(&f->balancer);
    for (int i = 0; i < PROXIES; i++)
        proxy_stop(&f->proxies[i]);
    port_give_back(f->port);
}

/* Another one takes the place of a proxy that was killed. */
static void replace_proxy(struct proxy *p)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", p->port);
    process_kill(&p->process);
    uint16_t was = p->port;
    proxy_launch(p, seeds, (const char *const[]){ "-p", port, NULL }, NULL);
    port_give_back(p->port);
    p->port = was;
    proxy_await_ready(p, 10000);
}

/* Whether the program's connection is at this one. */
static bool serves(const struct proxy *p)
{
    redisContext *r = redis_open(p->port);
    redisReply *list = redis_ask(r, "CLIENT LIST");
    bool yes = strstr(list->str, " name=slotgate-migrate:") != NULL;
    freeReplyObject(list);
    redisFree(r);
    return yes;
}

static bool is_served(void *arg)
{
    struct front *f = arg;
    for (int i = 0; i < PROXIES; i++)
        if (serves(&f->proxies[i])) {
            f->serving = &f->proxies[i];
            return true;
        }
    return false;
}

/* Starts the program with words of its own behind the usual ones, and waits for the full copy. */
static void begin(struct migrate *m, struct front *f, const char *option, const char *value)
{
    exact_empty();
    front_start(f, "1");
    moving_begin(m, (const char *const[]){ "sync", source_at, f->at, "--spool-dir", testenv_dir(),
                                           option, value, NULL });
    redis_do(from, "SET first yes");
    assert_true(wait_until(is_served, f, scaled_ms(10000)));
}

static void end(struct migrate *m, struct front *f)
{
    exact_finish(m);
    front_stop(f);
}

/* A master hangs, and the slotgate that has written to it is killed. What it has written lies in
   the master's buffers and must not be executed when the master goes on. */
static void test_killed_behind_hanging_master(void **state)
{
    struct migrate m;
    struct front front = { .port = 0 };
    (void)state;
    begin(&m, &front, "--request-timeout", "60s");
    int node = cluster_owner(&cluster, cluster_slot("much:0"));
    cluster_stop_node(&cluster, node);
    exact_append_much(0);
    struct sockets_at there = { .port = cluster.node[node].port, .more_than = 50000 };
    assert_true(wait_until(sockets_hold, &there, scaled_ms(20000)));
    replace_proxy(front.serving);
    migrate_await(&m, "what became of a command cannot be told", 1);
    cluster_continue_node(&cluster, node);
    end(&m, &front);
}

/* A slotgate hangs with unread commands of ours. The others take over what it has; when it goes on,
   it must not execute them. */
static void test_hanging_proxy(void **state)
{
    struct migrate m;
    struct front front = { .port = 0 };
    pid_t worker = 0;
    (void)state;
    begin(&m, &front, "--request-timeout", "500ms");
    assert_int_equal(proxy_workers(front.serving, &worker, 1), 1);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    exact_append_much(0);
    bool gone_back = wait_until(exact_goes_back, &m, scaled_ms(20000));
    assert_int_equal(kill(worker, SIGCONT), 0);
    assert_true(gone_back);
    exact_append_much(1);
    end(&m, &front);
}

/* Source -> sync -> balancer -> three proxies -> cluster. Proxies, the balancer's connections, the
   proxies' own and the program are ended at any time. */
static void test_through_proxies(void **state)
{
    struct migrate m;
    struct front front;
    struct ledger load = { .rest_us = 200 };
    const char *dir = migrate_state_dir();
    (void)state;
    exact_empty();
    front_start(&front, "1");
    const char *const words[] = { "sync", source_at, front.at, "--state-dir", dir, NULL };
    moving_begin(&m, words);
    ledger_begin(&load, source.port);
    for (int i = 0; i < exact_points() * 2; i++) {
        rest_us((int)chance_below(200000));
        switch (i % 4) {
        case 0:
            replace_proxy(&front.proxies[chance_below(PROXIES)]);
            break;
        case 1: {
            redisContext *r = redis_open(front.proxies[chance_below(PROXIES)].port);
            freeReplyObject(redis_ask(r, "CLIENT KILL TYPE NORMAL"));
            redisFree(r);
            break;
        }
        case 2:
            cluster_do(&cluster, exact_master(-1), "CLIENT KILL TYPE NORMAL SKIPME YES");
            break;
        default:
            process_kill(&m.process);
            migrate_start(&m, words);
            break;
        }
        migrate_await_stream(&m);
    }
    ledger_end(&load);
    exact_finish(&m);
    front_stop(&front);
}

/* Masters behind the proxies give way to replicas that lack what they have answered. */
static void test_takeovers_behind_proxies(void **state)
{
    struct migrate m;
    struct front front;
    struct ledger load = { .rest_us = 100 };
    (void)state;
    exact_empty();
    front_start(&front, "1");
    moving_begin(&m, (const char *const[]){ "sync", source_at, front.at, "--spool-dir",
                                            testenv_dir(), NULL });
    ledger_begin(&load, source.port);
    for (int i = 0; i < (exact_points() + 1) / 2; i++) {
        rest_us((int)chance_below(200000));
        exact_take_over();
    }
    ledger_end(&load);
    exact_finish(&m);
    front_stop(&front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_behind_hanging_master),
        cmocka_unit_test(test_hanging_proxy),
        cmocka_unit_test(test_through_proxies),
        cmocka_unit_test(test_takeovers_behind_proxies),
    };
    return testenv_finish(cmocka_run_group_tests(tests, exact_start, moving_end));
}
