#include "migrate/apply_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "cluster/keyslot.h"
#include "migrate/apply_across.h"
#include "migrate/apply_words.h"
#include "migrate/databases.h"

/* --- databases ----------------------------------------------------------------------------- */

bool apply_wants_database(struct apply *a, const struct argv *argv)
{
    const struct copy_options *o = a->options;
    if (databases_take(o, a->db))
        return true;
    if (o->databases != COPY_DB_REFUSE)
        a->counters.other_database++;
    else
        apply_fail(a, argv, "it is about another database; say what to do with that by --db");
    return false;
}

/* --- commands with keys -------------------------------------------------------------------- */

/* Puts the target's names in place of the keys; gives the first of them. names holds them and must
   be closed; keys: room for one span per argument. */
static struct span rename_keys(const struct apply *a, const struct command *cmd,
                               const struct argv *argv, struct span *words, struct writer *names)
{
    struct key_walk walk;
    struct span first = { NULL, 0 };
    size_t room = 0;
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk))
        room += words[walk.key.arg].len + 32;
    names->at = malloc(room + 1); /* so that it does not move any more */
    REQUIRE(names->at != NULL);
    names->capacity = room + 1;
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk)) {
        struct writer one;
        writer_init(&one, 2);
        struct span *word = &words[walk.key.arg], named = apply_name(a, *word, &one);
        if (named.at != word->at) {
            *word = (struct span){ names->at + names->len, named.len };
            write_raw(names, named);
        }
        writer_close(&one);
        if (first.at == NULL)
            first = *word;
    }
    return first;
}

/* As keys_slot, by the names at the target: a prefix may part what was in one slot. */
static int slot_of_keys(const struct apply *a, const struct command *cmd, const struct argv *argv)
{
    struct key_walk walk;
    int slot = KEYS_NONE;
    if (a->options->databases != COPY_DB_PREFIX || a->db == 0)
        return keys_slot(cmd, argv);
    for (int rc = key_walk_start(&walk, cmd, argv); rc > 0; rc = key_walk_next(&walk)) {
        struct writer name;
        writer_init(&name, 2);
        int own = keyslot_of(apply_name(a, argv_get(argv, walk.key.arg), &name));
        writer_close(&name);
        slot = slot == KEYS_NONE || slot == own ? own : KEYS_CROSS;
    }
    return slot;
}

static void pass_on(struct apply *a, const struct command *cmd, const struct argv *argv)
{
    struct writer names;
    writer_init(&names, 2);
    struct span *words = apply_copy_words(argv);
    struct span key = rename_keys(a, cmd, argv, words, &names);
    bool moves =
        span_is(words[0], "rename") || span_is(words[0], "renamenx") || span_is(words[0], "copy");
    if (moves && argv->count > 2)
        apply_follow(a, argv_get(argv, 1), a->db, argv_get(argv, 2));
    if (key.at != NULL)
        apply_send(a, words, argv->count, key);
    else
        apply_fail(a, argv, "it names no key, so no node can be chosen");
    writer_close(&names);
    free(words);
}

void apply_by_keys(struct apply *a, const struct argv *argv)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    if (cmd == NULL || !command_arity_ok(cmd, argv->count)) {
        apply_fail(a, argv, "neither this program nor the target knows such a command");
        return;
    }
    int slot = slot_of_keys(a, cmd, argv);
    if (slot == KEYS_BAD)
        apply_fail(a, argv, "its keys cannot be found");
    else if (slot == KEYS_CROSS && !across_knows(a, cmd, argv))
        apply_fail(a, argv,
                   "its keys lie in several slots; write through slotgate, which can do that");
    else
        pass_on(a, cmd, argv);
}

/* Both halves may be executed again. */
static bool parts_smove(const struct apply *a)
{
    return a->target->options->cluster || across_is_used(a);
}

bool apply_rules_cross(const struct apply *a, const struct argv *argv)
{
    if (apply_moves_between_slots(a, argv) || apply_empties_target(a, argv))
        return true;
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    struct span name = argv_get(argv, 0);
    bool split =
        cmd != NULL && (cmd->how == HOW_SPLIT || span_is(name, "msetnx") ||
                        span_is(name, "pfcount") || (span_is(name, "smove") && parts_smove(a)));
    return cmd != NULL && !split && command_arity_ok(cmd, argv->count) &&
           slot_of_keys(a, cmd, argv) == KEYS_CROSS;
}

/* --- commands that are taken apart --------------------------------------------------------- */

/* DEL and UNLINK: key by key, for they may lie in any slots. */
static void each_key(struct apply *a, const struct argv *argv)
{
    for (uint32_t i = 1; i < argv->count; i++)
        if (apply_wants(a, argv_get(argv, i)))
            apply_words(a, (struct span[]){ argv_get(argv, 0), argv_get(argv, i) }, 2);
}

/* It writes the count that it found into the key; over several keys it changes nothing. */
static void count_one(struct apply *a, const struct argv *argv)
{
    if (argv->count == 2)
        apply_by_keys(a, argv);
    else
        apply_drop(a, argv);
}

/* MSET and an MSETNX, which is sent only if it took effect. */
static void each_pair(struct apply *a, const struct argv *argv)
{
    for (uint32_t i = 1; i + 1 < argv->count; i += 2)
        if (apply_wants(a, argv_get(argv, i)))
            apply_words(a, (struct span[]){ SPAN("SET"), argv_get(argv, i), argv_get(argv, i + 1) },
                        3);
}

static void move_member(struct apply *a, const struct argv *argv)
{
    const struct command *cmd = command_find(a->target->commands, SPAN("smove"));
    if (argv->count != 4 || !parts_smove(a) || slot_of_keys(a, cmd, argv) != KEYS_CROSS) {
        apply_by_keys(a, argv);
        return;
    }
    struct span member = argv_get(argv, 3);
    apply_words(a, (struct span[]){ SPAN("SADD"), argv_get(argv, 2), member }, 3);
    apply_words(a, (struct span[]){ SPAN("SREM"), argv_get(argv, 1), member }, 3);
}

/* --- commands without keys ----------------------------------------------------------------- */

static void select_database(struct apply *a, const struct argv *argv)
{
    a->counters.dropped++;
    if (argv->count != 2 || !text_to_u64(argv_get(argv, 1).at, argv_get(argv, 1).len, &a->db))
        a->error = "a SELECT in the stream names no database";
}

static void multi(struct apply *a, const struct argv *argv)
{
    (void)argv;
    a->counters.dropped++;
    apply_multi(a);
}

static void exec(struct apply *a, const struct argv *argv)
{
    (void)argv;
    a->counters.dropped++;
    apply_exec(a);
}

/* Sentinels that heard each other's greetings would take two groups of servers for one; and what
   the source's caches have to forget is no message. */
static bool is_of_servers(struct span channel)
{
    static const struct span starts[] = { { "__sentinel__:", 13 }, { "__redis__:", 10 } };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (channel.len >= starts[i].len && memcmp(channel.at, starts[i].at, starts[i].len) == 0)
            return true;
    return false;
}

static void publish(struct apply *a, const struct argv *argv)
{
    struct span channel = argv->count == 3 ? argv_get(argv, 1) : SPAN("");
    if (!a->options->publish || is_of_servers(channel) || argv->count != 3) {
        a->counters.dropped++;
        return;
    }
    struct span words[] = { argv_get(argv, 0), channel, argv_get(argv, 2) };
    apply_send(a, words, 3, channel);
}

static void replconf(struct apply *a, const struct argv *argv)
{
    a->counters.dropped++;
    if (argv->count <= 1 || !span_is(argv_get(argv, 1), "getack"))
        return;
    a->ack_last = a->offset;
    if (a->ack_first == 0)
        a->ack_first = a->offset;
}

bool apply_wants_ack(struct apply *a)
{
    if (a->ack_first == 0 || a->applied < a->ack_first)
        return false;
    a->ack_first = a->applied < a->ack_last ? a->ack_last : 0;
    return true;
}

/* Scripts and functions: at every master. */
static void everywhere(struct apply *a, const struct argv *argv)
{
    struct span *words = apply_copy_words(argv);
    bool flush = argv->count > 1 && span_is(argv_get(argv, 1), "flush");
    if (flush) /* others may use what the target has */
        a->counters.dropped++;
    else
        apply_send(a, words, argv->count, (struct span){ NULL, 0 });
    free(words);
}

/* FUNCTION LOAD and RESTORE had no library in their way at the source, whatever the target has; so
   they replace it. That makes them absolute, as DELETE is: they need no marker, for what is sent
   again in the same order ends in the same libraries. FLUSH is left out as above. */
static void functions(struct apply *a, const struct argv *argv)
{
    static const struct span function = { "FUNCTION", 8 }, replace = { "REPLACE", 7 };
    struct span kind = argv->count > 2 ? argv_get(argv, 1) : SPAN("");
    struct span last = argv_get(argv, argv->count - 1), none = { NULL, 0 };
    if (span_is(kind, "load"))
        apply_send(a, (struct span[]){ function, kind, replace, last }, 4, none);
    else if (span_is(kind, "restore"))
        apply_send(a, (struct span[]){ function, kind, argv_get(argv, 2), replace }, 4, none);
    else
        everywhere(a, argv);
}

/* A source rewrites them before they come into its stream. Passed on, they could wait for ever. */
static void out_of_place(struct apply *a, const struct argv *argv)
{
    apply_fail(a, argv, "it has no place in a replication stream");
}

/* Codis: it would delete the keys of whole slots, which only the source can name. */
static void slots_deleted(struct apply *a, const struct argv *argv)
{
    apply_fail(a, argv, "the source has deleted whole slots of Codis; verify shows which keys");
}

/* What a rule's commands are about, as far as --db and the filters ask. */
enum scope {
    KEYS,       /* of the present database */
    KEY_BY_KEY, /* likewise, and each goes over for itself */
    EVERYWHERE, /* all databases */
    CONTROL,    /* the stream itself: never filtered */
};

static const struct {
    const char *name;
    apply_rule *rule;
    uint8_t scope; /* enum scope */
} rules[] = {
    { "asking", apply_drop, CONTROL },
    { "blmove", out_of_place, EVERYWHERE },
    { "blmpop", out_of_place, EVERYWHERE },
    { "blpop", out_of_place, EVERYWHERE },
    { "brpop", out_of_place, EVERYWHERE },
    { "brpoplpush", out_of_place, EVERYWHERE },
    { "bzmpop", out_of_place, EVERYWHERE },
    { "bzpopmax", out_of_place, EVERYWHERE },
    { "bzpopmin", out_of_place, EVERYWHERE },
    { "copy", apply_copy, EVERYWHERE },
    { "del", each_key, KEY_BY_KEY },
    { "discard", apply_drop, CONTROL },
    { "eval", apply_eval, KEYS },
    { "exec", exec, CONTROL },
    { "exists", apply_drop, EVERYWHERE },
    { "expire", apply_expire, KEYS },
    { "expireat", apply_expireat, KEYS },
    { "flushall", apply_flush, EVERYWHERE },
    { "flushdb", apply_flush, EVERYWHERE },
    { "function", functions, EVERYWHERE },
    { "getex", apply_getex, KEYS },
    { "hexpire", apply_hexpire, KEYS },
    { "hexpireat", apply_hexpireat, KEYS },
    { "hgetdel", apply_hgetdel, KEYS },
    { "hpersist", apply_hpersist, KEYS },
    { "hpexpire", apply_hpexpire, KEYS },
    { "hpexpireat", apply_hpexpireat, KEYS },
    { "hsetex", apply_hsetex, KEYS },
    { "lmpop", out_of_place, EVERYWHERE },
    { "migrate", out_of_place, EVERYWHERE },
    { "move", apply_move, EVERYWHERE },
    { "mset", each_pair, KEY_BY_KEY },
    { "msetnx", each_pair, KEY_BY_KEY },
    { "multi", multi, CONTROL },
    { "opinfo", apply_drop, CONTROL },
    { "pexpire", apply_pexpire, KEYS },
    { "pexpireat", apply_pexpireat, KEYS },
    { "pfcount", count_one, KEYS },
    { "ping", apply_drop, CONTROL },
    { "psetex", apply_psetex, KEYS },
    { "publish", publish, EVERYWHERE },
    { "replconf", replconf, CONTROL },
    { "restore", apply_restore, KEYS },
    { "restore-asking", apply_restore, KEYS },
    { "script", everywhere, EVERYWHERE },
    { "select", select_database, CONTROL },
    { "set", apply_set, KEYS },
    { "setex", apply_setex, KEYS },
    { "setnx", apply_setnx, KEYS },
    { "slotsdel", slots_deleted, EVERYWHERE },
    { "slotsmgrtone", out_of_place, EVERYWHERE },
    { "slotsmgrtslot", out_of_place, EVERYWHERE },
    { "slotsmgrttagone", out_of_place, EVERYWHERE },
    { "slotsmgrttagslot", out_of_place, EVERYWHERE },
    { "slotsrestore", apply_slotsrestore, KEY_BY_KEY },
    { "slotsrestore-async", apply_slotsrestore_async, KEY_BY_KEY },
    { "slotsrestore-async-ack", out_of_place, EVERYWHERE },
    { "smove", move_member, KEYS },
    { "spublish", publish, EVERYWHERE },
    { "swapdb", apply_swapdb, EVERYWHERE },
    { "touch", apply_drop, EVERYWHERE },
    { "unlink", each_key, KEY_BY_KEY },
    { "wait", out_of_place, EVERYWHERE },
    { "xread", out_of_place, EVERYWHERE },
    { "xreadgroup", out_of_place, EVERYWHERE },
    { "zmpop", out_of_place, EVERYWHERE },
};

static bool is_wanted(struct apply *a, const struct argv *argv, enum scope scope)
{
    if (scope == CONTROL)
        return true;
    if (scope != EVERYWHERE && a->options->filter != NULL &&
        !filter_database(a->options->filter, a->db)) {
        a->counters.filtered++;
        return false;
    }
    if (scope == EVERYWHERE) {
        bool passes =
            a->options->filter == NULL || filter_command(a->options->filter, argv_get(argv, 0));
        a->counters.filtered += !passes;
        return passes;
    }
    return apply_wants_command(a, argv, scope == KEY_BY_KEY) && apply_wants_database(a, argv);
}

/* Behind the last one: there is none. */
static size_t find_rule(struct span name)
{
    size_t i = 0;
    while (i < ARRAY_LEN(rules) && !span_is(name, rules[i].name))
        i++;
    return i;
}

bool apply_rules_know(struct span name)
{
    return find_rule(name) < ARRAY_LEN(rules);
}

void apply_rules_take(struct apply *a, const struct argv *argv)
{
    size_t i = find_rule(argv_get(argv, 0));
    bool found = i < ARRAY_LEN(rules);
    if (is_wanted(a, argv, found ? (enum scope)rules[i].scope : KEYS))
        (found ? rules[i].rule : apply_by_keys)(a, argv);
}
