/* target_options.h: how to reach a server, or several, and how much of it to use at once. */
#ifndef MIGRATE_TARGET_OPTIONS_H
#define MIGRATE_TARGET_OPTIONS_H

#include "base/endpoint.h"
#include "net/tls.h"

struct target_options {
    struct endpoint *endpoints; /* borrowed */
    uint32_t endpoint_count;
    bool cluster;                              /* they are seeds */
    const char *user, *password;               /* NULL: none */
    const char *name;                          /* of our connections, for a fence; NULL: none */
    struct tls_context *tls;                   /* NULL: plain */
    uint64_t connect_timeout, request_timeout; /* ms; the second one with all retries */
    uint64_t window_bytes; /* in flight; past it, or so many commands, target_has_room is false */
    uint32_t window;
    const uint16_t *databases; /* borrowed, up to a 0: that it has to have beside 0; or NULL */
    uint64_t rate_bytes, rate_commands; /* a second, past which target_has_room is false; 0: any */
};

#endif
