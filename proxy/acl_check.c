/* What a user may do. */
#include <stdio.h>

#include "base/text.h"
#include "cluster/categories.h"
#include "cluster/keys.h"
#include "proxy/acl_private.h"

enum { NAME_MAX_LEN = 2 * COMMAND_NAME_MAX + 2 };

static const char *full_name(const struct command *cmd, char room[NAME_MAX_LEN])
{
    if (cmd->parent == NULL)
        return cmd->name;
    snprintf(room, NAME_MAX_LEN, "%s|%s", cmd->parent->name, cmd->name);
    return room;
}

/* --- commands --------------------------------------------------------------------------------- */

/* What is said of a container is said of its subcommands. */
static bool concerns(const struct acl_rule *r, const struct command *cmd)
{
    char room[NAME_MAX_LEN];
    if (r->category != 0)
        return ((cmd->categories | (cmd->parent != NULL ? cmd->parent->categories : 0)) &
                r->category) != 0;
    return strcmp(r->text, full_name(cmd, room)) == 0 ||
           (cmd->parent != NULL && strcmp(r->text, cmd->parent->name) == 0);
}

static bool by_rules(const struct acl_user *u, const struct command *cmd)
{
    for (size_t i = u->rule_count; i > 0; i--)
        if (concerns(&u->rules[i - 1], cmd))
            return u->rules[i - 1].allow;
    return u->all_first;
}

void acl_user_finish(struct acl_user *u, const struct command_table *t)
{
    uint32_t count = command_table_built_in(t);
    REQUIRE(count <= ACL_BUILT_IN_MAX);
    memset(u->may, 0, sizeof(u->may));
    for (uint32_t i = 0; i < count; i++)
        if (by_rules(u, command_at(t, i)))
            u->may[i / 64] |= UINT64_C(1) << (i % 64);
    u->built_in = count;
}

bool acl_has_command(const struct acl_user *u, const struct command *cmd)
{
    if (u->all_commands || (cmd->flags & CMD_NO_AUTH) != 0)
        return true;
    if (cmd->index < u->built_in)
        return (u->may[cmd->index / 64] >> (cmd->index % 64) & 1) != 0;
    return by_rules(u, cmd); /* learned */
}

/* --- keys ------------------------------------------------------------------------------------- */

static bool pattern_allows(const struct acl_patterns *p, struct span text, unsigned kinds)
{
    for (size_t i = 0; i < p->count; i++)
        if ((p->items[i].kinds & kinds) == kinds &&
            text_glob(p->items[i].text, p->items[i].len, text.at, text.len, false))
            return true;
    return p->all;
}

/* Reading is to learn what is in a value; EXISTS and WATCH do neither. */
static unsigned kinds_of(unsigned flags)
{
    unsigned kinds = (flags & KEY_ACCESS) != 0 ? ACL_READ : 0;
    return kinds | ((flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE)) != 0 ? ACL_WRITE : 0);
}

/* Of a learned command we know only what its specifications say. */
static bool hides_keys(const struct acl_user *u, const struct command *cmd)
{
    if (cmd->index < u->built_in)
        return false;
    bool hides = (cmd->flags & CMD_MOVABLEKEYS) != 0;
    for (uint32_t i = 0; i < cmd->spec_count; i++) {
        const struct key_spec *s = &cmd->specs[i];
        hides |= s->begin == KEY_BEGIN_UNKNOWN || s->find == KEY_FIND_UNKNOWN ||
                 (s->flags & KEY_INCOMPLETE) != 0;
    }
    return hides;
}

static enum acl_verdict check_keys(const struct acl_user *u, const struct command *cmd,
                                   const struct argv *argv, uint32_t *arg)
{
    struct key_walk w;
    if (hides_keys(u, cmd))
        return ACL_NO_MODULE;
    for (int rc = key_walk_start(&w, cmd, argv); rc > 0; rc = key_walk_next(&w)) {
        if (pattern_allows(&u->keys, argv_get(argv, w.key.arg), kinds_of(w.key.flags)))
            continue;
        *arg = w.key.arg;
        return ACL_NO_KEY;
    }
    return ACL_ALLOWED; /* a malformed one, too: the node will explain it, as Redis does */
}

static bool reads_all_keys(const struct acl_user *u)
{
    for (size_t i = 0; i < u->keys.count; i++)
        if (strcmp(u->keys.items[i].text, "*") == 0 && (u->keys.items[i].kinds & ACL_READ) != 0)
            return true;
    return u->keys.all;
}

/* SORT with BY or GET reads keys of any name. */
static enum acl_verdict check_sort(const struct acl_user *u, const struct command *cmd,
                                   const struct argv *argv)
{
    if (strncmp(cmd->name, "sort", 4) != 0 || reads_all_keys(u))
        return ACL_ALLOWED;
    for (uint32_t i = 2; i + 1 < argv->count; i++) {
        struct span word = argv_get(argv, i), next = argv_get(argv, i + 1);
        if (span_is(word, "get"))
            return ACL_NO_GET;
        if (span_is(word, "by") && memchr(next.at, '*', next.len) != NULL)
            return ACL_NO_BY;
        if (span_is(word, "by") || span_is(word, "store"))
            i++;
        else if (span_is(word, "limit"))
            i += 2;
    }
    return ACL_ALLOWED;
}

/* --- channels --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool several; /* from the first argument on; else only that one */
    bool pattern; /* a pattern itself, which has to be the same as the user's */
} channel_commands[] = {
    { "psubscribe", true, true },  { "publish", false, false },  { "spublish", false, false },
    { "ssubscribe", true, false }, { "subscribe", true, false },
};

static bool channel_allowed(const struct acl_user *u, struct span channel, bool pattern)
{
    if (!pattern)
        return pattern_allows(&u->channels, channel, 0);
    for (size_t i = 0; i < u->channels.count; i++)
        if (span_equal(channel,
                       (struct span){ u->channels.items[i].text, u->channels.items[i].len }))
            return true;
    return u->channels.all;
}

static enum acl_verdict check_channels(const struct acl_user *u, const struct command *cmd,
                                       const struct argv *argv, uint32_t *arg)
{
    size_t row = 0;
    if ((cmd->flags & CMD_PUBSUB) == 0 || u->channels.all)
        return ACL_ALLOWED;
    while (row < ARRAY_LEN(channel_commands) && strcmp(channel_commands[row].name, cmd->name) != 0)
        row++;
    if (row == ARRAY_LEN(channel_commands))
        return ACL_ALLOWED;
    uint32_t end = channel_commands[row].several ? argv->count : 2;
    for (*arg = 1; *arg < end; ++*arg)
        if (!channel_allowed(u, argv_get(argv, *arg), channel_commands[row].pattern))
            return ACL_NO_CHANNEL;
    *arg = 0; /* it stands behind the last one */
    return ACL_ALLOWED;
}

/* --- all of it -------------------------------------------------------------------------------- */

static bool is_script(const struct command *cmd)
{
    return (cmd->categories & CAT_SCRIPTING) != 0 && cmd->spec_count > 0;
}

enum acl_verdict acl_check(const struct acl_user *u, const struct command *cmd,
                           const struct argv *argv, bool scripts, uint32_t *arg)
{
    *arg = 0;
    if (acl_is_free(u) || (cmd->flags & CMD_NO_AUTH) != 0)
        return ACL_ALLOWED;
    if (!acl_has_command(u, cmd))
        return ACL_NO_COMMAND;
    if (!scripts && is_script(cmd))
        return ACL_NO_SCRIPT;
    enum acl_verdict v = u->keys.all ? ACL_ALLOWED : check_keys(u, cmd, argv, arg);
    if (v == ACL_ALLOWED)
        v = check_channels(u, cmd, argv, arg);
    return v == ACL_ALLOWED ? check_sort(u, cmd, argv) : v;
}

/* --- words ------------------------------------------------------------------------------------ */

static const char *const reasons[] = {
    [ACL_NO_KEY] = "NOPERM this user has no permissions to access one of the keys used as "
                   "arguments",
    [ACL_NO_CHANNEL] = "NOPERM this user has no permissions to access one of the channels used as "
                       "arguments",
    [ACL_NO_SCRIPT] = "NOPERM slotgate: what a script does cannot be checked here, so a user with "
                      "limits may run none, unless acl-scripts is yes",
    [ACL_NO_BY] = "ERR BY option of SORT denied due to insufficient ACL permissions.",
    [ACL_NO_GET] = "ERR GET option of SORT denied due to insufficient ACL permissions.",
    [ACL_NO_MODULE] = "NOPERM slotgate: this command does not tell its keys, so only a user who "
                      "may access all keys may use it",
};

void acl_write_denial(struct writer *w, enum acl_verdict verdict, const struct command *cmd)
{
    char room[NAME_MAX_LEN];
    if (verdict == ACL_NO_COMMAND)
        write_error(w, "NOPERM this user has no permissions to run the '%s' command",
                    full_name(cmd, room));
    else
        write_error(w, "%s", reasons[verdict]);
}

void acl_write_dry_run(struct writer *w, enum acl_verdict verdict, const struct command *cmd,
                       struct span arg)
{
    char room[NAME_MAX_LEN];
    if (verdict == ACL_ALLOWED || verdict == ACL_NO_BY || verdict == ACL_NO_GET)
        write_simple(w, "OK");
    else if (verdict == ACL_NO_COMMAND)
        write_bulk_format(w, "This user has no permissions to run the '%s' command",
                          full_name(cmd, room));
    else if (verdict == ACL_NO_KEY || verdict == ACL_NO_CHANNEL)
        write_bulk_format(w, "This user has no permissions to access the '%.*s' %s", (int)arg.len,
                          arg.at, verdict == ACL_NO_KEY ? "key" : "channel");
    else
        write_bulk_text(w, reasons[verdict] + sizeof("NOPERM ") - 1);
}
