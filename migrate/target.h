/*
 * target.h: where a migration writes to: a cluster, one Redis, or proxies that look like one.
 *
 * All of them are driven by cluster/router.h, which connects, logs in, follows redirects, retries
 * and keeps the commands on one slot in order. A plain Redis, or a list of proxies, is a slot map
 * of our own that never changes; the slots are shared out among the proxies.
 *
 * Life: target_open -> on_ready once it is known what the server understands, or on_failed ->
 * target_close (may come at any time) -> the loop runs empty -> target_free.
 */
#ifndef MIGRATE_TARGET_H
#define MIGRATE_TARGET_H

#include "cluster/poller.h"
#include "cluster/slot_tag.h"
#include "migrate/limit.h"
#include "migrate/target_facts.h"
#include "migrate/target_options.h"

enum { TARGET_KEY_SHOWN = 96, TARGET_ERROR_SHOWN = 160, TARGET_PEERS_MAX = 64 };

struct target;
struct target_call;

/* call->error: empty when the command succeeded, else the reply without '-' and line end. Nothing
   may be sent from inside; that is what on_progress is for. */
typedef void target_done(void *context, const struct target_call *call);

/* A part of a reply, as it comes. */
typedef void target_piece(void *context, struct span bytes);

struct target_call {
    target_done *done;
    target_piece *piece; /* or NULL */
    void *context;
    uint32_t bytes, key_len; /* of the key the first TARGET_KEY_SHOWN are in key */
    char key[TARGET_KEY_SHOWN];
    struct writer exec, long_key; /* a transaction's reply of EXEC; the key, if it is longer */
    struct writer *reply;         /* borrowed: the whole reply goes there; or NULL */
    bool block, refused;          /* a transaction; ... of which nothing was executed */
    bool zero, repeated; /* the reply was the number 0; it was sent, maybe executed, before */
    uint16_t database;   /* of the target, see target_use */
    char error[TARGET_ERROR_SHOWN]; /* cut if it is longer */
};

struct target_user {
    void (*on_ready)(void *context);
    void (*on_failed)(void *context, const char *why); /* it cannot be used */
    /* At the end of a turn in which something was answered: now one may send. */
    void (*on_progress)(void *context);
    void (*on_peer)(void *context); /* a new one of `peers` gets its first command; or NULL */
};

struct target {
    const struct target_options *options;
    const struct target_user *user;
    void *context;
    struct net *net;
    struct command_table *commands;
    struct router_options router_options;
    struct router router;
    struct poller poller; /* of a cluster */
    struct flow flow;
    struct slot_tags *tags;
    struct slab calls;
    struct target_facts facts; /* valid from on_ready on */
    struct writer ids;         /* likewise, of all masters; see target_ids_add */
    uint64_t pending_bytes, probing_since;
    uint32_t pending, probed; /* commands; shards that have told their facts */
    struct limit limit;
    uv_timer_t timer;    /* the next probe; once it is ready, the end of a wait for the limit */
    struct writer block; /* scratch */
    char peers[TARGET_PEERS_MAX][LOGIN_PEER_MAX]; /* slotgates with commands since the last fence */
    uint32_t peer_count;
    struct target_databases *databases;  /* while they are looked for */
    bool ready, closing, progress, kept; /* answered in this turn; answers of a walk wait */
};

/* Borrows options and net; net's turns must call target_turn_end. */
void target_open(struct target *t, struct net *net, const struct target_options *options,
                 const struct target_user *user, void *context);
void target_turn_end(struct target *t);
void target_close(struct target *t);
void target_free(struct target *t);

/* Never behind target_close: then nothing may be sent any more. */
bool target_has_room(struct target *t);
/* Sends one command about that key. again: may be executed twice without harm. done comes later,
   once, unless the target is closed before. */
void target_send(struct target *t, struct span name, struct span key, struct span command,
                 bool again, target_done *done, void *context);
/* So many commands, all about keys in the key's slot, as a transaction; parts: their bytes, one
   behind the other. An error of any of them is the call's error. */
void target_send_block(struct target *t, struct span key, struct span parts, uint32_t commands,
                       bool again, target_done *done, void *context);
/* Changes nothing; the reply is appended to *reply, which must live until done. */
void target_ask(struct target *t, struct span name, struct span key, struct span command,
                struct writer *reply, target_done *done, void *context);
/* As target_ask, and no limit on the rate counts it. */
void target_peek(struct target *t, struct span name, struct span key, struct span command,
                 struct writer *reply, target_done *done, void *context);
/* As target_ask; piece gets the reply as it comes, and nothing is kept. */
void target_ask_pieces(struct target *t, struct span name, struct span key, struct span command,
                       target_piece *piece, target_done *done, void *context);
/* As target_ask, about no key, to the master of a shard. */
void target_ask_shard(struct target *t, uint32_t shard, struct span name, struct span command,
                      struct writer *reply, target_done *done, void *context);
uint32_t target_shards(const struct target *t);
/* A command about no key, sent to every master; label: what target_key gives. Gives how many
   answers come. */
uint32_t target_send_all(struct target *t, struct span name, struct span label, struct span command,
                         target_done *done, void *context);
void target_add_peer(struct target *t, const char *peer); /* of an earlier run */
/* Forgets everything under way and hangs up: no done comes. What was written may still be executed.
   What is sent from now on goes over new connections. Not from inside a done. */
void target_drop(struct target *t);
struct span target_key(const struct target_call *call);          /* whole */
const char *target_tag(const struct target *t, struct span key); /* of its slot */

#endif
