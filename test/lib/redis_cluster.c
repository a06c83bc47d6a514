#include "test/lib/redis_cluster.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "test/lib/server.h"
#include "test/lib/testenv.h"

static void start_node(struct redis_cluster *c, int n)
{
    struct cluster_node *node = &c->node[n];
    const char *argv[64];
    char port[8], bus[8], dir[160], name[32], conf[32];
    size_t i = 0;

    snprintf(port, sizeof(port), "%d", node->port);
    snprintf(name, sizeof(name), "redis-%d", node->port);
    snprintf(conf, sizeof(conf), "nodes-%d.conf", node->port);
    snprintf(dir, sizeof(dir), "%s/%s", testenv_dir(), name);
    mkdir(dir, 0700);
    const char *const fixed[] = { server_program(), "--port", port, "--bind", "127.0.0.1", "--dir",
                                  dir, "--cluster-enabled", "yes", "--cluster-config-file", conf,
                                  "--cluster-node-timeout", "1500", "--save", "", "--appendonly",
                                  "no", "--protected-mode", "no",
                                  /* A replica is to be there at once, not after five seconds. */
                                  "--repl-diskless-sync-delay", "0",
                                  "--cluster-require-full-coverage",
                                  c->options.partial ? "no" : "yes" };
    for (; i < ARRAY_LEN(fixed); i++)
        argv[i] = fixed[i];
    if (!server_is_redis_6()) {
        argv[i++] = "--enable-debug-command";
        argv[i++] = "yes";
    }
    if (c->options.password != NULL) {
        argv[i++] = "--requirepass";
        argv[i++] = c->options.password;
        argv[i++] = "--masterauth";
        argv[i++] = c->options.password;
    }
    char tls[4][160];
    if (c->options.tls_dir != NULL) {
        static const char *const names[] = { "--tls-ca-cert-file", "--tls-cert-file",
                                             "--tls-key-file" };
        static const char *const files[] = { "ca.crt", "server.crt", "server.key" };
        for (int f = 0; f < 3; f++) {
            snprintf(tls[f], sizeof(tls[f]), "%s/%s", c->options.tls_dir, files[f]);
            argv[i++] = names[f];
            argv[i++] = tls[f];
        }
        snprintf(tls[3], sizeof(tls[3]), "%d", node->tls_port);
        argv[i++] = "--tls-port";
        argv[i++] = tls[3];
        argv[i++] = "--tls-cluster";
        argv[i++] = "yes";
        argv[i++] = "--tls-replication";
        argv[i++] = "yes";
        argv[i++] = "--cluster-port";
        snprintf(bus, sizeof(bus), "%d", node->port + 10000);
        argv[i++] = bus;
    }
    for (const char *const *e = c->options.extra; e != NULL && *e != NULL; e++) {
        REQUIRE(i + 1 < ARRAY_LEN(argv));
        argv[i++] = *e;
    }
    argv[i] = NULL;
    assert_true(process_start(&node->process, name, argv, NULL));
}

static bool connect_admin(struct redis_cluster *c, struct cluster_node *node)
{
    const struct timeval patience = { .tv_sec = 3 };

    if (node->process.pid == 0)
        return false;
    if (node->admin != NULL)
        return true;
    redisContext *admin = redisConnectWithTimeout("127.0.0.1", node->port, patience);
    if (admin == NULL || admin->err != 0) {
        redisFree(admin);
        return false;
    }
    redisSetTimeout(admin, patience);
    if (c->options.password != NULL)
        freeReplyObject(redisCommand(admin, "AUTH %s", c->options.password));
    node->admin = admin;
    return true;
}

static redisReply *ask(struct redis_cluster *c, int n, const char *fmt, va_list args)
{
    struct cluster_node *node = &c->node[n];

    if (!connect_admin(c, node))
        return NULL;
    redisReply *reply = redisvCommand(node->admin, fmt, args);
    if (reply == NULL) {
        redisFree(node->admin);
        node->admin = NULL;
    }
    return reply;
}

redisReply *cluster_ask(struct redis_cluster *c, int node, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    redisReply *reply = ask(c, node, fmt, args);
    va_end(args);
    return reply;
}

/* The reply if there is one and it is no error; asserts otherwise. */
static redisReply *insist(struct redis_cluster *c, int node, const char *fmt, va_list args)
{
    redisReply *reply = ask(c, node, fmt, args);

    if (reply == NULL)
        fail_msg("node %d does not answer: %s", c->node[node].port, fmt);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("node %d answers %s: %s", c->node[node].port, fmt, reply->str);
    return reply;
}

void cluster_do(struct redis_cluster *c, int node, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    freeReplyObject(insist(c, node, fmt, args));
    va_end(args);
}

long long cluster_number(struct redis_cluster *c, int node, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    redisReply *reply = insist(c, node, fmt, args);
    va_end(args);
    long long number = reply->type == REDIS_REPLY_INTEGER  ? reply->integer
                       : reply->type == REDIS_REPLY_STRING ? strtoll(reply->str, NULL, 10)
                                                           : -1;
    freeReplyObject(reply);
    return number;
}

/* The node's answer as text; empty when it does not answer with any. The caller frees it. */
static char *text_of(struct redis_cluster *c, int node, const char *command)
{
    redisReply *reply = cluster_ask(c, node, command);
    char *text = strdup(reply != NULL && reply->str != NULL ? reply->str : "");

    if (reply != NULL)
        freeReplyObject(reply);
    REQUIRE(text != NULL);
    return text;
}

static bool says(struct redis_cluster *c, int node, const char *command, const char *part)
{
    char *text = text_of(c, node, command);
    bool found = strstr(text, part) != NULL;

    free(text);
    return found;
}

static int times_in(const char *text, const char *part)
{
    int n = 0;

    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

static bool node_is_settled(struct redis_cluster *c, int n, int known, int replicas)
{
    char *nodes = text_of(c, n, "CLUSTER NODES");
    /* A node that is down stays in the list, marked as failed. */
    bool settled = times_in(nodes, "\n") == known && strstr(nodes, "handshake") == NULL &&
                   strstr(nodes, "fail?") == NULL && times_in(nodes, "slave") == replicas;

    free(nodes);
    if (!settled || !says(c, n, "CLUSTER INFO", "cluster_state:ok"))
        return false;
    return says(c, n, "INFO replication", "role:master") ||
           says(c, n, "INFO replication", "master_link_status:up");
}

static bool all_settled(void *arg)
{
    struct redis_cluster *c = arg;
    int replicas = -1;

    for (int n = 0; n < c->count; n++) {
        if (c->node[n].process.pid == 0)
            continue;
        if (replicas < 0) { /* The first living node says how many; all others must see the same. */
            char *nodes = text_of(c, n, "CLUSTER NODES");
            replicas = times_in(nodes, "slave");
            free(nodes);
        }
        if (!node_is_settled(c, n, c->count, replicas))
            return false;
    }
    return true;
}

void cluster_await_settled(struct redis_cluster *c, int timeout_ms)
{
    if (!wait_until(all_settled, c, timeout_ms))
        fail_msg("the cluster does not settle");
}

struct node_ref {
    struct redis_cluster *c;
    int node;
};

static bool node_answers(void *arg)
{
    struct node_ref *r = arg;

    return says(r->c, r->node, "PING", "PONG");
}

static void await_node(struct redis_cluster *c, int node)
{
    struct node_ref r = { c, node };

    if (!wait_until(node_answers, &r, 10000))
        fail_msg("redis-server on port %d does not answer", c->node[node].port);
}

static bool all_know_all(void *arg)
{
    struct redis_cluster *c = arg;

    for (int n = 0; n < c->count; n++) {
        char *nodes = text_of(c, n, "CLUSTER NODES");
        bool knows = times_in(nodes, "\n") == c->count && strstr(nodes, "handshake") == NULL;
        free(nodes);
        if (!knows)
            return false;
    }
    return true;
}

static bool replicas_are_told(void *arg)
{
    struct redis_cluster *c = arg;
    int masters = c->options.masters;

    for (int n = 0; n < c->count; n++) {
        char *nodes = text_of(c, n, "CLUSTER NODES");
        bool told = times_in(nodes, "slave") == c->count - masters;
        free(nodes);
        if (!told)
            return false;
    }
    return true;
}

static void add_slots(struct redis_cluster *c, int n)
{
    const struct cluster_node *node = &c->node[n];

    if (!server_is_redis_6()) {
        cluster_do(c, n, "CLUSTER ADDSLOTSRANGE %d %d", node->first_slot, node->last_slot);
        return;
    }
    for (int slot = node->first_slot; slot <= node->last_slot; slot++)
        cluster_do(c, n, "CLUSTER ADDSLOTS %d", slot);
}

static void form(struct redis_cluster *c)
{
    int masters = c->options.masters;

    for (int n = 0; n < c->count; n++) {
        struct cluster_node *node = &c->node[n];
        char *id = text_of(c, n, "CLUSTER MYID");
        snprintf(node->id, sizeof(node->id), "%s", id);
        free(id);
        cluster_do(c, n, "CLUSTER SET-CONFIG-EPOCH %d", n + 1);
        node->first_slot = node->last_slot = -1;
        if (n < masters) {
            node->first_slot = CLUSTER_SLOTS * n / masters;
            node->last_slot = CLUSTER_SLOTS * (n + 1) / masters - 1;
            add_slots(c, n);
        }
    }
    for (int n = 1; n < c->count; n++) /* Each with each: gossip alone would take its time. */
        for (int m = 0; m < n; m++)
            cluster_do(c, n, "CLUSTER MEET 127.0.0.1 %d", c->node[m].port);
    if (!wait_until(all_know_all, c, 20000))
        fail_msg("the nodes do not get to know each other");
    for (int n = masters; n < c->count; n++)
        cluster_do(c, n, "CLUSTER REPLICATE %s", c->node[(n - masters) / c->options.replicas].id);
    if (!wait_until(replicas_are_told, c, 20000))
        fail_msg("the replicas are not known everywhere");
}

void cluster_start(struct redis_cluster *c, const struct cluster_options *options)
{
    signal(SIGPIPE, SIG_IGN);
    *c = (struct redis_cluster){ .options = *options };
    if (c->options.masters == 0)
        c->options.masters = 3;
    int count = c->options.masters * (1 + c->options.replicas);
    REQUIRE(count <= CLUSTER_NODES_MAX);
    for (; c->count < count; c->count++) {
        c->node[c->count].port = port_take();
        if (c->options.tls_dir != NULL)
            c->node[c->count].tls_port = port_take();
        start_node(c, c->count);
    }
    for (int n = 0; n < c->count; n++)
        await_node(c, n);
    form(c);
    cluster_await_settled(c, 20000);
}

void cluster_stop(struct redis_cluster *c)
{
    for (int n = 0; n < c->count; n++) {
        cluster_kill_node(c, n);
        port_give_back(c->node[n].port);
    }
    c->count = 0;
}

const char *cluster_seeds(const struct redis_cluster *c, char *out)
{
    size_t at = 0;

    for (int n = 0; n < c->count; n++)
        at += (size_t)snprintf(out + at, 512 - at, "%s127.0.0.1:%d", n > 0 ? "," : "",
                               c->node[n].tls_port != 0 ? c->node[n].tls_port : c->node[n].port);
    return out;
}

/* The specification's CRC16, written out a second time so that a mistake in the proxy's own does
   not hide behind itself. */
static uint16_t crc16(const char *bytes, size_t len)
{
    unsigned crc = 0;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u) != 0 ? (crc << 1) ^ 0x1021u : crc << 1;
        crc &= 0xffffu;
    }
    return (uint16_t)crc;
}

uint16_t cluster_slot(const char *key)
{
    const char *open = strchr(key, '{');
    const char *end = open != NULL ? strchr(open, '}') : NULL;

    if (end != NULL && end > open + 1)
        return crc16(open + 1, (size_t)(end - open - 1)) % CLUSTER_SLOTS;
    return crc16(key, strlen(key)) % CLUSTER_SLOTS;
}

const char *cluster_tag(const struct redis_cluster *c, int master, int n, char out[16])
{
    const struct cluster_node *node = &c->node[master];

    REQUIRE(node->first_slot >= 0);
    for (int tag = 0;; tag++) {
        snprintf(out, 16, "t%d", tag);
        int slot = cluster_slot(out);
        if (slot >= node->first_slot && slot <= node->last_slot && n-- == 0)
            return out;
    }
}

const char *cluster_key(const struct redis_cluster *c, int master, int n, const char *name,
                        char out[64])
{
    char tag[16];

    snprintf(out, 64, "{%s}%s", cluster_tag(c, master, n, tag), name);
    return out;
}

bool cluster_is_master(struct redis_cluster *c, int node)
{
    return says(c, node, "INFO replication", "role:master");
}

/* The port that this node's CLUSTER SLOTS names for the slot's master; 0 when it is not served. */
static uint16_t port_in_slots(redisReply *slots, int slot)
{
    for (size_t i = 0; slots->type == REDIS_REPLY_ARRAY && i < slots->elements; i++) {
        redisReply **range = slots->element[i]->element;
        if (slot >= range[0]->integer && slot <= range[1]->integer)
            return (uint16_t)range[2]->element[1]->integer;
    }
    return 0;
}

int cluster_owner(struct redis_cluster *c, int slot)
{
    int votes[CLUSTER_NODES_MAX] = { 0 }, best = -1;

    for (int n = 0; n < c->count; n++) {
        redisReply *slots = cluster_ask(c, n, "CLUSTER SLOTS");
        uint16_t port = slots != NULL ? port_in_slots(slots, slot) : 0;
        for (int m = 0; m < c->count; m++)
            if (port == c->node[m].port && c->node[m].process.pid != 0)
                votes[m]++;
        if (slots != NULL)
            freeReplyObject(slots);
    }
    for (int n = 0; n < c->count; n++)
        if (votes[n] > 0 && (best < 0 || votes[n] > votes[best]))
            best = n;
    return best;
}

int cluster_replica_of(struct redis_cluster *c, int master)
{
    char line[64];

    snprintf(line, sizeof(line), "master_port:%d", c->node[master].port);
    for (int n = 0; n < c->count; n++)
        if (n != master && says(c, n, "INFO replication", line) &&
            says(c, n, "INFO replication", "role:slave"))
            return n;
    return -1;
}

static void forget_admin(struct cluster_node *node)
{
    redisFree(node->admin); /* may be NULL */
    node->admin = NULL;
}

void cluster_kill_node(struct redis_cluster *c, int node)
{
    forget_admin(&c->node[node]);
    process_kill(&c->node[node].process);
}

void cluster_stop_node(struct redis_cluster *c, int node)
{
    process_signal(&c->node[node].process, SIGSTOP);
}

void cluster_continue_node(struct redis_cluster *c, int node)
{
    process_signal(&c->node[node].process, SIGCONT);
}

void cluster_restart_node(struct redis_cluster *c, int node)
{
    REQUIRE(c->node[node].process.pid == 0);
    start_node(c, node);
    await_node(c, node);
}

static bool is_master(void *arg)
{
    struct node_ref *r = arg;

    return cluster_is_master(r->c, r->node);
}

void cluster_await_master(struct redis_cluster *c, int node, int timeout_ms)
{
    struct node_ref r = { c, node };

    if (!wait_until(is_master, &r, timeout_ms))
        fail_msg("node %d does not become a master", c->node[node].port);
}

void cluster_failover(struct redis_cluster *c, int replica, const char *how)
{
    if (how[0] == '\0')
        cluster_do(c, replica, "CLUSTER FAILOVER");
    else
        cluster_do(c, replica, "CLUSTER FAILOVER %s", how);
    cluster_await_master(c, replica, 15000);
}
