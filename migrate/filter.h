/*
 * filter.h: which keys, commands, types and databases go over to the target. Pure.
 *
 * The same for the full copy and for the stream. Of each pair of lists: with an `include` only what
 * it names, and never what an `exclude` names. Keys go by the names that they have at the source.
 */
#ifndef MIGRATE_FILTER_H
#define MIGRATE_FILTER_H

#include "base/option.h"
#include "migrate/key_owner.h"
#include "migrate/rdb_type.h"

/* What becomes of a command about keys that go over and keys that do not, where it cannot be taken
   apart. */
enum filter_mixed { FILTER_MIXED_FAIL, FILTER_MIXED_APPLY, FILTER_MIXED_DROP };

enum filter_verdict {
    FILTER_TAKE,
    FILTER_OUT,
    FILTER_STALE,    /* a stale copy: its owner is another source */
    FILTER_REPORTED, /* likewise, but it is to be taken, and counted */
};

struct filter_lists {
    struct option_list include, exclude; /* borrowed */
};

struct filter {
    struct filter_lists keys, commands, types, databases;
    int mixed;               /* enum filter_mixed */
    struct key_owner *owner; /* borrowed; NULL: every key is ours */
    bool report;             /* stale copies are taken, too */
};

/* Whether it lets everything through. */
bool filter_is_empty(const struct filter *f);
enum filter_verdict filter_key(const struct filter *f, struct span key);
bool filter_command(const struct filter *f, struct span name);
bool filter_type(const struct filter *f, enum rdb_kind kind);
/* The type that a command of the stream is about; those about keys of any type pass. */
bool filter_type_of_command(const struct filter *f, struct span name);
bool filter_database(const struct filter *f, uint64_t db);
/* "string", "hash" ...; for the options: NULL, or what is wrong. */
const char *filter_type_fault(const char *text);
const char *filter_database_fault(const char *text);

#endif
