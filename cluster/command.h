/*
 * command.h: what we know of each command, one row each.
 *
 * The rows describe Redis 7.0 (facts: what COMMAND of redis-server 7.0.15 prints) and how a proxy
 * has to handle the command. They know nothing of clients or sockets. proxy/ and migrate/ read the
 * same rows. A command with subcommands is a container: its row has `subs`, and each sub row is a
 * complete row whose name is the bare subcommand ("getkeys", not "command|getkeys").
 */
#ifndef CLUSTER_COMMAND_H
#define CLUSTER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

/* The flags that COMMAND prints, under the same names. */
enum command_flag {
    CMD_WRITE = 1u << 0,
    CMD_READONLY = 1u << 1,
    CMD_DENYOOM = 1u << 2,
    CMD_ADMIN = 1u << 3,
    CMD_PUBSUB = 1u << 4,
    CMD_NOSCRIPT = 1u << 5,
    CMD_BLOCKING = 1u << 6,
    CMD_LOADING = 1u << 7,
    CMD_STALE = 1u << 8,
    CMD_SKIP_MONITOR = 1u << 9,
    CMD_SKIP_SLOWLOG = 1u << 10,
    CMD_ASKING = 1u << 11,
    CMD_FAST = 1u << 12,
    CMD_NO_AUTH = 1u << 13,
    CMD_MAY_REPLICATE = 1u << 14,
    CMD_NO_ASYNC_LOADING = 1u << 15,
    CMD_NO_MULTI = 1u << 16,
    CMD_MOVABLEKEYS = 1u << 17,
    CMD_ALLOW_BUSY = 1u << 18,
    CMD_NO_MANDATORY_KEYS = 1u << 19,
    CMD_AFTER_7_0 = 1u << 20, /* ours, no flag of COMMAND: a row that Redis 7.0 lacks */
    CMD_OURS = 1u << 21,      /* a row of the proxy's own, which no Redis has */
    CMD_AT_MASTER = 1u << 22, /* ours: reads, but a replica would not do: access times, caches */
};

/* Key specifications, as on https://redis.io/docs/reference/key-specs/ . */
enum key_begin {
    KEY_BEGIN_NONE = 0,
    KEY_BEGIN_INDEX,   /* keys start at argument `pos` */
    KEY_BEGIN_KEYWORD, /* keys start after the argument `keyword`, searched from `pos` on
                          (negative: backwards from the end) */
    KEY_BEGIN_UNKNOWN,
};

enum key_find {
    KEY_FIND_NONE = 0,
    KEY_FIND_RANGE,  /* `last` counted from the start (negative: from the end), `step`, `limit` */
    KEY_FIND_KEYNUM, /* the number of keys stands `keynum` after the start, the first key `first` */
    KEY_FIND_UNKNOWN,
};

enum key_flag {
    KEY_RO = 1u << 0,
    KEY_RW = 1u << 1,
    KEY_OW = 1u << 2,
    KEY_RM = 1u << 3,
    KEY_ACCESS = 1u << 4,
    KEY_UPDATE = 1u << 5,
    KEY_INSERT = 1u << 6,
    KEY_DELETE = 1u << 7,
    KEY_NOT_KEY = 1u << 8, /* routed like a key, but is none (SPUBLISH's channel) */
    KEY_INCOMPLETE = 1u << 9,
    KEY_VARIABLE_FLAGS = 1u << 10,
};

struct key_spec {
    uint8_t begin; /* enum key_begin */
    uint8_t find;  /* enum key_find */
    uint16_t flags;
    int16_t pos;
    int16_t last, step, limit; /* KEY_FIND_RANGE */
    int16_t keynum, first;     /* KEY_FIND_KEYNUM; its step is `step` */
    const char *keyword;       /* upper case */
};

enum { KEY_SPECS_MAX = 4 };

/* Which of a command's keys its specs alone cannot tell; the names are those of the commands. */
enum key_rule {
    KEY_RULE_SPECS = 0, /* the specs tell it all; what is KEY_BEGIN_UNKNOWN are no keys (SORT_RO) */
    KEY_RULE_BITFIELD,  /* read-only when there is nothing but GET */
    KEY_RULE_GEORADIUS, /* STORE or STOREDIST, the last one given */
    KEY_RULE_MIGRATE,   /* one key, or those after KEYS */
    KEY_RULE_SET,       /* reads the old value when there is a GET */
    KEY_RULE_SORT,      /* STORE, the last one given; BY and GET are patterns, no keys */
};

/* How a proxy executes the command; see "Kinds of request" in docs/architecture.md. */
enum command_how {
    HOW_KEYS,      /* by its keys; keys in several slots: CROSSSLOT */
    HOW_SPLIT,     /* by its keys; keys in several slots: one part per slot, merged */
    HOW_GATHER,    /* by its keys; keys in several slots: brought together first */
    HOW_ANY,       /* no key: any master can answer for all (COMMAND) */
    HOW_BROADCAST, /* no key: every master, replies merged (DBSIZE, KEYS, SCRIPT LOAD) */
    HOW_LOCAL,     /* the proxy answers itself (PING, HELLO, CLIENT) */
    HOW_SESSION,   /* changes what the connection is (MULTI, WATCH, SUBSCRIBE, MONITOR) */
    HOW_BLOCK,     /* may block: needs a connection of its own */
    HOW_PUBLISH,   /* to any master, or to that of its channel; who hears it is counted */
    HOW_REFUSE,    /* makes no sense or would do harm through a proxy (SHUTDOWN, PSYNC, MIGRATE) */
};

/* How the replies of a split or broadcast command become one; the response_policy of COMMAND's
   tips where it names one. */
enum command_merge {
    MERGE_NONE = 0,
    MERGE_BY_KEY, /* one element per key, in the caller's order (MGET) */
    MERGE_ALL_OK, /* all succeeded: the first reply */
    MERGE_ONE_OK, /* one succeeded: the first that did (SCRIPT KILL) */
    MERGE_SUM,
    MERGE_MIN,
    MERGE_AND,    /* agg_logical_and (SCRIPT EXISTS) */
    MERGE_CONCAT, /* arrays joined (KEYS) */
    MERGE_SPECIAL,
};

struct command {
    const char *name;   /* lower case */
    const char *refuse; /* HOW_REFUSE: why, for people; else NULL */
    int16_t arity;      /* as COMMAND prints it: counts the name(s), negative is "at least" */
    uint8_t how;        /* enum command_how */
    uint8_t merge;      /* enum command_merge */
    uint8_t rule;       /* enum key_rule */
    uint8_t spec_count; /* set by command_table_new */
    /* Set by command_table_new: 1 or 2 when the command has exactly one key and it stands at that
       argument; 0 otherwise. Lets the hot way skip the walk over key specs. */
    uint8_t only_key;
    uint16_t index; /* set by command_table_new: dense, unique, a sub row has its own */
    uint16_t
        tally; /* the same for statistics, but all learned rows share the one behind the last */
    uint32_t flags;      /* enum command_flag */
    uint32_t categories; /* enum command_category; of a built-in row set by command_table_new */
    struct key_spec specs[KEY_SPECS_MAX];
    const struct command *subs;   /* container: its rows, ended by name == NULL; else NULL */
    const struct command *parent; /* set by command_table_new: a sub row's container, else NULL */
};

struct command_table;

enum {
    COMMANDS_MAX = 1024,   /* rows of a table, learned ones included */
    COMMAND_NAME_MAX = 63, /* of a learned command */
};

/* Takes a copy of all rows and indexes them. Aborts when rows contradict each other (a bug). */
struct command_table *command_table_new(void);
void command_table_free(struct command_table *t);
/* Adds a learned row under a name that the table lacks; on true the words in it belong to the
   table. False: the table is full. For learn.c. */
MUST_USE bool command_table_add(struct command_table *t, const struct command *row,
                                struct span name);
/* Number of rows incl. sub rows; every row's index is below it. */
uint32_t command_table_size(const struct command_table *t);
/* ... before any were learned; the tally of those. */
uint32_t command_table_built_in(const struct command_table *t);
/* The row with that index. */
const struct command *command_at(const struct command_table *t, uint32_t index);

/* The row for a name, ASCII case ignored, or NULL. Hot: no allocation, one hash. */
const struct command *command_find(const struct command_table *t, struct span name);

/*
 * The row that a complete request is about: for a container the sub row.
 * Container without argument, or a command without subs: the row itself. Unknown subcommand: NULL
 * with *container set. Unknown command: NULL with *container NULL.
 */
const struct command *command_resolve(const struct command_table *t, const struct argv *argv,
                                      const struct command **container);

/* Whether that number of arguments is allowed. */
static inline bool command_arity_ok(const struct command *c, uint32_t count)
{
    return c->arity >= 0 ? count == (uint32_t)c->arity : count >= (uint32_t)-c->arity;
}

#endif
