/* Rows of the commands for publish and subscribe, transactions, sorted by name; see commands.h. */
#include "cluster/commands.h"

// clang-format off
static const struct command pubsub_subs[] = {
    { .name = "channels", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE },
    { .name = "help", .arity = 2, .how = HOW_ANY, .flags = CMD_LOADING | CMD_STALE },
    { .name = "numpat", .arity = 2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE },
    { .name = "numsub", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE },
    { .name = "shardchannels", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE },
    { .name = "shardnumsub", .arity = -2, .how = HOW_BROADCAST, .merge = MERGE_SPECIAL,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE },
    ROWS_END,
};

const struct command commands_pubsub[] = {
    { .name = "discard", .arity = 1, .how = HOW_SESSION,
      .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY },
    { .name = "exec", .arity = 1, .how = HOW_SESSION,
      .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG },
    { .name = "multi", .arity = 1, .how = HOW_SESSION,
      .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY },
    { .name = "psubscribe", .arity = -2, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE },
    { .name = "publish", .arity = 3, .how = HOW_PUBLISH,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST },
    { .name = "pubsub", .arity = -2, .how = HOW_ANY, .subs = pubsub_subs },
    { .name = "punsubscribe", .arity = -1, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE },
    { .name = "spublish", .arity = 3, .how = HOW_PUBLISH,
      .flags = CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST,
      .specs = { KEY_AT(1, KEY_NOT_KEY) } },
    { .name = "ssubscribe", .arity = -2, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
      .specs = { KEYS_FROM(1, KEY_NOT_KEY) } },
    { .name = "subscribe", .arity = -2, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE },
    { .name = "sunsubscribe", .arity = -1, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
      .specs = { KEYS_FROM(1, KEY_NOT_KEY) } },
    { .name = "unsubscribe", .arity = -1, .how = HOW_SESSION,
      .flags = CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE },
    { .name = "unwatch", .arity = 1, .how = HOW_SESSION,
      .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY },
    { .name = "watch", .arity = -2, .how = HOW_SESSION,
      .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY,
      .specs = { KEYS_FROM(1, KEY_RO) } },
    ROWS_END,
};
// clang-format on
