/*
 * learner.h: asks the cluster for its COMMAND list and lets the table learn from it: the doing half
 * of learn.h. Then asks how many databases it has; a node that does not say has one. One question
 * at a time; a node that does not answer is no error, the next map asks again.
 */
#ifndef CLUSTER_LEARNER_H
#define CLUSTER_LEARNER_H

#include "cluster/router.h"

struct learner {
    struct router *router;
    struct command_table *commands;
    void (*on_done)(void *context); /* after each question, answered or not */
    void *context;
    struct endpoint asked; /* the master that is asked, or was last */
    uint64_t asked_nodes;  /* stands for the set of masters at the last question */
    uint32_t databases;    /* that each node has: 1, or what a Valkey 9 says */
    bool asking, closing;
};

/* Asks one of the map's masters, unless a question is under way or the same masters have been
   asked. True: on_done comes. */
bool learner_ask(struct learner *l);

#endif
