/*
 * log_choice.h: the values of the options log-level and log-format, for the rows of both programs.
 */
#ifndef BASE_LOG_CHOICE_H
#define BASE_LOG_CHOICE_H

#include "base/option.h"

extern const struct option_choice log_level_choices[]; /* our names, then Redis's */
extern const struct option_choice log_format_choices[];

#endif
