#include "base/option.h"

#include <stdio.h>
#include <string.h>

#include "base/option_value.h"
#include "base/text.h"

static size_t index_of(const struct options *o, const struct option *row)
{
    REQUIRE(row >= o->rows && row < o->rows + o->count);
    return (size_t)(row - o->rows);
}

static union option_value load(const struct options *o, const struct option *row)
{
    union option_value v;
    memset(&v, 0, sizeof(v));
    memcpy(&v, (const char *)o->values + row->offset, row->width);
    return v;
}

static void store(const struct options *o, const struct option *row, const union option_value *v)
{
    memcpy((char *)o->values + row->offset, v, row->width);
}

static void replace(struct options *o, const struct option *row, enum option_from from,
                    const union option_value *v)
{
    union option_value old = load(o, row);
    store(o, row, v);
    option_value_free(row, &old);
    o->from[index_of(o, row)] = (uint8_t)from;
}

/* What only the author of the rows can have got wrong. */
static void check_row(const struct options *o, const struct option *row)
{
    REQUIRE(row->name != NULL && row->help != NULL && row->group != NULL);
    REQUIRE(row->width == option_width(row));
    REQUIRE(option_find(o, row->name, strlen(row->name)) == row);
    REQUIRE(row->alias == NULL || option_find(o, row->alias, strlen(row->alias)) == row);
    REQUIRE(row->type != OPTION_ENUM || (row->choices != NULL && row->fallback != NULL));
    REQUIRE(!(row->flags & OPTION_POSITIONAL) || row->type == OPTION_LIST);
}

void option_init(struct options *o, const struct option *rows, size_t count, const char *env_prefix,
                 void *values)
{
    REQUIRE(count <= OPTION_ROWS_MAX);
    *o = (struct options){
        .rows = rows, .count = count, .env_prefix = env_prefix, .values = values
    };
    for (const struct option *row = rows; row < rows + count; row++) {
        char why[OPTION_WHY_MAX];
        union option_value v;
        memset(&v, 0, sizeof(v));
        check_row(o, row);
        REQUIRE(row->fallback == NULL ||
                option_parse(row, row->fallback, strlen(row->fallback), &v, why));
        store(o, row, &v);
    }
}

void option_free(struct options *o)
{
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        union option_value v = load(o, row);
        option_value_free(row, &v);
        memset(&v, 0, sizeof(v));
        store(o, row, &v);
    }
}

int option_give(struct options *o, const struct option *row, enum option_from from,
                const char *text, size_t len, char *err, size_t cap)
{
    char why[OPTION_WHY_MAX];
    union option_value v;
    if (!option_parse(row, text, len, &v, why))
        return option_fail(err, cap, "%s", why);
    enum option_from now = o->from[index_of(o, row)];
    if (now > from) {
        option_value_free(row, &v); /* it had to be right all the same */
    } else if (now == from && row->type == OPTION_LIST) {
        union option_value all = load(o, row);
        option_list_append(&all.list, &v.list);
        store(o, row, &all);
    } else {
        replace(o, row, from, &v);
    }
    return 0;
}

int option_change(struct options *o, const struct option *row, const char *text, size_t len,
                  char *err, size_t cap)
{
    char why[OPTION_WHY_MAX];
    union option_value v;
    if (!(row->flags & OPTION_RELOADABLE))
        return option_fail(err, cap, "%s cannot change while the program runs", row->name);
    if (!option_parse(row, text, len, &v, why))
        return option_fail(err, cap, "%s: %s", row->name, why);
    replace(o, row, OPTION_FROM_RUN_TIME, &v);
    return 0;
}

size_t option_reload(struct options *o, const struct options *fresh, char *waiting, size_t cap)
{
    REQUIRE(o->rows == fresh->rows && cap > 0);
    size_t changed = 0, at = 0;
    waiting[0] = '\0';
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        union option_value old = load(o, row), new = load(fresh, row);
        if (option_value_equal(row, &old, &new))
            continue;
        if (row->flags & (OPTION_RELOADABLE | OPTION_BY_RELOAD)) {
            union option_value v = option_value_copy(row, &new);
            replace(o, row, option_source(fresh, row), &v);
            changed++;
        } else if (at < cap) {
            at += (size_t)snprintf(waiting + at, cap - at, "%s%s", at > 0 ? "," : "", row->name);
        }
    }
    return changed;
}

const struct option *option_find(const struct options *o, const char *name, size_t len)
{
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        if (text_equal_nocase(name, len, row->name, strlen(row->name)) ||
            (row->alias != NULL && text_equal_nocase(name, len, row->alias, strlen(row->alias))))
            return row;
    }
    return NULL;
}

const struct option *option_match(const struct options *o, const char *glob, size_t len, size_t *at)
{
    while (*at < o->count) {
        const struct option *row = &o->rows[(*at)++];
        if (text_glob(glob, len, row->name, strlen(row->name), true) ||
            (row->alias != NULL && text_glob(glob, len, row->alias, strlen(row->alias), true)))
            return row;
    }
    return NULL;
}

enum option_from option_source(const struct options *o, const struct option *row)
{
    return o->from[index_of(o, row)];
}

size_t option_format(const struct options *o, const struct option *row, char *buf, size_t cap)
{
    union option_value v = load(o, row);
    return option_value_format(row, &v, buf, cap);
}
