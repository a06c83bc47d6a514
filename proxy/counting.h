/*
 * counting.h: what the other workers add to a command that also asks nodes: PUBLISH and PUBSUB,
 * which count the clients of all workers.
 *
 *   counting_begin: the group has been sent; it is not complete before the others that have
 *   subscribers have been asked, at once or when the nodes have answered, and
 *     -> have answered, or TALK_ANSWER_MS are over: the group's rule reads what they said, and says
 *        counting_end
 *     -> the client leaves: counting_forget_client
 */
#ifndef PROXY_COUNTING_H
#define PROXY_COUNTING_H

#include "cluster/group.h"
#include "proxy/client.h"
#include "proxy/survey.h"

struct counting {
    struct list_node in_all; /* pubsub->countings */
    struct client *client;
    struct group *group; /* points here */
    uint64_t ask;        /* 0: none is open */
    uint16_t topic;
    struct writer question;
    struct writer said; /* by the others, one behind the other */
    size_t *ends;       /* of each, in said */
    uint32_t count;
};

/* For a group of that client that was submitted just now, and whose rule takes failures. The
   question is copied. at_once: the others are not asked after the nodes, but beside them. */
struct counting *counting_begin(struct client *c, struct group *g, uint16_t topic,
                                struct span question, bool at_once);
/* All parts of a group that is held are answered. */
void counting_nodes_answered(struct group *g);
/* This worker's own answer; otherwise as one of another worker. */
void counting_add(struct counting *n, struct span part);
/* For the rule: that of the group, NULL if there is none; the parts, for the caller to free. */
struct counting *counting_of(const struct group *g);
struct survey_part *counting_parts(const struct counting *n);
void counting_end(struct counting *n);
/* The client leaves. */
void counting_forget_client(struct client *c);

/* Tells the others how many topics this worker has; to be called before a SUBSCRIBE is answered,
   and now and then. */
void counting_publish_topics(struct worker *w);

#endif
