/*
 * repair.h: keys compared with the source and brought over again, exactly, while the stream runs.
 *
 * What the source answers to DUMP is the key as it was at one point of the stream. Written at
 * another point, commands of the stream would be lost or have their effect twice. So the source
 * tells both in one transaction, the stream is applied up to that very point and no further, the
 * value is written, and the stream goes on:
 *
 *   PICK some keys -> HOLD (the stream stands; all that was sent is answered)
 *     -> ASK the source: MULTI, INFO replication, PTTL and DUMP of each, EXEC (repair_fetch.h)
 *     -> REACH (the stream goes on up to that offset) -> WRITE: RESTORE or DEL, and DUMP behind it,
 *        one transaction for each key -> compared, and the stream goes on -> PICK
 *
 * Values are read while they are written, so a large one keeps the stream waiting for as long as
 * it takes, but needs no memory.
 *
 * A writer needs not stop for it. What fails stays in the set (dirty.h) and stops nothing. A key
 * that is only compared (a sample) is added to the set when it differs.
 *
 * Knows no lane and no marker: at the point all of the stream before it is answered. Whoever goes
 * back in the stream after a lost connection calls repair_interrupt.
 */
#ifndef MIGRATE_REPAIR_H
#define MIGRATE_REPAIR_H

#include "migrate/apply.h"
#include "migrate/dirty.h"
#include "migrate/repair_fetch.h"

enum { REPAIR_BATCH = 16, REPAIR_SAMPLE_MAX = 100000 };

struct repair_counters {
    uint64_t repaired, failed; /* keys; failed: they are in the set again */
    uint64_t compared, differing;
    uint64_t given_up; /* works that did not come to their end */
};

struct repair_batch;

struct repair {
    struct net *net;
    const struct target_options *source_options;
    const struct copy_options *options;
    struct target *target;
    struct apply *apply;
    struct dirty dirty;
    struct repair_counters counters;
    uint64_t stop_at;   /* the stream may be applied up to this offset */
    const char *unable; /* why the source cannot be asked; NULL: it can */
    /* Private from here on. */
    struct target source; /* as any client sees it; opened at the first need */
    struct repair_fetch fetch;
    struct copy_options copy_options; /* as options, but keys are always replaced */
    struct copy copy;                 /* of values that are built; opened with the stream */
    struct repair_batch *batch;       /* at work; NULL: none */
    uint8_t state, work;              /* enum state; enum repair_work */
    bool opened, ready, closing;
    uint64_t since; /* ms: when the state began */
    uint64_t to_sample, sampled;
    struct writer names; /* the answer of the source: keys to compare */
};

/* Borrows all of it; options as for the copy. path: the file of the set. keep: what an
   earlier run has left in it. */
void repair_open(struct repair *r, struct net *net, const struct target_options *source,
                 const struct copy_options *options, const char *path, bool keep);
/* The stream has been opened: from now on there may be work. */
void repair_attach(struct repair *r, struct target *target, struct apply *apply);
void repair_close(struct repair *r);
/* Behind the loop. */
void repair_free(struct repair *r);

/* Compares so many keys that the source chooses; or repairs all of the set. Only when idle. */
void repair_sample(struct repair *r, uint64_t keys);
void repair_pass(struct repair *r);
bool repair_is_idle(const struct repair *r);
/* Keys that are not known to be right: those of the set, and those that are being repaired. */
uint64_t repair_left(const struct repair *r);
/* In each turn, before the stream is applied. */
void repair_turn(struct repair *r);
/* Behind it. */
void repair_turn_end(struct repair *r);
/* Ends what is under way as soon as it can; no more of the stream will come. */
void repair_stop(struct repair *r);
/* The stream begins again further back; calls to the target are lost. */
void repair_interrupt(struct repair *r);
/* Opens the way to the source. False: not yet; see unable. */
bool repair_reach_source(struct repair *r);

#endif
