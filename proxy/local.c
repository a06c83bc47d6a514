#include "proxy/local.h"

#include <stdio.h>
#include <stdlib.h>

#include "cluster/group.h"
#include "proxy/merge.h"
#include "proxy/worker.h"

/* Sub rows by "container|sub"; "container|*" serves every sub row that is not named itself. */
static const struct {
    const char *name;
    local_command *run;
} locals[] = {
    { "acl|dryrun", local_acl_dryrun },
    { "acl|getuser", local_acl_getuser },
    { "acl|list", local_acl_list },
    { "acl|log", local_acl_log },
    { "acl|users", local_acl_users },
    { "acl|whoami", local_whoami },
    { "asking", local_node_only },
    { "auth", local_auth },
    { "client|caching", local_client_caching },
    { "client|getname", local_client_getname },
    { "client|getredir", local_client_getredir },
    { "client|id", local_client_id },
    { "client|info", local_client_info },
    { "client|kill", local_client_kill },
    { "client|list", local_client_list },
    { "client|no-evict", local_client_no_evict },
    { "client|no-touch", local_client_no_touch },
    { "client|pause", local_client_pause },
    { "client|reply", local_client_reply },
    { "client|setinfo", local_client_setinfo },
    { "client|setname", local_client_setname },
    { "client|tracking", local_client_tracking },
    { "client|trackinginfo", local_client_trackinginfo },
    { "client|unblock", local_client_unblock },
    { "client|unpause", local_client_unpause },
    { "cluster|*", local_cluster },
    { "config|get", local_config_get },
    { "config|resetstat", local_config_resetstat },
    { "config|rewrite", local_config_rewrite },
    { "config|set", local_config_set },
    { "debug", local_debug },
    { "discard", local_discard },
    { "echo", local_echo },
    { "exec", local_exec },
    { "function|restore", local_function_restore },
    { "function|stats", local_function_stats },
    { "hello", local_hello },
    { "info", local_info },
    { "keys", local_keys },
    { "latency|doctor", local_latency_doctor },
    { "latency|graph", local_latency_graph },
    { "latency|histogram", local_latency_histogram },
    { "latency|history", local_latency_history },
    { "latency|latest", local_latency_latest },
    { "latency|reset", local_latency_reset },
    { "memory|doctor", local_memory_doctor },
    { "memory|malloc-stats", local_memory_malloc_stats },
    { "memory|stats", local_memory_stats },
    { "monitor", local_monitor },
    { "move", local_move },
    { "multi", local_multi },
    { "ping", local_ping },
    { "proxy|bigkeys", local_proxy_bigkeys },
    { "proxy|client", local_proxy_client },
    { "proxy|cluster", local_proxy_cluster },
    { "proxy|command", local_proxy_command },
    { "proxy|config", local_proxy_config },
    { "proxy|debug", local_proxy_debug },
    { "proxy|fence", local_proxy_fence },
    { "proxy|help", local_proxy_help },
    { "proxy|hotkeys", local_proxy_hotkeys },
    { "proxy|info", local_proxy_info },
    { "proxy|log", local_proxy_log },
    { "proxy|metrics", local_proxy_metrics },
    { "proxy|multiplexing", local_proxy_multiplexing },
    { "proxy|shutdown", local_proxy_shutdown },
    { "proxy|slowlog", local_proxy_slowlog },
    { "psubscribe", local_subscribe },
    { "publish", local_publish },
    { "pubsub|channels", local_pubsub_names },
    { "pubsub|numpat", local_pubsub_numpat },
    { "pubsub|numsub", local_pubsub_counts },
    { "pubsub|shardchannels", local_pubsub_names },
    { "pubsub|shardnumsub", local_pubsub_counts },
    { "punsubscribe", local_subscribe },
    { "quit", local_quit },
    { "randomkey", local_randomkey },
    { "readonly", local_node_only },
    { "readwrite", local_node_only },
    { "reset", local_reset },
    { "role", local_role },
    { "scan", local_scan },
    { "script|exists", local_script_exists },
    { "select", local_select },
    { "slowlog|get", local_slowlog_get },
    { "slowlog|len", local_slowlog_len },
    { "slowlog|reset", local_slowlog_reset },
    { "spublish", local_spublish },
    { "ssubscribe", local_subscribe },
    { "subscribe", local_subscribe },
    { "sunsubscribe", local_subscribe },
    { "swapdb", local_swapdb },
    { "time", local_time },
    { "unsubscribe", local_subscribe },
    { "unwatch", local_unwatch },
    { "watch", local_watch },
};

static local_command *find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(locals); i++)
        if (strcmp(locals[i].name, name) == 0)
            return locals[i].run;
    return NULL;
}

struct span local_request(const struct argv *argv)
{
    const struct arg *last = &argv->v[argv->count - 1];
    return (struct span){ argv->base, last->off + last->len + 2 };
}

struct group *local_broadcast(struct client *c, struct span request, const struct merge_rule *rule)
{
    struct group *g = group_broadcast(&c->worker->router, &c->flow, c->last_command, request,
                                      c->reply_mode != REPLY_ON);
    if (g != NULL)
        g->rule = rule;
    return g;
}

void local_route(struct client *c, const struct argv *argv, uint16_t slot)
{
    struct router *rt = &c->worker->router;
    struct request *r = router_request(rt, &c->flow, c->last_command, slot);
    r->silent = c->reply_mode != REPLY_ON;
    router_submit(rt, r, local_request(argv), NULL);
}

local_command **dispatch_find_locals(const struct command_table *commands)
{
    uint32_t n = command_table_size(commands);
    local_command **found = calloc(COMMANDS_MAX, sizeof(found[0])); /* learned ones come later */
    REQUIRE(found != NULL);
    for (uint32_t i = 0; i < n; i++) {
        const struct command *cmd = command_at(commands, i);
        char name[64], all[64];
        const char *container = cmd->parent != NULL ? cmd->parent->name : "";
        snprintf(name, sizeof(name), "%s%s%s", container, *container != '\0' ? "|" : "", cmd->name);
        snprintf(all, sizeof(all), "%s|*", container);
        found[i] = find(name);
        if (found[i] == NULL)
            found[i] = find(all);
        REQUIRE(found[i] != NULL || cmd->how != HOW_LOCAL);
    }
    return found;
}
