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
/* The key at the source, and its database there. */
typedef void verify_check_done(void *context, uint16_t database, struct span key,
                               enum verify_result result);

/* What is asked of one server. */
struct verify_side {
    struct target *server;
    uint16_t database;
    struct span key;
};

/* Asks both; done comes later, once, unless a server is closed before. Lists itself in `all` until
   then. */
void verify_check_start(struct list_node *all, const struct verify_side *source,
                        const struct verify_side *target, uint64_t tolerance_ms,
                        verify_check_done *done, void *context);
/* Frees those that are left, once the servers are closed. */
void verify_check_free_all(struct list_node *all);
/* "the target lacks it" */
const char *verify_result_text(enum verify_result r);

#endif
