/*
 * learn.h: commands that our rows lack (modules, newer servers), read from a node's COMMAND reply.
 *
 * Pure: bytes in, rows out. A learned command is routed by its key specifications; one without keys
 * goes to every shard if its tips say so, else to any master. Source: the COMMAND command's page
 * (elements of a command's description) and "Key specifications" in the Redis documentation.
 */
#ifndef CLUSTER_LEARN_H
#define CLUSTER_LEARN_H

#include "cluster/command.h"

/* Adds what the table lacks. Gives how many commands were added, or -1 when the reply is no answer
   to COMMAND (then nothing, or a part, has been added). Rows that are there are never changed. */
int command_table_learn(struct command_table *t, struct span reply);

#endif
