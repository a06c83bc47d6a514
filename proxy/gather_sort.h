/*
 * gather_sort.h: SORT and SORT_RO with BY or GET patterns, which a cluster's node refuses because
 * the keys that they name may lie anywhere.
 */
#ifndef PROXY_GATHER_SORT_H
#define PROXY_GATHER_SORT_H

#include "proxy/client.h"

/* Whether it is such a command. */
bool sort_has_patterns(const struct command *cmd, const struct argv *argv);

/* Runs it as an op of the client. False: not now, the client is owed replies. */
MUST_USE bool sort_by_patterns(struct client *c, const struct command *cmd,
                               const struct argv *argv);

#endif
