#include "cluster/keys.h"

#include "base/check.h"
#include "cluster/keyslot.h"

/* Ranges as they are found; the walk over them begins once all are known to be sound. */
static void add(struct key_walk *w, uint32_t first, uint32_t end, uint32_t step, uint32_t flags)
{
    REQUIRE(w->count < KEY_SPECS_MAX);
    w->ranges[w->count++] = (struct key_range){
        .next = first, .end = end, .step = (uint16_t)step, .flags = (uint16_t)flags
    };
}

static void add_one(struct key_walk *w, uint32_t arg, uint32_t flags)
{
    add(w, arg, arg + 1, 1, flags);
}

static bool arg_is(const struct argv *a, uint32_t i, const char *lower)
{
    return span_is(argv_get(a, i), lower);
}

/* span_is with a word that a spec holds in upper case. */
static bool arg_is_keyword(const struct argv *a, uint32_t i, const char *upper)
{
    struct span s = argv_get(a, i);
    size_t n = 0;
    for (; n < s.len && upper[n] != '\0'; n++) {
        unsigned char c = (unsigned char)s.at[n];
        if (c >= 'a' && c <= 'z')
            c = (unsigned char)(c & ~0x20);
        if (c != (unsigned char)upper[n])
            return false;
    }
    return n == s.len && upper[n] == '\0';
}

/* A key count as Redis reads one: digits only, no leading zero. False for all that is larger than
   `most`, which is the number of arguments. */
static bool count_of(struct span s, uint32_t most, uint32_t *count)
{
    uint64_t n = 0;
    if (s.len == 0 || (s.at[0] == '0' && s.len > 1))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(s.at[i] - '0');
        if (n > most)
            return false;
    }
    *count = (uint32_t)n;
    return true;
}

/* The argument after the keyword, or 0. Forwards, the last argument is not looked at, since nothing
   could follow it; backwards, the search ends at argument 2. Both as Redis does. */
static uint32_t after_keyword(const struct key_spec *s, const struct argv *a)
{
    if (s->pos > 0) {
        for (uint32_t i = (uint32_t)s->pos; i + 1 < a->count; i++)
            if (arg_is_keyword(a, i, s->keyword))
                return i + 1;
        return 0;
    }
    int64_t from = (int64_t)a->count + (s->pos < -2 ? s->pos : -2);
    for (int64_t i = from; i >= 2; i--)
        if (arg_is_keyword(a, (uint32_t)i, s->keyword))
            return (uint32_t)i + 1;
    return 0;
}

/* Keys from `first` on, to the end or to a place. None is fine where they may reach to the end
   (PFMERGE with a destination only); a place that lies behind the arguments is not. */
static int add_range(struct key_walk *w, const struct key_spec *s, const struct argv *a,
                     uint32_t first)
{
    int64_t end;
    if (s->last >= 0)
        end = (int64_t)first + s->last + 1;
    else if (s->limit > 1)
        end = first + ((int64_t)a->count - first) / s->limit;
    else
        end = (int64_t)a->count + s->last + 1;
    if (end > (int64_t)a->count)
        return KEYS_BAD;
    if (end > (int64_t)first)
        add(w, first, (uint32_t)end, (uint32_t)s->step, s->flags);
    return 0;
}

static int add_counted(struct key_walk *w, const struct command *cmd, const struct key_spec *s,
                       const struct argv *a, uint32_t from)
{
    int64_t at = (int64_t)from + s->keynum;
    int64_t first = (int64_t)from + s->first;
    uint32_t count;
    if (at < 0 || at >= a->count || !count_of(argv_get(a, (uint32_t)at), a->count, &count))
        return KEYS_BAD;
    if (count == 0)
        return (cmd->flags & CMD_NO_MANDATORY_KEYS) != 0 ? 0 : KEYS_BAD;
    int64_t end = first + ((int64_t)count - 1) * s->step + 1;
    if (first < 0 || end > (int64_t)a->count)
        return KEYS_BAD;
    add(w, (uint32_t)first, (uint32_t)end, (uint32_t)s->step, s->flags);
    return 0;
}

static int add_spec(struct key_walk *w, const struct command *cmd, const struct key_spec *s,
                    const struct argv *a)
{
    uint32_t first = 0;
    if (s->begin == KEY_BEGIN_INDEX)
        first = (uint32_t)s->pos;
    else if (s->begin == KEY_BEGIN_KEYWORD)
        first = after_keyword(s, a);
    if (first == 0)
        return 0;
    if (s->find == KEY_FIND_RANGE)
        return add_range(w, s, a, first);
    if (s->find == KEY_FIND_KEYNUM)
        return add_counted(w, cmd, s, a, first);
    return 0;
}

/* Like Redis, it looks for a STORE also among the arguments of a STORE. */
static void add_sort(struct key_walk *w, const struct argv *a)
{
    uint32_t store = 0;
    add_one(w, 1, KEY_RO | KEY_ACCESS);
    for (uint32_t i = 2; i < a->count; i++) {
        if (arg_is(a, i, "limit"))
            i += 2;
        else if (arg_is(a, i, "get") || arg_is(a, i, "by"))
            i += 1;
        else if (arg_is(a, i, "store") && i + 1 < a->count)
            store = i + 1;
    }
    if (store != 0)
        add_one(w, store, KEY_OW | KEY_UPDATE);
}

static void add_georadius(struct key_walk *w, const struct argv *a)
{
    uint32_t store = 0;
    add_one(w, 1, KEY_RO | KEY_ACCESS);
    for (uint32_t i = 5; i + 1 < a->count; i++)
        if (arg_is(a, i, "store") || arg_is(a, i, "storedist"))
            store = ++i;
    if (store != 0)
        add_one(w, store, KEY_OW | KEY_UPDATE);
}

/* As Redis: a KEYS with nothing behind it is not seen. */
static int add_migrate(struct key_walk *w, const struct argv *a)
{
    const uint32_t flags = KEY_RW | KEY_ACCESS | KEY_DELETE;
    for (uint32_t i = 6; i + 1 < a->count; i++) {
        if (arg_is(a, i, "auth")) {
            i += 1;
        } else if (arg_is(a, i, "auth2")) {
            i += 2;
        } else if (arg_is(a, i, "keys")) {
            if (argv_get(a, 3).len > 0)
                return KEYS_BAD;
            add(w, i + 1, a->count, 1, flags);
            return 0;
        }
    }
    add_one(w, 3, flags);
    return 0;
}

static void add_set(struct key_walk *w, const struct argv *a)
{
    for (uint32_t i = 3; i < a->count; i++) {
        if (arg_is(a, i, "get")) {
            add_one(w, 1, KEY_RW | KEY_ACCESS | KEY_UPDATE);
            return;
        }
    }
    add_one(w, 1, KEY_OW | KEY_UPDATE);
}

static void add_bitfield(struct key_walk *w, const struct argv *a)
{
    uint32_t i = 2;
    while (i < a->count) {
        uint32_t left = a->count - i - 1;
        if (arg_is(a, i, "get") && left >= 2)
            i += 3;
        else if (arg_is(a, i, "overflow") && left >= 1)
            i += 2;
        else
            break; /* SET, INCRBY, or an error: not known to be read-only */
    }
    if (i >= a->count)
        add_one(w, 1, KEY_RO | KEY_ACCESS);
    else
        add_one(w, 1, KEY_RW | KEY_ACCESS | KEY_UPDATE);
}

static int add_by_rule(struct key_walk *w, const struct command *cmd, const struct argv *a)
{
    if (!command_arity_ok(cmd, a->count))
        return KEYS_BAD;
    switch ((enum key_rule)cmd->rule) {
    case KEY_RULE_BITFIELD:
        add_bitfield(w, a);
        return 0;
    case KEY_RULE_GEORADIUS:
        add_georadius(w, a);
        return 0;
    case KEY_RULE_MIGRATE:
        return add_migrate(w, a);
    case KEY_RULE_SET:
        add_set(w, a);
        return 0;
    case KEY_RULE_SORT:
        add_sort(w, a);
        return 0;
    case KEY_RULE_SPECS:
        break;
    }
    return 0;
}

/* Fills in the ranges; those of channels only if `channels`. */
static int prepare(struct key_walk *w, const struct command *cmd, const struct argv *a,
                   bool channels)
{
    w->at = 0;
    w->count = 0;
    if (cmd->rule != KEY_RULE_SPECS)
        return add_by_rule(w, cmd, a);
    for (uint32_t i = 0; i < cmd->spec_count; i++) {
        const struct key_spec *s = &cmd->specs[i];
        if ((s->flags & KEY_NOT_KEY) != 0 && !channels)
            continue;
        int rc = add_spec(w, cmd, s, a);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int key_walk_start(struct key_walk *w, const struct command *cmd, const struct argv *argv)
{
    int rc = prepare(w, cmd, argv, false);
    if (rc < 0) {
        w->count = 0; /* so that a careless key_walk_next shows nothing */
        return rc;
    }
    return key_walk_next(w);
}

int key_walk_next(struct key_walk *w)
{
    for (; w->at < w->count; w->at++) {
        struct key_range *r = &w->ranges[w->at];
        if (r->next < r->end) {
            w->key = (struct key_at){ .arg = r->next, .flags = r->flags };
            r->next += r->step;
            return 1;
        }
    }
    return 0;
}

int keys_slot(const struct command *cmd, const struct argv *argv)
{
    if (LIKELY(cmd->only_key != 0)) {
        if (UNLIKELY(cmd->only_key >= argv->count))
            return KEYS_BAD;
        return keyslot_of(argv_get(argv, cmd->only_key));
    }
    struct key_walk w;
    int slot = KEYS_NONE;
    int rc = prepare(&w, cmd, argv, true);
    if (rc < 0)
        return rc;
    while (key_walk_next(&w) > 0) {
        int other = keyslot_of(argv_get(argv, w.key.arg));
        if (slot != KEYS_NONE && other != slot)
            return KEYS_CROSS;
        slot = other;
    }
    return slot;
}
