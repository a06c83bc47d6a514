#include "test/lib/beside.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct redis_cluster cluster;
struct proxy proxy;
struct oracle oracle;

void beside_start(const struct cluster_options *options, const char *const *extra)
{
    oracle_start(&oracle);
    beside_start_alone(options, extra);
}

void beside_start_alone(const struct cluster_options *options, const char *const *extra)
{
    char seeds[512];

    cluster_start(&cluster, options);
    proxy_start(&proxy, cluster_seeds(&cluster, seeds), extra);
}

int beside_begin(void **state)
{
    (void)state;
    beside_start(&(struct cluster_options){ .masters = 3 }, NULL);
    return 0;
}

int beside_end(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    cluster_stop(&cluster);
    oracle_stop(&oracle);
    return 0;
}

int beside_end_proxy(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    return 0;
}

void beside_open(struct client *c, struct client *o)
{
    assert_true(client_open(c, proxy.port));
    assert_true(client_open(o, oracle.port));
}

void beside_close(struct client *c, struct client *o)
{
    client_close(c);
    client_close(o);
}
