/*
 * progress.h: how fast a sync comes on, and a line about it: over and over the same one on a
 * terminal, else one in the log now and then. Pure, but for the writing.
 */
#ifndef MIGRATE_PROGRESS_H
#define MIGRATE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* What the user knows, once a second. */
struct progress_now {
    const char *phase;
    uint64_t ms;       /* of a clock that does not jump */
    uint64_t items;    /* keys of the copy, or commands of the stream */
    uint64_t bytes;    /* of the payload that have been read */
    uint64_t total;    /* of the payload; 0: nobody knows */
    uint64_t received; /* offsets of the stream */
    uint64_t applied;
    uint64_t failed, dirty;
    bool copying;
};

struct progress {
    struct progress_now now;
    double items_rate, bytes_rate;   /* a second, smoothed */
    uint64_t probe_offset, probe_ms; /* the lag: since when that offset is awaited */
    uint64_t lag_ms;                 /* the last one that has been measured */
    uint64_t told_ms;
    bool probing, terminal, shown;
};

void progress_init(struct progress *p, bool terminal);
/* At any time; cheap. */
void progress_lag(struct progress *p, uint64_t received, uint64_t applied, uint64_t ms);
/* Offsets begin anew: those of before mean nothing any more. */
void progress_lag_again(struct progress *p);
/* Once a second: takes the rates and tells. */
void progress_tell(struct progress *p, const struct progress_now *now);
/* The end of the line on a terminal. */
void progress_end(struct progress *p);

uint64_t progress_lag_ms(const struct progress *p, uint64_t ms);
/* Seconds until the copy is read; UINT64_MAX: nobody knows. */
uint64_t progress_eta(const struct progress *p);

#endif
