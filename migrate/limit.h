/*
 * limit.h: how fast a target may be written to, in bytes and in commands a second. Pure; the time
 * comes from outside.
 *
 * Two buckets that fill all the time and hold a tenth of a second's worth. A command may take more
 * than there is, because it cannot be parted; the next one waits until the debt is paid.
 */
#ifndef MIGRATE_LIMIT_H
#define MIGRATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct limit_bucket {
    uint64_t rate; /* a second; 0: no limit */
    double level;  /* below 0: a debt */
};

struct limit {
    struct limit_bucket bytes, commands;
    uint64_t at; /* ms: when the buckets were filled last */
};

void limit_init(struct limit *l, uint64_t bytes, uint64_t commands, uint64_t now_ms);
/* Milliseconds until something may be sent; 0: now. */
uint64_t limit_wait(struct limit *l, uint64_t now_ms);
void limit_spend(struct limit *l, uint64_t bytes, uint64_t commands);

#endif
