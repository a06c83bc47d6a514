/* The rules of the format, one by one; acl.c holds the users. */
#include <stdlib.h>

#include "base/text.h"
#include "cluster/categories.h"
#include "proxy/acl_private.h"

static const char *const bad_hash = "the password hash must be exactly 64 characters and contain "
                                    "only lowercase hexadecimal characters";
static const char *const no_such_password =
    "the password you are trying to remove from the user does not exist";
static const char *const unknown_command = "unknown command or category";
static const char *const syntax_error = "syntax error";

static void *grow(void *items, size_t count, size_t size)
{
    void *p = realloc(items, count * size);
    REQUIRE(p != NULL);
    return p;
}

static struct span behind(struct span s, size_t n)
{
    return (struct span){ s.at + n, s.len - n };
}

/* --- passwords -------------------------------------------------------------------------------- */

static void drop_passwords(struct acl_user *u)
{
    free(u->hashes);
    u->hashes = NULL;
    u->hash_count = 0;
}

static bool read_hash(struct span text, struct acl_hash *out)
{
    static const char digits[] = "0123456789abcdef";
    if (text.len != 2 * sizeof(out->bytes))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *d = text.at[i] != '\0' ? strchr(digits, text.at[i]) : NULL;
        if (d == NULL)
            return false;
        unsigned high = i % 2 == 0 ? 0 : out->bytes[i / 2];
        out->bytes[i / 2] = (unsigned char)(high << 4 | (unsigned)(d - digits));
    }
    return true;
}

static size_t place_of(const struct acl_user *u, const struct acl_hash *h)
{
    size_t i = 0;
    while (i < u->hash_count && memcmp(&u->hashes[i], h, sizeof(*h)) != 0)
        i++;
    return i;
}

static const char *add_hash(struct acl_user *u, const struct acl_hash *h)
{
    u->no_password = false;
    if (place_of(u, h) < u->hash_count)
        return NULL;
    u->hashes = grow(u->hashes, u->hash_count + 1, sizeof(*h));
    u->hashes[u->hash_count++] = *h;
    return NULL;
}

static const char *remove_hash(struct acl_user *u, const struct acl_hash *h)
{
    size_t i = place_of(u, h);
    if (i == u->hash_count)
        return no_such_password;
    u->hashes[i] = u->hashes[--u->hash_count];
    return NULL;
}

/* ">password", "<password", "#hash", "!hash". */
static const char *apply_password(struct acl_user *u, struct span rule)
{
    struct acl_hash h = { { 0 } };
    struct span text = behind(rule, 1);
    bool plain = *rule.at == '>' || *rule.at == '<';
    if (plain)
        SHA256((const unsigned char *)text.at, text.len, h.bytes);
    else if (!read_hash(text, &h))
        return bad_hash;
    bool adds = *rule.at == '>' || *rule.at == '#';
    return adds ? add_hash(u, &h) : remove_hash(u, &h);
}

/* --- patterns --------------------------------------------------------------------------------- */

static void drop_patterns(struct acl_patterns *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->items[i].text);
    free(p->items);
    *p = (struct acl_patterns){ 0 };
}

static void take_all(struct acl_patterns *p)
{
    drop_patterns(p);
    p->all = true;
}

static const char *add_pattern(struct acl_patterns *p, struct span text, unsigned kinds)
{
    if (p->all)
        return "adding a pattern after the * pattern is not valid and does not have any effect";
    for (size_t i = 0; i < p->count; i++) {
        if (!span_equal(text, (struct span){ p->items[i].text, p->items[i].len }))
            continue;
        p->items[i].kinds |= (uint8_t)kinds;
        return NULL;
    }
    p->items = grow(p->items, p->count + 1, sizeof(p->items[0]));
    p->items[p->count++] = (struct acl_pattern){ .text = text_copy(text.at, text.len),
                                                 .len = text.len,
                                                 .kinds = (uint8_t)kinds };
    return NULL;
}

/* "~pattern" and "%RW~pattern". */
static const char *apply_keys(struct acl_user *u, struct span rule)
{
    unsigned kinds = *rule.at == '~' ? ACL_READ | ACL_WRITE : 0;
    size_t at = 1;
    for (; *rule.at == '%' && at < rule.len && rule.at[at] != '~'; at++) {
        bool read = rule.at[at] == 'R' || rule.at[at] == 'r';
        bool write = rule.at[at] == 'W' || rule.at[at] == 'w';
        if (!read && !write)
            return syntax_error;
        kinds |= read ? ACL_READ : ACL_WRITE;
    }
    if (kinds == 0 || (*rule.at == '%' && at++ == rule.len))
        return syntax_error;
    struct span text = behind(rule, at);
    if (!span_equal(text, SPAN("*")) || kinds != (ACL_READ | ACL_WRITE))
        return add_pattern(&u->keys, text, kinds);
    take_all(&u->keys);
    return NULL;
}

static const char *apply_channels(struct acl_user *u, struct span rule)
{
    struct span text = behind(rule, 1);
    if (!span_equal(text, SPAN("*")))
        return add_pattern(&u->channels, text, 0);
    take_all(&u->channels);
    return NULL;
}

/* --- commands --------------------------------------------------------------------------------- */

static void drop_rules(struct acl_user *u)
{
    for (size_t i = 0; i < u->rule_count; i++)
        free(u->rules[i].text);
    free(u->rules);
    u->rules = NULL;
    u->rule_count = 0;
}

/* "+@all" makes all that stands before it meaningless. */
static void set_all(struct acl_user *u, bool allow)
{
    drop_rules(u);
    u->all_first = u->all_commands = allow;
}

/* A later rule about the same takes the place of the earlier one. */
static void forget_rule(struct acl_user *u, struct span text)
{
    for (size_t i = 0; i < u->rule_count; i++) {
        if (!span_is(text, u->rules[i].text))
            continue;
        free(u->rules[i].text);
        memmove(&u->rules[i], &u->rules[i + 1], (u->rule_count - i - 1) * sizeof(u->rules[0]));
        u->rule_count--;
        return;
    }
}

static void add_rule(struct acl_user *u, struct span text, struct acl_rule rule)
{
    forget_rule(u, text);
    rule.text = text_copy(text.at, text.len);
    for (char *p = rule.text; *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    u->rules = grow(u->rules, u->rule_count + 1, sizeof(rule));
    u->rules[u->rule_count++] = rule;
    u->all_commands = u->all_commands && rule.allow;
}

static const char *apply_category(struct acl_user *u, struct span text, bool allow)
{
    if (span_is(text, "@all")) {
        set_all(u, allow);
        return NULL;
    }
    uint32_t category = category_of_name(behind(text, 1));
    if (category == 0)
        return unknown_command;
    add_rule(u, text, (struct acl_rule){ .category = category, .allow = allow });
    return NULL;
}

/* Names of modules have a dot, and what modules the nodes have is not known yet. */
static bool is_of_a_module(struct span name)
{
    return memchr(name.at, '.', name.len) != NULL;
}

/* "get", "config", "config|get". */
static const char *check_command(const struct command_table *t, struct span text)
{
    const char *bar = memchr(text.at, '|', text.len);
    struct span name = { text.at, bar != NULL ? (size_t)(bar - text.at) : text.len };
    const struct command *c = command_find(t, name);
    if (c == NULL)
        return bar == NULL && is_of_a_module(name) ? NULL : unknown_command;
    if (bar == NULL)
        return NULL;
    if (c->subs == NULL)
        return "a rule about a command's first argument is not supported";
    struct span sub = behind(text, name.len + 1);
    for (const struct command *s = c->subs; s->name != NULL; s++)
        if (span_is(sub, s->name))
            return NULL;
    return unknown_command;
}

static const char *apply_command(struct acl_user *u, const struct command_table *t,
                                 struct span rule)
{
    struct span text = behind(rule, 1);
    bool allow = *rule.at == '+';
    if (text.len > 0 && *text.at == '@')
        return apply_category(u, text, allow);
    const char *wrong = check_command(t, text);
    if (wrong == NULL)
        add_rule(u, text, (struct acl_rule){ .allow = allow });
    return wrong;
}

/* --- words ------------------------------------------------------------------------------------ */

static void word_on(struct acl_user *u)
{
    u->on = true;
}

static void word_off(struct acl_user *u)
{
    u->on = false;
}

static void word_nopass(struct acl_user *u)
{
    drop_passwords(u);
    u->no_password = true;
}

static void word_resetpass(struct acl_user *u)
{
    drop_passwords(u);
    u->no_password = false;
}

static void word_allkeys(struct acl_user *u)
{
    take_all(&u->keys);
}

static void word_resetkeys(struct acl_user *u)
{
    drop_patterns(&u->keys);
}

static void word_allchannels(struct acl_user *u)
{
    take_all(&u->channels);
}

static void word_resetchannels(struct acl_user *u)
{
    drop_patterns(&u->channels);
}

static void word_allcommands(struct acl_user *u)
{
    set_all(u, true);
}

static void word_nocommands(struct acl_user *u)
{
    set_all(u, false);
}

static void word_reset(struct acl_user *u)
{
    word_off(u);
    word_resetpass(u);
    word_resetkeys(u);
    word_resetchannels(u);
    word_nocommands(u);
}

/* What is true of every user here: none is exempt from a check, and none has selectors. */
static void word_true(struct acl_user *u)
{
    (void)u;
}

static const struct {
    const char *word;
    void (*apply)(struct acl_user *u);
} words[] = {
    { "on", word_on },
    { "off", word_off },
    { "nopass", word_nopass },
    { "resetpass", word_resetpass },
    { "allkeys", word_allkeys },
    { "resetkeys", word_resetkeys },
    { "allchannels", word_allchannels },
    { "resetchannels", word_resetchannels },
    { "allcommands", word_allcommands },
    { "nocommands", word_nocommands },
    { "reset", word_reset },
    { "sanitize-payload", word_true },
    { "clearselectors", word_true },
};

static const char *apply_word(struct acl_user *u, struct span rule)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!span_is(rule, words[i].word))
            continue;
        words[i].apply(u);
        return NULL;
    }
    if (span_is(rule, "skip-sanitize-payload"))
        return "skip-sanitize-payload is not supported: the nodes decide it for the proxy's user";
    return syntax_error;
}

const char *acl_user_apply(struct acl_user *u, const struct command_table *t, struct span rule)
{
    switch (*rule.at) {
    case '>':
    case '<':
    case '#':
    case '!':
        return apply_password(u, rule);
    case '~':
    case '%':
        return apply_keys(u, rule);
    case '&':
        return apply_channels(u, rule);
    case '+':
    case '-':
        return apply_command(u, t, rule);
    case '(':
        return "selectors are not supported";
    default:
        return apply_word(u, rule);
    }
}

/* --- the life of a user ----------------------------------------------------------------------- */

void acl_user_init(struct acl_user *u, struct span name)
{
    *u = (struct acl_user){ .name = text_copy(name.at, name.len) };
}

void acl_user_free(struct acl_user *u)
{
    word_reset(u);
    free(u->name);
}
