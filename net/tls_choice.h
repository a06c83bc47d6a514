/*
 * tls_choice.h: the values of the options that say how a server is checked, for the rows of both
 * programs.
 */
#ifndef NET_TLS_CHOICE_H
#define NET_TLS_CHOICE_H

#include "base/option.h"

extern const struct option_choice tls_verify_choices[]; /* enum tls_verify */

#endif
