/*
 * verify_check.h: one key at two servers: asked for, compared.
 */
#ifndef MIGRATE_VERIFY_CHECK_H
#define MIGRATE_VERIFY_CHECK_H

#include "migrate/rdb_digest.h"
#include "migrate/target.h"

enum verify_result {
    VERIFY_SAME,
    VERIFY_MISSING, /* at the target */
    VERIFY_EXTRA,   /* at the target */
    VERIFY_CONTENT,
    VERIFY_TIME,
    VERIFY_FIELD_TIME,
    VERIFY_UNKNOWN, /* an error instead of an answer, or a payload that cannot be read */
};

struct verify_check;
typedef void verify_check_done(void *context, struct span key, enum verify_result result);

/* Asks both; done comes later, once, unless a server is closed before. Lists itself in `all` until
   then. */
void verify_check_start(struct list_node *all, struct target *source, struct target *target,
                        struct span key, uint64_t tolerance_ms, verify_check_done *done,
                        void *context);
/* Frees those that are left, once the servers are closed. */
void verify_check_free_all(struct list_node *all);
/* "the target lacks it" */
const char *verify_result_text(enum verify_result r);

#endif
