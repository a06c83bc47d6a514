#include "migrate/apply_rules.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "cluster/keyslot.h"

enum { WORDS_ON_STACK = 16 };

typedef void apply_rule(struct apply *a, const struct argv *argv);

/* --- names --------------------------------------------------------------------------------- */

/* What a key of the source's present database is called at the target; lent by name. */
static struct span name_key(const struct apply *a, struct span key, struct writer *name)
{
    if (a->options->databases != COPY_DB_PREFIX || a->db == 0)
        return key;
    char prefix[32];
    int n = snprintf(prefix, sizeof(prefix), "db%llu:", (unsigned long long)a->db);
    write_raw(name, (struct span){ prefix, (size_t)n });
    write_raw(name, key);
    return writer_span(name);
}

static bool database_wanted(struct apply *a, const struct argv *argv)
{
    const struct copy_options *o = a->options;
    if (o->databases == COPY_DB_PREFIX || a->db == o->only)
        return true;
    if (o->databases == COPY_DB_ONLY)
        a->counters.other_database++;
    else
        apply_failed(a, argv_get(argv, 0), argv->count > 1 ? argv_get(argv, 1) : SPAN(""),
                     "it is about another database; say what to do with that by --db");
    return false;
}

/* The words with that key at position 1 and everything else as it is. */
static void send_words(struct apply *a, struct span *words, size_t count)
{
    struct writer name;
    writer_init(&name, 2);
    words[1] = name_key(a, words[1], &name);
    apply_send(a, words, count, words[1]);
    writer_close(&name);
}

static void drop(struct apply *a, const struct argv *argv)
{
    (void)argv;
    a->counters.dropped++;
}

static void fail(struct apply *a, const struct argv *argv, const char *why)
{
    apply_failed(a, argv_get(argv, 0), argv->count > 1 ? argv_get(argv, 1) : SPAN(""), why);
}

/* --- commands with keys -------------------------------------------------------------------- */

static struct span *copy_words(const struct argv *argv)
{
    struct span *words = malloc(argv->count * sizeof(*words));
    REQUIRE(words != NULL);
    for (uint32_t i = 0; i < argv->count; i++)
        words[i] = argv_get(argv, i);
    return words;
}

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
        struct span *word = &words[walk.key.arg], named = name_key(a, *word, &one);
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
        int own = keyslot_of(name_key(a, argv_get(argv, walk.key.arg), &name));
        writer_close(&name);
        slot = slot == KEYS_NONE || slot == own ? own : KEYS_CROSS;
    }
    return slot;
}

static void pass_on(struct apply *a, const struct command *cmd, const struct argv *argv)
{
    struct writer names;
    writer_init(&names, 2);
    struct span *words = copy_words(argv);
    struct span key = rename_keys(a, cmd, argv, words, &names);
    if (key.at != NULL)
        apply_send(a, words, argv->count, key);
    else
        fail(a, argv, "it names no key, so no node can be chosen");
    writer_close(&names);
    free(words);
}

static void by_keys(struct apply *a, const struct argv *argv)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    if (cmd == NULL || !command_arity_ok(cmd, argv->count)) {
        fail(a, argv, "a command that this program does not know");
        return;
    }
    int slot = slot_of_keys(a, cmd, argv);
    if (slot == KEYS_BAD)
        fail(a, argv, "its keys cannot be found");
    else if (slot == KEYS_CROSS && a->target->options->cluster)
        fail(a, argv, "its keys lie in several slots; write through slotgate, which can do that");
    else
        pass_on(a, cmd, argv);
}

bool apply_rules_cross(const struct apply *a, const struct argv *argv)
{
    const struct command *container = NULL;
    const struct command *cmd = command_resolve(a->target->commands, argv, &container);
    struct span name = argv_get(argv, 0);
    bool split = cmd != NULL &&
                 (cmd->how == HOW_SPLIT || span_is(name, "msetnx") || span_is(name, "pfcount"));
    return cmd != NULL && !split && command_arity_ok(cmd, argv->count) &&
           slot_of_keys(a, cmd, argv) == KEYS_CROSS;
}

/* --- commands that are taken apart --------------------------------------------------------- */

/* DEL and UNLINK: key by key, for they may lie in any slots. */
static void each_key(struct apply *a, const struct argv *argv)
{
    for (uint32_t i = 1; i < argv->count; i++)
        send_words(a, (struct span[]){ argv_get(argv, 0), argv_get(argv, i) }, 2);
}

/* It writes the count that it found into the key; over several keys it changes nothing. */
static void count_one(struct apply *a, const struct argv *argv)
{
    if (argv->count == 2)
        by_keys(a, argv);
    else
        drop(a, argv);
}

/* MSET and an MSETNX, which is sent only if it took effect. */
static void each_pair(struct apply *a, const struct argv *argv)
{
    for (uint32_t i = 1; i + 1 < argv->count; i += 2)
        send_words(a, (struct span[]){ SPAN("SET"), argv_get(argv, i), argv_get(argv, i + 1) }, 3);
}

static void move_member(struct apply *a, const struct argv *argv)
{
    const struct command *cmd = command_find(a->target->commands, SPAN("smove"));
    bool cluster = a->target->options->cluster;
    if (argv->count != 4 || !cluster || slot_of_keys(a, cmd, argv) != KEYS_CROSS) {
        by_keys(a, argv);
        return;
    }
    struct span member = argv_get(argv, 3);
    send_words(a, (struct span[]){ SPAN("SADD"), argv_get(argv, 2), member }, 3);
    send_words(a, (struct span[]){ SPAN("SREM"), argv_get(argv, 1), member }, 3);
}

/* --- times to live ------------------------------------------------------------------------- */

/* A time in the unit and from the moment that the command means, as milliseconds since 1970. */
static bool absolute_ms(const struct apply *a, struct span text, bool seconds, bool relative,
                        int64_t *out)
{
    int64_t n;
    if (!text_to_i64(text.at, text.len, &n) || n > INT64_MAX / 2000 || n < INT64_MIN / 2000)
        return false;
    *out = (seconds ? n * 1000 : n) + (relative ? a->now : 0);
    return true;
}

static void send_expiry(struct apply *a, const struct argv *argv, bool seconds, bool relative)
{
    char digits[TEXT_NUMBER_MAX];
    int64_t at;
    if (argv->count < 3 || !absolute_ms(a, argv_get(argv, 2), seconds, relative, &at)) {
        fail(a, argv, "its time cannot be understood");
        return;
    }
    /* NX, XX, GT and LT stay away: only what took effect at the source is in the stream. */
    struct span ms = { digits, text_from_i64(digits, at) };
    send_words(a, (struct span[]){ SPAN("PEXPIREAT"), argv_get(argv, 1), ms }, 3);
}

static void expire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, true);
}

static void pexpire(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, true);
}

static void expireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, true, false);
}

static void pexpireat(struct apply *a, const struct argv *argv)
{
    send_expiry(a, argv, false, false);
}

/* SET and, since not every target knows PXAT, a PEXPIREAT behind it. */
static void set_until(struct apply *a, struct span key, struct span value, int64_t at)
{
    char digits[TEXT_NUMBER_MAX];
    struct span ms = { digits, text_from_i64(digits, at) };
    if (a->target->facts.set_until) {
        send_words(a, (struct span[]){ SPAN("SET"), key, value, SPAN("PXAT"), ms }, 5);
        return;
    }
    send_words(a, (struct span[]){ SPAN("SET"), key, value }, 3);
    send_words(a, (struct span[]){ SPAN("PEXPIREAT"), key, ms }, 3);
}

static void send_setex(struct apply *a, const struct argv *argv, bool seconds)
{
    int64_t at;
    if (argv->count != 4 || !absolute_ms(a, argv_get(argv, 2), seconds, true, &at))
        fail(a, argv, "its time cannot be understood");
    else
        set_until(a, argv_get(argv, 1), argv_get(argv, 3), at);
}

static void setex(struct apply *a, const struct argv *argv)
{
    send_setex(a, argv, true);
}

static void psetex(struct apply *a, const struct argv *argv)
{
    send_setex(a, argv, false);
}

static void setnx(struct apply *a, const struct argv *argv)
{
    if (argv->count == 3)
        send_words(a, (struct span[]){ SPAN("SET"), argv_get(argv, 1), argv_get(argv, 2) }, 3);
    else
        fail(a, argv, "a command that this program does not know");
}

static const struct set_time {
    const char *word;
    bool seconds, relative;
} set_times[] = {
    { "ex", true, true }, { "px", false, true }, { "exat", true, false }, { "pxat", false, false }
};

static const struct set_time *set_time_of(struct span word)
{
    for (size_t i = 0; i < ARRAY_LEN(set_times); i++)
        if (span_is(word, set_times[i].word))
            return &set_times[i];
    return NULL;
}

/* NX, XX and GET stay away: it took effect. */
static void set(struct apply *a, const struct argv *argv)
{
    bool keep = false, timed = false;
    int64_t at = 0;
    if (argv->count < 3) {
        by_keys(a, argv);
        return;
    }
    for (uint32_t i = 3; i < argv->count; i++) {
        const struct set_time *t = set_time_of(argv_get(argv, i));
        keep |= span_is(argv_get(argv, i), "keepttl");
        if (t == NULL)
            continue;
        timed = i + 1 < argv->count &&
                absolute_ms(a, argv_get(argv, i + 1), t->seconds, t->relative, &at);
        if (!timed) {
            fail(a, argv, "its time cannot be understood");
            return;
        }
        i++;
    }
    struct span words[] = { SPAN("SET"), argv_get(argv, 1), argv_get(argv, 2), SPAN("KEEPTTL") };
    if (timed)
        set_until(a, words[1], words[2], at);
    else
        send_words(a, words, keep ? 4 : 3);
}

/* A cluster that imports a slot says so to its replicas. */
static void restore_asking(struct apply *a, const struct argv *argv)
{
    struct span *words = copy_words(argv);
    words[0] = SPAN("RESTORE");
    if (argv->count >= 4)
        send_words(a, words, argv->count);
    else
        fail(a, argv, "a command that this program does not know");
    free(words);
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

static void replconf(struct apply *a, const struct argv *argv)
{
    a->counters.dropped++;
    a->wants_ack |= argv->count > 1 && span_is(argv_get(argv, 1), "getack");
}

/* Scripts and functions: at every master. */
static void everywhere(struct apply *a, const struct argv *argv)
{
    struct span *words = copy_words(argv);
    bool flush = argv->count > 1 && span_is(argv_get(argv, 1), "flush");
    if (flush) /* others may use what the target has */
        a->counters.dropped++;
    else
        apply_send(a, words, argv->count, (struct span){ NULL, 0 });
    free(words);
}

static void refuse(struct apply *a, const struct argv *argv)
{
    static const char why[] = "it would touch all keys of the target, of which some may be others'";
    fail(a, argv, why);
    a->error = "the source has executed FLUSHALL, FLUSHDB or SWAPDB, which is not repeated at the "
               "target; empty the target as far as it is right, and start again";
}

static const struct {
    const char *name;
    apply_rule *rule;
    bool any_database; /* it is not about keys of the present one */
} rules[] = {
    { "del", each_key, false },
    { "discard", drop, true },
    { "exec", exec, true },
    { "exists", drop, true },
    { "expire", expire, false },
    { "expireat", expireat, false },
    { "flushall", refuse, true },
    { "flushdb", refuse, false },
    { "function", everywhere, true },
    { "mset", each_pair, false },
    { "msetnx", each_pair, false },
    { "multi", multi, true },
    { "opinfo", drop, true },
    { "pexpire", pexpire, false },
    { "pexpireat", pexpireat, false },
    { "pfcount", count_one, false },
    { "ping", drop, true },
    { "psetex", psetex, false },
    { "publish", drop, true },
    { "replconf", replconf, true },
    { "restore-asking", restore_asking, false },
    { "script", everywhere, true },
    { "select", select_database, true },
    { "set", set, false },
    { "setex", setex, false },
    { "setnx", setnx, false },
    { "smove", move_member, false },
    { "spublish", drop, true },
    { "swapdb", refuse, true },
    { "touch", drop, true },
    { "unlink", each_key, false },
};

void apply_rules_take(struct apply *a, const struct argv *argv)
{
    struct span name = argv_get(argv, 0);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!span_is(name, rules[i].name))
            continue;
        if (rules[i].any_database || database_wanted(a, argv))
            rules[i].rule(a, argv);
        return;
    }
    if (database_wanted(a, argv))
        by_keys(a, argv);
}
