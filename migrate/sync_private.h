/*
 * sync_private.h: one sync, as its parts know it. Private to sync*.c.
 *
 *   sync.c        the way of the bytes: source -> spool -> copy, then stream
 *   sync_desk.c   the operator's commands, repairs, cutover, progress
 *   sync_numbers.c  what it tells of itself
 *   sync_again.c  a full copy behind an earlier one, and what it has to sweep away
 *   sync_masters.c  which masters the target has, and what one that gave way may have lost
 *   sync_keep.c   what is kept for a later start, and the way back after something broke
 */
#ifndef MIGRATE_SYNC_PRIVATE_H
#define MIGRATE_SYNC_PRIVATE_H

#include "migrate/apply.h"
#include "migrate/config.h"
#include "migrate/expiry.h"
#include "migrate/mend.h"
#include "migrate/owner.h"
#include "migrate/run.h"
#include "migrate/spool.h"
#include "migrate/sweep.h"

/*
 *   the source's bytes -> spool (all of them, in order) -> pump, at the end of each turn:
 *     COPYING (the payload; copy.h) -> SETTLING (its last answers) -> LIVE (the stream; apply.h)
 *     Behind an earlier copy of the same target: SETTLING -> SWEEPING (sweep.h) -> LIVE.
 *
 *   before, with markers: WAITING -> CLAIMING (owner.h) -> MENDING -> COPYING, or LIVE when a state
 *   is gone on with. LIVE -> MENDING -> LIVE when a connection to the target was lost: the stream
 *   is sent again from where everything was answered, without what the markers say to be there.
 *   At the end LIVE -> CLEANING (our own keys) -> closed.
 *
 *   The stream begins only when every key of the payload is there, so no command meets a key that
 * an older RESTORE then overwrites. SIGINT, SIGTERM: the source is read no further; what the spool
 *   has is applied, then everything closes. A second one: at once.
 */
enum sync_phase {
    SYNC_WAITING,
    SYNC_CLAIMING,
    SYNC_MENDING,
    SYNC_COPYING,
    SYNC_SETTLING,
    SYNC_SWEEPING,
    SYNC_LIVE,
    SYNC_CLEANING,
};

enum { SYNC_BUFFER = 256 * 1024, SYNC_SAFE_S = 60 };

/* A point of the stream where a replay may begin. */
struct sync_point {
    uint64_t offset, db;
};

struct sync {
    const struct config *config;
    struct copy_options copy_options;
    struct run run;
    struct target target;
    struct source source;
    struct spool spool;
    struct copy copy;
    struct expiry expiry;
    struct apply apply;
    uint64_t begun;
    uint8_t phase; /* enum sync_phase */
    bool reading;  /* the source has been opened */
    bool copying;  /* copy has been opened */
    bool applying, payload_whole, copied, stopping, failed, closing;
    bool copy_lost;       /* of sync_masters.c: a master has given way in the copy */
    bool copy_incomplete; /* keys of it may be missing for good */
    size_t at, len;       /* in the buffer: taken, and all */
    /* Of sync_keep.c. */
    bool exact, resumed;
    bool payload_gone; /* the spool could not keep it */
    int lock;
    struct state state; /* what was written last; live etc. say what is gone on with */
    struct mend mend;
    struct owner owner;
    uv_timer_t tick;
    uint64_t lost_links;                 /* of the router, when all was well */
    uint32_t epoch;                      /* of its map, then */
    uint32_t *masters;                   /* for each slot the fingerprint of its master, then */
    struct sync_point safe[SYNC_SAFE_S]; /* one for each second, the oldest first */
    uint32_t safe_count;
    uint64_t mends;
    /* Of sync_again.c. */
    struct key_set keys; /* of this full copy, when it is swept behind it */
    struct sweep sweep;
    struct apply_counters before; /* of the streams behind earlier copies */
    bool again;                   /* the next full copy begins when all is in order again */
    struct sync_desk *desk;       /* of sync_desk.c; NULL: not opened */
    bool held;                    /* nothing is written to the target */
    char buffer[SYNC_BUFFER];
};

/* sync.c */
void sync_give_up(struct sync *s, const char *why);
/* What of ours lies in that folder; an errno. The first one only says why, before the loop runs. */
void sync_say_file(struct sync *s, const char *what, const char *folder, int error);
void sync_give_up_file(struct sync *s, const char *what, const char *folder, int error);
const char *sync_folder(const struct sync *s); /* of the spool */
void sync_close(struct sync *s);
/* As SIGTERM does. */
void sync_stop(struct sync *s);
/* Behind the end: all that should be has been done. */
bool sync_is_good(const struct sync *s);
/* Opens the source, and the copy or the stream, as the state says. */
void sync_begin(struct sync *s);
void sync_open_stream(struct sync *s, uint64_t offset, uint64_t db);

#endif
