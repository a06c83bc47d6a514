#include "proxy/survey_rows.h"

#include "base/check.h"
#include "base/text.h"

static const struct survey_row *const rows[] = {
    &survey_latency_doctor, &survey_latency_graph,  &survey_latency_history, &survey_latency_latest,
    &survey_latency_reset,  &survey_client_kill,    &survey_client_list,     &survey_client_pause,
    &survey_client_unblock, &survey_client_unpause, &survey_monitor,         &survey_slowlog_get,
    &survey_slowlog_len,    &survey_slowlog_reset,  &survey_config_set,      &survey_proxy_slowlog,
    &survey_proxy_fence,    &survey_acl_log,
};

static bool is_named(const struct survey_row *row, const struct argv *argv)
{
    struct span name = argv_get(argv, 0);
    const char *bar = strchrnul(row->command, '|');
    size_t len = (size_t)(bar - row->command);
    return text_equal_nocase(name.at, name.len, row->command, len) &&
           (*bar == '\0' || (argv->count > 1 && span_is(argv_get(argv, 1), bar + 1)));
}

const struct survey_row *survey_find_row(const struct argv *argv)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (is_named(rows[i], argv))
            return rows[i];
    return NULL;
}
