#include "proxy/survey_rows.h"

#include "base/check.h"

static const struct survey_row *const rows[] = { &survey_client_kill, &survey_client_list };

static bool is_named(const struct survey_row *row, const struct argv *argv)
{
    struct span container = argv_get(argv, 0), sub = argv_get(argv, 1);
    const char *bar = strchr(row->command, '|');
    REQUIRE(bar != NULL);
    return container.len == (size_t)(bar - row->command) &&
           strncasecmp(container.at, row->command, container.len) == 0 && span_is(sub, bar + 1);
}

const struct survey_row *survey_find_row(const struct argv *argv)
{
    for (size_t i = 0; argv->count > 1 && i < ARRAY_LEN(rows); i++)
        if (is_named(rows[i], argv))
            return rows[i];
    return NULL;
}
