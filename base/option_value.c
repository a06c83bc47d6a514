#include "base/option_value.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { SHOWN_MAX = 96 }; /* how much of a wrong value an error shows */

size_t option_width(const struct option *row)
{
    static const size_t widths[] = {
        [OPTION_BOOL] = sizeof(bool),     [OPTION_INT] = sizeof(int),
        [OPTION_SIZE] = sizeof(size_t),   [OPTION_DURATION] = sizeof(uint64_t),
        [OPTION_ENUM] = sizeof(int),      [OPTION_STRING] = sizeof(char *),
        [OPTION_SECRET] = sizeof(char *), [OPTION_LIST] = sizeof(struct option_list),
    };
    REQUIRE(row->type < ARRAY_LEN(widths));
    return widths[row->type];
}

int option_fail(char *err, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(err, cap, fmt, args);
    va_end(args);
    return ERR_OPTION;
}

static char *copy(const char *p, size_t len)
{
    char *s = malloc(len + 1);
    REQUIRE(s != NULL);
    memcpy(s, p, len);
    s[len] = '\0';
    return s;
}

/* A limit in the unit in which people write it. */
static void limit_text(const struct option *row, uint64_t n, char *buf, size_t cap)
{
    static const char *const units[] = { "", "kb", "mb", "gb" };
    size_t unit = 0;
    if (row->type == OPTION_DURATION && n != 0) {
        char text[TEXT_DURATION_MAX];
        snprintf(buf, cap, "%.*s", (int)text_from_ms(text, n), text);
        return;
    }
    while (row->type == OPTION_SIZE && n != 0 && n % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
        n /= 1024;
        unit++;
    }
    snprintf(buf, cap, "%lld%s", (long long)n, units[unit]);
}

void option_range(const struct option *row, char *buf, size_t cap)
{
    char low[32], high[32];
    limit_text(row, (uint64_t)row->min, low, sizeof(low));
    limit_text(row, (uint64_t)row->max, high, sizeof(high));
    buf[0] = '\0';
    if (row->max != 0)
        snprintf(buf, cap, "from %s to %s", low, high);
    else if (row->min != 0)
        snprintf(buf, cap, "at least %s", low);
}

static bool wrong(char *why, const char *text, size_t len, const char *expected)
{
    char shown[SHOWN_MAX];
    text_quote(shown, sizeof(shown), text, len);
    snprintf(why, OPTION_WHY_MAX, "%s is not %s", shown, expected);
    return false;
}

static bool in_range(const struct option *row, uint64_t n, const char *text, size_t len, char *why)
{
    if (n <= INT64_MAX && (int64_t)n >= row->min && (row->max == 0 || (int64_t)n <= row->max))
        return true;
    char range[80];
    option_range(row, range, sizeof(range));
    return wrong(why, text, len, range[0] == '\0' ? "in range" : range);
}

static bool parse_bool(const char *text, size_t len, union option_value *out, char *why)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (text_equal_nocase(text, len, words[i], strlen(words[i]))) {
            out->yes = i % 2 == 1;
            return true;
        }
    }
    return wrong(why, text, len, "yes or no");
}

static bool parse_int(const struct option *row, const char *text, size_t len,
                      union option_value *out, char *why)
{
    int64_t low = row->min, high = row->max != 0 ? row->max : INT_MAX, n;
    if (text_to_i64(text, len, &n) && n >= low && n <= high) {
        out->number = (int)n;
        return true;
    }
    char range[80], expected[120];
    option_range(row, range, sizeof(range));
    snprintf(expected, sizeof(expected), "a whole number%s%s", range[0] != '\0' ? " " : "", range);
    return wrong(why, text, len, expected);
}

static bool parse_size(const struct option *row, const char *text, size_t len,
                       union option_value *out, char *why)
{
    uint64_t n;
    if (!text_to_size(text, len, &n))
        return wrong(why, text, len, "a size such as 65536, 64kb or 1gb");
    if (!in_range(row, n, text, len, why))
        return false;
    out->size = (size_t)n;
    return true;
}

static bool parse_duration(const struct option *row, const char *text, size_t len,
                           union option_value *out, char *why)
{
    uint64_t ms;
    if (!text_to_ms(text, len, row->bare_ms, &ms))
        return wrong(why, text, len, "a duration such as 500ms, 5s or 1m");
    if (!in_range(row, ms, text, len, why))
        return false;
    out->ms = ms;
    return true;
}

void option_choices(const struct option *row, char *buf, size_t cap)
{
    size_t at = 0;
    buf[0] = '\0';
    for (const struct option_choice *c = row->choices; c->name != NULL && at < cap; c++) {
        bool seen = false;
        for (const struct option_choice *d = row->choices; d < c; d++)
            seen = seen || d->value == c->value;
        if (!seen)
            at += (size_t)snprintf(buf + at, cap - at, "%s%s", at > 0 ? ", " : "", c->name);
    }
}

static const struct option_choice *choice_named(const struct option *row, const char *text,
                                                size_t len)
{
    const struct option_choice *c = row->choices;
    while (c != NULL && c->name != NULL && !text_equal_nocase(text, len, c->name, strlen(c->name)))
        c++;
    return c != NULL && c->name != NULL ? c : NULL;
}

static bool parse_enum(const struct option *row, const char *text, size_t len,
                       union option_value *out, char *why)
{
    const struct option_choice *c = choice_named(row, text, len);
    if (c != NULL) {
        out->number = c->value;
        return true;
    }
    char names[120], expected[140];
    option_choices(row, names, sizeof(names));
    snprintf(expected, sizeof(expected), "one of %s", names);
    return wrong(why, text, len, expected);
}

static bool parse_string(const struct option *row, const char *text, size_t len,
                         union option_value *out, char *why)
{
    char *s = copy(text, len);
    const char *fault = row->wrong != NULL ? row->wrong(s) : NULL;
    if (fault == NULL) {
        out->text = s;
        return true;
    }
    char shown[SHOWN_MAX];
    text_quote(shown, sizeof(shown), text, len);
    if (row->type == OPTION_SECRET)
        snprintf(why, OPTION_WHY_MAX, "%s", fault);
    else
        snprintf(why, OPTION_WHY_MAX, "%s: %s", fault, shown);
    free(s);
    return false;
}

void option_list_append(struct option_list *list, struct option_list *more)
{
    if (more->count == 0)
        return;
    list->items = realloc(list->items, (list->count + more->count) * sizeof(*list->items));
    REQUIRE(list->items != NULL);
    memcpy(list->items + list->count, more->items, more->count * sizeof(*more->items));
    list->count += more->count;
    free(more->items);
    *more = (struct option_list){ 0 };
}

static bool parse_list(const struct option *row, const char *text, size_t len,
                       union option_value *out, char *why)
{
    static const char blank[] = ", \t\r\n";
    union option_value all = { .list = { 0 } };
    for (size_t at = 0, end; at < len; at = end + 1) {
        for (end = at; end < len && strchr(blank, text[end]) == NULL;)
            end++;
        if (end == at)
            continue;
        union option_value item;
        if (!parse_string(row, text + at, end - at, &item, why)) {
            option_value_free(row, &all);
            return false;
        }
        struct option_list one = { .items = malloc(sizeof(char *)), .count = 1 };
        REQUIRE(one.items != NULL);
        one.items[0] = item.text;
        option_list_append(&all.list, &one);
    }
    out->list = all.list;
    return true;
}

bool option_parse(const struct option *row, const char *text, size_t len, union option_value *out,
                  char *why)
{
    if (memchr(text, '\0', len) != NULL) {
        snprintf(why, OPTION_WHY_MAX, "the value has a zero byte in it");
        return false;
    }
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        return parse_bool(text, len, out, why);
    case OPTION_INT:
        if (choice_named(row, text, len) != NULL)
            return parse_enum(row, text, len, out, why);
        return parse_int(row, text, len, out, why);
    case OPTION_SIZE:
        return parse_size(row, text, len, out, why);
    case OPTION_DURATION:
        return parse_duration(row, text, len, out, why);
    case OPTION_ENUM:
        return parse_enum(row, text, len, out, why);
    case OPTION_STRING:
    case OPTION_SECRET:
        return parse_string(row, text, len, out, why);
    case OPTION_LIST:
        return parse_list(row, text, len, out, why);
    }
    return false;
}

void option_value_free(const struct option *row, union option_value *v)
{
    if (row->type == OPTION_LIST) {
        for (size_t i = 0; i < v->list.count; i++)
            free(v->list.items[i]);
        free(v->list.items);
        v->list = (struct option_list){ 0 };
    } else if (row->type == OPTION_STRING || row->type == OPTION_SECRET) {
        if (row->type == OPTION_SECRET && v->text != NULL)
            explicit_bzero(v->text, strlen(v->text)); /* a core dump need not hold old passwords */
        free(v->text);
        v->text = NULL;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool option_value_equal(const struct option *row, const union option_value *a,
                        const union option_value *b)
{
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        return a->yes == b->yes;
    case OPTION_INT:
    case OPTION_ENUM:
        return a->number == b->number;
    case OPTION_SIZE:
        return a->size == b->size;
    case OPTION_DURATION:
        return a->ms == b->ms;
    case OPTION_STRING:
    case OPTION_SECRET:
        return same_text(a->text, b->text);
    case OPTION_LIST:
        for (size_t i = 0; i < a->list.count && i < b->list.count; i++) {
            if (!same_text(a->list.items[i], b->list.items[i]))
                return false;
        }
        return a->list.count == b->list.count;
    }
    return false;
}

union option_value option_value_copy(const struct option *row, const union option_value *v)
{
    union option_value c = *v;
    if (row->type == OPTION_LIST) {
        c.list.items = calloc(v->list.count + 1, sizeof(char *));
        REQUIRE(c.list.items != NULL);
        for (size_t i = 0; i < v->list.count; i++)
            c.list.items[i] = copy(v->list.items[i], strlen(v->list.items[i]));
    } else if ((row->type == OPTION_STRING || row->type == OPTION_SECRET) && v->text != NULL) {
        c.text = copy(v->text, strlen(v->text));
    }
    return c;
}

static size_t format_list(const struct option_list *list, char *buf, size_t cap)
{
    size_t len = 0;
    if (cap > 0)
        buf[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        int n = snprintf(len < cap ? buf + len : NULL, len < cap ? cap - len : 0, "%s%s",
                         i > 0 ? "," : "", list->items[i]);
        len += (size_t)n;
    }
    return len;
}

size_t option_value_format(const struct option *row, const union option_value *v, char *buf,
                           size_t cap)
{
    char duration[TEXT_DURATION_MAX + 1];
    const char *text = "";
    switch ((enum option_type)row->type) {
    case OPTION_BOOL:
        text = v->yes ? "yes" : "no";
        break;
    case OPTION_INT:
        for (const struct option_choice *c = row->choices; c != NULL && c->name != NULL; c++)
            if (c->value == v->number)
                return (size_t)snprintf(buf, cap, "%s", c->name);
        return (size_t)snprintf(buf, cap, "%d", v->number);
    case OPTION_SIZE:
        return (size_t)snprintf(buf, cap, "%zu", v->size);
    case OPTION_DURATION:
        /* Where Redis has plain seconds, tools that read CONFIG GET expect plain seconds. */
        if (row->bare_ms != 0 && v->ms % row->bare_ms == 0)
            return (size_t)snprintf(buf, cap, "%llu", (unsigned long long)(v->ms / row->bare_ms));
        duration[text_from_ms(duration, v->ms)] = '\0';
        text = duration;
        break;
    case OPTION_ENUM:
        for (const struct option_choice *c = row->choices; c->name != NULL && *text == '\0'; c++)
            text = c->value == v->number ? c->name : "";
        break;
    case OPTION_STRING:
        text = v->text != NULL ? v->text : "";
        break;
    case OPTION_SECRET:
        text = v->text != NULL && v->text[0] != '\0' ? "(hidden)" : "";
        break;
    case OPTION_LIST:
        return format_list(&v->list, buf, cap);
    }
    return (size_t)snprintf(buf, cap, "%s", text);
}
