/* Rows of the commands for geospatial indexes, sorted by name; see commands.h. */
#include "cluster/commands.h"

// clang-format off
const struct command commands_geo[] = {
    { .name = "geoadd", .arity = -5, .how = HOW_KEYS, .flags = CMD_WRITE | CMD_DENYOOM,
      .specs = { KEY_AT(1, KEY_RW | KEY_UPDATE) } },
    { .name = "geodist", .arity = -4, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "geohash", .arity = -2, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "geopos", .arity = -2, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "georadius", .arity = -6, .rule = KEY_RULE_GEORADIUS, .how = HOW_GATHER,
      .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AFTER("STORE", 6, KEY_OW | KEY_UPDATE),
        KEY_AFTER("STOREDIST", 6, KEY_OW | KEY_UPDATE) } },
    { .name = "georadius_ro", .arity = -6, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "georadiusbymember", .arity = -5, .rule = KEY_RULE_GEORADIUS, .how = HOW_GATHER,
      .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLEKEYS,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AFTER("STORE", 5, KEY_OW | KEY_UPDATE),
        KEY_AFTER("STOREDIST", 5, KEY_OW | KEY_UPDATE) } },
    { .name = "georadiusbymember_ro", .arity = -5, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "geosearch", .arity = -7, .how = HOW_KEYS, .flags = CMD_READONLY,
      .specs = { KEY_AT(1, KEY_RO | KEY_ACCESS) } },
    { .name = "geosearchstore", .arity = -8, .how = HOW_GATHER, .flags = CMD_WRITE | CMD_DENYOOM,
      .specs = { KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS) } },
    ROWS_END,
};
// clang-format on
