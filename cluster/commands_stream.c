/* Rows of the commands for streams, sorted by name; see commands.h. */
#include "cluster/commands.h"

// clang-format off
static const struct command xgroup_subs[] = {
    { .name = "create", .arity = -5, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_DENYOOM,
      .specs = { KEY_AT(2, KEY_RW | KEY_INSERT) } },
    { .name = "createconsumer", .arity = 5, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_DENYOOM,
      .specs = { KEY_AT(2, KEY_RW | KEY_INSERT) } },
    { .name = "delconsumer", .arity = 5, .how = HOW_KEYS, .flags = CMD_WRITE,
      .specs = { KEY_AT(2, KEY_RW | KEY_DELETE) } },
    { .name = "destroy", .arity = 4, .how = HOW_KEYS, .flags = CMD_WRITE,
      .specs = { KEY_AT(2, KEY_RW | KEY_DELETE) } },
    { .name = "help", .arity = 2, .how = HOW_ANY, .flags = CMD_LOADING | CMD_STALE },
    { .name = "setid", .arity = -5, .how = HOW_KEYS, .flags = CMD_WRITE,
      .specs = { KEY_AT(2, KEY_RW | KEY_UPDATE) } },
    ROWS_END,
};

static const struct command xinfo_subs[] = {
    { .name = "consumers", .arity = 4, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(2, KEY_RO | KEY_ACCESS) } },
    { .name = "groups", .arity = 3, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(2, KEY_RO | KEY_ACCESS) } },
    { .name = "help", .arity = 2, .how = HOW_ANY, .flags = CMD_LOADING | CMD_STALE },
    { .name = "stream", .arity = -3, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(2, KEY_RO | KEY_ACCESS) } },
    ROWS_END,
};

const struct command commands_stream[] = {
    { .name = "xack", .arity = -4, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { .name = "xadd", .arity = -5, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { .name = "xautoclaim", .arity = -6, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_DELETE) } },
    { .name = "xclaim", .arity = -6, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { .name = "xdel", .arity = -3, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_DELETE) } },
    { .name = "xgroup", .arity = -2, .how = HOW_ANY, .subs = xgroup_subs },
    { .name = "xinfo", .arity = -2, .how = HOW_ANY, .subs = xinfo_subs },
    { .name = "xlen", .arity = 2, .how = HOW_KEYS, .flags = CMD_READONLY | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RO) } },
    { .name = "xpending", .arity = -3, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "xrange", .arity = -4, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "xread", .arity = -4, .how = HOW_BLOCK,
      .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLEKEYS,
      .specs = { KEYS_AFTER("STREAMS", 1, -1, 2, KEY_RO | KEY_ACCESS) } },
    { .name = "xreadgroup", .arity = -7, .how = HOW_BLOCK,
      .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLEKEYS,
      .specs = { KEYS_AFTER("STREAMS", 4, -1, 2, KEY_RO | KEY_ACCESS) } },
    { .name = "xrevrange", .arity = -4, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "xsetid", .arity = -3, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
      .specs = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { .name = "xtrim", .arity = -4, .how = HOW_KEYS, .flags = CMD_WRITE,
      .specs = { KEY_AT(1, KEY_RW | KEY_DELETE) } },
    ROWS_END,
};
// clang-format on
