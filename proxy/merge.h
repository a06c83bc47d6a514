/*
 * merge.h: the replies of a group's parts become the one reply of the command.
 *
 * By the row's merge rule; an error in any part is the whole reply, byte for byte (promise 4). When
 * several parts failed, the first in the caller's order speaks.
 */
#ifndef PROXY_MERGE_H
#define PROXY_MERGE_H

#include "cluster/group.h"
#include "proxy/client.h"
#include "resp/value.h"

/* The reply of one part, whole. */
struct part_reply {
    struct value_cursor at; /* what is not merged yet */
    struct chunk *chunk;    /* that it lies in; NULL: in `flat` */
    char *flat;
    uint32_t node; /* fingerprint of the node that gave it */
    bool failed;   /* an error reply */
};

struct replies {
    struct part_reply *part; /* in the order of submission */
    uint32_t count;
};

/* Sends the merged reply with stream_send or stream_share; called only when no part has failed,
   unless it takes failures too. For group->rule, when a command needs more than its row's merge can
   say. */
struct merge_rule {
    void (*send)(struct client *c, const struct group *g, struct replies *all);
    bool takes_failures;
};

/* For such rules: what is not merged yet of a part; its next element whole and raw (at NULL: none);
   bytes of a part on their way to the client; and the error when a part makes no sense. */
struct span merge_rest(const struct part_reply *p);
struct span merge_take(struct part_reply *p);
void merge_send(struct client *c, const struct part_reply *p, struct span bytes);
void merge_send_sum(struct client *c, const struct group *g, struct replies *all);
void merge_odd_reply(struct client *c);
struct span merge_odd_text(void);
/* Sends the whole reply of one part. */
void merge_send_part(struct client *c, const struct part_reply *p);

/* All parts of the group at the head of the client's flow are answered: sends the merged reply and
   releases them. */
void merge_group(struct client *c);

#endif
