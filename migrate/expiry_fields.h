/*
 * expiry_fields.h: the times of single hash fields that are held back (expiry.h).
 *
 * A table of moments for fields, as expiry_table.h keeps one for keys. A hash that is replaced by
 * another one takes all that is held of it with it: each hash has a number that stands in the
 * names of its fields and is counted up then, so that nobody has to know which fields those are.
 */
#ifndef MIGRATE_EXPIRY_FIELDS_H
#define MIGRATE_EXPIRY_FIELDS_H

#include "migrate/expiry_table.h"

struct expiry_fields {
    struct expiry_table fields, hashes; /* moments; the numbers of those that have any */
    struct writer name;                 /* scratch */
};

void expiry_fields_open(struct expiry_fields *f, const char *folder);
/* Forgets everything; may be called twice, and f be used again. */
void expiry_fields_clear(struct expiry_fields *f);
/* at: not 0. Gives 0 or an errno; then the field is not held. */
MUST_USE int expiry_fields_put(struct expiry_fields *f, struct span key, struct span field,
                               int64_t at);
void expiry_fields_forget(struct expiry_fields *f, struct span key, struct span field);
/* There is another hash of that name now, or none. True: some field of it may have been held. */
bool expiry_fields_replace(struct expiry_fields *f, struct span key);

struct expiry_field {
    struct span key, name; /* lent until the next call */
    int64_t at;
};

/* The walk over all that is held, which is settled with that. 1, 0 at the end, or minus an
   errno. */
MUST_USE int expiry_fields_next(struct expiry_fields *f, struct expiry_field *out);

#endif
