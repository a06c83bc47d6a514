/*
 * pubsub_say.h: what one worker says of its subscribers: members that messages are delivered to,
 * and subscriptions of its own, by the fingerprints of the nodes that count them. For
 * publish.c and pubsub_count.c, which add up what all workers say.
 */
#ifndef PROXY_PUBSUB_SAY_H
#define PROXY_PUBSUB_SAY_H

#include "cluster/topics.h"
#include "resp/writer.h"

struct worker;

/* What a worker says of a message: members that it will reach, subscriptions that it matches at the
   node of the main connection (of a shard channel: at the one that carries it), and at any other
   master; that node, or -1. */
struct receivers {
    int64_t reached, at_main, elsewhere, main;
};

/* Four integers. kind: TOPIC_CHANNEL or TOPIC_SHARD. */
void pubsub_say_receivers(const struct topics *ts, enum topic_kind kind, struct span channel,
                          struct writer *out);

/*
 * For a request of PUBSUB:
 * CHANNELS: a list of names that somebody wants, a list of names that a node may count in vain
 * NUMSUB:   for each name a list: how many want it, then the nodes that count us for it
 * NUMPAT:   a list of patterns that somebody wants, a list of nodes and how many they count, in
 * turn
 */
void pubsub_say(const struct worker *w, struct span request, struct writer *out);

#endif
