/*
 * commands.h: the families of rows behind command.h, and the words they are written in.
 *
 * Private to command.c and the commands_*.c files. The rows state what COMMAND of Redis 7.0 prints,
 * in its order of flags and key specs (test/integration/test_command_table.c compares each number
 * with a running server), and add how a proxy has to handle the command. Rows of a family are
 * sorted by name and end with ROWS_END; command_table_new counts the specs.
 */
#ifndef CLUSTER_COMMANDS_H
#define CLUSTER_COMMANDS_H

#include "cluster/command.h"

extern const struct command commands_cluster[];
extern const struct command commands_connection[];
extern const struct command commands_generic[];
extern const struct command commands_geo[];
extern const struct command commands_hash[];
extern const struct command commands_list[];
extern const struct command commands_pubsub[];
extern const struct command commands_script[];
extern const struct command commands_server[];
extern const struct command commands_set[];
extern const struct command commands_stream[];
extern const struct command commands_string[];
extern const struct command commands_zset[];

/* clang-format off */
#define ROWS_END { .name = NULL }

/* The argument `at` is a key. */
#define KEY_AT(at, kinds) KEYS_RANGE(at, 0, 1, kinds)

/* Every argument from `at` on is a key. */
#define KEYS_FROM(at, kinds) KEYS_RANGE(at, -1, 1, kinds)

/* Keys from `at`, every `by` arguments, to `to`: that many after `at`, or from the end if negative. */
#define KEYS_RANGE(at, to, by, kinds)                                                              \
    { .begin = KEY_BEGIN_INDEX, .pos = (at), .find = KEY_FIND_RANGE, .last = (to), .step = (by),   \
      .flags = (kinds) }

/* The argument `at` says how many keys follow it. */
#define KEYS_COUNTED(at, kinds)                                                                    \
    { .begin = KEY_BEGIN_INDEX, .pos = (at), .find = KEY_FIND_KEYNUM, .keynum = 0, .first = 1,     \
      .step = 1, .flags = (kinds) }

/* One key after `word`, which is looked for from the argument `from` on. */
#define KEY_AFTER(word, from, kinds) KEYS_AFTER(word, from, 0, 0, kinds)

/* Keys after `word` to `to` from the end; of these the first 1/`part` (0: all). */
#define KEYS_AFTER(word, from, to, part, kinds)                                                    \
    { .begin = KEY_BEGIN_KEYWORD, .keyword = (word), .pos = (from), .find = KEY_FIND_RANGE,        \
      .last = (to), .step = 1, .limit = (part), .flags = (kinds) }

/* Keys that no spec can describe: see the row's rule. */
#define KEY_UNKNOWN(kinds)                                                                         \
    { .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN, .flags = (kinds) }

#define REFUSED(why) .how = HOW_REFUSE, .refuse = (why)
/* clang-format on */

#define WHY_DEBUG "it debugs one server, and the proxy stands for many"
#define WHY_MODULES "modules are loaded on each server, not through a proxy"
#define WHY_NODES "the cluster is changed on its nodes, not through a proxy"
#define WHY_REPLICATION "replication is set up between servers, not through a proxy"
#define WHY_USERS "users stand in the ACL file: change it and send SIGHUP"

#endif
