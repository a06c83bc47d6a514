/*
 * config.h: the options of slotgate and what they add up to. Their rows are in options.h.
 *
 * config_load reads command line, environment and file, checks what only shows when all are known,
 * and prepares the seeds. It opens no socket and prints nothing. The struct must not be moved once
 * it is loaded, because its option table points into it. Whoever loads it calls config_free, after
 * a failure too.
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/endpoint.h"
#include "base/option.h"

enum { CREW_MAX = 256, WORKERS_AUTO = 0 }; /* workers of one proxy */

struct acl;

enum tls_clients { TLS_CLIENTS_NO, TLS_CLIENTS_OPTIONAL, TLS_CLIENTS_YES };

struct config {
    /* Listening. */
    int port;
    int tcp_backlog;
    struct option_list bind; /* "*", "::*", or addresses; a leading '-': may be missing */
    uint64_t tcp_keepalive;  /* these in ms; 0 is off */
    uint64_t max_connection_age;
    uint64_t not_ready_after;
    int maxclients;
    int workers;    /* ask config_worker_count */
    int admin_port; /* 0: no admin server */
    struct option_list admin_bind;
    char *admin_token; /* NULL: none; from admin_token_file if that is set */
    char *admin_token_file;

    /* Who may come in. NULL: everybody, or nobody; from the files if those are set. */
    char *requirepass, *requirepass_file;
    char *admin_password, *admin_password_file;
    char *acl_file; /* NULL: none */
    bool acl_scripts;
    int acllog_max_len;
    struct acl *acl; /* from acl_file or requirepass; after config_load without an error */

    /* TLS; see secure.h. */
    int tls_clients;      /* enum tls_clients */
    int tls_auth_clients; /* enum tls_verify, as the next one */
    int tls_cluster_verify;
    bool tls_cluster;
    char *tls_cert_file, *tls_key_file, *tls_ca_cert_file;
    char *tls_client_cert_file, *tls_client_key_file, *tls_cluster_name;

    /* The cluster. */
    struct option_list cluster_nodes;
    struct endpoint *seeds; /* cluster_nodes, parsed; at least one after config_load */
    size_t seed_count;
    char *auth_user;
    char *auth; /* NULL: none; from auth_file if that is set */
    char *auth_file;
    uint64_t connect_timeout; /* these in ms */
    uint64_t request_timeout;
    uint64_t topology_interval;
    uint64_t topology_min_interval;
    int read_from;            /* enum read_policy */
    uint64_t replica_max_lag; /* ms */
    char *zone;               /* NULL or "": not known */
    struct option_list zone_map;
    bool enable_cross_slot;
    bool cluster_facade;
    bool enable_monitor;
    char *announce; /* host:port, or NULL: where the client connected to */

    /* Limits. */
    size_t proto_max_bulk_len;
    size_t client_query_buffer_limit;
    size_t client_output_limit;
    size_t pubsub_output_limit;
    int max_pipeline;
    int max_leases;
    size_t node_buffer_limit;
    size_t cross_slot_max_bytes;
    int slowlog_log_slower_than; /* us; negative: nothing is logged */
    int slowlog_max_len;
    int latency_monitor_threshold; /* ms; 0: nothing is watched */
    int hotkeys_sample;            /* calls for each one that is looked at; 0: none */

    /* The process. */
    int log_level;  /* enum log_level */
    int log_format; /* enum log_format */
    uint64_t shutdown_timeout;
    uint64_t shutdown_delay; /* ms */
    uint64_t worker_timeout; /* ms; 0 is off */
    char *config_file;
    bool check;
    bool version;
    bool help;

    struct options options;
};

/* 0, or ERR_OPTION with one line in err. With --help or --version set, nothing else is read; with
   --check no secret is, and no cluster node needs to be named. */
MUST_USE int config_load(struct config *c, int argc, char *const *argv, char *err, size_t cap);
/* What no single row can know: how the options go together. As config_load; it calls this itself.
 */
MUST_USE int config_check(const struct config *c, char *err, size_t cap);
/* How many workers to start: the option, or by the CPUs that there are. */
uint32_t config_worker_count(const struct config *c);
/* May be called twice. */
void config_free(struct config *c);

/* What --help prints, and docs/configuration.md. */
void config_write_help(FILE *out);
void config_write_doc(FILE *out);

#endif
