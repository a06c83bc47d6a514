/* The command line and the environment as sources of options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/option.h"
#include "base/option_value.h"
#include "base/text.h"

enum { NAME_MAX_SHOWN = 64, ENV_NAME_MAX = 96 };

/* The words of the command line and where we are in them. */
struct args {
    char *const *words;
    int count, at;
};

static const struct option *find_letter(const struct options *o, char letter)
{
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        if (row->letter == letter)
            return row;
    }
    return NULL;
}

static const struct option *find_positional(const struct options *o)
{
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        if (row->flags & OPTION_POSITIONAL)
            return row;
    }
    return NULL;
}

static int give_positional(struct options *o, const char *word, char *err, size_t cap)
{
    const struct option *row = find_positional(o);
    char shown[NAME_MAX_SHOWN], why[OPTION_WHY_MAX];
    if (row == NULL) {
        text_quote(shown, sizeof(shown), word, strlen(word));
        return option_fail(err, cap, "unexpected argument %s", shown);
    }
    int code = option_give(o, row, OPTION_FROM_ARGS, word, strlen(word), why, sizeof(why));
    return code == 0 ? 0 : option_fail(err, cap, "%s", why);
}

/* The value of an option that the word itself did not bring: the next word, or for a switch "yes"
   unless the next word is yes or no. NULL if there is none. */
static const char *next_value(const struct option *row, struct args *a)
{
    const char *next = a->at < a->count ? a->words[a->at] : NULL;
    if (row->type == OPTION_BOOL) {
        if (next == NULL || (strcmp(next, "yes") != 0 && strcmp(next, "no") != 0))
            return "yes";
    } else if (next == NULL || (next[0] == '-' && next[1] == '-')) {
        return NULL;
    }
    a->at++;
    return next;
}

/* word: begins with '-', and is neither "-" nor "--". */
static int give_option(struct options *o, struct args *a, const char *word, char *err, size_t cap)
{
    const struct option *row;
    const char *value = NULL;
    size_t shown_len;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        row = option_find(o, word + 2, len);
        value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
        shown_len = 2 + len;
    } else {
        row = find_letter(o, word[1]);
        value = word[2] != '\0' ? word + 2 : NULL;
        shown_len = 2;
    }
    if (row == NULL) {
        char shown[NAME_MAX_SHOWN];
        text_quote_if_needed(shown, sizeof(shown), word, shown_len);
        return option_fail(err, cap, "unknown option %s", shown);
    }
    if (value == NULL)
        value = next_value(row, a);
    if (value == NULL)
        return option_fail(err, cap, "--%s needs a value", row->name);
    char why[OPTION_WHY_MAX];
    int code = option_give(o, row, OPTION_FROM_ARGS, value, strlen(value), why, sizeof(why));
    return code == 0 ? 0 : option_fail(err, cap, "--%s: %s", row->name, why);
}

int option_read_args(struct options *o, int argc, char *const *argv, char *err, size_t cap)
{
    struct args a = { .words = argv, .count = argc, .at = 1 };
    bool options_end = false;
    int code = 0;
    while (code == 0 && a.at < a.count) {
        const char *word = a.words[a.at++];
        if (!options_end && strcmp(word, "--") == 0)
            options_end = true;
        else if (options_end || word[0] != '-' || word[1] == '\0')
            code = give_positional(o, word, err, cap);
        else
            code = give_option(o, &a, word, err, cap);
    }
    return code;
}

/* SLOTGATE_REQUEST_TIMEOUT for request-timeout. */
static void env_name(const char *prefix, const char *name, char buf[ENV_NAME_MAX])
{
    snprintf(buf, ENV_NAME_MAX, "%s%s", prefix, name);
    for (char *p = buf + strlen(prefix); *p != '\0'; p++)
        *p = (char)(*p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? *p - ('a' - 'A') : *p);
}

/* Kubernetes gives every container NAME_PORT=tcp://ADDRESS:PORT for a service called NAME, which
   reads like our port option when the service has our name. */
static bool is_service_link(const struct option *row, const char *value)
{
    return row->type == OPTION_INT && strncmp(value, "tcp://", 6) == 0;
}

int option_read_env(struct options *o, char *err, size_t cap)
{
    for (const struct option *row = o->rows; row < o->rows + o->count; row++) {
        const char *names[] = { row->alias, row->name };
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            if (names[i] == NULL || (row->flags & OPTION_NO_ENV))
                continue;
            char variable[ENV_NAME_MAX], why[OPTION_WHY_MAX];
            env_name(o->env_prefix, names[i], variable);
            const char *value = getenv(variable);
            if (value == NULL || value[0] == '\0' || is_service_link(row, value))
                continue;
            if (option_give(o, row, OPTION_FROM_ENV, value, strlen(value), why, sizeof(why)) != 0)
                return option_fail(err, cap, "%s: %s", variable, why);
        }
    }
    return 0;
}
