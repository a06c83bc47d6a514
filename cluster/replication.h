/*
 * replication.h: what a node says of its replication, and how far a replica is behind. Pure: the
 * time (ms, any origin) comes in as an argument.
 *
 * Seconds since the last word from the master say little, because an idle master speaks every ten
 * seconds; a difference of offsets says nothing about time. So the master's offset is noted once a
 * second, and a replica is as old as the youngest note that it has reached.
 */
#ifndef CLUSTER_REPLICATION_H
#define CLUSTER_REPLICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "resp/span.h"

enum { REPLICATION_ID_MAX = 40, LAG_NOTES = 64 };

struct replication {
    bool master;
    bool syncing;                    /* a replica that is getting a full copy */
    char id[REPLICATION_ID_MAX + 1]; /* of the history that the offset counts in */
    int64_t offset;
};

/* The value of "name:value" in INFO's text; empty: there is none. */
struct span replication_field(struct span info, const char *name);
/* Reads the section replication of INFO. False: it is none, and *out is untouched. */
bool replication_read(struct span info, struct replication *out);

/* What a master's offset was when. All zero: nothing is known. */
struct lag_history {
    char id[REPLICATION_ID_MAX + 1];
    struct {
        uint64_t at;
        int64_t offset;
    } note[LAG_NOTES];
    uint32_t count; /* notes ever made; the last LAG_NOTES are there */
};

/* at: when the master was asked. A new id, after a failover, begins a new history. */
void lag_note(struct lag_history *h, uint64_t at, const struct replication *master);
/* How many ms ago the master was where the replica is now; UINT64_MAX: longer than is known, or
   another history. */
uint64_t lag_of(const struct lag_history *h, uint64_t now, const struct replication *replica);

#endif
