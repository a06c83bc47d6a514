/*
 * config_fit.h: options that only some commands know.
 *
 * Another command would leave them out without a word, and do something else than was asked for: a
 * dump of all keys, say, where --include-key was given. In the environment they may stand for
 * whichever command is run next.
 */
#ifndef MIGRATE_CONFIG_FIT_H
#define MIGRATE_CONFIG_FIT_H

#include "base/option.h"

/* Of the options on the command line, the first one that the command does not know; *commands:
   those that do. NULL: there is none. */
const char *config_misfit(const struct options *o, const char *command, const char **commands);

#endif
