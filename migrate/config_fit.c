#include "migrate/config_fit.h"

#include <string.h>

/* clang-format off */
static const struct {
    const char *option, *commands;
} rows[] = {
    { "admin-socket", "sync" },
    { "allow-full-resync", "sync" },
    { "db", "sync, restore, verify" },
    { "diff-file", "verify" },
    { "exclude-command", "sync" },
    { "exclude-db", "sync, restore, verify" },
    { "exclude-key", "sync, scan, restore, verify" },
    { "exclude-type", "sync, scan, restore" },
    { "flush", "sync" },
    { "follow", "sync" },
    { "include-command", "sync" },
    { "include-db", "sync, restore, verify" },
    { "include-key", "sync, scan, restore, verify" },
    { "include-type", "sync, scan, restore" },
    { "metrics-port", "sync" },
    { "only-source", "sync" },
    { "owner", "sync, scan, restore, verify" },
    { "pause-source", "cutover" },
    { "publish", "sync" },
    { "repair", "sync" },
    { "repair-every", "sync" },
    { "repair-file", "sync" },
    { "repair-from", "sync, cutover" },
    { "round-pause", "verify" },
    { "rounds", "verify" },
    { "sample", "cutover" },
    { "spool-max", "sync" },
    { "state-dir", "sync" },
    { "tail", "scan" },
    { "ttl-tolerance", "verify" },
};
/* clang-format on */

/* One of "sync, scan". */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, word, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    }
    return false;
}

const char *config_misfit(const struct options *o, const char *command, const char **commands)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option *row = option_find(o, rows[i].option, strlen(rows[i].option));
        REQUIRE(row != NULL);
        if (option_source(o, row) != OPTION_FROM_ARGS || has_word(rows[i].commands, command))
            continue;
        *commands = rows[i].commands;
        return rows[i].option;
    }
    return NULL;
}
