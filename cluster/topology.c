#include "cluster/topology.h"

#include <stdlib.h>

enum { ASK_ABOUT_LOSS = 3 }; /* answers to hear before fewer slots are believed */

struct topology {
    struct topology_options options;
    struct endpoint *seeds;
    uint32_t seed_count;
    struct endpoint *known; /* nodes of the map in use */
    uint32_t known_count;
    uint64_t random;
    uint64_t next_at;    /* when the next round begins */
    uint64_t last_round; /* when the last one began */
    uint64_t retry;      /* the back-off now */
    bool in_round, asking, ever;
    uint32_t turn;        /* candidate to ask next: known ones, then the seeds */
    uint32_t answers;     /* in this round */
    struct slotmap *best; /* of this round's answers that covered less than the map in use */
};

/* xorshift64*: good enough for jitter and order. */
static uint64_t next_random(struct topology *t)
{
    t->random ^= t->random >> 12;
    t->random ^= t->random << 25;
    t->random ^= t->random >> 27;
    return t->random * 2685821657736338717ull;
}

static uint64_t jittered(struct topology *t, uint64_t ms)
{
    uint64_t spread = ms / 5;
    return spread == 0 ? ms : ms - spread / 2 + next_random(t) % spread;
}

struct topology *topology_new(const struct topology_options *options, const struct endpoint *seeds,
                              uint32_t seed_count, uint64_t random)
{
    REQUIRE(seed_count > 0);
    struct topology *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    t->options = *options;
    t->retry = options->retry;
    t->random = random | 1;
    t->seeds = malloc(sizeof(seeds[0]) * (seed_count + 1));
    REQUIRE(t->seeds != NULL);
    memcpy(t->seeds, seeds, sizeof(seeds[0]) * seed_count);
    t->seed_count = seed_count;
    return t;
}

void topology_set_options(struct topology *t, const struct topology_options *options)
{
    t->options = *options;
}

void topology_free(struct topology *t)
{
    if (t == NULL)
        return;
    slotmap_free(t->best);
    free(t->known);
    free(t->seeds);
    free(t);
}

/* --- rounds -------------------------------------------------------------------------------- */

static void shuffle(struct topology *t)
{
    for (uint32_t i = t->known_count; i > 1; i--) {
        uint32_t j = (uint32_t)(next_random(t) % i);
        struct endpoint swap = t->known[i - 1];
        t->known[i - 1] = t->known[j];
        t->known[j] = swap;
    }
}

static void begin_round(struct topology *t, uint64_t now)
{
    t->in_round = true;
    t->ever = true;
    t->last_round = now;
    t->turn = 0;
    t->answers = 0;
    shuffle(t);
}

static void end_round(struct topology *t, uint64_t now, uint64_t wait)
{
    t->in_round = false;
    t->next_at = now + jittered(t, wait);
    slotmap_free(t->best);
    t->best = NULL;
}

struct topology_step topology_next(struct topology *t, uint64_t now)
{
    if (t->asking)
        return (struct topology_step){ .want = TOPOLOGY_WAIT, .at = UINT64_MAX };
    if (!t->in_round && now < t->next_at)
        return (struct topology_step){ .want = TOPOLOGY_WAIT, .at = t->next_at };
    if (!t->in_round)
        begin_round(t, now);
    struct topology_step step = { .want = TOPOLOGY_ASK };
    if (t->turn < t->known_count)
        step.who = t->known[t->turn];
    else
        step.who = t->seeds[t->turn - t->known_count];
    t->turn++;
    t->asking = true;
    return step;
}

void topology_poke(struct topology *t, uint64_t now)
{
    if (t->in_round)
        return;
    uint64_t soonest = t->ever ? t->last_round + t->options.min_interval : now;
    if (soonest < now)
        soonest = now;
    if (soonest < t->next_at)
        t->next_at = soonest;
}

uint64_t topology_due(const struct topology *t)
{
    if (t->asking)
        return UINT64_MAX;
    return t->in_round ? 0 : t->next_at;
}

/* --- answers ------------------------------------------------------------------------------- */

static void remember_nodes(struct topology *t, const struct slotmap *m)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->shard_count; i++)
        count += 1 + m->shards[i].replica_count;
    struct endpoint *known = malloc(sizeof(known[0]) * (count + 1));
    REQUIRE(known != NULL);
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->shard_count; i++) {
        known[n++] = m->shards[i].master;
        for (uint32_t j = 0; j < m->shards[i].replica_count; j++)
            known[n++] = m->shards[i].replicas[j];
    }
    free(t->known);
    t->known = known;
    t->known_count = n;
}

static struct slotmap *adopt(struct topology *t, uint64_t now, struct slotmap *map)
{
    remember_nodes(t, map);
    t->retry = t->options.retry;
    if (t->best == map)
        t->best = NULL;
    end_round(t, now, t->options.interval);
    return map;
}

/* The candidates are used up: the best that was heard, or a new round after a back-off. */
static struct slotmap *give_up_or_settle(struct topology *t, uint64_t now)
{
    if (t->turn < t->known_count + t->seed_count)
        return NULL;
    if (t->best != NULL)
        return adopt(t, now, t->best);
    uint64_t wait = t->retry;
    t->retry = t->retry * 2 < t->options.interval ? t->retry * 2 : t->options.interval;
    end_round(t, now, wait);
    return NULL;
}

struct slotmap *topology_answered(struct topology *t, uint64_t now, struct slotmap *map,
                                  const struct slotmap *current)
{
    REQUIRE(t->asking);
    t->asking = false;
    t->answers++;
    if (current == NULL || map->covered >= current->covered)
        return adopt(t, now, map);
    if (t->best == NULL || map->covered > t->best->covered) {
        slotmap_free(t->best);
        t->best = map;
    } else {
        slotmap_free(map);
    }
    if (t->answers >= ASK_ABOUT_LOSS)
        return adopt(t, now, t->best);
    return give_up_or_settle(t, now);
}

struct slotmap *topology_failed(struct topology *t, uint64_t now)
{
    REQUIRE(t->asking);
    t->asking = false;
    return give_up_or_settle(t, now);
}
