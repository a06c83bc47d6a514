/* scan_fetch.h: one key of a server as any client gets it: DUMP, and PEXPIRETIME or PTTL. */
#ifndef MIGRATE_SCAN_FETCH_H
#define MIGRATE_SCAN_FETCH_H

#include "migrate/target.h"

/* All lent. payload: len 0: there is no such key any more. expire_at: ms since 1970, below 0:
   never. error: NULL, or why it could not be had. */
typedef void scan_fetch_done(void *context, struct span key, struct span payload, int64_t expire_at,
                             const char *error);

/* done comes later, once, unless the server is closed before. Lists itself in `all` until then. */
void scan_fetch_start(struct list_node *all, struct target *server, struct span key,
                      scan_fetch_done *done, void *context);
/* Frees those that are left, once the server is closed. */
void scan_fetch_free_all(struct list_node *all);

#endif
