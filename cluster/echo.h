/*
 * echo.h: tells messages that come a second time when another node takes over.
 *
 * The cluster's bus brings a message to its nodes at different times, some 40 ms apart when TCP
 * holds back small packets. So a node that takes over may still get what the old one had delivered.
 * Messages carry no number; but one that equals, from another source, one of the last ECHO_MS is
 * taken for the same if a change was not longer ago than that. What this may drop wrongly, a
 * message that was published twice in the moment of a change, could have been missed there anyway.
 * Pure; the time comes in as an argument.
 */
#ifndef CLUSTER_ECHO_H
#define CLUSTER_ECHO_H

#include <stdbool.h>

#include "base/check.h"
#include "resp/span.h"

enum {
    ECHO_MS = 200,
    ECHO_KEPT = 1024,    /* messages; of more in ECHO_MS the oldest are forgotten */
    ECHO_HASH_MAX = 256, /* bytes of a message that are looked at, at each end */
};

struct echo_entry {
    uint64_t hash, at;
    const void *source; /* only compared */
};

struct echo {
    struct echo_entry *kept; /* ECHO_KEPT of them; NULL until the first message */
    uint32_t next;
    uint64_t changed_at; /* ms; 0: never */
};

void echo_free(struct echo *e);
/* Another source takes over. */
void echo_change(struct echo *e, uint64_t now);
/* Notes a message. True: it has come before, from another source; each is matched once. */
MUST_USE bool echo_is_repeat(struct echo *e, struct span message, const void *source, uint64_t now);

#endif
