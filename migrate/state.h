/*
 * state.h: what a sync has to remember so that a later one can go on: a small file in its state
 * directory, beside the spool's.
 *
 * Written as a whole under another name, brought to the disk, and renamed; so a crash leaves the
 * old one or the new one. Only one process at a time may hold the directory.
 */
#ifndef MIGRATE_STATE_H
#define MIGRATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

enum { STATE_ID_LEN = 40, STATE_TOKEN_LEN = 16, STATE_NAME_MAX = 64, STATE_PEERS_MAX = 64 * 24 };

struct state {
    char name[STATE_NAME_MAX + 1];
    char boot[STATE_ID_LEN + 1];     /* of the machine: after another one the page cache is gone */
    char token[STATE_TOKEN_LEN + 1]; /* of the process that wrote it, see owner.h */
    char work[STATE_TOKEN_LEN + 1];  /* of the one that began; "": nothing can be gone on with */
    char history[STATE_ID_LEN + 1];  /* the source's replication id when the copy began */
    char id[STATE_ID_LEN + 1];       /* the one it has now */
    char peers[STATE_PEERS_MAX + 1]; /* of the target (target.h), with blanks between them */
    uint64_t begin, payload;         /* position of the full copy's payload in the spool, and of
                                        its end; payload 0: it is not whole */
    uint64_t stream;                 /* offset of the last byte before the stream */
    uint64_t copied, masters;        /* while it is not live: offset in the payload before which all
                                        keys are at the target, if it still has these masters */
    uint64_t sweep;                  /* 1: an earlier copy may have left keys that this one lacks */
    uint64_t live;                   /* 1: all of the payload is at the target */
    uint64_t applied, db;            /* as in apply.h */
    uint64_t spool_begin, spool_end; /* of which all is on the disk */
};

/* Gives a descriptor that holds the directory until it is closed; or minus an errno, EWOULDBLOCK:
   another process has it. */
MUST_USE int state_lock(const char *folder);
/* 0, ENOENT, EINVAL (it is no state file) or another errno. */
MUST_USE int state_read(struct state *s, const char *folder);
/* Whether one could be written now, there being none yet or not. 0 or an errno. */
MUST_USE int state_try(const char *folder);
/* 0 or an errno. */
MUST_USE int state_write(const struct state *s, const char *folder);
/* There is none any more. */
void state_remove(const char *folder);
/* This machine's boot. */
void state_boot(char out[STATE_ID_LEN + 1]);

#endif
