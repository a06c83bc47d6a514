/*
 * expiry.h: deferred expiry: keys must not die at the target before the source says so.
 *
 * The target is a master and expires by its own clock. A key whose time is renewed at the source
 * would die there in between, if the copy, or the stream, is behind; INCR or RPUSH would then begin
 * from nothing. So, while anything is behind, a key that would expire within EXPIRY_HORIZON_MS gets
 * so much more time, and its true moment is held. The source's own DEL removes it at the right one.
 *
 *   HOLDING (full copy, and whenever the stream lags) --caught up, and calm for a while-->
 *   SETTLING (each key held gets its true time, behind all that has been sent about it) --> LIVE
 *
 * LIVE: a time from the stream gets the slack added, against shorter lags.
 * Sends through the target; times are milliseconds since 1970 and come from outside.
 */
#ifndef MIGRATE_EXPIRY_H
#define MIGRATE_EXPIRY_H

#include <stdbool.h>

#include "migrate/expiry_table.h"
#include "migrate/target.h"

enum { EXPIRY_HORIZON_MS = 24 * 60 * 60 * 1000, EXPIRY_LAG_MS = 1000 };

struct expiry_options {
    const char *folder; /* for what is held */
    int64_t slack;      /* ms */
    int64_t calm;       /* ms without a lag before keys are settled */
};

struct expiry {
    const struct expiry_options *options;
    struct target *target;
    struct expiry_table table;
    struct writer command;             /* scratch */
    int64_t calm_since;                /* 0: it lags */
    bool live, broken;                 /* broken: nothing can be held any more */
    uint64_t deferred, settled, unset; /* keys: held so far; given their time; where that failed */
    uint32_t pending;                  /* commands not answered */
};

/* Borrows options and target. */
void expiry_open(struct expiry *e, const struct expiry_options *options, struct target *target);
/* The target is closed before. */
void expiry_close(struct expiry *e);

/* The time to give a key of the full copy that expires at that moment. key: at the target. */
int64_t expiry_of_copy(struct expiry *e, struct span key, int64_t at, int64_t now);
/* The same for a command of the stream, which was received at that moment. */
int64_t expiry_of_stream(struct expiry *e, struct span key, int64_t at, int64_t received,
                         int64_t now);
/* The same for a field of a hash: nothing is held, but it is not set into the past. */
int64_t expiry_of_field(const struct expiry *e, int64_t at, int64_t now);
/* The true time of a key that is held back, 0: it is not; and such a time for a key that has just
   been written with what its time to live was there. */
int64_t expiry_held(const struct expiry *e, struct span key);
void expiry_give(struct expiry *e, struct span key, int64_t at);
/* RENAME or COPY takes the time along. */
void expiry_follow(struct expiry *e, struct span from, struct span to);

/* At the end of a turn, behind the full copy. behind: there is more of the stream than has been
   sent. */
void expiry_turn(struct expiry *e, bool behind, int64_t now);
/* Everything under way at the target has been dropped: nobody knows whether it was done, so those
   keys count as unset. */
void expiry_forget(struct expiry *e);
/* At the end of all: settles what it can at once. True: nothing is held or unanswered any more. */
bool expiry_settle(struct expiry *e, int64_t now);

#endif
