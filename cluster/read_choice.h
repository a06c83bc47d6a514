/*
 * read_choice.h: which node of a shard a read goes to. Pure.
 */
#ifndef CLUSTER_READ_CHOICE_H
#define CLUSTER_READ_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

enum read_policy { READ_MASTER, READ_PREFER_REPLICA, READ_REPLICA, READ_AZ_AFFINITY };

enum read_health {
    READ_BAD,   /* dead, behind, refuses, or never asked */
    READ_DOUBT, /* was well a moment ago; cannot take a request just now */
    READ_GOOD,
};

struct read_candidate {
    uint8_t health; /* enum read_health; of the master nobody asks */
    bool near;      /* in our own zone */
};

enum { READ_WAIT = -1, READ_CANDIDATES_MAX = 16 };

/*
 * c[0] is the master, the others are its replicas. turn: of several that are equal the same turn
 * gets the same one as long as it is well, so that what one client reads does not go back in time.
 * Gives an index, 0 when no replica is to be had, or READ_WAIT: a replica will know soon (only
 * with READ_REPLICA, and only while one is in doubt).
 */
int read_choose(enum read_policy policy, const struct read_candidate *c, uint32_t count,
                uint32_t turn);

#endif
