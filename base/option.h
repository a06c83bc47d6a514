/*
 * option.h: one table of rows is a program's options, wherever they come from or show up:
 * command line, environment, configuration file, CONFIG GET and SET, --help, the docs.
 *
 * The program brings the rows and a struct; a row names the field that it fills. This file knows
 * no concrete option. What fails returns ERR_OPTION and leaves one line without a newline in err,
 * which never shows a secret.
 *
 * Sources may be read in any order: command line beats environment beats file beats default. Within
 * one source a later value replaces an earlier one; a list grows instead.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum option_type {                  /* the field is a */
                   OPTION_BOOL,     /* bool */
                   OPTION_INT,      /* int */
                   OPTION_SIZE,     /* size_t, bytes */
                   OPTION_DURATION, /* uint64_t, milliseconds */
                   OPTION_ENUM,     /* int, the value of a choice */
                   OPTION_STRING,   /* char *, NULL while unset */
                   OPTION_SECRET,   /* char *, NULL while unset; never shown */
                   OPTION_LIST,     /* struct option_list; items part at commas and blanks */
};

enum option_flag {
    OPTION_RELOADABLE = 1u << 0, /* may change while the program runs */
    OPTION_POSITIONAL = 1u << 1, /* this list takes the words that belong to no option */
    OPTION_NO_FILE = 1u << 2,    /* makes no sense in a file */
    OPTION_NO_ENV = 1u << 3,     /* makes no sense in the environment */
    OPTION_BY_RELOAD = 1u << 4,  /* may change by option_reload, but not by option_change */
};

enum option_from { /* weakest first */
                   OPTION_FROM_DEFAULT,
                   OPTION_FROM_FILE,
                   OPTION_FROM_ENV,
                   OPTION_FROM_ARGS,
                   OPTION_FROM_RUN_TIME,
};

struct option_list {
    char **items;
    size_t count;
};

/* Several names may share a value; the first of them is the one shown. Ends with name == NULL. */
struct option_choice {
    const char *name;
    int value;
};

struct option {
    const char *name;     /* "request-timeout" */
    const char *alias;    /* a second name, or NULL */
    const char *group;    /* heading in help and docs; rows of a group stand together */
    const char *argument; /* what help calls the value: "port" */
    const char *help;     /* one or more sentences */
    const char *fallback; /* the default as text; NULL: unset, empty, or false */
    const struct option_choice *choices; /* OPTION_ENUM; of OPTION_INT: words beside numbers */
    /* Further check of a string or of each list item: NULL, or what is wrong ("bad address"). */
    const char *(*wrong)(const char *text);
    int64_t min, max;     /* numbers, bytes or milliseconds; max 0: no upper limit */
    uint64_t bare_ms;     /* OPTION_DURATION: what a number without unit counts; 0: needs a unit */
    size_t offset, width; /* by OPTION_FIELD */
    uint8_t type;         /* enum option_type */
    uint8_t flags;        /* enum option_flag */
    char letter;          /* 'p' for -p, or 0 */
};

#define OPTION_FIELD(type, field)                                                                  \
    .offset = offsetof(type, field), .width = sizeof(((type *)0)->field)
enum { OPTION_ROWS_MAX = 128 };

/* The rows and their values; the strings in `values` belong to it. */
struct options {
    const struct option *rows;
    size_t count;
    const char *env_prefix; /* "SLOTGATE_" */
    void *values;
    uint8_t from[OPTION_ROWS_MAX]; /* enum option_from, by row */
};

/* Overwrites every field with its default. A row that contradicts itself is a bug and aborts. */
void option_init(struct options *o, const struct option *rows, size_t count, const char *env_prefix,
                 void *values);
/* Frees the values; may be called twice. */
void option_free(struct options *o);

MUST_USE int option_read_args(struct options *o, int argc, char *const *argv, char *err,
                              size_t cap);
/* An empty variable counts as unset. */
MUST_USE int option_read_env(struct options *o, char *err, size_t cap);
/* In the syntax of redis.conf; "include FILE" is relative to the file that says so. */
MUST_USE int option_read_file(struct options *o, const char *path, char *err, size_t cap);
/* Gives one value to one row, as from that source. Used by the readers above. */
MUST_USE int option_give(struct options *o, const struct option *row, enum option_from from,
                         const char *text, size_t len, char *err, size_t cap);
/* CONFIG SET: replaces the value, if the row is reloadable. */
MUST_USE int option_change(struct options *o, const struct option *row, const char *text,
                           size_t len, char *err, size_t cap);
/* Takes over the reloadable values that differ and returns how many; the names of the others, which
   need a restart, go to `waiting`. */
size_t option_reload(struct options *o, const struct options *fresh, char *waiting, size_t cap);

/* By name or alias in any case; NULL if there is none. */
const struct option *option_find(const struct options *o, const char *name, size_t len);
/* CONFIG GET: the next row from *at on whose name or alias matches the glob, or NULL. */
const struct option *option_match(const struct options *o, const char *glob, size_t len,
                                  size_t *at);
enum option_from option_source(const struct options *o, const struct option *row);
/* The value as text that could be set again, for a secret "(hidden)" or "". Works like snprintf. */
size_t option_format(const struct options *o, const struct option *row, char *buf, size_t cap);

#endif
