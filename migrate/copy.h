/*
 * copy.h: brings an RDB file into the target: reads it, decides what becomes of each key, and keeps
 * count.
 *
 * A small value goes as RESTORE with its own bytes. One that is too large, or of a type that the
 * target does not know, is built under a temporary key in the same slot by commands, and renamed at
 * the end (build.h), so that nobody sees half of it. Never stops on a key that fails: it is told
 * and counted. Knows no file and no source; the bytes come from outside.
 */
#ifndef MIGRATE_COPY_H
#define MIGRATE_COPY_H

#include <stdio.h>

#include "migrate/dirty.h"
#include "migrate/expiry.h"
#include "migrate/filter.h"
#include "migrate/key_set.h"
#include "migrate/rdb_reader.h"
#include "migrate/rewrite.h"
#include "migrate/target.h"

enum copy_databases {
    COPY_DB_REFUSE, /* keys of another database than `only` are failures: nobody has said what to do
                       with them */
    COPY_DB_ONLY,   /* they are skipped */
    COPY_DB_PREFIX, /* a key of database N is called dbN:key, that of 0 stays as it is */
    COPY_DB_MAP,    /* each in a database of its own; what is not named is skipped */
};

enum { DATABASES_MAPPED_MAX = 64, DATABASES_NUMBER_MAX = 9999 };

struct database_map {
    uint32_t count;
    struct {
        uint16_t from, to;
    } rows[DATABASES_MAPPED_MAX];
};

enum copy_flush { COPY_FLUSH_REFUSE, COPY_FLUSH_APPLY, COPY_FLUSH_OWN, COPY_FLUSH_IGNORE };

struct copy_options {
    enum copy_databases databases;
    uint64_t only;               /* database */
    struct database_map map;     /* with COPY_DB_MAP (databases.h) */
    int flush;                   /* enum copy_flush: FLUSHALL and FLUSHDB in the stream */
    bool publish;                /* messages of the stream go over, too */
    uint64_t big_key;            /* bytes; values above it are built by commands */
    bool rewrite;                /* so are all others */
    bool replace;                /* keys that are there already; else each is a failure */
    bool skip_expired;           /* keys whose time is over */
    uint32_t builds;             /* keys that may be under construction at the same time */
    const struct filter *filter; /* NULL: everything goes over */
    struct expiry *expiry;       /* holds times to live back; NULL: nobody does */
    struct key_set *seen;        /* gets the names of all keys of the file; NULL: nobody does */
    struct dirty *dirty;         /* gets the keys that fail; NULL: nobody does */
    FILE *failed;                /* gets a line for each failure; NULL: only the log */
};

struct copy_counters {
    uint64_t keys, bytes; /* read */
    uint64_t before;      /* left out: they were there, see skip_to */
    uint64_t restored, rewritten;
    uint64_t expired, other_database, empty, filtered; /* skipped */
    uint64_t stale; /* copies whose owner is another source: skipped, or reported only */
    uint64_t failed, functions, functions_failed, field_times_lost;
};

enum copy_result {
    COPY_BAD = -1, /* the reader's error says why */
    COPY_MORE = 0, /* all bytes used */
    COPY_FULL,     /* too much is under way: go on after progress */
    COPY_END,      /* the file is whole; answers may still be awaited, see copy_is_done */
};

struct build;

/* Keys sent one behind the other; so one knows when all before some point are answered. */
struct copy_wave {
    struct copy *copy;
    uint64_t pending; /* of its keys */
};

struct copy {
    const struct copy_options *options;
    struct target *target;
    struct copy_counters counters;
    struct rdb_reader reader;
    struct crc64_tables tables;
    uint64_t skip_to;   /* keys that begin before this offset are there already; the user's */
    uint64_t safe_to;   /* keys that begin before this one are answered */
    uint64_t stream_db; /* the database that is selected where the stream begins */
    /* Private from here on. */
    uint8_t state;
    struct writer key;     /* what it is called at the target */
    struct writer label;   /* ... and among the keys of all databases (databases.h) */
    uint16_t database;     /* of the target */
    struct writer value;   /* so far */
    struct writer command; /* scratch */
    int64_t expire_at;     /* what the target is told */
    struct build *current; /* that the value's bytes go to */
    struct list_node builds;
    uint32_t build_count, build_number;
    uint64_t pending; /* commands of copy.c's own that are not answered */
    uint64_t border;  /* offset behind the last value */
    struct copy_wave waves[2];
    uint64_t wave_at; /* where the present one begins */
    uint8_t wave;     /* which is it */
    uint64_t random;
};

/* Borrows options and a target that is ready. */
void copy_open(struct copy *c, const struct copy_options *options, struct target *target);
/* The target is closed before. */
void copy_close(struct copy *c);
enum copy_result copy_take(struct copy *c, struct span bytes, size_t *used);
/* From the target's on_progress: keys under construction take their next step. */
void copy_progress(struct copy *c);
/* Whether nothing is under way any more. */
bool copy_is_done(const struct copy *c);

/* Milliseconds since 1970. */
int64_t copy_now(const struct copy *c);
/* The copy has reached skip_to, or there is none. */
bool copy_is_new(const struct copy *c);
/* For build.c. */
struct copy_wave *copy_wave_of(struct copy *c);
void copy_failed(struct copy *c, struct span key, const char *why);

#endif
