/* What --help and docs/configuration.md say about the rows. */
#include "base/option_doc.h"

#include <stdio.h>
#include <string.h>

#include "base/option_value.h"

enum { HELP_COLUMN = 32, HELP_WIDTH = 96 };

/* Writes the words in the column that begins at HELP_COLUMN. */
static void wrap(FILE *out, const char *text)
{
    size_t at = HELP_COLUMN;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (at > HELP_COLUMN) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)len, text);
        at += len;
        text += len;
        text += *text == ' ';
    }
}

/* What may stand as the value, for people: "yes or no", "from 1 to 65535". */
static void values_text(const struct option *row, char *buf, size_t cap)
{
    static const char *const kinds[] = {
        [OPTION_BOOL] = "yes or no",    [OPTION_INT] = "number", [OPTION_SIZE] = "size",
        [OPTION_DURATION] = "duration", [OPTION_ENUM] = "",      [OPTION_STRING] = "text",
        [OPTION_SECRET] = "secret",     [OPTION_LIST] = "list",
    };
    char range[80];
    size_t at = (size_t)snprintf(buf, cap, "%s", kinds[row->type]);
    option_range(row, range, sizeof(range));
    if (range[0] != '\0')
        at += (size_t)snprintf(buf + at, cap - at, ", %s", range);
    if (row->type == OPTION_ENUM) {
        option_choices(row, buf, cap);
    } else if (row->choices != NULL) {
        option_choices(row, range, sizeof(range));
        snprintf(buf + at, cap - at, ", or %s", range);
    }
}

static void help_row(const struct option *row, FILE *out)
{
    char left[128], also[80] = "", fallback[160] = "", text[1024];
    int n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s%s", row->letter != 0 ? '-' : ' ',
                     row->letter != 0 ? row->letter : ' ', row->letter != 0 ? "," : " ", row->name,
                     row->argument != NULL ? " <" : "", row->argument != NULL ? row->argument : "",
                     row->argument != NULL ? ">" : "");
    size_t at = (size_t)n < sizeof(left) ? (size_t)n : sizeof(left) - 1;
    fputs(left, out);
    if (at + 2 > HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - at), "");
    if (row->alias != NULL)
        snprintf(also, sizeof(also), " (also --%s)", row->alias);
    if (row->fallback != NULL && row->fallback[0] != '\0')
        snprintf(fallback, sizeof(fallback), " (default %s)", row->fallback);
    snprintf(text, sizeof(text), "%s%s%s", row->help, also, fallback);
    wrap(out, text);
    fputc('\n', out);
}

void option_write_help(const struct option *rows, size_t count, FILE *out)
{
    const char *group = NULL;
    for (const struct option *row = rows; row < rows + count; row++) {
        if (group == NULL || strcmp(group, row->group) != 0) {
            fprintf(out, "%s%s:\n", group == NULL ? "" : "\n", row->group);
            group = row->group;
        }
        help_row(row, out);
    }
}

/* A table cell: a bar would end it, a star would begin italics. */
static void cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' || *text == '*' ? "\\%c" : "%c", *text);
}

static const char *live_text(const struct option *row)
{
    if (row->flags & OPTION_RELOADABLE)
        return "yes";
    return row->flags & OPTION_BY_RELOAD ? "SIGHUP" : "no";
}

static void doc_row(const struct option *row, FILE *out)
{
    char values[256];
    values_text(row, values, sizeof(values));
    fprintf(out, "| `%s`", row->name);
    if (row->letter != 0)
        fprintf(out, ", `-%c`", row->letter);
    if (row->alias != NULL)
        fprintf(out, ", `%s`", row->alias);
    fputs(" | ", out);
    cell(out, values);
    if (row->fallback != NULL && row->fallback[0] != '\0')
        fprintf(out, " | `%s` | ", row->fallback);
    else
        fprintf(out, " | %s | ", row->type == OPTION_BOOL ? "`no`" : "");
    fprintf(out, "%s | ", live_text(row));
    cell(out, row->help);
    if ((row->flags & OPTION_NO_FILE) && (row->flags & OPTION_NO_ENV))
        fputs(" Command line only.", out);
    else if (row->flags & OPTION_NO_FILE)
        fputs(" Not in a file.", out);
    fputs(" |\n", out);
}

void option_write_doc(const struct option *rows, size_t count, const char *env_prefix, FILE *out)
{
    const char *group = NULL;
    fprintf(out,
            "An option may stand on the command line (`--request-timeout 5s` or "
            "`--request-timeout=5s`),\nin the environment (`%sREQUEST_TIMEOUT=5s`) or in the "
            "configuration file\n(`request-timeout 5s`, in the syntax of `redis.conf`, with "
            "`include FILE`). The command line\nbeats the environment, the environment beats the "
            "file. An empty variable counts as unset.\n\n"
            "Sizes are bytes or carry `kb`, `mb`, `gb` (1024) or `k`, `m`, `g` (1000).\n"
            "Durations carry `ms`, `s`, `m`, `h` or `d`. Lists part at commas or blanks.\n"
            "\"Live\" says whether the option can change while the program runs: \"yes\" by CONFIG "
            "SET\nand by SIGHUP, which reads everything anew.\n",
            env_prefix);
    for (const struct option *row = rows; row < rows + count; row++) {
        if (group == NULL || strcmp(group, row->group) != 0) {
            group = row->group;
            fprintf(out,
                    "\n## %s\n\n| Option | Value | Default | Live | Meaning |\n"
                    "|---|---|---|---|---|\n",
                    group);
        }
        doc_row(row, out);
    }
}
