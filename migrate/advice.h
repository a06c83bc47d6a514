/*
 * advice.h: what an operator is to do about what went wrong. Pure; one table of all advice.
 *
 * Each line of the log that is an error or a warning, and each finding of --dry-run, carries one.
 */
#ifndef MIGRATE_ADVICE_H
#define MIGRATE_ADVICE_H

/* What has happened; the advice when the reason has none of its own. */
enum advice {
    ADVICE_ADMIN, /* a command at the socket was refused */
    ADVICE_AGAIN_LATER,
    ADVICE_BEGINS_ANEW,
    ADVICE_CHOICE, /* --repair-from */
    ADVICE_CODIS_MOVES,
    ADVICE_COMMAND,  /* of the stream, not applied; its keys are in the repair set */
    ADVICE_COMMANDS, /* the target does not tell them */
    ADVICE_COPY_AGAIN,
    ADVICE_COPY_LOST,
    ADVICE_DEBRIS,     /* behind the end of a file */
    ADVICE_EVERYWHERE, /* ... that is for every master, and about no key */
    ADVICE_EVICTION,
    ADVICE_FIELD_TIMES,
    ADVICE_FILE,     /* cannot be written */
    ADVICE_FUNCTION, /* not loaded */
    ADVICE_KEY,      /* not copied; it is in the repair set */
    ADVICE_KEY_ONCE, /* ... by a program without such a set */
    ADVICE_LEFT,     /* keys of an earlier run's repair set */
    ADVICE_LISTEN,
    ADVICE_MENDING, /* goes on by itself */
    ADVICE_NAMES,   /* for a sample */
    ADVICE_NOTICES, /* keyspace notifications */
    ADVICE_OLD_WAY, /* SYNC */
    ADVICE_OPEN_FILES,
    ADVICE_REPAIR,
    ADVICE_REPAIR_SET,
    ADVICE_SPOOL_FULL,
    ADVICE_SPOOL_SMALL,
    ADVICE_START, /* the program ends */
    ADVICE_STATE,
    ADVICE_SWEEP,
    ADVICE_TIME, /* to live, not set */
    ADVICE_VANISHED,
    ADVICES
};

enum { ADVICE_MAX = 200 }; /* bytes, so that a line of the log holds it whole */

/* why: our own words, or a server's, from their beginning; or NULL. */
const char *advice_on(enum advice about, const char *why);

#endif
