#include "base/log_choice.h"

#include "base/log.h"

const struct option_choice log_level_choices[] = {
    { "debug", LOG_LEVEL_DEBUG },  { "info", LOG_LEVEL_INFO },
    { "warn", LOG_LEVEL_WARN },    { "error", LOG_LEVEL_ERROR },
    { "verbose", LOG_LEVEL_INFO }, { "notice", LOG_LEVEL_INFO },
    { "warning", LOG_LEVEL_WARN }, { NULL, 0 },
};

const struct option_choice log_format_choices[] = {
    { "logfmt", LOG_FORMAT_LOGFMT },
    { "json", LOG_FORMAT_JSON },
    { NULL, 0 },
};
