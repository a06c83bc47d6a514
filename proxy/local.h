/*
 * local.h: the commands that the proxy answers itself, by name; the table is in local.c, the
 * handlers in local_*.c and the files named here. See local_command in
 * dispatch.h.
 */
#ifndef PROXY_LOCAL_H
#define PROXY_LOCAL_H

#include "proxy/dispatch.h"

/* local_connection.c */
local_command local_ping, local_echo, local_quit, local_select, local_reset, local_hello,
    local_auth, local_time;

/* local_client.c */
local_command local_client_id, local_client_getname, local_client_setname, local_client_setinfo,
    local_client_reply, local_client_no_evict, local_client_no_touch, local_client_getredir,
    local_client_trackinginfo, local_client_tracking, local_client_caching;

/* local_unblock.c */
local_command local_client_unblock;

/* pause.c */
local_command local_client_pause, local_client_unpause;

/* subscriber.c, monitor.c */
local_command local_subscribe, local_monitor;

/* publish.c, pubsub_count.c */
local_command local_publish, local_spublish, local_pubsub_names, local_pubsub_counts,
    local_pubsub_numpat;

/* local_client_list.c */
local_command local_client_info, local_client_list, local_client_kill;

/* local_server.c */
local_command local_role, local_debug;

/* local_acl.c; the log is in acl_log.c */
local_command local_whoami, local_acl_list, local_acl_users, local_acl_getuser, local_acl_log,
    local_acl_dryrun;

/* local_config.c */
local_command local_config_get, local_config_set, local_config_rewrite;

/* facade.c: CLUSTER, and what else only a node of a cluster has. */
local_command local_cluster, local_node_only;

/* info.c */
local_command local_info;

/* transaction.c, local_watch.c */
local_command local_multi, local_exec, local_discard, local_watch, local_unwatch;

/* Writes an array of simple strings. */
void local_write_lines(struct writer *w, const char *const *lines, size_t count);

struct merge_rule;

/* The bytes of the request that has these arguments; borrowed as they are. */
struct span local_request(const struct argv *argv);
/* Sends a request to every master for the client's present command; rule NULL: merged as its row
   says. Lends the group; NULL: not now, and then the handler has to return false. */
struct group *local_broadcast(struct client *c, struct span request, const struct merge_rule *rule);
/* Sends the client's request to the master of a slot; its reply is the client's. */
void local_route(struct client *c, const struct argv *argv, uint16_t slot);
/* Writes "ERR slotgate: NAME why". */
void local_refuse_as(const struct command *cmd, const char *why, struct writer *w);
/* Writes the error of a HOW_REFUSE row. */
void local_refuse(const struct command *cmd, struct writer *w);

/* slowlog.c */
local_command local_slowlog_get, local_slowlog_len, local_slowlog_reset, local_proxy_slowlog;

/* latency.c */
local_command local_latency_latest, local_latency_history, local_latency_reset, local_latency_graph,
    local_latency_doctor;

/* latency_histogram.c */
local_command local_latency_histogram, local_config_resetstat;

/* local_fence.c, local_proxy.c */
local_command local_proxy_fence, local_proxy_command, local_proxy_help;

/* local_proxy_admin.c */
local_command local_proxy_client, local_proxy_config, local_proxy_log, local_proxy_shutdown,
    local_proxy_debug;

/* local_proxy_info.c */
local_command local_proxy_cluster, local_proxy_info, local_proxy_multiplexing;

/* key_report.c */
local_command local_proxy_hotkeys, local_proxy_bigkeys;

/* stats_text.c */
local_command local_proxy_metrics;

/* keyspace.c */
local_command local_scan, local_keys, local_move, local_swapdb;

/* As local_route; the reply is a list of keys and is shown without temporary ones. */
void local_route_names(struct client *c, const struct argv *argv, uint16_t slot);

/* random_key.c */
local_command local_randomkey;

/* broadcast.c */
local_command local_function_stats, local_memory_doctor, local_memory_stats,
    local_memory_malloc_stats, local_script_exists;

/* function_restore.c */
local_command local_function_restore;

/* "ERR Client names cannot contain ..." unless it is a name that Redis accepts. */
bool local_label_ok(struct span label);
void local_set_label(char **label, struct span value);
struct client_labels *local_labels(struct client *c);

#endif
