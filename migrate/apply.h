/*
 * apply.h: the commands of a replication stream, brought to the target.
 *
 * Splits the stream into commands, makes of each what a cluster can execute (apply_rules.c), and
 * sends them with the order kept on each slot. What cannot be applied is told, counted, and stops
 * nothing; only commands that would empty a target that others may share end the copy.
 *
 * With markers each command is executed once (lane.h): when `broken` is set the user finds out how
 * far each slot has come (mend.h) and calls apply_rewind. Without, a command whose connection is
 * lost before its answer is sent again.
 *
 * `applied` is the offset up to which everything has been answered: what may be acknowledged, and
 * where a rewind may begin. It never lies inside a transaction.
 */
#ifndef MIGRATE_APPLY_H
#define MIGRATE_APPLY_H

#include "cluster/keys.h"
#include "migrate/copy.h"
#include "migrate/lane.h"
#include "migrate/receipts.h"
#include "resp/request.h"

struct apply_counters {
    uint64_t commands; /* read from the stream */
    uint64_t sent;     /* to the target; a DEL of three keys is three */
    uint64_t dropped;  /* no change of data: PING, PUBLISH, MULTI ... */
    uint64_t other_database;
    uint64_t skipped;          /* sent before a rewind, and executed then */
    uint64_t filtered;         /* not meant to go over */
    uint64_t mixed;            /* keys that go over and keys that do not: left out, or applied */
    uint64_t stale;            /* about keys whose owner is another source */
    uint64_t failed;           /* not applied */
    uint64_t parted;           /* transactions that the target cannot execute as one */
    uint64_t field_times_lost; /* the target keeps none */
};

struct apply {
    struct target *target;
    const struct copy_options *options;
    struct apply_counters counters;
    uint64_t offset;     /* of the last byte of the last command read */
    uint64_t applied;    /* see above */
    uint64_t stop_at;    /* nothing is taken behind it, but the rest of a transaction; the user's */
    uint64_t applied_db; /* the database that is selected there */
    bool broken;         /* see above */
    bool parted;         /* this transaction is about several slots */
    const char *error;   /* why it cannot go on; NULL so far */
    /* Private from here on. */
    uint64_t ack_first, ack_last; /* GETACK: what is to be applied before the answer; 0: none */
    uint64_t db;
    struct request_parser parser;
    struct arg_room args;
    struct writer input;    /* what has been taken of the bytes, but not yet as commands */
    bool waits;             /* there may be a whole one among them */
    struct writer command;  /* scratch */
    struct list_node marks; /* commands that are not answered, oldest first */
    struct slab mark_slab;
    struct apply_mark *mark; /* of the command that is being handled */
    struct receipts receipts;
    struct apply_known *known; /* commands and scripts (apply_known.c) */
    struct apply_flush *flush; /* while one is under way (apply_flush.c) */
    struct across *across;     /* commands between slots (apply_across.h) */
    int64_t now;               /* ms since 1970: when the command was received */
    bool barrier;              /* nothing may be sent before all is answered */
    bool border;               /* ... and what is before it must never be sent again */
    /* Between MULTI and EXEC: commands in one slot that go together, and the mark of MULTI, which
       keeps `applied` from passing it. */
    struct apply_mark *multi;
    struct writer group, group_key, group_name, group_keys;
    uint64_t group_offset; /* of its last command */
    uint32_t group_count;
    bool group_absolute;
    bool codis_warned;
    bool cross; /* the command at hand lies in several slots */
    bool exact;
    void (*on_border)(void *context);
    void *context;
    struct lanes lanes;  /* with exact */
    uint64_t *skip;      /* of each slot: up to where it has been executed */
    uint64_t skip_max;   /* the highest of them */
    uint64_t replay_end; /* up to here commands may be executed again */
};

/* Where the stream begins, and what the markers of a target that takes them are called. */
struct apply_start {
    uint64_t offset, db; /* the last byte before the stream; the database that is selected */
    const char *marker;  /* as in lane.h; NULL: none */
    const char *history;
    /* Around a command without a marker, over all slots: all up to `applied` is for good. */
    void (*on_border)(void *context);
    void *context;
};

enum apply_result { APPLY_BAD = -1, APPLY_MORE = 0, APPLY_FULL };

/* Borrows options, a target that is ready, and the marker's name. */
void apply_open(struct apply *a, const struct copy_options *options, struct target *target,
                const struct apply_start *start);
void apply_close(struct apply *a); /* the target is closed before */
/* The stream up to that offset has been received at that time; for times to live that a source
   older than 7.0 counts from then. */
void apply_received(struct apply *a, uint64_t offset, int64_t ms);
void apply_select(struct apply *a, uint64_t db); /* before the first byte: in this database */
/* bytes may be none: to go on with what it has kept. */
enum apply_result apply_take(struct apply *a, struct span bytes, size_t *used);
bool apply_wants_ack(struct apply *a); /* true once for each GETACK that is due now */
void apply_send_held(struct apply *a); /* in each turn: sends what waited for an answer */
/* What comes next is the stream behind that offset once more. target_drop has been called. skip:
   up to where each slot has executed it; copied. end: what lies behind was never sent. */
void apply_rewind(struct apply *a, uint64_t offset, uint64_t db, uint64_t end,
                  const uint64_t *skip);
/* All that can be is answered; half a transaction stays unsent until its EXEC comes. */
bool apply_is_done(const struct apply *a);

#endif
