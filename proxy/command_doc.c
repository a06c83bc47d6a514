#include "proxy/command_doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/dispatch.h"

static const char *const intro[] = {
    "# Commands",
    "",
    "<!-- Written by `./dev docs` from the rows in cluster/commands_*.c; edit those. -->",
    "",
    "Every command of Redis 7.0 and how Slotgate handles it.",
    "",
    "**by its keys**: sent to the node that serves the slot of its keys; the reply comes back byte",
    "for byte. Keys in several slots are answered with `CROSSSLOT`.",
    "",
    "**split**: over several slots it is executed part by part, one part per slot, and the replies",
    "are merged in the caller's order. Each part is atomic, the whole is not: another client may",
    "see some keys of an MSET before others. An error in one part is the whole reply, though other",
    "parts may have been executed.",
    "",
    "**gathered**: over several slots the values are brought to one slot under temporary keys, the",
    "command is executed there, and what it changed is brought home; or values move from slot to",
    "slot in an order that loses nothing. Not atomic; see \"Keys in several slots\" in",
    "[architecture.md](architecture.md).",
    "",
    "Both are on by default, because software that comes from one Redis uses MGET, DEL and RENAME",
    "over any keys and must not change. `--enable-cross-slot no` answers `CROSSSLOT` as a Redis",
    "Cluster does.",
    "",
    "**every shard**: sent to the master of each shard, and the replies are merged.",
    "",
    "**by any master**: one master answers for all; a client keeps to the same one if it can.",
    "",
    "**here**: the proxy answers itself, as one Redis would.",
    "",
    "**published**: by any master, or by the slot of its channel; the reply counts the clients of",
    "all workers that hear it.",
    "",
    "**waits**: on a connection of its own to the node that serves its keys; over several slots",
    "the proxy looks again and again. See \"Commands that wait\" in",
    "[architecture.md](architecture.md).",
    "",
    "**not yet**: answered with one clear error; the connection goes on.",
    "",
    "**refused**: makes no sense or would do harm through a proxy.",
    "",
    "| Command | Handled | Remarks |",
    "|---|---|---|",
};

static const char *const kinds[] = {
    [HOW_KEYS] = "by its keys",  [HOW_SPLIT] = "split",           [HOW_GATHER] = "gathered",
    [HOW_ANY] = "by any master", [HOW_BROADCAST] = "every shard", [HOW_LOCAL] = "here",
    [HOW_SESSION] = "not yet",   [HOW_BLOCK] = "waits",           [HOW_REFUSE] = "refused",
    [HOW_PUBLISH] = "published",
};

static const char *const merges[] = {
    [MERGE_NONE] = "",
    [MERGE_BY_KEY] = "one element per key",
    [MERGE_ALL_OK] = "all must succeed",
    [MERGE_ONE_OK] = "one must succeed",
    [MERGE_SUM] = "sum",
    [MERGE_MIN] = "least",
    [MERGE_AND] = "logical and",
    [MERGE_CONCAT] = "lists joined",
    [MERGE_SPECIAL] = "merged in its own way",
};

/* What else people should know of a gathered command over several slots. */
static const struct {
    const char *name, *note;
} notes[] = {
    { "copy", "written at once, or an error" },
    { "eval", "run on copies; again if a key changes before the results are written" },
    { "evalsha", "as eval" },
    { "fcall", "as eval" },
    { "lmove", "pushed there before it is popped here: for a moment in both lists" },
    { "lmpop",
      "asks one key after the other; a list that gets elements meanwhile may be passed over" },
    { "msetnx", "looks at all keys, then sets them; taken back, and 0, if one came up meanwhile" },
    { "rename", "written there before it is taken away here: for a moment in both places" },
    { "renamenx", "as rename" },
    { "rpoplpush", "as lmove" },
    { "sdiff", "small sets are merged in the proxy" },
    { "sinter", "small sets are merged in the proxy" },
    { "sintercard", "small sets are merged in the proxy" },
    { "smove", "added there before it is removed here: for a moment in both sets" },
    { "sunion", "small sets are merged in the proxy" },
    { "zmpop", "as lmpop, for sorted sets" },
};

static const char *note_of(const struct command *c)
{
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        if (c->parent == NULL && strcmp(notes[i].name, c->name) == 0)
            return notes[i].note;
    return "";
}

/* A row that asks for a merge of its own which nobody has written yet. */
static bool is_missing(const struct command *c, local_command *const *locals)
{
    return c->how == HOW_BROADCAST && c->merge == MERGE_SPECIAL && locals[c->index] == NULL;
}

static const char *kind(const struct command *c, local_command *const *locals)
{
    if (is_missing(c, locals))
        return kinds[HOW_SESSION];
    if (c->how != HOW_BROADCAST && c->how != HOW_ANY && c->how != HOW_PUBLISH &&
        locals[c->index] != NULL)
        return "here";
    return kinds[c->how];
}

static const char *remark(const struct command *c, local_command *const *locals)
{
    if (is_missing(c, locals))
        return "concerns every node";
    if (c->how == HOW_REFUSE)
        return locals[c->index] == NULL ? c->refuse : "";
    if (c->how == HOW_SESSION && locals[c->index] == NULL)
        return "changes what the connection is";
    if (c->how == HOW_BLOCK)
        return c->spec_count == 1 && strncmp(c->name, "xread", 5) == 0
                   ? "with BLOCK; otherwise by its keys, over several slots part by part"
                   : "";
    if (c->how == HOW_GATHER)
        return note_of(c);
    if (c->how == HOW_SPLIT || c->how == HOW_BROADCAST)
        return merges[c->merge];
    if ((c->flags & CMD_OURS) != 0)
        return "no Redis has it";
    if ((c->flags & CMD_AFTER_7_0) != 0)
        return "newer than Redis 7.0";
    return "";
}

/* Whether a call may name more than one key. */
static bool may_have_several(const struct command *c)
{
    if (c->spec_count > 1 || c->rule == KEY_RULE_GEORADIUS || c->rule == KEY_RULE_SORT)
        return true;
    const struct key_spec *s = &c->specs[0];
    return c->spec_count == 1 &&
           (s->find == KEY_FIND_KEYNUM || (s->find == KEY_FIND_RANGE && s->last != 0));
}

struct command_note command_note_of(const struct command *c, local_command *const *locals,
                                    bool cross_slot)
{
    struct command_note n = { .how = kind(c, locals), .note = remark(c, locals) };
    bool divided = c->how == HOW_SPLIT || c->how == HOW_GATHER;
    snprintf(n.name, sizeof(n.name), "%s%s%s", c->parent != NULL ? c->parent->name : "",
             c->parent != NULL ? " " : "", c->name);
    n.unsupported = n.how == kinds[HOW_SESSION] || n.how == kinds[HOW_REFUSE];
    n.one_slot = may_have_several(c) && !n.unsupported && !(divided && cross_slot);
    return n;
}

static void write_row(const struct command *c, local_command *const *locals, FILE *out)
{
    struct command_note n = command_note_of(c, locals, true);
    fprintf(out, "| `%s` | %s | %s |\n", n.name, n.how, n.note);
}

/* A container is shown by its subcommands. */
void command_write_doc(FILE *out)
{
    struct command_table *commands = command_table_new();
    local_command **locals = dispatch_find_locals(commands);
    for (size_t i = 0; i < ARRAY_LEN(intro); i++)
        fprintf(out, "%s\n", intro[i]);
    for (uint32_t i = 0; i < command_table_size(commands); i++) {
        const struct command *c = command_at(commands, i);
        if (c->parent != NULL)
            continue;
        if (c->subs == NULL)
            write_row(c, locals, out);
        for (const struct command *sub = c->subs; sub != NULL && sub->name != NULL; sub++)
            write_row(sub, locals, out);
    }
    free(locals);
    command_table_free(commands);
}
