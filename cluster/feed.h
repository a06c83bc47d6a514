/*
 * feed.h: one connection to one node over which subscribed messages come.
 *
 * It speaks RESP2, which every server knows, and there only the order tells what a reply belongs
 * to: a status, an error, a pong or a confirmation answers the oldest question (`asks`), a message
 * answers nothing. Knows no clients and not which node is the right one; topics.h does.
 *
 *   RESTING --feed_dial--> DIALLING --> GREETING (AUTH) --> READY --lost, feed_close--> RESTING
 *
 * Life: feed_new -> feed_dial as often as it is RESTING -> on_down once per feed_dial ->
 * feed_free while RESTING. Every callback may call feed_close.
 */
#ifndef CLUSTER_FEED_H
#define CLUSTER_FEED_H

#include "cluster/link.h"

enum topic_kind { TOPIC_CHANNEL, TOPIC_PATTERN, TOPIC_SHARD, TOPIC_KINDS };

enum feed_state { FEED_RESTING, FEED_DIALLING, FEED_GREETING, FEED_READY, FEED_CLOSING };

enum {
    FEED_PING_MS = 1000,            /* of silence, until the node is asked for a sign of life */
    FEED_MESSAGE_MAX = 1024u << 20, /* bytes of one message; a node that sends more is cut off */
    FEED_KEEP_MAX = 64 * 1024,      /* a larger buffer for half a message is not kept */
};

struct feed_message {
    enum topic_kind kind;
    struct span topic;   /* the channel, or the pattern that it matched */
    struct span channel; /* that it was published to */
    struct span whole;   /* in RESP2, as it came */
};

struct feed;

/* All that is lent is valid during the call. */
struct feed_user {
    void (*on_ready)(struct feed *f);
    /* The node's answer to feed_join with that tag. */
    void (*on_joined)(struct feed *f, void *tag);
    void (*on_refused)(struct feed *f, void *tag, struct span error);
    /* The node itself has ended the subscription to a shard channel: the slot has moved. */
    void (*on_dropped)(struct feed *f, struct span channel);
    void (*on_message)(struct feed *f, const struct feed_message *m);
    void (*on_down)(struct feed *f, int why); /* RESTING now; all subscriptions are gone */
};

struct feed {
    struct stream stream;
    struct dial *dial; /* until it has answered */
    struct net *net;
    struct endpoint to;
    const struct link_options *options;
    const struct feed_user *user;
    void *context;
    struct list_node asks; /* what the node has not answered yet, oldest first */
    struct reply_scanner scanner;
    struct writer part;  /* the beginning of a reply that came in pieces */
    struct writer out;   /* scratch: the command that is being written */
    uint64_t heard_at;   /* ms of loop time */
    uint64_t rest_until; /* RESTING: not to be dialled before */
    uint64_t rest;       /* the next back-off, ms */
    uint64_t random;
    uint32_t leaving; /* asks that leave something: the node may still count us there */
    int last_error;   /* why it was lost last; 0 once it has confirmed something */
    uint8_t state;    /* enum feed_state */
    bool pinged;      /* since it was heard last */
    /* For topics.h. */
    struct list_node in_topics, carriers;
    uint64_t unused_since; /* ms; 0: it is used */
    uint32_t fingerprint;  /* of the node */
    bool in_map, master;   /* what the present map says of the node */
    uint64_t away_since;   /* it is in no map since then; 0: it is, or is not connected */
};

struct feed *feed_new(struct net *net, const struct endpoint *to,
                      const struct link_options *options, const struct feed_user *user,
                      void *context);
/* Only while it is RESTING. */
void feed_free(struct feed *f);
void feed_dial(struct feed *f);
/* May come at any time and twice; on_down comes later unless it is RESTING. */
void feed_close(struct feed *f, int why);

/* Subscribes; the feed is READY. tag comes back in on_joined or on_refused, unless forgotten. */
void feed_join(struct feed *f, enum topic_kind kind, struct span name, void *tag);
void feed_forget(struct feed *f, const void *tag);
void feed_leave(struct feed *f, enum topic_kind kind, struct span name);
/* Whether the node may not know yet that we have left. See also leaving. */
bool feed_is_leaving(const struct feed *f, enum topic_kind kind, struct span name);
/* Calls for each such name. */
void feed_each_leaving(const struct feed *f, enum topic_kind kind,
                       void (*each)(void *context, struct span name), void *context);
/* Asks a silent node for a sign of life, and closes one that gives none for silent_max ms. */
void feed_tick(struct feed *f, uint64_t silent_max);

#endif
