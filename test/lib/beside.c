#include "test/lib/beside.h"

struct redis_cluster cluster;
struct proxy proxy;
struct oracle oracle;

void beside_start(const struct cluster_options *options, const char *const *extra)
{
    char seeds[512];

    oracle_start(&oracle);
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
