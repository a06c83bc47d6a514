/*
 * Ten thousand subscribers of one channel at one subscription of the cluster: each gets every
 * message once and in order. Prints what that costs the proxy; docs/benchmarks.md quotes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

enum { WANTED = 10000, WANTED_SANITIZED = 500, OTHER_FILES = 300, MESSAGES = 20 };

static struct redis_cluster cluster;
static struct proxy proxy;
static struct client *subscribers;
static int count;

static int start(void **state)
{
    struct rlimit limit;
    char seeds[512];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    count = testenv_sanitized() ? WANTED_SANITIZED : WANTED;
    if (limit.rlim_max < (rlim_t)count + OTHER_FILES)
        count = (int)limit.rlim_max - OTHER_FILES;
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    /* They all leave in one turn, which on a machine that has little time for it may look as if the
       worker hung. */
    proxy_start(&proxy, cluster_seeds(&cluster, seeds),
                (const char *const[]){ "--maxclients", "11000", "--worker-timeout", "20s", NULL });
    subscribers = calloc((size_t)count, sizeof(*subscribers));
    assert_non_null(subscribers);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(subscribers);
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

/* CPU time that the proxy's one worker has used, in milliseconds. */
static double cpu_ms(void)
{
    char path[64], *text, *at;
    unsigned long user, system;
    pid_t worker;

    assert_int_equal(proxy_workers(&proxy, &worker, 1), 1);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)worker);
    text = file_text(path);
    assert_non_null(text);
    at = strrchr(text, ')');
    assert_int_equal(
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
    free(text);
    return (double)(user + system) * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static void subscribe_all(void)
{
    long before = proxy_rss_kib(&proxy);
    double cpu = cpu_ms();

    for (int i = 0; i < count; i++) {
        assert_true(client_open(&subscribers[i], proxy.port));
        client_ask_expect(&subscribers[i], "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n",
                          "SUBSCRIBE", "news");
    }
    print_message("%d subscribers: %ld bytes and %.1f us of CPU each\n", count,
                  (proxy_rss_kib(&proxy) - before) * 1024 / count, (cpu_ms() - cpu) * 1000 / count);
}

static void publish_to_all(struct client *publisher, size_t size)
{
    char *text = malloc(size + 1), *raw = malloc(size + 64), wanted[32];
    uint64_t took = 0;

    assert_true(text != NULL && raw != NULL);
    memset(text, 'x', size);
    text[size] = '\0';
    snprintf(wanted, sizeof(wanted), ":%d\r\n", count);
    proxy_forget_peak(&proxy);
    long before = proxy_rss_kib(&proxy);
    double cpu = cpu_ms();
    for (int m = 0; m < MESSAGES; m++) {
        text[0] = (char)('a' + m);
        int len = snprintf(raw, size + 64, "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$%zu\r\n%s\r\n",
                           size, text);
        uint64_t began = now_ms();
        client_ask_expect_at(publisher, wanted, __FILE__, __LINE__, "PUBLISH", "news", text, NULL);
        for (int i = 0; i < count; i++)
            client_expect_bytes(&subscribers[i], raw, (size_t)len);
        took += now_ms() - began;
    }
    print_message("%zu bytes: %.1f us of CPU per message and subscriber, %.0f ms until the last "
                  "one has it, %ld KiB more at the peak\n",
                  size, (cpu_ms() - cpu) * 1000 / count / MESSAGES, (double)took / MESSAGES,
                  proxy_peak_kib(&proxy) - before);
    free(text);
    free(raw);
}

static void test_many_subscribers(void **state)
{
    struct client publisher;
    long long upstream = 0;

    (void)state;
    assert_true(client_open(&publisher, proxy.port));
    subscribe_all();
    for (int i = 0; i < 3; i++) {
        redisReply *r = cluster_ask(&cluster, i, "PUBSUB NUMSUB news");
        upstream += r->element[1]->integer;
        freeReplyObject(r);
    }
    assert_int_equal(upstream, 1);
    publish_to_all(&publisher, 16);
    publish_to_all(&publisher, 1000);
    publish_to_all(&publisher, 20000);
    for (int i = 0; i < count; i++)
        client_close(&subscribers[i]);
    client_close(&publisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_many_subscribers) };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
