/*
 * worker.h: one process's whole state: the loop, the listeners, the clients and the way to the
 * cluster. Everything hangs off it; there are no globals but const tables and the log.
 *
 *   worker_run: poll until there is a slot map -> listen -> serve -> drain (leaving.h) -> leave
 *   SIGTERM, SIGINT, the end of the supervisor: drains for good    SIGHUP: reads its options anew
 *   SIGUSR2: drains, others go on with its sockets
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include "cluster/learner.h"
#include "cluster/lease.h"
#include "cluster/poller.h"
#include "cluster/readiness.h"
#include "cluster/reads.h"
#include "cluster/slot_tag.h"
#include "net/listener.h"
#include "proxy/acl_log.h"
#include "proxy/balance.h"
#include "proxy/blocked.h"
#include "proxy/config_sets.h"
#include "proxy/crew.h"
#include "proxy/dispatch.h"
#include "proxy/info.h"
#include "proxy/keywatch.h"
#include "proxy/latency.h"
#include "proxy/leaving.h"
#include "proxy/monitor.h"
#include "proxy/pause.h"
#include "proxy/pubsub.h"
#include "proxy/reach.h"
#include "proxy/reload.h"
#include "proxy/scripts.h"
#include "proxy/secure.h"
#include "proxy/slowlog.h"
#include "proxy/stats_count.h"
#include "proxy/talk.h"
#include "proxy/watch.h"

enum { WORKER_SIGNALS = 4 };

struct worker {
    struct config config;
    struct start_words words; /* where the config came from */
    char *path;               /* of the program, for a takeover */
    struct crew *crew;        /* which it belongs to, as it was when it started */
    struct seat *seat;        /* its own */
    uv_loop_t loop;
    struct net net;
    struct command_table *commands;
    local_command **locals; /* by row index */
    struct secure secure;
    struct router_options router_options;
    struct router router;
    struct lease_pool leases;
    struct watch_room watches;
    struct poller poller;
    struct reads reads;
    struct learner learner;
    struct readiness readiness;
    struct scripts scripts;
    struct slowlog slowlog;
    struct acl_log acl_log;
    struct latency latency;
    struct stats stats;
    struct pubsub pubsub;
    struct pause pause;
    struct listener listeners[CREW_ADDRESSES_MAX];
    struct balance balance;
    struct talk talk;
    struct watchers watchers;
    struct config_sets config_sets;
    struct leaving leaving;
    struct reach reach;
    struct admin *admin; /* NULL: no admin port */
    struct list_node clients, scripts_waiting;
    struct list_node to_resume, ops, ops_ready; /* clients to look at when the turn ends; op.h */
    struct blocked_room blocked;
    struct keywatch keywatch;
    struct slot_tags *slot_tags; /* made when first needed */
    bool *script_slots;          /* per slot, made when first needed: see script_slots.h */
    struct slab client_slab;
    uint32_t exact_clients, ended_clients;                        /* those of clients that are so */
    uint32_t client_count, max_pipeline, max_clients, max_leases; /* the limits from config */
    unsigned keepalive;                                           /* s */
    struct request_limits limits;
    struct arg_room args;                /* positions of the request that is being read */
    struct writer reply, inline_request; /* scratch: a reply made here; an inline command's array */
    uv_signal_t signals[WORKER_SIGNALS];
    uv_poll_t lifeline; /* see crew.h */
    uv_timer_t log_timer, beat_timer;
    uint64_t accepted, random, started_at; /* clients; see worker_random; ms of loop time */
    char fence_id[24], fence_name[40]; /* this worker's own; it names our connections to nodes */
    char run_id[INFO_ID_SIZE];         /* the same in all workers of a proxy */
    char redis_version[24];   /* of the cluster, as the last INFO said; until then a guess */
    uint32_t number;          /* of this worker, from 0 */
    uint32_t launch;          /* the takeover that started it; 0: a supervisor did. See board.h */
    uint32_t keyspace_events; /* notify-keyspace-events, as last set through this worker */
    bool listening, draining, left, attention; /* the last: commands are paused, or monitored */
    bool exact_due;                            /* see exact_turn */
};

/* Once, before the workers of a proxy part: what they have in common. */
void worker_prepare(struct worker *w);
/* Runs member w->number of w->crew until it has drained. Gives the exit code. */
int worker_run(struct worker *w);

void worker_mind(struct worker *w); /* commands are paused or monitored, or are so no more */
/* An empty writer for one reply; the next call takes it back. */
struct writer *worker_writer(struct worker *w, int protocol);
uint64_t worker_random(struct worker *w); /* for choices that need no secrecy */
/* Unique over the workers of one proxy, also those that have been replaced. */
uint64_t worker_next_client_id(struct worker *w);
/* A client or an op is gone: a draining worker may be done. */
void worker_client_left(struct worker *w);
void worker_publish_clients(struct worker *w); /* tells the others how many there are */

#endif
