/*
 * verify_databases.h: which databases verify looks through on both sides, and which key of the
 * target is which of the source. Pure.
 */
#ifndef MIGRATE_VERIFY_DATABASES_H
#define MIGRATE_VERIFY_DATABASES_H

#include "migrate/databases.h"

enum { VERIFY_DATABASES_MAX = 1024 };

struct verify_databases {
    const struct copy_options *options;
    uint16_t at_source[VERIFY_DATABASES_MAX], at_target[VERIFY_DATABASES_MAX];
    uint32_t sources, targets;
};

/* Borrows the options. keyspace: the source's INFO keyspace, of use if any database goes over. */
void verify_databases_init(struct verify_databases *d, const struct copy_options *options,
                           struct span keyspace);
/* Whether keyspace is needed. */
bool verify_databases_ask(const struct copy_options *options);
/* The key of the source, and its database, that is called so in that database of the target. A name
   "db3:key" that no database of the source has led to is one of database 0. */
struct span verify_databases_source(const struct verify_databases *d, uint16_t database,
                                    struct span name, uint16_t *source);
/* The other way: lent by room, an open writer, or the key itself. */
struct span verify_databases_target(const struct verify_databases *d, uint16_t source,
                                    struct span key, struct writer *room, uint16_t *database);

#endif
