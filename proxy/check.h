/*
 * check.h: `slotgate --check`, for a health check that has no other program at hand, as in a
 * container.
 */
#ifndef PROXY_CHECK_H
#define PROXY_CHECK_H

#include "base/check.h"
#include "proxy/config.h"

/* Asks PING of whoever listens where this configuration says; blocks for three seconds per bind
   address at most. 0: one that serves answers. 1: none, and a line on stderr says why. */
MUST_USE int check_run(const struct config *c);

#endif
