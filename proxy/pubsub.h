/*
 * pubsub.h: the worker's side of publish and subscribe: its topics, who is a member of them, and
 * each message on its way to all of these.
 *
 * A message is made once per version of the protocol and shared by all who get it, when they are
 * many or it is large; a client that does not keep up gets copies, so that it pins no chunks.
 */
#ifndef PROXY_PUBSUB_H
#define PROXY_PUBSUB_H

#include "proxy/subscriber.h"
#include "proxy/talk.h"

struct worker;

struct pubsub {
    struct topics topics;
    struct member *members;     /* of all topics */
    struct list_node pending;   /* subscribers with a SUBSCRIBE that is not answered yet */
    struct list_node checks;    /* of those, the ones to look at when the turn ends */
    struct list_node countings; /* PUBLISH and PUBSUB under way, see counting.h */
    struct list_node monitors;  /* subscribers that run MONITOR, see monitor.h */
    struct chunk *fan;          /* where messages that are shared are put */
};

void pubsub_open(struct worker *w);
/* Every client is gone. Run the loop until it is empty, then pubsub_free. */
void pubsub_close(struct pubsub *ps);
void pubsub_free(struct pubsub *ps);
/* Answers SUBSCRIBEs that were confirmed or refused in this turn. */
void pubsub_run_checks(struct pubsub *ps);

/* TALK_PUBLISHED in publish.c, TALK_SUBSCRIBED. */
talk_handler publish_on_asked, pubsub_on_subscribed;

static inline bool pubsub_has_checks(const struct pubsub *ps)
{
    return !list_is_empty(&ps->checks);
}

#endif
