/*
 * receipts.h: when which part of the stream was received, to some 20 ms. Times to live that a
 * source older than 7.0 counts from now, count from then.
 *
 * Offsets are added in ascending order, and asked for in ascending order between two rewinds. What
 * lies before `applied` is forgotten. Zeroed memory is an empty one.
 */
#ifndef MIGRATE_RECEIPTS_H
#define MIGRATE_RECEIPTS_H

#include <stdint.h>

struct receipt;

struct receipts {
    struct receipt *all; /* owned */
    uint32_t first, at, end, room;
};

/* The stream up to that offset was there at that time (ms since 1970). */
void receipts_add(struct receipts *r, uint64_t offset, int64_t ms);
/* When the byte at that offset was received; 0 when nothing is known. */
int64_t receipts_time(struct receipts *r, uint64_t offset, uint64_t applied);
void receipts_rewind(struct receipts *r); /* offsets from `applied` on are asked for again */
void receipts_close(struct receipts *r);

#endif
