/*
 * scan_reply.h: a reply to SCAN, read from its bytes: where to go on, and the keys.
 */
#ifndef MIGRATE_SCAN_REPLY_H
#define MIGRATE_SCAN_REPLY_H

#include <stdbool.h>

#include "base/check.h"
#include "resp/span.h"

enum { SCAN_CURSOR_MAX = 24 };

/* Writes the cursor of the next SCAN, "0" at the end, and gives each key, lent during that call.
   False: it is no such reply; some keys may have been given by then. */
MUST_USE bool scan_reply_take(struct span bytes, char cursor[SCAN_CURSOR_MAX],
                              void (*on_key)(void *context, struct span key), void *context);

#endif
