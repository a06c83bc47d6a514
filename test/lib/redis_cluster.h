/*
 * redis_cluster.h: a real Redis Cluster of redis-server processes on the loopback.
 *
 * Formed by the CLUSTER commands themselves, because redis-cli --cluster create takes long. Nodes
 * 0..masters-1 begin as masters with equal shares of the slots; node masters + m * replicas + r is
 * the r-th replica of master m. All functions belong to the main thread; those that say "asserts"
 * fail the running cmocka test, and every started node ends with the test program at the latest.
 */
#ifndef TEST_LIB_REDIS_CLUSTER_H
#define TEST_LIB_REDIS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "test/lib/process.h"

enum { CLUSTER_NODES_MAX = 12, CLUSTER_SLOTS = 16384 };

struct cluster_options {
    int masters;  /* 0: 3 */
    int replicas; /* of each master */
    bool partial; /* cluster-require-full-coverage no: a lost shard leaves the others in service */
    const char *password;     /* requirepass and masterauth */
    const char *tls_dir;      /* where ca.crt, server.crt and server.key are: the nodes speak TLS */
    const char *const *extra; /* more arguments for each redis-server, or NULL */
};

struct cluster_node {
    uint16_t port;
    uint16_t tls_port; /* with tls_dir; `port` is still without */
    char id[41];
    int first_slot, last_slot; /* what it began with; -1 for a replica */
    struct process process;
    redisContext *admin; /* NULL until asked */
};

struct redis_cluster {
    struct cluster_options options;
    int count;
    struct cluster_node node[CLUSTER_NODES_MAX];
};

/* Asserts that the cluster forms and is settled. */
void cluster_start(struct redis_cluster *c, const struct cluster_options *options);
/* Kills every node. Does nothing to a cluster that was never started. */
void cluster_stop(struct redis_cluster *c);

/* "127.0.0.1:PORT,127.0.0.1:PORT" of all nodes; the caller's buffer of 512 bytes. */
const char *cluster_seeds(const struct redis_cluster *c, char *out);

/* The reply of one node, or NULL when it does not answer. The caller frees it. */
redisReply *cluster_ask(struct redis_cluster *c, int node, const char *fmt, ...);
/* Asserts that the node answers anything but an error. */
void cluster_do(struct redis_cluster *c, int node, const char *fmt, ...);
/* An integer, or a string that is a number; asserts otherwise. -1 for nil. */
long long cluster_number(struct redis_cluster *c, int node, const char *fmt, ...);

uint16_t cluster_slot(const char *key);
/* Which living node is the slot's master, by the view of most; -1 when there is none. */
int cluster_owner(struct redis_cluster *c, int slot);
bool cluster_is_master(struct redis_cluster *c, int node);
/* A living replica of that master; -1 when there is none. */
int cluster_replica_of(struct redis_cluster *c, int master);
/* Writes "tN", a word whose slot began at that master, or "{tN}NAME" of the same slot; different n
   give different slots. */
const char *cluster_tag(const struct redis_cluster *c, int master, int n, char out[16]);
const char *cluster_key(const struct redis_cluster *c, int master, int n, const char *name,
                        char out[64]);

/* Asserts that all living nodes agree within the time, have state ok and linked replicas. */
void cluster_await_settled(struct redis_cluster *c, int timeout_ms);

void cluster_kill_node(struct redis_cluster *c, int node);
void cluster_stop_node(struct redis_cluster *c, int node);     /* SIGSTOP: it hangs */
void cluster_continue_node(struct redis_cluster *c, int node); /* SIGCONT */
/* Asserts that it comes up and answers. Its data is gone: nothing is saved. */
void cluster_restart_node(struct redis_cluster *c, int node);

/* CLUSTER FAILOVER on the replica; how is "", "FORCE" or "TAKEOVER". Asserts that it becomes the
   master within the time. */
void cluster_failover(struct redis_cluster *c, int replica, const char *how);
/* Asserts that the node becomes a master by itself. */
void cluster_await_master(struct redis_cluster *c, int node, int timeout_ms);

/* The steps of a slot's move, as redis-cli --cluster reshard takes them. All assert. */
void cluster_slot_open(struct redis_cluster *c, int slot, int from, int to);
int cluster_slot_move_keys(struct redis_cluster *c, int slot, int from, int to, int at_most);
void cluster_key_move(struct redis_cluster *c, const char *key, int from, int to);
void cluster_slot_close(struct redis_cluster *c, int slot, int to);
/* All of them, wherever the slot is now. */
void cluster_slot_move(struct redis_cluster *c, int slot, int to);

#endif
