/* The metrics, a row each. docs/metrics.md is written from them: ./dev docs. */
#include "proxy/stats.h"

#include "base/check.h"

#define AT(field) offsetof(struct stats_block, field)
#define COUNT(field) .kind = STATS_COUNTER, .offset = AT(counts.field)
#define GAUGE(field) .kind = STATS_GAUGE, .offset = AT(gauges.field)

// clang-format off
const struct stats_metric stats_metrics[] = {
    /* --- requests */
    { .name = "slotgate_requests_total", .label = STATS_BY_COMMAND,
      .kind = STATS_COUNTER, .offset = AT(calls),
      .help = "Requests of clients that were taken, by command; what MULTI queues counts too.",
      .act = "The load. Its rate by command shows what clients do." },
    { .name = "slotgate_requests_failed_total", .label = STATS_BY_COMMAND,
      .kind = STATS_COUNTER, .offset = AT(failed),
      .help = "Of these, requests that were answered with an error.",
      .act = "Look at slotgate_errors_total for the kind of error." },
    { .name = "slotgate_request_duration_seconds", .label = STATS_BY_COMMAND,
      .kind = STATS_HISTOGRAM, .unit = STATS_SECONDS, .offset = AT(latency),
      .help = "Time from the last byte of a request to the last byte of its reply queued for the "
              "client, retries, redirects and waiting (BLPOP) included.",
      .act = "Compare with slotgate_node_duration_seconds: what is not there is spent in the proxy, "
             "or waiting for a reply of an older request of the same client." },
    { .name = "slotgate_errors_total", .label = STATS_BY_ERROR,
      .kind = STATS_COUNTER, .offset = AT(errors),
      .help = "Error replies that clients got, by their first word; slotgate_* are the proxy's own.",
      .act = "slotgate_timeout and slotgate_maybe_executed: a node is slow or away. NOAUTH, NOPERM, "
             "WRONGTYPE and the like are made by clients." },
    { .name = "slotgate_node_errors_total", .label = STATS_BY_ERROR,
      .kind = STATS_COUNTER, .offset = AT(node_errors),
      .help = "Error replies that nodes gave, redirects included, most of which no client sees.",
      .act = "MOVED and ASK rise while slots move; CLUSTERDOWN and LOADING while a shard is down." },
    { .name = "slotgate_requests_outstanding", GAUGE(outstanding),
      .help = "Requests that were sent to a node, or wait to be, and have no reply yet.",
      .act = "Grows with load and with slow nodes; bounded by max-pipeline and node-buffer-limit." },
    { .name = "slotgate_split_requests_total", COUNT(splits),
      .help = "Commands over several slots that were split into parts (MGET, DEL).",
      .act = "Each costs one request per slot. A rise beside steady calls: more keys per "
             "command, or keys without hash tags." },
    { .name = "slotgate_cross_slot_operations_total", COUNT(ops),
      .help = "Commands over several slots that were run in steps (SINTERSTORE, RENAME, scripts).",
      .act = "Each costs several round trips. Hash tags that bring the keys to one slot save them." },
    { .name = "slotgate_cross_slot_operations", GAUGE(ops),
      .help = "Of these, those that run now.",
      .act = "Many at once, for long: they wait for slow nodes, or scripts wait for each other; "
             "see slotgate_node_duration_seconds." },

    /* --- redirects and retries */
    { .name = "slotgate_redirects_moved_total", COUNT(moved),
      .help = "MOVED answers that were followed.",
      .act = "Some while slots move or a master changes. A steady rate: nodes disagree about the map." },
    { .name = "slotgate_redirects_ask_total", COUNT(ask),
      .help = "ASK answers that were followed.",
      .act = "Only while slots move. Otherwise a slot was left half way: redis-cli --cluster check." },
    { .name = "slotgate_answers_tryagain_total", COUNT(try_again),
      .help = "TRYAGAIN answers: keys of one command at two nodes while their slot moves.",
      .act = "Normal while slots move. Else a slot was left half moved: look at CLUSTER NODES "
             "for [slot->-node] and finish it." },
    { .name = "slotgate_answers_clusterdown_total", COUNT(cluster_down),
      .help = "CLUSTERDOWN, LOADING and MASTERDOWN answers, after which the proxy waited.",
      .act = "A shard has no master that serves." },
    { .name = "slotgate_answers_readonly_total", COUNT(read_only),
      .help = "READONLY answers: a node had become a replica.",
      .act = "A failover, normal if it is short. If it goes on, nodes disagree about who is "
             "master." },
    { .name = "slotgate_retries_total", COUNT(retries),
      .help = "Requests sent once more, for whatever reason.",
      .act = "Follows redirects and lost connections." },
    { .name = "slotgate_timeouts_total", COUNT(timeouts),
      .help = "Requests that got no answer within request-timeout.",
      .act = "A node hangs, or its master is away for longer than request-timeout." },
    { .name = "slotgate_uncertain_writes_total", COUNT(uncertain),
      .help = "Writes whose clients were told that they may have been executed.",
      .act = "A connection broke with writes on it. Look for lost nodes in the log." },

    /* --- nodes */
    { .name = "slotgate_node_requests_total", COUNT(node_requests),
      .help = "Requests for nodes, parts of split commands and steps of operations included.",
      .act = "Much more than slotgate_requests_total: split commands and operations over several "
             "slots; hash tags save them." },
    { .name = "slotgate_node_duration_seconds", .label = STATS_BY_NODE,
      .kind = STATS_HISTOGRAM, .unit = STATS_SECONDS, .offset = offsetof(struct node_stat, latency),
      .help = "Time from a request put on a connection to the last byte of the reply, by node. WATCH "
              "and the EXEC behind it, on connections of their own, count as a request each; commands "
              "that wait (BLPOP, WAIT, XREAD BLOCK) do not, since it is not the node that is slow.",
      .act = "One node that is slower than the others has a hot slot, a slow command or a bad host." },
    { .name = "slotgate_node_error_replies_total", .label = STATS_BY_NODE,
      .kind = STATS_COUNTER, .offset = offsetof(struct node_stat, errors),
      .help = "Error replies of a node, redirects included.",
      .act = "One node alone: look at that node (memory, disk, a slot that moves). "
             "slotgate_node_errors_total says which kind." },
    { .name = "slotgate_node_connections_lost_total", .label = STATS_BY_NODE,
      .kind = STATS_COUNTER, .offset = offsetof(struct node_stat, lost),
      .help = "Connections to a node that were lost or could not be made.",
      .act = "The node is down, restarts, or the network between is bad." },
    { .name = "slotgate_connections_lost_total", COUNT(lost_links),
      .help = "The same over all nodes.",
      .act = "See the same by node." },
    { .name = "slotgate_nodes", GAUGE(nodes), .worst = true,
      .help = "Nodes that a worker knows.",
      .act = "Falls or rises when the cluster is changed; otherwise a node is forgotten, see "
             "CLUSTER NODES." },
    { .name = "slotgate_shards", GAUGE(shards), .worst = true,
      .help = "Shards of the slot map.",
      .act = "Changes only when the cluster is scaled. Else a shard has lost its slots." },
    { .name = "slotgate_slots_uncovered", GAUGE(slots_uncovered), .worst = true,
      .help = "Slots for which the slot map names no master.",
      .act = "Above 0 keys of these slots cannot be served: the cluster is incomplete." },
    { .name = "slotgate_topology_age_seconds", GAUGE(map_at), .unit = STATS_SECONDS, .since = true,
      .worst = true,
      .help = "Time since a node last confirmed the slot map.",
      .act = "Above some topology-intervals: no node answers CLUSTER SLOTS." },
    { .name = "slotgate_topology_answers_total", COUNT(map_answers),
      .help = "Answers to CLUSTER SLOTS that were sound.",
      .act = "Standing still: nobody can be asked; see slotgate_topology_failures_total and "
             "slotgate_topology_age_seconds." },
    { .name = "slotgate_topology_failures_total", COUNT(map_failures),
      .help = "Questions for the slot map that got no answer, or no sound one.",
      .act = "Nodes are away, or do not let the proxy's user run CLUSTER SLOTS." },
    { .name = "slotgate_topology_changes_total", COUNT(map_changes),
      .help = "Slot maps adopted that differed from the one before.",
      .act = "A failover, moved slots, or nodes that disagree if it goes on." },

    /* --- clients */
    { .name = "slotgate_clients", GAUGE(clients),
      .help = "Connected clients.", .act = "Keep it below slotgate_clients_max." },
    { .name = "slotgate_clients_max", GAUGE(clients_max),
      .help = "How many clients may be connected: maxclients of each worker.",
      .act = "Lower than maxclients says: too few descriptors, the log said so at the start." },
    { .name = "slotgate_clients_accepted_total", COUNT(clients_accepted),
      .help = "Connections taken in.",
      .act = "A high rate: clients that do not keep their connections." },
    { .name = "slotgate_clients_refused_total", COUNT(clients_refused),
      .help = "Connections answered with 'max number of clients reached'.",
      .act = "Raise maxclients and the limit on descriptors, or add workers." },
    { .name = "slotgate_clients_handed_over_total", COUNT(clients_given),
      .help = "New connections handed to another worker, for an even spread.",
      .act = "Nothing: it keeps workers even. See slotgate_worker_clients if they are not." },
    { .name = "slotgate_clients_taken_over_total", COUNT(clients_taken),
      .help = "New connections taken from another worker.",
      .act = "Nothing; the other side of slotgate_clients_handed_over_total." },
    { .name = "slotgate_clients_closed_total", .label = STATS_BY_REASON,
      .kind = STATS_COUNTER, .offset = AT(closed),
      .help = "Connections of clients that ended, by reason.",
      .act = "slow_reader: client-output-limit; limit: maxclients; age: max-connection-age; "
             "protocol: something that speaks no Redis, or too large a request; lost: a node died "
             "inside a large reply." },
    { .name = "slotgate_clients_blocked", GAUGE(blocked),
      .help = "Clients that wait in a blocking command.",
      .act = "Each needs a lease. Near slotgate_leases_max, further ones get an error: raise "
             "max-leases." },
    { .name = "slotgate_blocking_requests_total", COUNT(blocked),
      .help = "Blocking commands begun.",
      .act = "The load of queues. Much more than slotgate_clients_blocked: short timeouts, which "
             "cost as polling does." },
    { .name = "slotgate_blocking_undelivered_total", COUNT(blocked_undelivered),
      .help = "Replies of blocking commands that came for a client that had just left.",
      .act = "Elements that were popped and lost, as with one Redis." },
    { .name = "slotgate_blocking_returned_total", COUNT(blocked_returned),
      .help = "Pops over several slots that were put back for such a client.",
      .act = "Clients that give up while they wait; a high rate: their own timeouts are too "
             "short." },

    /* --- connections of their own */
    { .name = "slotgate_leases", GAUGE(leases),
      .help = "Connections to nodes for one user alone, idle ones included.",
      .act = "Keep it below slotgate_leases_max." },
    { .name = "slotgate_leases_in_use", GAUGE(leases_in_use),
      .help = "Of these, those that somebody has.",
      .act = "Grows with clients that wait or watch. One that only grows: clients that WATCH and "
             "never say EXEC or UNWATCH." },
    { .name = "slotgate_leases_queued", GAUGE(leases_queued),
      .help = "Of these, those that still wait to connect.",
      .act = "Above 0 for long: a node takes connections too slowly, or thousands came at once "
             "after a failover." },
    { .name = "slotgate_leases_max", GAUGE(leases_max),
      .help = "How many there may be: max-leases of each worker.",
      .act = "Lower than max-leases says: too few descriptors, the log said so at the start." },
    { .name = "slotgate_leases_dialled_total", COUNT(leases_dialled),
      .help = "Leases for which a connection was made.",
      .act = "A high rate: connections are not used again, since such commands come more than ten "
             "seconds apart, or clients leave while they wait." },
    { .name = "slotgate_leases_lost_total", COUNT(leases_lost),
      .help = "Leases whose connection broke.",
      .act = "A node went away or closes idle connections (timeout in its configuration)." },
    { .name = "slotgate_leases_refused_total", COUNT(leases_refused),
      .help = "Leases refused because max-leases was reached.",
      .act = "Clients got an error. Raise max-leases." },

    /* --- publish and subscribe */
    { .name = "slotgate_subscribers", GAUGE(subscribers),
      .help = "Clients that are subscribed to something.",
      .act = "Falls when a slow subscriber is closed; see slotgate_clients_closed_total." },
    { .name = "slotgate_subscriptions", GAUGE(subscriptions),
      .help = "Their subscriptions.",
      .act = "One that only grows: clients that subscribe and never unsubscribe." },
    { .name = "slotgate_monitors", GAUGE(monitors),
      .help = "Clients that run MONITOR.", .act = "Each costs a copy of every command." },
    { .name = "slotgate_pubsub_messages_total", COUNT(messages),
      .help = "Messages that came from the cluster.",
      .act = "Standing still while somebody publishes: look for lost feeds in the log." },
    { .name = "slotgate_pubsub_deliveries_total", COUNT(deliveries),
      .help = "Messages given to clients: one to each subscriber.",
      .act = "Divided by slotgate_pubsub_messages_total it is how many subscribers each message "
             "has." },

    /* --- bytes and the process */
    { .name = "slotgate_client_received_bytes_total", COUNT(client_bytes_in), .unit = STATS_BYTES,
      .help = "Bytes that clients sent; with TLS, encrypted ones, as in the next three.",
      .act = "Grows faster than calls: larger values; see PROXY BIGKEYS." },
    { .name = "slotgate_client_sent_bytes_total", COUNT(client_bytes_out), .unit = STATS_BYTES,
      .help = "Bytes sent to clients.",
      .act = "The same for replies. Near the network's limit, add instances." },
    { .name = "slotgate_node_received_bytes_total", COUNT(node_bytes_in), .unit = STATS_BYTES,
      .help = "Bytes that nodes sent, subscriptions and leases included.",
      .act = "Much more than slotgate_client_sent_bytes_total: operations over several slots "
             "copy values." },
    { .name = "slotgate_node_sent_bytes_total", COUNT(node_bytes_out), .unit = STATS_BYTES,
      .help = "Bytes sent to nodes.",
      .act = "The same for requests." },
    { .name = "slotgate_buffer_bytes", GAUGE(buffers), .unit = STATS_BYTES,
      .help = "Memory that holds requests and replies under way.",
      .act = "Grows with slow readers and slow nodes; client-output-limit and node-buffer-limit "
             "bound it." },
    { .name = "slotgate_memory_bytes", GAUGE(memory), .unit = STATS_BYTES,
      .help = "Resident memory.",
      .act = "Grows with slotgate_buffer_bytes: slow readers or large values. Without it: report "
             "it." },
    { .name = "slotgate_memory_peak_bytes", GAUGE(memory_peak), .unit = STATS_BYTES, .worst = true,
      .help = "The most that one worker ever had.",
      .act = "Give the container at least this, per worker, and a quarter more." },
    { .name = "slotgate_cpu_user_seconds_total", COUNT(cpu_user), .unit = STATS_SECONDS,
      .help = "CPU time in the program.",
      .act = "A worker whose two CPU times grow by a second per second is at its limit: add workers." },
    { .name = "slotgate_cpu_system_seconds_total", COUNT(cpu_system), .unit = STATS_SECONDS,
      .help = "CPU time in the kernel on its behalf.",
      .act = "Most of the CPU at low pipeline depth; clients that pipeline lower it." },
    { .name = "slotgate_loop_lag_seconds", .kind = STATS_HISTOGRAM, .unit = STATS_SECONDS,
      .offset = AT(lag),
      .help = "How late a timer of the loop came, five times a second: how long a turn takes.",
      .act = "Above some milliseconds: too much load for one worker, or the machine has no CPU left." },
    { .name = "slotgate_workers_listening", GAUGE(listening),
      .help = "Workers that accept connections.",
      .act = "Fewer than there are workers: no slot map, or no master answers (not-ready-after)." },
    { .name = "slotgate_workers_draining", GAUGE(draining),
      .help = "Workers that are about to leave.",
      .act = "Above 0 for longer than shutdown-timeout: a takeover whose old clients stay, see "
             "the end of a connection in operations.md." },
    { .name = "slotgate_uptime_seconds", GAUGE(started_at), .unit = STATS_SECONDS, .since = true,
      .worst = true,
      .help = "Time since the worker started; of all, the oldest.",
      .act = "A worker that is younger than the others has died and was replaced: see the log." },
};
// clang-format on

const size_t stats_metric_count = ARRAY_LEN(stats_metrics);

/* Powers of two from 32 us to 16.8 s. */
const uint64_t stats_bounds[] = {
    1 << 5,  1 << 6,  1 << 7,  1 << 8,  1 << 9,  1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14,
    1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24,
};
const size_t stats_bound_count = ARRAY_LEN(stats_bounds);

const char *stats_label_name(enum stats_label label)
{
    static const char *const names[] = { [STATS_PLAIN] = NULL,
                                         [STATS_BY_COMMAND] = "command",
                                         [STATS_BY_ERROR] = "kind",
                                         [STATS_BY_REASON] = "reason",
                                         [STATS_BY_NODE] = "node" };
    return names[label];
}
