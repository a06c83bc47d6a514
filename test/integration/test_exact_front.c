/*
 * slotgate-migrate sync delivers each command of the stream exactly once through a load balancer
 * and several slotgates: source -> sync -> haproxy -> three slotgates -> cluster, while any of them
 * is killed or cut off.
 */
#include <setjmp.h>
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
#include "test/lib/testenv.h"

static struct exact_case exact;

static int start(void **state)
{
    (void)state;
    exact_start(&exact);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    exact_stop(&exact);
    return 0;
}

enum { PROXIES = 3 };

struct front {
    struct proxy proxies[PROXIES];
    struct process balancer;
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

static void front_start(struct front *f)
{
    char text[2048];
    int n;
    f->port = port_take();
    snprintf(f->at, sizeof(f->at), "127.0.0.1:%d", f->port);
    n = snprintf(text, sizeof(text),
                 "defaults\n mode tcp\n timeout connect 1s\n timeout client 1m\n"
                 " timeout server 1m\n retries 3\n option redispatch\n"
                 "listen redis\n bind 127.0.0.1:%d\n balance roundrobin\n",
                 f->port);
    for (int i = 0; i < PROXIES; i++) {
        proxy_start(&f->proxies[i], exact.seeds, NULL);
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      " server s%d 127.0.0.1:%d check inter 100 fall 5 rise 1\n", i,
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
    proxy_launch(p, exact.seeds, (const char *const[]){ "-p", port, NULL }, NULL);
    port_give_back(p->port);
    p->port = was;
    proxy_await_ready(p, 10000);
}

/* Source -> sync -> balancer -> three proxies -> cluster. Proxies, the balancer's connections, the
   proxies' own and the program are ended at any time. */
static void test_through_proxies(void **state)
{
    struct migrate m;
    struct front front;
    struct ledger load = { .rest_us = 200 };
    const char *dir = exact_state_dir();
    (void)state;
    exact_empty(&exact);
    front_start(&front);
    const char *const words[] = { "sync", exact.source_at, front.at, "--state-dir", dir, NULL };
    migrate_start(&m, words);
    assert_true(wait_until(exact_copied, &m, scaled_ms(30000)));
    ledger_begin(&load, exact.source.port);
    for (int i = 0; i < exact.points * 2; i++) {
        rest_us((int)exact_below(&exact, 200000));
        switch (i % 4) {
        case 0:
            replace_proxy(&front.proxies[exact_below(&exact, PROXIES)]);
            break;
        case 1: {
            redisContext *r = redis_open(front.proxies[exact_below(&exact, PROXIES)].port);
            freeReplyObject(redis_ask(r, "CLIENT KILL TYPE NORMAL"));
            redisFree(r);
            break;
        }
        case 2:
            cluster_do(&exact.cluster, (int)exact_below(&exact, 3),
                       "CLIENT KILL TYPE NORMAL SKIPME YES");
            break;
        default:
            process_kill(&m.process);
            migrate_start(&m, words);
            break;
        }
        assert_true(wait_until(exact_follows, &m, scaled_ms(30000)));
    }
    ledger_end(&load);
    exact_finish(&exact, &m);
    migrate_free(&m);
    exact_expect_same(&exact);
    front_stop(&front);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_through_proxies),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
