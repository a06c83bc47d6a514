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
 *
 * The same for single fields of hashes (expiry_fields.h).
 * Sends through the target; times are milliseconds since 1970 and come from outside.
 */
#ifndef MIGRATE_EXPIRY_H
#define MIGRATE_EXPIRY_H

#include <stdbool.h>

#include "migrate/expiry_fields.h"
#include "migrate/target.h"

enum { EXPIRY_HORIZON_MS = 24 * 60 * 60 * 1000, EXPIRY_LAG_MS = 1000 };

struct copy_options;

struct expiry_options {
    const char *folder;              /* for what is held */
    int64_t slack;                   /* ms */
    int64_t calm;                    /* ms without a lag before keys are settled */
    const struct copy_options *copy; /* tells what labels mean (databases.h) */
};

struct expiry {
    const struct expiry_options *options;
    struct target *target;
    struct expiry_table table; /* keys */
    struct expiry_fields fields;
    struct writer command; /* scratch */
    int64_t calm_since;    /* 0: it lags */
    int64_t settled_at;    /* when the last time was answered */
    bool live;
    int broken;   /* errno: something cannot be held */
    bool returns; /* the user's: it calls expiry_go_back when one is refused, or may be lost */
    bool refused; /* a time was, for now; with `returns` */
    /* Keys and fields: held so far; given their time; where that failed. */
    uint64_t deferred, settled, unset;
    uint32_t pending; /* commands not answered */
};

/* Borrows options and target. */
void expiry_open(struct expiry *e, const struct expiry_options *options, struct target *target);
/* Before anything else: what is held stays in that folder, for a later program. */
void expiry_keep(struct expiry *e, const char *folder);
/* The target is closed before. */
void expiry_close(struct expiry *e);

/* The time to give a key of the full copy that expires at that moment. key: its label
   (databases.h), here as everywhere. */
int64_t expiry_of_copy(struct expiry *e, struct span key, int64_t at, int64_t now);
/* The same for a command of the stream, which was received at that moment. */
int64_t expiry_of_stream(struct expiry *e, struct span key, int64_t at, int64_t received,
                         int64_t now);
/* The same for a field of a hash of the full copy, which began to be written at that moment: what
   is held of one hash gets the same time. */
int64_t expiry_of_copied_field(struct expiry *e, struct span key, struct span field, int64_t at,
                               int64_t begun);
/* The same for fields in the stream. */
int64_t expiry_of_fields(struct expiry *e, struct span key, const struct span *fields,
                         uint32_t count, int64_t at, int64_t received, int64_t now);
/* Whether times that were received at that moment are held. */
bool expiry_is_behind(const struct expiry *e, int64_t received, int64_t now);
/* The true time of a key that is held back, 0: it is not; and such a time for a key that has just
   been written with what its time to live was there. */
int64_t expiry_true_time(const struct expiry *e, struct span key);
void expiry_give(struct expiry *e, struct span key, int64_t at);
/* RENAME or COPY takes the time along. True: but not those of its fields, which are held and will
   not be set. */
MUST_USE bool expiry_follow(struct expiry *e, struct span from, struct span to);
/* There is another value with its own times now, or none; nothing of the key is held any more. */
void expiry_forget_key(struct expiry *e, struct span key);
/* Keys and fields. */
uint64_t expiry_held(const struct expiry *e);

/* At the end of a turn, behind the full copy. behind: there is more of the stream than has been
   sent. */
void expiry_turn(struct expiry *e, bool behind, int64_t now);
/* What comes next is at that offset of the stream; 0: in the full copy. Never smaller, but behind
   expiry_again and expiry_go_back. */
void expiry_at(struct expiry *e, uint64_t offset);
/* The stream begins again behind that offset, perhaps of an earlier program; nothing is under way
   at the target. What was held there is held again, settled or not. 0 or an errno. */
MUST_USE int expiry_go_back(struct expiry *e, uint64_t offset);
/* What is held is on the disk. 0 or an errno. */
MUST_USE int expiry_sync(struct expiry *e);
/* An errno: what is to be held cannot be put down. Then it has got more time, so that it does not
   die early, and the user must not go on: nobody will know its true time. */
int expiry_error(const struct expiry *e);
/* A new full copy begins, and nothing is under way at the target: nothing is held. */
void expiry_again(struct expiry *e);
/* At the end of all: settles what it can at once. True: nothing is held or unanswered any more. */
bool expiry_settle(struct expiry *e, int64_t now);
/* Behind that, and when a later program would begin here: it need not set them all again. */
void expiry_end(struct expiry *e);

#endif
