/*
 * topics.h: what is subscribed to at the cluster: each channel, pattern and shard channel once,
 * however many want to hear it. Knows no clients; members of a topic are the user's affair.
 *
 * Classic channels and patterns come over one connection, the main one: the cluster brings every
 * PUBLISH to every node. When it is lost, goes silent or its node leaves the map, another node
 * takes over at once and everything is subscribed there anew. What is published in between is
 * missed; nothing comes twice, because only the main connection is listened to (and see echo.h).
 *
 * Notifications about keys stay at the node that has the key. So a channel or pattern that can
 * name one is subscribed at every master too, and those alone are listened to for it.
 *
 * A shard channel is subscribed at the master of its slot, and again at the next one when the slot
 * moves.
 */
#ifndef CLUSTER_TOPICS_H
#define CLUSTER_TOPICS_H

#include "base/check.h"
#define uthash_fatal(text) REQUIRE(false) /* no memory */
#include <uthash.h>

#include "cluster/echo.h"
#include "cluster/feed.h"
#include "cluster/router.h"

enum {
    TOPICS_TICK_MS = 100,
    TOPICS_SILENT_MS = 3000,    /* of the main connection, until another node takes over */
    TOPICS_SLOW_MAX_MS = 15000, /* of another one, whose node cannot be replaced */
};

struct topics;

/* One subscription at one node. */
struct carrier {
    struct list_node in_topic, in_feed;
    struct topic *topic;
    struct feed *feed;
    bool joined; /* the node has confirmed it */
    bool wanted; /* scratch of settling */
};

struct topic {
    UT_hash_handle hh;            /* by kind and name */
    struct list_node in_patterns; /* topics->patterns, if it is one */
    struct list_node carriers;
    struct list_node members; /* the user's */
    uint32_t member_count;    /* the user's */
    uint32_t served;          /* the user's: of these, members that messages are delivered to */
    uint32_t waiting;         /* the user's: members that on_ready concerns */
    struct endpoint moved_to; /* where a redirect points, until the map changes */
    uint64_t retry_at;        /* ms; 0: nothing to retry */
    size_t len;
    uint16_t slot;
    uint8_t hops; /* redirects in a row */
    bool moved;
    bool everywhere; /* may bring notifications about keys */
    char key[];      /* kind, then the name */
};

struct topics_user {
    void (*on_ready)(struct topics *ts, struct topic *t);
    /* A node refuses it, and not for now only. It is tried again each second. */
    void (*on_refused)(struct topics *ts, struct topic *t, struct span error);
    void (*on_message)(struct topics *ts, struct topic *t, const struct feed_message *m);
    void (*on_tick)(struct topics *ts); /* every TOPICS_TICK_MS while there is a topic */
};

struct topics {
    struct router *router;
    const struct topics_user *user;
    struct topic *table;
    struct list_node patterns;
    struct list_node feeds;
    struct feed *main; /* NULL: not needed, or none can be had */
    struct echo echo;
    uint32_t count[TOPIC_KINDS];
    uint32_t retries; /* topics with a retry_at */
    uint32_t turn;    /* which master is tried next */
    uint32_t epoch;   /* of the map that the feeds were settled by */
    uv_timer_t tick;
    bool ticking, closing;
};

void topics_open(struct topics *ts, struct router *rt, const struct topics_user *user);
/* Closes the connections; then run the loop until it is empty, then topics_free. */
void topics_close(struct topics *ts);
/* No topic may have a member any more. */
void topics_free(struct topics *ts);
/* The router has a new map: its epoch is another than ours. */
void topics_on_map(struct topics *ts);

struct topic *topics_find(const struct topics *ts, enum topic_kind kind, struct span name);
/* The topic, subscribed to from now on if it was not; on_ready does not come from inside. */
struct topic *topics_get(struct topics *ts, enum topic_kind kind, struct span name);
/* Nobody wants to hear it any more. Frees it. */
void topics_drop(struct topics *ts, struct topic *t);
/* Every node has confirmed it that can be reached. */
bool topic_is_ready(const struct topics *ts, const struct topic *t);

/* How many subscriptions of ours the node with that fingerprint counts for this name. */
uint32_t topics_at_node(const struct topics *ts, uint32_t node, enum topic_kind kind,
                        struct span name);
/* The same for all patterns. */
uint32_t topics_patterns_at_node(const struct topics *ts, uint32_t node);
/* For how many names a node may count us: topics, and what we have just left. */
uint32_t topics_counted(const struct topics *ts);
/* Its subscription at that node, or NULL. */
struct carrier *topic_carrier_at(const struct topic *t, const struct feed *f);
/* "__keyspace@0__:foo", and whether a pattern can match such a name. */
bool topics_is_key_event(struct span channel);
bool topics_may_match_key_event(struct span pattern);

static inline struct span topic_name(const struct topic *t)
{
    return (struct span){ t->key + 1, t->len - 1 };
}

static inline enum topic_kind topic_kind_of(const struct topic *t)
{
    return (enum topic_kind)t->key[0];
}

#endif
