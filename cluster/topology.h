/*
 * topology.h: when to ask which node for CLUSTER SLOTS, and whether to believe the answer.
 *
 * The thinking half: no socket, no clock; `now` (ms, any origin, never going back) and answers come
 * in as arguments, what to do next comes out. cluster/poller is its doing half.
 *
 *   waiting --due or poked (rate-limited)--> round: ask one candidate after the other
 *      ^                                        |
 *      +--- an answer is adopted, or the candidates are used up (again after a back-off) ---+
 *
 * Candidates of a round: the masters and replicas of the present map in random order, then the
 * seeds. An answer that covers fewer slots than the map we have is believed only after the round
 * has asked two more nodes and none covered more: a node that has just come back may know little.
 */
#ifndef CLUSTER_TOPOLOGY_H
#define CLUSTER_TOPOLOGY_H

#include "cluster/slotmap.h"

struct topology_options {
    uint64_t interval;     /* ms between rounds, jittered by a tenth */
    uint64_t min_interval; /* ms between rounds at least, however often poked */
    uint64_t retry;        /* ms to the next round when nobody answered; doubles up to interval */
};

enum topology_want { TOPOLOGY_WAIT, TOPOLOGY_ASK };

struct topology_step {
    enum topology_want want;
    uint64_t at;         /* WAIT: when to call topology_next again */
    struct endpoint who; /* ASK */
};

struct topology;

/* Takes a copy of the seeds. random: any number, the jitter's and the order's beginning. */
struct topology *topology_new(const struct topology_options *options, const struct endpoint *seeds,
                              uint32_t seed_count, uint64_t random);
void topology_free(struct topology *t);
/* Holds from the next round on. */
void topology_set_options(struct topology *t, const struct topology_options *options);

/* What to do now. After ASK comes exactly one of topology_answered and topology_failed. */
struct topology_step topology_next(struct topology *t, uint64_t now);
/* Something hints at a change (MOVED, a lost connection, READONLY, CLUSTERDOWN): ask soon. */
void topology_poke(struct topology *t, uint64_t now);
/* When topology_next has something to do; UINT64_MAX while an answer is awaited. */
uint64_t topology_due(const struct topology *t);
/* Takes the map. Gives back the map to adopt, owned by the caller, or NULL: go on with
   topology_next. current: the map in use, or NULL. */
MUST_USE struct slotmap *topology_answered(struct topology *t, uint64_t now, struct slotmap *map,
                                           const struct slotmap *current);
/* The node asked did not answer, or not with a slot map. May end the round with the best map seen.
 */
MUST_USE struct slotmap *topology_failed(struct topology *t, uint64_t now);

#endif
