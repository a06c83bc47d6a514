/* Rows of the commands for scripts and functions, sorted by name; see commands.h. */
#include "cluster/commands.h"

// clang-format off
static const struct command function_subs[] = {
    { .name = "delete", .arity = 3, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_WRITE | CMD_NOSCRIPT },
    /* LOAD and DELETE reach every node, so one node knows all functions. */
    { .name = "dump", .arity = 2, .how = HOW_ANY, .flags = CMD_NOSCRIPT },
    { .name = "flush", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_WRITE | CMD_NOSCRIPT },
    { .name = "help", .arity = 2, .how = HOW_ANY, .flags = CMD_LOADING | CMD_STALE },
    { .name = "kill", .arity = 2, .how = HOW_BROADCAST, .merge = MERGE_ONE_OK,
      .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY },
    { .name = "list", .arity = -2, .how = HOW_ANY, .flags = CMD_NOSCRIPT },
    { .name = "load", .arity = -3, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_WRITE | CMD_DENYOOM | CMD_NOSCRIPT },
    { .name = "restore", .arity = -3, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_WRITE | CMD_DENYOOM | CMD_NOSCRIPT },
    { .name = "stats", .arity = 2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY },
    ROWS_END,
};

static const struct command script_subs[] = {
    { .name = "debug", .arity = 3,
      REFUSED("a debugging session stops a server that other clients use"),
      .flags = CMD_NOSCRIPT },
    { .name = "exists", .arity = -3, .how = HOW_BROADCAST, .merge = MERGE_AND,
      .flags = CMD_NOSCRIPT },
    { .name = "flush", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_NOSCRIPT },
    { .name = "help", .arity = 2, .how = HOW_ANY, .flags = CMD_LOADING | CMD_STALE },
    { .name = "kill", .arity = 2, .how = HOW_BROADCAST, .merge = MERGE_ONE_OK,
      .flags = CMD_NOSCRIPT | CMD_ALLOW_BUSY },
    { .name = "load", .arity = 3, .how = HOW_BROADCAST, .merge = MERGE_ALL_OK,
      .flags = CMD_NOSCRIPT | CMD_STALE },
    ROWS_END,
};

const struct command commands_script[] = {
    { .name = "eval", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RW | KEY_ACCESS | KEY_UPDATE) } },
    { .name = "eval_ro", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_READONLY | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RO | KEY_ACCESS) } },
    { .name = "evalsha", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RW | KEY_ACCESS | KEY_UPDATE) } },
    { .name = "evalsha_ro", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_READONLY | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RO | KEY_ACCESS) } },
    { .name = "fcall", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RW | KEY_ACCESS | KEY_UPDATE) } },
    { .name = "fcall_ro", .arity = -3, .how = HOW_GATHER,
      .flags = CMD_READONLY | CMD_NOSCRIPT | CMD_STALE | CMD_SKIP_MONITOR
        | CMD_NO_MANDATORY_KEYS | CMD_MOVABLEKEYS,
      .specs = { KEYS_COUNTED(2, KEY_RO | KEY_ACCESS) } },
    { .name = "function", .arity = -2, .how = HOW_ANY, .subs = function_subs },
    { .name = "script", .arity = -2, .how = HOW_ANY, .subs = script_subs },
    ROWS_END,
};
// clang-format on
