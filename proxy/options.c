#include "proxy/options.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/log_choice.h"
#include "base/text.h"
#include "cluster/read_choice.h"
#include "cluster/zone.h"
#include "net/tls.h"
#include "net/tls_choice.h"
#include "proxy/config.h"

enum {
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    DAY = 24 * 60 * MINUTE,
    ADMIN_TOKEN_MAX = 256,
};

static bool is_ipv6(const char *text)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET6, text, &ignored) == 1;
}

static bool is_host_name(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789.-_") == strlen(text);
}

bool options_parse_address(const char *text, struct endpoint *out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !text_to_u64(colon + 1, strlen(colon + 1), &port) || port == 0 ||
        port > 65535)
        return false;
    struct endpoint a = { .port = (uint16_t)port };
    bool brackets = text[0] == '[' && colon - text >= 2 && colon[-1] == ']';
    size_t len = (size_t)(colon - text) - (brackets ? 2 : 0);
    if (len > ENDPOINT_HOST_MAX)
        return false;
    memcpy(a.host, text + brackets, len);
    if (brackets ? !is_ipv6(a.host) : !is_host_name(a.host))
        return false;
    *out = a;
    return true;
}

static const char *node_fault(const char *text)
{
    struct endpoint ignored;
    return options_parse_address(text, &ignored)
               ? NULL
               : "bad address (expected host:port or [IPv6]:port)";
}

static const char *bind_fault(const char *text)
{
    struct in_addr ignored;
    text += text[0] == '-';
    bool ok = strcmp(text, "*") == 0 || strcmp(text, "::*") == 0 || is_ipv6(text) ||
              inet_pton(AF_INET, text, &ignored) == 1;
    return ok ? NULL : "bad address (expected *, ::*, an IPv4 or an IPv6 address)";
}

/* A port that is to be scraped and probed must not be missing, so there is no leading '-'. */
static const char *admin_bind_fault(const char *text)
{
    return text[0] == '-' ? "bad address (expected *, ::*, an IPv4 or an IPv6 address)"
                          : bind_fault(text);
}

/* As it stands in a header. */
static const char *token_fault(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return "no blanks and only ASCII, please";
    return len <= ADMIN_TOKEN_MAX ? NULL : "too long";
}

static const struct option_choice read_policies[] = {
    { "master", READ_MASTER },
    { "prefer-replica", READ_PREFER_REPLICA },
    { "replica", READ_REPLICA },
    { "az-affinity", READ_AZ_AFFINITY },
    { NULL, 0 },
};

static const struct option_choice worker_counts[] = { { "auto", WORKERS_AUTO }, { NULL, 0 } };

static const struct option_choice tls_clients[] = {
    { "no", TLS_CLIENTS_NO },
    { "optional", TLS_CLIENTS_OPTIONAL },
    { "yes", TLS_CLIENTS_YES },
    { NULL, 0 },
};

static const struct option_choice tls_auth_clients[] = {
    { "yes", TLS_VERIFY_CHAIN },
    { "optional", TLS_VERIFY_IF_GIVEN },
    { "no", TLS_VERIFY_NONE },
    { NULL, 0 },
};

#define FIELD(name) OPTION_FIELD(struct config, name)

#define LISTENING "Listening"
#define ACCESS "Access"
#define TLS "TLS"
#define CLUSTER "The cluster"
#define ADMIN "Administration"
#define LIMITS "Limits"
#define PROCESS "The process"

/* clang-format off */
const struct option options_rows[] = {
    { .name = "port", .letter = 'p', .type = OPTION_INT, .group = LISTENING, .argument = "port",
      .fallback = "6379", .min = 1, .max = 65535, FIELD(port),
      .help = "Port on which clients connect." },
    { .name = "bind", .type = OPTION_LIST, .group = LISTENING, .argument = "addresses",
      .fallback = "*", .wrong = bind_fault, FIELD(bind),
      .help = "Addresses to listen on: * is all of IPv4, ::* all of IPv6. "
              "One with a leading - may be missing on this machine." },
    { .name = "tcp-backlog", .type = OPTION_INT, .group = LISTENING, .argument = "number",
      .fallback = "511", .min = 1, .max = 65535, FIELD(tcp_backlog),
      .help = "Connections that may wait to be accepted." },
    { .name = "tcp-keepalive", .alias = "tcpkeepalive", .type = OPTION_DURATION,
      .group = LISTENING, .argument = "duration", .fallback = "60s", .bare_ms = SECOND,
      .max = DAY, FIELD(tcp_keepalive),
      .help = "Silence after which TCP asks whether the peer is still there; 0 never asks. "
              "A plain number is seconds." },
    { .name = "maxclients", .type = OPTION_INT, .group = LISTENING, .argument = "number",
      .fallback = "10000", .min = 1, .max = 10000000, .flags = OPTION_RELOADABLE, FIELD(maxclients),
      .help = "Clients at the same time; further ones get an error and are closed." },
    { .name = "max-connection-age", .type = OPTION_DURATION, .group = LISTENING,
      .argument = "duration", .fallback = "0", .bare_ms = SECOND, .max = 365LL * DAY,
      .flags = OPTION_RELOADABLE, FIELD(max_connection_age),
      .help = "Age at which a client's connection is closed, give or take a tenth, as soon as "
              "nothing is owed to it: so that clients spread anew over a fleet that has grown. "
              "0 is never. A plain number is seconds." },
    { .name = "not-ready-after", .type = OPTION_DURATION, .group = LISTENING,
      .argument = "duration", .fallback = "0", .bare_ms = SECOND, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(not_ready_after),
      .help = "When no master has answered for so long, the port is closed until one does, so that "
              "a load balancer takes this instance out. 0 is never. A plain number is seconds." },

    { .name = "admin-port", .type = OPTION_INT, .group = ADMIN, .argument = "port",
      .fallback = "0", .min = 0, .max = 65535, FIELD(admin_port),
      .help = "Port of the HTTP server with the status page, metrics and health; 0 is none." },
    { .name = "admin-bind", .type = OPTION_LIST, .group = ADMIN, .argument = "addresses",
      .fallback = "127.0.0.1", .wrong = admin_bind_fault, FIELD(admin_bind),
      .help = "Addresses of that server, as for bind. Over the loopback everything is shown and "
              "done; elsewhere, without admin-token, only /metrics, /healthz and /readyz." },
    { .name = "admin-token", .type = OPTION_SECRET, .group = ADMIN, .argument = "token",
      .flags = OPTION_BY_RELOAD, .wrong = token_fault, FIELD(admin_token),
      .help = "Secret that has to come with every request (Authorization: Bearer TOKEN) but those "
              "for /metrics, /healthz and /readyz, over the loopback, too." },
    { .name = "admin-token-file", .type = OPTION_STRING, .group = ADMIN, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(admin_token_file), .help = "File that holds it." },
    { .name = "requirepass", .type = OPTION_SECRET, .group = ACCESS, .argument = "password",
      .flags = OPTION_BY_RELOAD, FIELD(requirepass),
      .help = "Password that clients have to give (AUTH) before anything else. Other users of the "
              "machine can read it on a command line; prefer requirepass-file or the environment." },
    { .name = "requirepass-file", .type = OPTION_STRING, .group = ACCESS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(requirepass_file), .help = "File that holds the password of clients." },
    { .name = "admin-password", .type = OPTION_SECRET, .group = ACCESS, .argument = "password",
      .flags = OPTION_BY_RELOAD, FIELD(admin_password),
      .help = "Password of the user admin, who alone may change the proxy's own options, stop it and "
              "write to its log (AUTH admin PASSWORD). Without it nobody may." },
    { .name = "admin-password-file", .type = OPTION_STRING, .group = ACCESS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(admin_password_file),
      .help = "File that holds the password of the user admin." },
    { .name = "acl-file", .alias = "aclfile", .type = OPTION_STRING, .group = ACCESS,
      .argument = "file", .flags = OPTION_BY_RELOAD, FIELD(acl_file),
      .help = "Users and what each of them may do, in Redis's format. Read again at SIGHUP. Not "
              "together with requirepass: the user default has its password in the file, too." },
    { .name = "acl-scripts", .type = OPTION_BOOL, .group = ACCESS, .fallback = "no",
      .flags = OPTION_BY_RELOAD, FIELD(acl_scripts),
      .help = "Let users who may not do everything run scripts, if their rules allow EVAL or FCALL. "
              "The keys that a script names are checked, but not what it does: the nodes' user may "
              "do that." },

    { .name = "tls-clients", .type = OPTION_ENUM, .group = TLS, .argument = "no | optional | yes",
      .fallback = "no", .choices = tls_clients, .flags = OPTION_BY_RELOAD, FIELD(tls_clients),
      .help = "Whether clients speak TLS on the port. optional: each as it likes, which its first "
              "byte tells." },
    { .name = "tls-cert-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(tls_cert_file),
      .help = "Certificate that clients are shown, with its chain (PEM). Read again at SIGHUP, as "
              "all these files are." },
    { .name = "tls-key-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(tls_key_file), .help = "Its private key (PEM)." },
    { .name = "tls-ca-cert-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(tls_ca_cert_file),
      .help = "Authorities that are trusted to have signed the certificates of nodes and of "
              "clients (PEM). Without it those of the system." },
    { .name = "tls-auth-clients", .type = OPTION_ENUM, .group = TLS,
      .argument = "yes | optional | no", .fallback = "yes", .choices = tls_auth_clients,
      .flags = OPTION_BY_RELOAD, FIELD(tls_auth_clients),
      .help = "Whether clients with TLS have to show a certificate of their own." },
    { .name = "tls-cluster", .type = OPTION_BOOL, .group = TLS, .fallback = "no",
      .flags = OPTION_BY_RELOAD, FIELD(tls_cluster),
      .help = "Speak TLS to the nodes; the addresses of cluster-nodes are those for TLS then." },
    { .name = "tls-cluster-verify", .type = OPTION_ENUM, .group = TLS,
      .argument = "name | chain | no", .fallback = "name", .choices = tls_verify_choices,
      .flags = OPTION_BY_RELOAD, FIELD(tls_cluster_verify),
      .help = "What a node's certificate has to show: that an authority has signed it, and with "
              "name that it is for the host name or address that was dialled. no: anything." },
    { .name = "tls-cluster-name", .type = OPTION_STRING, .group = TLS, .argument = "name",
      .flags = OPTION_BY_RELOAD, FIELD(tls_cluster_name),
      .help = "The name that all nodes' certificates bear, in place of what is dialled." },
    { .name = "tls-client-cert-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(tls_client_cert_file),
      .help = "Certificate that the nodes are shown, if they ask for one (PEM)." },
    { .name = "tls-client-key-file", .type = OPTION_STRING, .group = TLS, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(tls_client_key_file), .help = "Its private key (PEM)." },

    { .name = "cluster-nodes", .alias = "cluster", .type = OPTION_LIST, .group = CLUSTER,
      .argument = "host:port,...", .flags = OPTION_POSITIONAL, .wrong = node_fault,
      FIELD(cluster_nodes),
      .help = "Nodes to learn the cluster from; one that answers is enough. "
              "The same as the arguments without an option." },
    { .name = "auth", .letter = 'a', .type = OPTION_SECRET, .group = CLUSTER,
      .argument = "password", .flags = OPTION_BY_RELOAD, FIELD(auth),
      .help = "Password for the cluster's nodes. Other users of the machine can read it on a "
              "command line; prefer auth-file or the environment." },
    { .name = "auth-file", .type = OPTION_STRING, .group = CLUSTER, .argument = "file",
      .flags = OPTION_BY_RELOAD, FIELD(auth_file), .help = "File that holds the password for the cluster's nodes." },
    { .name = "auth-user", .type = OPTION_STRING, .group = CLUSTER, .argument = "user",
      .flags = OPTION_BY_RELOAD, FIELD(auth_user),
      .help = "User for the cluster's nodes, if not the default user. Needs a password." },
    { .name = "connect-timeout", .type = OPTION_DURATION, .group = CLUSTER,
      .argument = "duration", .fallback = "1s", .min = 1, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(connect_timeout),
      .help = "Time that connecting to a node may take." },
    { .name = "request-timeout", .type = OPTION_DURATION, .group = CLUSTER,
      .argument = "duration", .fallback = "5s", .min = 1, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(request_timeout),
      .help = "Time that a request may take with all its retries before the client gets an "
              "error." },
    { .name = "topology-interval", .type = OPTION_DURATION, .group = CLUSTER,
      .argument = "duration", .fallback = "5s", .min = 100, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(topology_interval),
      .help = "How often to ask which node serves which slots." },
    { .name = "topology-min-interval", .type = OPTION_DURATION, .group = CLUSTER,
      .argument = "duration", .fallback = "100ms", .min = 1, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(topology_min_interval),
      .help = "Least time between two such questions, when redirections or lost connections "
              "call for one." },
    { .name = "read-from", .type = OPTION_ENUM, .group = CLUSTER, .argument = "policy",
      .fallback = "master", .choices = read_policies, .flags = OPTION_RELOADABLE, FIELD(read_from),
      .help = "Who answers commands that only read: the master; prefer-replica: a replica that is "
              "well, else the master; replica: the same, but a read rather waits up to a second "
              "for a replica whose connection has just broken than go to the master; az-affinity: "
              "a replica, or else the master, in our own zone, else as prefer-replica. What a "
              "replica says may be old: see operations.md." },
    { .name = "replica-max-lag", .type = OPTION_DURATION, .group = CLUSTER, .argument = "duration",
      .fallback = "10s", .bare_ms = SECOND, .min = 2 * SECOND, .max = MINUTE,
      .flags = OPTION_RELOADABLE, FIELD(replica_max_lag),
      .help = "A replica that has not reached what its master had so long ago is not read from "
              "until it has caught up. A plain number is seconds." },
    { .name = "zone", .type = OPTION_STRING, .group = CLUSTER, .argument = "name",
      .wrong = zone_name_fault, .flags = OPTION_RELOADABLE, FIELD(zone),
      .help = "The availability zone of this proxy, for az-affinity." },
    { .name = "zone-map", .type = OPTION_LIST, .group = CLUSTER, .argument = "subnet=zone,...",
      .wrong = zone_subnet_fault, .flags = OPTION_BY_RELOAD, FIELD(zone_map),
      .help = "Zones of the nodes by their addresses: 10.0.1.0/24=eu-west-1a,10.0.2.0/24=... The "
              "narrowest subnet counts. A node that lies in none is asked for the "
              "availability_zone of INFO, which Valkey has." },
    { .name = "enable-cross-slot", .type = OPTION_BOOL, .group = CLUSTER, .fallback = "yes",
      .flags = OPTION_RELOADABLE, FIELD(enable_cross_slot),
      .help = "Execute commands whose keys lie in several slots, step by step and so not "
              "atomically. With no, they answer CROSSSLOT as a Redis Cluster does. On, "
              "because applications that come from one Redis must not change." },
    { .name = "cluster-facade", .type = OPTION_BOOL, .group = CLUSTER, .fallback = "no",
      .flags = OPTION_RELOADABLE, FIELD(cluster_facade),
      .help = "Answer CLUSTER commands as a cluster of one node, which is this proxy, for clients "
              "that insist on a cluster. With no, the answer is that of a plain Redis: cluster "
              "support is disabled." },
    { .name = "enable-monitor", .type = OPTION_BOOL, .group = CLUSTER, .fallback = "no",
      .flags = OPTION_RELOADABLE, FIELD(enable_monitor),
      .help = "Allow MONITOR, which shows a client every command of this proxy with its keys and "
              "values." },
    { .name = "announce", .type = OPTION_STRING, .group = CLUSTER, .argument = "host:port",
      .wrong = node_fault, FIELD(announce),
      .help = "Address of the one node that cluster-facade shows; by default the one that the "
              "client connected to." },

    { .name = "proto-max-bulk-len", .type = OPTION_SIZE, .group = LIMITS, .argument = "size",
      .fallback = "512mb", .min = 1 << 20, .flags = OPTION_RELOADABLE, FIELD(proto_max_bulk_len),
      .help = "Largest single argument of a command." },
    { .name = "client-query-buffer-limit", .type = OPTION_SIZE, .group = LIMITS,
      .argument = "size", .fallback = "1gb", .min = 1 << 20, .flags = OPTION_RELOADABLE,
      FIELD(client_query_buffer_limit),
      .help = "Bytes of one client's requests that may be held; past it the client is closed." },
    { .name = "client-output-limit", .type = OPTION_SIZE, .group = LIMITS, .argument = "size",
      .fallback = "256mb", .min = 64 << 10, .flags = OPTION_RELOADABLE,
      FIELD(client_output_limit),
      .help = "Bytes of replies that may wait for a client that reads too slowly; past it the "
              "client is closed." },
    { .name = "pubsub-output-limit", .type = OPTION_SIZE, .group = LIMITS, .argument = "size",
      .fallback = "32mb", .min = 64 << 10, .flags = OPTION_RELOADABLE,
      FIELD(pubsub_output_limit),
      .help = "Bytes of messages and replies that may wait for a client with subscriptions; past "
              "it, or past a quarter of it for a minute, the client is closed." },
    { .name = "max-pipeline", .type = OPTION_INT, .group = LIMITS, .argument = "number",
      .fallback = "1024", .min = 1, .max = 1000000, .flags = OPTION_RELOADABLE,
      FIELD(max_pipeline),
      .help = "Requests of one client in flight; past it no more is read from that client." },
    { .name = "max-leases", .type = OPTION_INT, .group = LIMITS, .argument = "number",
      .fallback = "10000", .min = 1, .max = 10000000, .flags = OPTION_RELOADABLE,
      FIELD(max_leases),
      .help = "Connections to nodes that may be lent to single clients at the same time, in each "
              "worker: one for each client that waits in a blocking command, one for each node "
              "where a client watches keys. Past it such a command is an error." },
    { .name = "node-buffer-limit", .type = OPTION_SIZE, .group = LIMITS, .argument = "size",
      .fallback = "64mb", .min = 64 << 10, .flags = OPTION_RELOADABLE, FIELD(node_buffer_limit),
      .help = "Bytes of requests in flight to one node; past it its clients wait." },
    { .name = "cross-slot-max-bytes", .type = OPTION_SIZE, .group = LIMITS, .argument = "size",
      .fallback = "64mb", .min = 1024, .flags = OPTION_RELOADABLE, FIELD(cross_slot_max_bytes),
      .help = "Bytes of values that one command over several slots (SINTERSTORE, RENAME, EVAL) may "
              "copy between nodes; past it the command is an error and nothing is changed." },
    { .name = "slowlog-log-slower-than", .type = OPTION_INT, .group = LIMITS,
      .argument = "microseconds", .fallback = "10000", .min = -1, .max = INT32_MAX,
      .flags = OPTION_RELOADABLE, FIELD(slowlog_log_slower_than),
      .help = "Requests that take at least so long are kept for SLOWLOG GET; 0 keeps every "
              "request that goes to a node, -1 none." },
    { .name = "slowlog-max-len", .type = OPTION_INT, .group = LIMITS, .argument = "number",
      .fallback = "128", .min = 0, .max = 1000000, .flags = OPTION_RELOADABLE,
      FIELD(slowlog_max_len), .help = "How many of them each worker keeps." },
    { .name = "acllog-max-len", .type = OPTION_INT, .group = LIMITS, .argument = "number",
      .fallback = "128", .min = 0, .max = 10000, .flags = OPTION_RELOADABLE,
      FIELD(acllog_max_len),
      .help = "How many refusals ACL LOG shows at most, and each worker keeps." },
    { .name = "latency-monitor-threshold", .type = OPTION_INT, .group = LIMITS,
      .argument = "milliseconds", .fallback = "0", .min = 0, .max = INT32_MAX,
      .flags = OPTION_RELOADABLE, FIELD(latency_monitor_threshold),
      .help = "Commands and turns of a worker's loop that take at least so long are events for "
              "LATENCY LATEST and HISTORY; 0 watches nothing." },
    { .name = "hotkeys-sample", .type = OPTION_INT, .group = LIMITS, .argument = "calls",
      .fallback = "128", .min = 0, .max = 1000000, .flags = OPTION_RELOADABLE,
      FIELD(hotkeys_sample),
      .help = "One in so many calls is looked at for PROXY HOTKEYS; 0 looks at none." },

    { .name = "config", .letter = 'c', .type = OPTION_STRING, .group = PROCESS,
      .argument = "file", .flags = OPTION_NO_FILE, FIELD(config_file),
      .help = "Configuration file, in the syntax of redis.conf." },
    { .name = "workers", .alias = "threads", .type = OPTION_INT, .group = PROCESS,
      .argument = "number", .fallback = "1", .min = 1, .max = CREW_MAX, .choices = worker_counts,
      FIELD(workers),
      .help = "Processes that share the work; one per CPU is the most that is useful. With auto, "
              "one per CPU that the process may use, of its container's share if that is less." },
    { .name = "worker-timeout", .type = OPTION_DURATION, .group = PROCESS,
      .argument = "duration", .fallback = "1500ms", .bare_ms = SECOND, .max = DAY,
      .flags = OPTION_BY_RELOAD, FIELD(worker_timeout),
      .help = "A worker that shows no sign of life for so long is killed and replaced; 0 waits for "
              "ever, for example for a debugger." },
    { .name = "log-level", .alias = "loglevel", .type = OPTION_ENUM, .group = PROCESS,
      .argument = "level", .fallback = "info", .choices = log_level_choices,
      .flags = OPTION_RELOADABLE, FIELD(log_level),
      .help = "Least important lines that are logged. Redis's verbose, notice and warning are "
              "understood." },
    { .name = "log-format", .type = OPTION_ENUM, .group = PROCESS, .argument = "format",
      .fallback = "logfmt", .choices = log_format_choices, .flags = OPTION_RELOADABLE,
      FIELD(log_format),
      .help = "How lines of the log are written: logfmt, or json, one object per line with the "
              "same fields." },
    { .name = "shutdown-timeout", .type = OPTION_DURATION, .group = PROCESS,
      .argument = "duration", .fallback = "10s", .bare_ms = SECOND, .max = DAY,
      .flags = OPTION_RELOADABLE, FIELD(shutdown_timeout),
      .help = "After SIGTERM, time to finish what is in flight. A plain number is seconds." },
    { .name = "shutdown-delay", .type = OPTION_DURATION, .group = PROCESS,
      .argument = "duration", .fallback = "0", .bare_ms = SECOND, .max = DAY,
      .flags = OPTION_BY_RELOAD, FIELD(shutdown_delay),
      .help = "After SIGTERM, time in which clients are still accepted while /readyz of admin-port "
              "says 503, so that a balancer that asks there sends no new ones; shutdown-timeout "
              "begins behind it. A plain number is seconds." },
    { .name = "check", .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_FILE | OPTION_NO_ENV, FIELD(check),
      .help = "Ask a running slotgate of this configuration whether it serves; the exit code is 0 "
              "if it does and 1 if not. For the health check of a container." },
    { .name = "version", .letter = 'v', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_FILE | OPTION_NO_ENV, FIELD(version), .help = "Print the version." },
    { .name = "help", .letter = 'h', .type = OPTION_BOOL, .group = PROCESS,
      .flags = OPTION_NO_FILE | OPTION_NO_ENV, FIELD(help), .help = "Print this text." },
};
/* clang-format on */

const size_t options_count = ARRAY_LEN(options_rows);
