/*
 * CLUSTER. By default the proxy says what a Redis says that is not in a cluster. With
 * cluster-facade it is a cluster of one node, which has every slot: itself, at the address that is
 * announced.
 */
#include <stdio.h>

#include "base/text.h"
#include "cluster/keyslot.h"
#include "proxy/local.h"
#include "proxy/worker.h"

enum { BUS_OFFSET = 10000 };

/* --- the one node ----------------------------------------------------------------------------- */

struct self {
    struct endpoint at;
    char id[INFO_ID_SIZE];
};

static struct self self_of(const struct client *c)
{
    struct self self = { .at = { .port = (uint16_t)c->worker->config.port } };
    char text[ENDPOINT_HOST_MAX + 16];
    if (c->worker->config.announce != NULL)
        snprintf(text, sizeof(text), "%s", c->worker->config.announce);
    else
        stream_local_text(&c->stream, text, sizeof(text));
    (void)!endpoint_parse(text, strlen(text), false, &self.at); /* else it has just left */
    info_id_of(text, self.id);
    return self;
}

/* What texts of RESP3 are marked with. */
static void write_text(struct writer *w, const char *text)
{
    write_verbatim(w, "txt", (struct span){ text, strlen(text) });
}

static void write_named(struct writer *w, const char *name, const char *value)
{
    write_bulk_text(w, name);
    write_bulk_text(w, value);
}

static void cluster_slots(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    struct self self = self_of(c);
    write_array(w, 1);
    write_array(w, 3);
    write_integer(w, 0);
    write_integer(w, SLOT_COUNT - 1);
    write_array(w, 4);
    write_bulk_text(w, self.at.host);
    write_integer(w, self.at.port);
    write_bulk_text(w, self.id);
    write_map(w, 0);
}

static void cluster_shards(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    struct self self = self_of(c);
    write_array(w, 1);
    write_map(w, 2);
    write_bulk_text(w, "slots");
    write_array(w, 2);
    write_integer(w, 0);
    write_integer(w, SLOT_COUNT - 1);
    write_bulk_text(w, "nodes");
    write_array(w, 1);
    write_map(w, 7);
    write_named(w, "id", self.id);
    write_bulk_text(w, "port");
    write_integer(w, self.at.port);
    write_named(w, "ip", self.at.host);
    write_named(w, "endpoint", self.at.host);
    write_named(w, "role", "master");
    write_bulk_text(w, "replication-offset");
    write_integer(w, 0);
    write_named(w, "health", "online");
}

static void cluster_nodes(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    struct self self = self_of(c);
    char line[ENDPOINT_HOST_MAX + 160];
    snprintf(line, sizeof(line), "%s %s:%u@%u myself,master - 0 0 1 connected 0-%d\n", self.id,
             self.at.host, self.at.port, self.at.port + BUS_OFFSET, SLOT_COUNT - 1);
    write_text(w, line);
}

static void cluster_info(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_text(w, "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:16384\r\n"
                  "cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:1\r\n"
                  "cluster_size:1\r\ncluster_current_epoch:1\r\ncluster_my_epoch:1\r\n"
                  "cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n"
                  "total_cluster_links_buffer_limit_exceeded:0\r\n");
}

static void cluster_myid(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    write_bulk_text(w, self_of(c).id);
}

static void cluster_links(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    write_array(w, 0);
}

static bool is_self(const struct client *c, struct span id, struct writer *w)
{
    struct self self = self_of(c);
    if (span_is(id, self.id))
        return true;
    write_error(w, "ERR Unknown node %.*s", (int)(id.len < 64 ? id.len : 64), id.at);
    return false;
}

static void cluster_replicas(struct client *c, const struct argv *argv, struct writer *w)
{
    if (is_self(c, argv_get(argv, 2), w))
        write_array(w, 0);
}

static void cluster_failure_reports(struct client *c, const struct argv *argv, struct writer *w)
{
    if (is_self(c, argv_get(argv, 2), w))
        write_integer(w, 0);
}

/* --- keys and slots --------------------------------------------------------------------------- */

static void cluster_keyslot(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    write_integer(w, keyslot_of(argv_get(argv, 2)));
}

/* COUNTKEYSINSLOT and GETKEYSINSLOT: the slot's master knows. */
static void cluster_ask_slot(struct client *c, const struct argv *argv, struct writer *w)
{
    int64_t slot, count = 0;
    struct span text = argv_get(argv, 2);
    bool with_count = argv->count > 3;
    struct span number = with_count ? argv_get(argv, 3) : SPAN("0");
    if (!text_to_i64(text.at, text.len, &slot) || !text_to_i64(number.at, number.len, &count))
        write_error(w, "ERR value is not an integer or out of range");
    else if (slot < 0 || slot >= SLOT_COUNT || count < 0)
        write_error(w, "ERR Invalid slot%s", with_count ? " or number of keys" : "");
    else if (with_count)
        local_route_names(c, argv, (uint16_t)slot);
    else
        local_route(c, argv, (uint16_t)slot);
}

static void cluster_help(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)c;
    (void)argv;
    static const char *const lines[] = {
        "CLUSTER <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "COUNTKEYSINSLOT <slot>",
        "    Return the number of keys in <slot>.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names in a slot.",
        "INFO",
        "    Return information about the cluster.",
        "KEYSLOT <key>",
        "    Return the hash slot for <key>.",
        "MYID",
        "    Return the node id.",
        "NODES",
        "    Return the one node that this proxy stands for.",
        "REPLICAS <node-id>",
        "    Return <node-id> replicas: none.",
        "SLOTS",
        "    Return information about slots range mappings.",
        "SHARDS",
        "    Return information about slot range mappings and the nodes associated with them.",
        "LINKS",
        "    Return the links between this node and its peers: none.",
        "HELP",
        "    Prints this help.",
    };
    write_array(w, ARRAY_LEN(lines));
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        write_simple(w, lines[i]);
}

/* --- the way in ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(struct client *c, const struct argv *argv, struct writer *w);
} subs[] = {
    { "count-failure-reports", cluster_failure_reports },
    { "countkeysinslot", cluster_ask_slot },
    { "getkeysinslot", cluster_ask_slot },
    { "help", cluster_help },
    { "info", cluster_info },
    { "keyslot", cluster_keyslot },
    { "links", cluster_links },
    { "myid", cluster_myid },
    { "nodes", cluster_nodes },
    { "replicas", cluster_replicas },
    { "shards", cluster_shards },
    { "slaves", cluster_replicas },
    { "slots", cluster_slots },
};

static void disabled(struct writer *w)
{
    write_error(w, "ERR This instance has cluster support disabled");
}

bool local_cluster(struct client *c, const struct argv *argv, struct writer *w)
{
    const struct command *cmd = c->last_command;
    if (!c->worker->config.cluster_facade) {
        disabled(w);
        return true;
    }
    if (cmd->how == HOW_REFUSE) {
        local_refuse(cmd, w);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
        if (strcmp(subs[i].name, cmd->name) == 0) {
            subs[i].run(c, argv, w);
            return true;
        }
    }
    disabled(w);
    return true;
}

/* The one node of the facade imports no slot, so this is without effect. */
/* ASKING, READONLY, READWRITE */
bool local_node_only(struct client *c, const struct argv *argv, struct writer *w)
{
    (void)argv;
    if (c->worker->config.cluster_facade)
        write_simple(w, "OK");
    else
        disabled(w);
    return true;
}
