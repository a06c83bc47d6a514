/*
 * blocking.h: commands that wait (HOW_BLOCK): which way each goes, and where its timeout stands.
 */
#ifndef PROXY_BLOCKING_H
#define PROXY_BLOCKING_H

#include "proxy/client.h"

/* XREAD and XREADGROUP wait only with BLOCK, all others always. */
bool blocking_waits(const struct command *cmd, const struct argv *argv);
/* Whether it can be run with keys in several slots; learned commands cannot. */
bool blocking_may_be_wide(const struct command *cmd, const struct argv *argv);
/* Begins to wait. False: not now, the client is owed replies. What argv borrows is copied. */
MUST_USE bool blocking_start(struct client *c, const struct command *cmd, const struct argv *argv);

/* Where the command says how long it waits. */
struct blocking_timeout {
    uint32_t arg; /* 0: not known */
    bool in_ms;   /* an integer of milliseconds; else seconds with a fraction */
};

struct blocking_timeout blocking_timeout_of(const struct command *cmd, const struct argv *argv);
/* ms of loop time when it ends, BLOCKED_FOR_EVER for 0, and for one that the server will refuse. */
uint64_t blocking_deadline(const struct command *cmd, const struct argv *argv, uint64_t now);
/* The argument that makes it wait until then; at least a millisecond. */
struct span blocking_timeout_text(struct blocking_timeout t, uint64_t deadline, uint64_t now,
                                  char *room, size_t size);
enum { BLOCKING_TIMEOUT_MAX = 32 };

/* No lease is to be had. */
#define BLOCKING_LIMIT_ERROR                                                                       \
    SPAN("-ERR slotgate: too many commands wait at the same time (max-leases)\r\n")

/* The ways. Each begins. */
void blocking_wait(struct client *c, const struct command *cmd, const struct argv *argv);
void blocking_wide(struct client *c, const struct command *cmd, const struct argv *argv);
void blocking_single(struct client *c, const struct command *cmd, const struct argv *argv,
                     uint16_t slot);

#endif
