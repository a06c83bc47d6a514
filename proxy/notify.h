/*
 * notify.h: tells systemd, if it started us and the program was built with libsystemd, how we do:
 * READY when every worker has listened once, RELOADING, STOPPING, and WATCHDOG as long as this
 * process runs and at least one worker shows signs of life.
 */
#ifndef PROXY_NOTIFY_H
#define PROXY_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct crew;

struct notify {
    uint64_t watchdog_pause; /* ms between signs of life; 0: systemd wants none */
    uint64_t watchdog_at;    /* ms */
    uint64_t beats;          /* of all workers, when last told */
    uint32_t serving;        /* as last told */
    bool ready;
};

void notify_open(struct notify *n);
/* To be called often. */
void notify_tick(struct notify *n, const struct crew *crew, uint64_t now);
/* The two enclose a reload, or a takeover that fails; after one that succeeds the new program says
   that it is ready by itself. */
void notify_reloading(struct notify *n);
void notify_reloaded(struct notify *n);
void notify_stopping(struct notify *n);

#endif
