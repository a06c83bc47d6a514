/*
 * subscriber.h: the client's side of publish and subscribe: what it is subscribed to, and bytes
 * that it gets without having asked (messages; lines of MONITOR).
 *
 * client->subscriber is NULL for a client that has none of this. SUBSCRIBE and its like run only
 * when every earlier reply is out, so that messages and replies keep their order; several of them
 * in a row need not wait for each other:
 *
 *   SUBSCRIBE -> members of topics, which are not delivered to yet; a place in the client's flow
 *     -> every topic confirmed by its nodes: the reply leaves, messages are delivered from now on
 *     -> a node refuses, or request-timeout: the reply is that error, the new members leave again
 *
 * Bytes not asked for are written between two replies: at once as a rule, and behind a large reply
 * of which a piece has left already.
 */
#ifndef PROXY_SUBSCRIBER_H
#define PROXY_SUBSCRIBER_H

#include "cluster/topics.h"
#include "proxy/client.h"

struct subscriber;
struct place;

struct member_key {
    struct topic *topic;
    struct subscriber *subscriber;
};

/* One client's interest in one topic. */
struct member {
    UT_hash_handle hh; /* in pubsub->members, by key */
    struct member_key key;
    struct list_node in_topic, in_subscriber, in_place;
    struct place *place; /* of the SUBSCRIBE that is not answered yet; NULL: deliver */
    bool arrived;        /* the topic has been ready since */
};

/* A SUBSCRIBE that is not answered yet. */
struct place {
    struct list_node in_subscriber;
    struct list_node members; /* those that it has made */
    struct request *request;  /* in the client's flow */
    struct writer reply;
    uint64_t deadline; /* ms of loop time */
    uint32_t open;     /* members that have not arrived */
    bool failed;       /* reply holds an error */
};

struct subscriber {
    struct client *client;
    struct list_node members;               /* oldest first */
    struct list_node places;                /* oldest first; all at the head of the client's flow */
    struct list_node in_pending, in_checks; /* see struct pubsub */
    struct list_node in_monitors;
    struct rope held; /* what waits for the end of a large reply */
    struct chunk *stash;
    uint64_t behind_since; /* ms; 0: it owes little */
    uint32_t count[TOPIC_KINDS];
    uint32_t place_count;
    bool in_exec; /* EXEC's reply leaves in several pieces, each of them whole */
};

/* SUBSCRIBE, UNSUBSCRIBE and their like, and whether a client may run that command now; false: an
   error has been written. */
bool subscriber_allows(struct client *c, const struct command *cmd, struct writer *w);
/* SUBSCRIBE, UNSUBSCRIBE and their like. */
bool subscriber_is_verb(const struct command *cmd);
/* RESP2, and subscribed to something: only a few commands are allowed, and PING answers another
   way. */
bool subscriber_is_exclusive(const struct client *c);
/* The client's subscriber, made if need be; subscriber_release_if_idle takes it away again. */
struct subscriber *subscriber_get(struct client *c);
void subscriber_release_if_idle(struct client *c);
/* Ends all subscriptions, and MONITOR, without a word. No SUBSCRIBE may wait for its answer. */
void subscriber_reset(struct client *c);
/* The client leaves. */
void subscriber_free(struct client *c);

/* Sends bytes that were not asked for. They lie in chunk, or chunk is NULL: then copies. */
void subscriber_push(struct client *c, struct span bytes, struct chunk *chunk);
/* A reply that leaves in pieces has ended, or may have: what waited for that goes out. */
void subscriber_reply_ended(struct client *c);
/* EXEC answers phase by phase: until its end, messages wait. Nothing if there is no subscriber. */
void subscriber_exec_begins(struct client *c);
/* Bytes that the client may owe. */
uint64_t subscriber_output_limit(const struct client *c);

/* The topic is confirmed, or refused: for those members that wait for it. */
void subscriber_topic_ready(struct topic *t);
void subscriber_topic_refused(struct topic *t, struct span error);
/* Answers each SUBSCRIBE that can be answered now. */
void subscriber_check(struct subscriber *s);

static inline uint32_t subscriber_total(const struct subscriber *s)
{
    return s->count[TOPIC_CHANNEL] + s->count[TOPIC_PATTERN] + s->count[TOPIC_SHARD];
}

#endif
