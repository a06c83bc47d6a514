/*
 * cutover.h: the last look before clients go over from the source to the target.
 *
 *   PAUSING (the source holds back writes, if it shall) -> ASKING (how far the source is)
 *     -> CATCHING (until all of that is answered by the target) -> SETTLING (times to live that
 *     were held back) -> COMPARING (a sample) -> REPAIRING (the set, in some passes) -> over
 *
 * The stream goes on all the time, and behind it.
 */
#ifndef MIGRATE_CUTOVER_H
#define MIGRATE_CUTOVER_H

#include "migrate/repair.h"

struct cutover_user {
    void (*on_step)(void *context, const char *what);
    void (*on_over)(void *context, const char *error); /* NULL: see what repair has counted */
};

struct cutover {
    const struct cutover_user *user;
    void *context;
    struct repair *repair;
    const char *history;    /* of the stream, as it is now; "": the source knows none */
    uint64_t sample, pause; /* keys; ms */
    uint64_t offset;        /* of the source */
    struct repair_counters before;
    uint64_t remained; /* keys of the set at the last pass */
    uint8_t step;
    uint8_t passes;
    bool answered;
    char error[TARGET_ERROR_SHOWN];
    struct writer reply;
};

/* Borrows repair and history. */
void cutover_open(struct cutover *c, struct repair *repair, const char *history,
                  const struct cutover_user *user, void *context);
void cutover_free(struct cutover *c);
/* Only when it is not active. */
void cutover_start(struct cutover *c, uint64_t sample, uint64_t pause_ms);
bool cutover_is_active(const struct cutover *c);
/* In each turn in which the stream is applied. */
void cutover_turn(struct cutover *c);
void cutover_stop(struct cutover *c, const char *why);

#endif
