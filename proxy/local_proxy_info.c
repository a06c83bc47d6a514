/* PROXY INFO, CLUSTER and MULTIPLEXING: what this worker knows of the proxy and of the cluster
 * behind it. CLUSTER answers in the old tool's form. */
#include <sys/utsname.h>
#include <unistd.h>

#include "proxy/access.h"
#include "proxy/info_merge.h"
#include "proxy/local.h"
#include "proxy/worker.h"

/* --- sections --------------------------------------------------------------------------------- */

static void print_proxy(const struct worker *w, struct writer *out)
{
    struct utsname os = { .sysname = "" };
    uint64_t uptime = (uv_now(&w->loop) - w->started_at) / 1000;
    uname(&os);
    info_print(out, "# Proxy\r\nproxy_version:%s\r\nos:%s %s %s\r\n", SLOTGATE_VERSION, os.sysname,
               os.release, os.machine);
    info_print(out, "gcc_version:%d.%d.%d\r\n", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    info_print(out, "process_id:%d\r\nsupervisor_id:%d\r\nthreads:%u\r\nthread:%u\r\n",
               (int)getpid(), (int)getppid(), w->crew->count, w->number);
    info_print(out, "tcp_port:%d\r\nuptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
               w->config.port, (unsigned long long)uptime, (unsigned long long)uptime / 86400);
    info_print(out, "config_file:%s\r\n",
               w->config.config_file != NULL ? w->config.config_file : "");
}

static void print_clients(const struct worker *w, struct writer *out)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < w->crew->count; i++)
        total += atomic_load(&crew_seat(w->crew, i)->clients);
    info_print(out, "# Clients\r\nconnected_clients:%u\r\nmax_clients:%u\r\n", total,
               w->max_clients);
    for (uint32_t i = 0; i < w->crew->count; i++)
        info_print(out, "thread_%u_clients:%u\r\n", i,
                   atomic_load(&crew_seat(w->crew, i)->clients));
}

static const char *status_of(const struct worker *w)
{
    const struct slotmap *map = w->router.map;
    return map != NULL && map->covered == SLOT_COUNT ? "updated" : "broken";
}

static void print_cluster(const struct worker *w, struct writer *out)
{
    const struct slotmap *map = w->router.map;
    uint32_t replicas = 0, shards = map == NULL ? 0 : map->shard_count;
    for (uint32_t i = 0; i < shards; i++)
        replicas += map->shards[i].replica_count;
    info_print(out, "# Cluster\r\ncluster_status:%s\r\ncluster_connection:shared\r\n",
               status_of(w));
    info_print(out, "cluster_slots:%u\r\ncluster_masters:%u\r\ncluster_replicas:%u\r\n",
               map == NULL ? 0 : map->covered, shards, replicas);
    info_print(out, "cluster_epoch:%u\r\n", w->router.epoch);
}

static void send_text(struct writer *w, struct writer *text)
{
    write_verbatim(w, "txt", writer_span(text));
    writer_close(text);
}

static const struct {
    const char *name;
    void (*print)(const struct worker *w, struct writer *out);
} sections[] = {
    { "proxy", print_proxy },
    { "clients", print_clients },
    { "cluster", print_cluster },
    { "slotgate", info_print_slotgate },
};

static bool wants(const struct argv *argv, const char *section)
{
    bool wanted = argv->count == 2;
    for (uint32_t i = 2; i < argv->count; i++)
        wanted = wanted || span_is(argv_get(argv, i), section) ||
                 span_is(argv_get(argv, i), "all") || span_is(argv_get(argv, i), "default");
    return wanted;
}

bool local_proxy_info(struct client *c, const struct argv *argv, struct writer *w)
{
    struct writer text;
    writer_init(&text, 2);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!wants(argv, sections[i].name))
            continue;
        if (text.len > 0 && sections[i].print != info_print_slotgate)
            info_print(&text, "\r\n"); /* that one does it by itself */
        sections[i].print(c->worker, &text);
    }
    send_text(w, &text);
    return true;
}

/* --- PROXY CLUSTER ---------------------------------------------------------------------------- */

static bool is_private(const struct client *c)
{
    return c->watch != NULL || c->blocked != NULL;
}

static void cluster_status(struct client *c, struct writer *w)
{
    write_simple(w, status_of(c->worker));
}

static void cluster_connection(struct client *c, struct writer *w)
{
    write_simple(w, is_private(c) ? "private" : "shared");
}

static uint32_t slots_of(const struct slotmap *map, uint32_t shard)
{
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        n += map->shard_of[slot] == shard;
    return n;
}

static bool is_connected(const struct worker *w, const struct endpoint *e)
{
    const struct node *n = node_find(&w->router.nodes, e);
    bool ready = false;
    for (int i = 0; n != NULL && i < LINK_KINDS; i++)
        ready = ready || n->links[i].state == LINK_READY;
    return ready;
}

static void write_shard(const struct worker *w, uint32_t i, struct writer *out)
{
    const struct slotmap_shard *shard = &w->router.map->shards[i];
    char text[ENDPOINT_TEXT_MAX];
    write_map(out, 7);
    write_bulk_text(out, "name");
    write_bulk_text(out, endpoint_text(&shard->master, text));
    write_bulk_text(out, "ip");
    write_bulk_text(out, shard->master.host);
    write_bulk_text(out, "port");
    write_integer(out, shard->master.port);
    write_bulk_text(out, "slots");
    write_integer(out, slots_of(w->router.map, i));
    write_bulk_text(out, "replicas");
    write_integer(out, shard->replica_count);
    write_bulk_text(out, "connected");
    write_integer(out, is_connected(w, &shard->master));
    write_bulk_text(out, "replica-names");
    write_array(out, shard->replica_count);
    for (uint32_t n = 0; n < shard->replica_count; n++)
        write_bulk_text(out, endpoint_text(&shard->replicas[n], text));
}

/* The masters. */
static void cluster_nodes(struct client *c, struct writer *w)
{
    const struct slotmap *map = c->worker->router.map;
    uint32_t shards = map == NULL ? 0 : map->shard_count;
    write_array(w, shards);
    for (uint32_t i = 0; i < shards; i++)
        write_shard(c->worker, i, w);
}

static void cluster_info(struct client *c, struct writer *w)
{
    write_map(w, 3);
    write_bulk_text(w, "status");
    cluster_status(c, w);
    write_bulk_text(w, "connection");
    cluster_connection(c, w);
    write_bulk_text(w, "nodes");
    cluster_nodes(c, w);
}

static void cluster_help(struct client *c, struct writer *w)
{
    static const char *const lines[] = {
        "PROXY CLUSTER [subcommand]",
        "INFO       -- names and values of what follows, also without a subcommand",
        "STATUS     -- updated, or broken while slots have no master",
        "CONNECTION -- private while this client has connections of its own, else shared",
        "NODES      -- each master: its name, address, number of slots and of replicas ...",
        "UPDATE     -- ask the cluster for its slots soon; for the admin",
    };
    (void)c;
    local_write_lines(w, lines, ARRAY_LEN(lines));
}

static void cluster_update(struct client *c, struct writer *w)
{
    struct router *rt = &c->worker->router;
    if (!access_is_admin(c, "PROXY CLUSTER UPDATE", w))
        return;
    rt->on_doubt(rt->doubt_context);
    write_simple(w, "OK");
}

bool local_proxy_cluster(struct client *c, const struct argv *argv, struct writer *w)
{
    static const struct {
        const char *name;
        void (*run)(struct client *c, struct writer *w);
    } subs[] = { { "info", cluster_info },
                 { "status", cluster_status },
                 { "connection", cluster_connection },
                 { "nodes", cluster_nodes },
                 { "help", cluster_help },
                 { "update", cluster_update } };
    struct span what = argv->count == 2 ? SPAN("info") : argv_get(argv, 2);
    for (size_t i = 0; argv->count <= 3 && i < ARRAY_LEN(subs); i++) {
        if (!span_is(what, subs[i].name))
            continue;
        subs[i].run(c, w);
        return true;
    }
    write_error(w, "ERR syntax error, try PROXY HELP");
    return true;
}

bool local_proxy_multiplexing(struct client *c, const struct argv *argv, struct writer *w)
{
    struct span what = argv_get(argv, 2);
    if (span_is(what, "status"))
        write_simple(w, is_private(c) ? "off" : "on");
    else if (span_is(what, "off"))
        write_error(w, "ERR slotgate: multiplexing cannot be turned off: a client gets a "
                       "connection of its own when it needs one");
    else
        write_error(w, "ERR syntax error, try PROXY HELP");
    return true;
}
