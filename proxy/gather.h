/*
 * gather.h: commands whose keys lie in several slots (HOW_GATHER), as if they lay in one.
 *
 * Most of them are gathered: what they read is copied beside the key that they write, under
 * temporary names; see gather.c, and gather_script.c for scripts. Those that move a value from one
 * key to another have their own way each, in gather_move.c and gather_element.c, so that a crash
 * between two steps loses nothing. None of it is atomic.
 */
#ifndef PROXY_GATHER_H
#define PROXY_GATHER_H

#include "proxy/client.h"

/* Runs the command as an op of the client. False: not now, the client is owed replies. bytes of the
   request are copied. */
MUST_USE bool gather(struct client *c, const struct command *cmd, const struct argv *argv);

/* Each begins an op. */
typedef void gather_way(struct client *c, const struct command *cmd, const struct argv *argv);
gather_way move_rename, move_renamenx, move_copy;                      /* gather_move.c */
gather_way element_smove, element_lmove, element_msetnx, element_mpop; /* gather_element.c */
gather_way gather_script;                                              /* gather_script.c */

/* XREAD or XREADGROUP without BLOCK whose streams lie in several slots; a group, no op. */
void gather_streams(struct client *c, const struct command *cmd, const struct argv *argv);

#endif
