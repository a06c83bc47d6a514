/*
 * In steady state a request costs the proxy no malloc: counted by a preloaded library while clients
 * of depth 1, 16 and 64 go on. Not built with the sanitizers, whose allocator must come first.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "test/lib/client.h"
#include "test/lib/proxy_process.h"
#include "test/lib/redis_cluster.h"
#include "test/lib/testenv.h"

static struct redis_cluster cluster;
static struct proxy proxy;
static volatile uint64_t *calls;

static int start(void **state)
{
    char seeds[512], file[256], preload[512];
    (void)state;
    snprintf(file, sizeof(file), "COUNT_MALLOC_FILE=%s/calls", testenv_dir());
    snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", COUNT_MALLOC_LIBRARY);
    const char *const env[] = { file, preload, NULL };
    cluster_start(&cluster, &(struct cluster_options){ .masters = 3 });
    /* A request that is slow, as on a busy machine, is noted in the slow log, which takes memory,
       and so does a slot map. */
    proxy_launch(&proxy, cluster_seeds(&cluster, seeds),
                 (const char *const[]){ "--slowlog-log-slower-than", "-1", "--topology-interval",
                                        "10m", NULL },
                 env);
    proxy_await_ready(&proxy, scaled_ms(8000));
    int fd = open(strchr(file, '=') + 1, O_RDONLY);
    assert_true(fd >= 0);
    calls = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    assert_true((const void *)(uintptr_t)calls != MAP_FAILED);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    return 0;
}

/* One SET and one GET of each of `depth / 2` keys in one write, then all replies. */
static void exchange(struct client *c, int depth, int round)
{
    char batch[64 * 128];
    int len = 0;
    for (int i = 0; i < depth; i++) {
        int key = (round * depth + i / 2) % 1000;
        if (i % 2 == 0)
            len += snprintf(batch + len, sizeof(batch) - (size_t)len,
                            "*3\r\n$3\r\nSET\r\n$7\r\nkey:%03d\r\n$9\r\nvalue:%03d\r\n", key, key);
        else
            len += snprintf(batch + len, sizeof(batch) - (size_t)len,
                            "*2\r\n$3\r\nGET\r\n$7\r\nkey:%03d\r\n", key);
    }
    assert_true(client_send(c, batch, (size_t)len));
    for (int i = 0; i < depth; i++) {
        size_t got;
        const char *reply = client_read(c, &got);
        assert_non_null(reply);
        assert_true(reply[0] == '+' || reply[0] == '$');
    }
}

static void count_at_depth(int depth)
{
    enum { WARM = 3000, REQUESTS = 60000, ALLOWED = 60 };
    struct client c;
    assert_true(client_open(&c, proxy.port));
    for (int i = 0; i < WARM / depth; i++)
        exchange(&c, depth < 2 ? 1 : depth, i);
    uint64_t before = *calls;
    for (int i = 0; i < REQUESTS / depth; i++)
        exchange(&c, depth < 2 ? 1 : depth, i);
    uint64_t made = *calls - before;
    client_close(&c);
    fprintf(stderr, "depth %d: %llu calls of malloc in %d requests\n", depth,
            (unsigned long long)made, REQUESTS);
    assert_true(before > 0);
    assert_in_range(made, 0, ALLOWED);
}

static void test_depth_1(void **state)
{
    (void)state;
    count_at_depth(1);
}

static void test_depth_16(void **state)
{
    (void)state;
    count_at_depth(16);
}

static void test_depth_64(void **state)
{
    (void)state;
    count_at_depth(64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth_1),
        cmocka_unit_test(test_depth_16),
        cmocka_unit_test(test_depth_64),
    };
    return testenv_finish(cmocka_run_group_tests(tests, start, stop));
}
