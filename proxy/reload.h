/*
 * reload.h: SIGHUP: the options are read anew from where they came from at the start, with the same
 * precedence. What has been changed by CONFIG SET meanwhile is gone.
 *
 * The supervisor does it first, says what came of it, and hands the signal on to its workers only
 * if all was well. Each worker then reads for itself, in silence.
 */
#ifndef PROXY_RELOAD_H
#define PROXY_RELOAD_H

#include <stdbool.h>

#include "proxy/config.h"

/* The words that the program was started with. */
struct start_words {
    int argc;
    char *const *argv;
};

/* False: the new options are wrong, and nothing has changed. tell: log what came of it. */
MUST_USE bool reload_config(struct config *c, const struct start_words *words, bool tell);

#endif
