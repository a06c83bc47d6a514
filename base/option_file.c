/* A configuration file in the syntax of redis.conf as a source of options. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "base/option_value.h"
#include "base/text.h"

enum { FILE_MAX = 1 << 20, WORDS_MAX = 128, INCLUDE_DEPTH = 8, PATH_TEXT_MAX = 1024 };

/* The words of one line; their bytes stand in the line's own memory, unquoted in place. */
struct words {
    size_t count;
    struct {
        char *p;
        size_t len;
    } at[WORDS_MAX];
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* What stands behind a backslash between double quotes; returns how many characters it took. */
static size_t unescape(const char *p, const char *end, char *out)
{
    static const char letters[] = "nrtba", meant[] = "\n\r\t\b\a";
    if (*p == 'x' && end - p >= 3 && hex_digit(p[1]) >= 0 && hex_digit(p[2]) >= 0) {
        *out = (char)(hex_digit(p[1]) * 16 + hex_digit(p[2]));
        return 3;
    }
    const char *found = *p == '\0' ? NULL : strchr(letters, *p);
    *out = found != NULL ? meant[found - letters] : *p;
    return 1;
}

/* One word from p on; what it means is written to *to, which never overtakes p. Returns the place
   behind the word, or NULL if its quotes do not close. */
static char *read_word(char *p, char *end, char **to)
{
    char *out = *to;
    char quote = 0;
    for (; p < end; p++) {
        if (quote == 0 && is_blank(*p))
            break;
        if (quote == 0 && (*p == '"' || *p == '\'')) {
            quote = *p;
        } else if (quote != 0 && *p == quote) {
            p++;
            quote = 0;
            if (p < end && !is_blank(*p))
                return NULL;
            break;
        } else if (quote == '"' && *p == '\\' && end - p >= 2) {
            p += unescape(p + 1, end, out++);
        } else if (quote == '\'' && *p == '\\' && end - p >= 2 && p[1] == '\'') {
            *out++ = *++p;
        } else {
            *out++ = *p;
        }
    }
    *to = out;
    return quote == 0 ? p : NULL;
}

/* NULL, or what is wrong with the line. */
static const char *split(char *p, char *end, struct words *w)
{
    w->count = 0;
    for (;;) {
        while (p < end && is_blank(*p))
            p++;
        if (p == end || (w->count == 0 && *p == '#'))
            return NULL;
        if (w->count == WORDS_MAX)
            return "too many words";
        char *start = p, *to = p;
        p = read_word(p, end, &to);
        if (p == NULL)
            return "unbalanced quotes";
        w->at[w->count].p = start;
        w->at[w->count++].len = (size_t)(to - start);
    }
}

static int read_nested(struct options *o, const char *path, int depth, char *err, size_t cap);

/* Includes name, which is relative to the folder of the file that says so. */
static int include(struct options *o, const char *from, const struct words *w, int depth, char *err,
                   size_t cap)
{
    const char *slash = strrchr(from, '/');
    char path[PATH_TEXT_MAX];
    bool relative = w->at[1].len > 0 && w->at[1].p[0] != '/' && slash != NULL;
    int n = snprintf(path, sizeof(path), "%.*s%.*s", relative ? (int)(slash - from + 1) : 0, from,
                     (int)w->at[1].len, w->at[1].p);
    if (n >= (int)sizeof(path))
        return option_fail(err, cap, "include: the path is too long");
    if (depth == INCLUDE_DEPTH)
        return option_fail(err, cap, "include: nested too deeply; does a file include itself?");
    return read_nested(o, path, depth + 1, err, cap);
}

/* Gives one line's values; err is about the line only, the caller says which. */
static int take_line(struct options *o, const struct words *w, char *err, size_t cap)
{
    const struct option *row = option_find(o, w->at[0].p, w->at[0].len);
    char why[OPTION_WHY_MAX];
    if (row == NULL || (row->flags & OPTION_NO_FILE)) {
        char name[64];
        text_quote(name, sizeof(name), w->at[0].p, w->at[0].len);
        return option_fail(err, cap,
                           row == NULL ? "unknown option %s" : "%s cannot stand in a file", name);
    }
    if (w->count == 1)
        return option_fail(err, cap, "%s needs a value", row->name);
    if (w->count > 2 && row->type != OPTION_LIST)
        return option_fail(err, cap, "%s takes one value; put quotes around one with blanks",
                           row->name);
    for (size_t i = 1; i < w->count; i++) {
        if (option_give(o, row, OPTION_FROM_FILE, w->at[i].p, w->at[i].len, why, sizeof(why)) != 0)
            return option_fail(err, cap, "%s: %s", row->name, why);
    }
    return 0;
}

static int take_lines(struct options *o, const char *path, char *text, size_t len, int depth,
                      char *err, size_t cap)
{
    char *end = text + len;
    int number = 0;
    for (char *line = text, *stop; line < end; line = stop + 1) {
        char why[2 * OPTION_WHY_MAX];
        struct words w;
        int code = 0;
        number++;
        stop = memchr(line, '\n', (size_t)(end - line));
        if (stop == NULL)
            stop = end;
        const char *fault = split(line, stop, &w);
        if (fault == NULL && w.count == 2 &&
            text_equal_nocase(w.at[0].p, w.at[0].len, "include", 7)) {
            code = include(o, path, &w, depth, err, cap);
            if (code != 0)
                return code; /* it names its place inside the other file */
        } else if (fault != NULL) {
            code = option_fail(why, sizeof(why), "%s", fault);
        } else if (w.count > 0) {
            code = take_line(o, &w, why, sizeof(why));
        }
        if (code != 0)
            return option_fail(err, cap, "%s:%d: %s", path, number, why);
    }
    return 0;
}

static int read_nested(struct options *o, const char *path, int depth, char *err, size_t cap)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return option_fail(err, cap, "cannot read %s: %s", path, strerror(errno));
    char *text = malloc(FILE_MAX);
    REQUIRE(text != NULL);
    size_t len = fread(text, 1, FILE_MAX, file);
    int code;
    if (ferror(file))
        code = option_fail(err, cap, "cannot read %s: %s", path, strerror(errno));
    else if (len == FILE_MAX)
        code = option_fail(err, cap, "%s is too large for a configuration file", path);
    else
        code = take_lines(o, path, text, len, depth, err, cap);
    explicit_bzero(text, len); /* it may hold passwords */
    free(text);
    fclose(file);
    return code;
}

int option_read_file(struct options *o, const char *path, char *err, size_t cap)
{
    return read_nested(o, path, 0, err, cap);
}
