/*
 * option_value.h: one value of an option: read from text, compared, written as text.
 *
 * Private to option*.c. A value that owns memory is freed by option_value_free.
 */
#ifndef BASE_OPTION_VALUE_H
#define BASE_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/option.h"

union option_value {
    bool yes;
    int number; /* also the value of a choice */
    size_t size;
    uint64_t ms;
    char *text;
    struct option_list list;
};

enum { OPTION_WHY_MAX = 256 };

/* The size of the field of such a row. */
size_t option_width(const struct option *row);

/* Writes *out, or says in why (OPTION_WHY_MAX bytes) what is wrong with the text. */
MUST_USE bool option_parse(const struct option *row, const char *text, size_t len,
                           union option_value *out, char *why);
void option_value_free(const struct option *row, union option_value *v);
bool option_value_equal(const struct option *row, const union option_value *a,
                        const union option_value *b);
union option_value option_value_copy(const struct option *row, const union option_value *v);
/* Moves the items of `more` to the end of `list`; `more` is empty afterwards. */
void option_list_append(struct option_list *list, struct option_list *more);

/* Like snprintf; secrets stay hidden. */
size_t option_value_format(const struct option *row, const union option_value *v, char *buf,
                           size_t cap);
/* "from 1 to 65535", "at least 1kb", or "" for a row without limits. */
void option_range(const struct option *row, char *buf, size_t cap);

/* The choices of an OPTION_ENUM under their first names: "debug, info, warn". */
void option_choices(const struct option *row, char *buf, size_t cap);

/* Writes err and returns ERR_OPTION. */
int option_fail(char *err, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
