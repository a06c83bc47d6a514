#include "proxy/worker_options.h"

#include <sys/resource.h>

#include "base/log.h"
#include "proxy/key_report.h"

enum {
    BULK_MIN = 64 * 1024, /* requests of this size get a link of their own kind, see link.h */
    REST_MIN_MS = 50,     /* back-off of a link */
    REST_MAX_MS = 2000,
    OTHER_DESCRIPTORS = 200, /* what is not a client: links, listeners, libuv's own */
};

static void read_limits(struct worker *w)
{
    const struct config *cf = &w->config;
    w->max_pipeline = (uint32_t)cf->max_pipeline;
    w->max_clients = (uint32_t)cf->maxclients;
    w->max_leases = (uint32_t)cf->max_leases;
    w->keepalive = (unsigned)((cf->tcp_keepalive + 999) / 1000);
    w->limits = request_limits_default;
    w->limits.max_bulk = cf->proto_max_bulk_len;
    w->limits.max_request =
        cf->client_query_buffer_limit < UINT32_MAX ? cf->client_query_buffer_limit : UINT32_MAX;
    w->router_options = (struct router_options){
        .request_timeout = cf->request_timeout,
        .bulk_min = BULK_MIN,
        .link = { .connect_timeout = cf->connect_timeout,
                  .rest_min = REST_MIN_MS,
                  .rest_max = REST_MAX_MS,
                  .buffer_limit = cf->node_buffer_limit,
                  .auth_user = cf->auth_user,
                  .auth_password = cf->auth,
                  .name = w->fence_name,
                  .name_is_wish = true,
                  .tls = w->secure.nodes },
    };
}

/* Each client and each lease costs a descriptor, and running out of them would look healthy from
   outside: libuv accepts and closes. So the limits on both stay below the limit on descriptors.
   Clients come first, but leases keep a quarter. */
static void fit_to_descriptors(struct worker *w)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    /* Two inboxes of each, and one of those that drain or take over. */
    uint64_t other = OTHER_DESCRIPTORS + 3 * (uint64_t)w->crew->count;
    uint64_t room = limit.rlim_cur > other + 4 ? limit.rlim_cur - other : 4;
    uint64_t kept = w->max_leases < room / 4 ? w->max_leases : room / 4;
    if (w->max_clients > room - kept) {
        log_warn("maxclients lowered: too few file descriptors", "maxclients=%u limit=%llu",
                 w->max_clients, (unsigned long long)limit.rlim_cur);
        w->max_clients = (uint32_t)(room - kept);
    }
    if (w->max_leases > room - w->max_clients) {
        log_info("max-leases lowered: too few file descriptors", "max_leases=%u limit=%llu",
                 w->max_leases, (unsigned long long)limit.rlim_cur);
        w->max_leases = (uint32_t)(room - w->max_clients);
    }
}

void worker_take_limits(struct worker *w)
{
    read_limits(w);
    fit_to_descriptors(w);
}

struct topology_options worker_topology_options(const struct worker *w)
{
    return (struct topology_options){ .interval = w->config.topology_interval,
                                      .min_interval = w->config.topology_min_interval,
                                      .retry = REST_MIN_MS };
}

void worker_take_reads(struct worker *w)
{
    const struct config *cf = &w->config;
    struct reads_options options = {
        .policy = (enum read_policy)cf->read_from,
        .max_lag = cf->replica_max_lag,
        .zone = cf->zone,
        .subnets = (const char *const *)cf->zone_map.items,
        .subnet_count = cf->zone_map.count,
    };
    reads_set(&w->reads, &options);
}

void worker_take_options(struct worker *w)
{
    struct topology_options topology = worker_topology_options(w);
    log_open((enum log_level)w->config.log_level);
    log_set_format((enum log_format)w->config.log_format);
    worker_take_limits(w);
    w->leases.limit = w->max_leases;
    poller_set_options(&w->poller, &topology);
    latency_set_options(w);
    slowlog_set_options(w);
    key_report_set_options(w);
    worker_take_reads(w);
}
