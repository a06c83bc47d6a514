/*
 * publish.h: how many receive what is published: PUBLISH and SPUBLISH, alone and inside MULTI.
 *
 * The node that takes a message counts the connections that it sees. Of these ours are taken off,
 * for each stands for any number of clients, and our clients are added: each worker says how many
 * of its own will hear it (counting.h). While nobody here is subscribed the node's number is right.
 * A node counts us until it has read that we leave, though the client has his answer by then: so
 * what is leaving is taken off, too.
 *
 * Inside MULTI: publish_note for each such command of a block, publish_count when the group of the
 * blocks has been submitted, and in the group's rule publish_open, publish_element, publish_close.
 */
#ifndef PROXY_PUBLISH_H
#define PROXY_PUBLISH_H

#include "cluster/group.h"
#include "proxy/client.h"
#include "proxy/counting.h"
#include "resp/value.h"
#include "resp/writer.h"

/* Whether any worker has a subscriber, or had one that a node may still count. */
bool publish_may_be_heard(const struct worker *w);

/* If request is a PUBLISH or SPUBLISH, notes that element `index` of the group is its answer. In
   ascending order. */
void publish_note(struct writer *notes, uint32_t index, const struct command *cmd,
                  struct span request);
/* The group of that client has been submitted; without notes this does nothing. */
void publish_count(struct client *c, struct group *g, struct span notes);

struct publish_counts {
    struct counting *n; /* NULL: nothing is published */
    struct survey_part *parts;
    struct value_cursor notes, *said; /* by each worker */
    int64_t index;                    /* of the next one; INT64_MAX: none follows */
    int64_t number;                   /* of notes that have been read */
    struct writer text;
};

void publish_open(struct publish_counts *p, const struct group *g);
/* The element as the client shall see it, in ascending order of index; lent until the next call.
   node: the fingerprint of the one that gave it. */
struct span publish_element(struct publish_counts *p, uint32_t index, struct span element,
                            uint32_t node);
/* To be called on every way out of the rule. */
void publish_close(struct publish_counts *p);

#endif
