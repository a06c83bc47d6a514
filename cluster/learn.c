#include "cluster/learn.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/text.h"
#include "cluster/categories.h"
#include "resp/value.h"

struct word {
    const char *text;
    uint32_t bit;
};

static const struct word flag_words[] = {
    { "write", CMD_WRITE },
    { "readonly", CMD_READONLY },
    { "denyoom", CMD_DENYOOM },
    { "admin", CMD_ADMIN },
    { "pubsub", CMD_PUBSUB },
    { "noscript", CMD_NOSCRIPT },
    { "blocking", CMD_BLOCKING },
    { "fast", CMD_FAST },
    { "movablekeys", CMD_MOVABLEKEYS },
    { "may_replicate", CMD_MAY_REPLICATE },
};

static const struct word key_words[] = {
    { "ro", KEY_RO },
    { "rw", KEY_RW },
    { "ow", KEY_OW },
    { "rm", KEY_RM },
    { "access", KEY_ACCESS },
    { "update", KEY_UPDATE },
    { "insert", KEY_INSERT },
    { "delete", KEY_DELETE },
    { "not_key", KEY_NOT_KEY },
    { "incomplete", KEY_INCOMPLETE },
    { "variable_flags", KEY_VARIABLE_FLAGS },
};

static const struct word policies[] = {
    { "response_policy:all_succeeded", MERGE_ALL_OK }, { "response_policy:agg_sum", MERGE_SUM },
    { "response_policy:one_succeeded", MERGE_ONE_OK }, { "response_policy:agg_min", MERGE_MIN },
    { "response_policy:agg_logical_and", MERGE_AND },
};

/* What one description says, as far as it concerns us. */
struct description {
    struct command row;
    int64_t first, last, step; /* the old way of naming keys */
    bool all_shards;
    bool bad;
};

static uint32_t bits_of(const struct word *words, size_t count, struct span text)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(text, words[i].text))
            return words[i].bit;
    return 0;
}

/* The next element, which has to be of that kind. */
static bool take(struct value_cursor *c, enum value_kind kind, struct value *v)
{
    return value_next(c, v) && v->kind == kind;
}

static bool take_number(struct value_cursor *c, int16_t *out)
{
    struct value v;
    if (!take(c, VALUE_INTEGER, &v) || v.number < INT16_MIN || v.number > INT16_MAX)
        return false;
    *out = (int16_t)v.number;
    return true;
}

/* A list of words; their bits together. */
static bool take_bits(struct value_cursor *c, const struct word *words, size_t count, uint32_t *out)
{
    struct value list, v;
    if (!take(c, VALUE_LIST, &list))
        return false;
    *out = 0;
    for (uint64_t i = 0; i < list.count; i++) {
        if (!take(c, VALUE_STRING, &v))
            return false;
        *out |= bits_of(words, count, v.text);
    }
    return true;
}

/* --- key specifications ----------------------------------------------------------------------- */

/* {type: T, spec: {name: number or word ...}} as a flat list; sets what it knows of the names. */
static bool take_search(struct value_cursor *c, struct key_spec *spec, bool begin)
{
    struct value outer, name, type, inner, v;
    if (!value_next(c, &outer) || !take(c, VALUE_STRING, &name) || !take(c, VALUE_STRING, &type) ||
        !take(c, VALUE_STRING, &name) || !value_next(c, &inner))
        return false;
    if (begin)
        spec->begin = span_is(type.text, "index")     ? KEY_BEGIN_INDEX
                      : span_is(type.text, "keyword") ? KEY_BEGIN_KEYWORD
                                                      : KEY_BEGIN_UNKNOWN;
    else
        spec->find = span_is(type.text, "range")    ? KEY_FIND_RANGE
                     : span_is(type.text, "keynum") ? KEY_FIND_KEYNUM
                                                    : KEY_FIND_UNKNOWN;
    uint64_t pairs = inner.kind == VALUE_MAP ? inner.count : inner.count / 2;
    for (uint64_t i = 0; i < pairs; i++) {
        int16_t ignored, *to = &ignored;
        if (!take(c, VALUE_STRING, &name))
            return false;
        if (begin && span_is(name.text, "keyword")) {
            if (!take(c, VALUE_STRING, &v))
                return false;
            spec->keyword = text_copy(v.text.at, v.text.len);
            continue;
        }
        if (span_is(name.text, "index") || span_is(name.text, "startfrom"))
            to = &spec->pos;
        else if (span_is(name.text, "lastkey"))
            to = &spec->last;
        else if (span_is(name.text, "keystep"))
            to = &spec->step;
        else if (span_is(name.text, "limit"))
            to = &spec->limit;
        else if (span_is(name.text, "keynumidx"))
            to = &spec->keynum;
        else if (span_is(name.text, "firstkey"))
            to = &spec->first;
        if (!take_number(c, to))
            return false;
    }
    return true;
}

static bool take_spec(struct value_cursor *c, struct key_spec *spec)
{
    struct value outer, name, skipped;
    uint32_t flags = 0;
    if (!value_next(c, &outer))
        return false;
    uint64_t pairs = outer.kind == VALUE_MAP ? outer.count : outer.count / 2;
    for (uint64_t i = 0; i < pairs; i++) {
        bool ok;
        if (!take(c, VALUE_STRING, &name))
            return false;
        if (span_is(name.text, "flags"))
            ok = take_bits(c, key_words, ARRAY_LEN(key_words), &flags);
        else if (span_is(name.text, "begin_search"))
            ok = take_search(c, spec, true);
        else if (span_is(name.text, "find_keys"))
            ok = take_search(c, spec, false);
        else
            ok = value_next(c, &skipped) && value_skip_children(c, &skipped);
        if (!ok)
            return false;
    }
    spec->flags = (uint16_t)flags;
    return true;
}

static bool take_specs(struct value_cursor *c, struct command *row)
{
    struct value list;
    if (!value_next(c, &list) || list.kind != VALUE_LIST)
        return false;
    for (uint64_t i = 0; i < list.count; i++) {
        struct key_spec spec = { 0 };
        bool ok = take_spec(c, &spec);
        if (ok && i < KEY_SPECS_MAX)
            row->specs[i] = spec;
        else
            free((char *)(uintptr_t)spec.keyword);
        if (!ok)
            return false;
    }
    return true;
}

/* --- one command --------------------------------------------------------------------------- */

static bool take_tips(struct value_cursor *c, struct description *d)
{
    struct value list, tip;
    if (!value_next(c, &list) || list.kind != VALUE_LIST)
        return false;
    for (uint64_t i = 0; i < list.count; i++) {
        if (!take(c, VALUE_STRING, &tip))
            return false;
        d->all_shards |= span_is(tip.text, "request_policy:all_shards") ||
                         span_is(tip.text, "request_policy:all_nodes");
        uint32_t merge = bits_of(policies, ARRAY_LEN(policies), tip.text);
        if (merge != 0)
            d->row.merge = (uint8_t)merge;
    }
    return true;
}

/* "@read", "@slow" ... */
static bool take_categories(struct value_cursor *c, uint32_t *out)
{
    struct value list, v;
    if (!take(c, VALUE_LIST, &list))
        return false;
    for (uint64_t i = 0; i < list.count; i++) {
        if (!take(c, VALUE_STRING, &v))
            return false;
        if (v.text.len > 1 && *v.text.at == '@')
            *out |= category_of_name((struct span){ v.text.at + 1, v.text.len - 1 });
    }
    return true;
}

/* [name, arity, flags, first, last, step, categories, tips, key specs, subcommands]; old servers
   end after the step or the categories. */
static bool take_description(struct value_cursor *c, struct description *d, struct span *name)
{
    struct value list, v;
    *d = (struct description){ 0 };
    if (!take(c, VALUE_LIST, &list) || list.count < 6 || !take(c, VALUE_STRING, &v))
        return false;
    *name = v.text;
    if (!take_number(c, &d->row.arity) ||
        !take_bits(c, flag_words, ARRAY_LEN(flag_words), &d->row.flags))
        return false;
    int64_t *const numbers[] = { &d->first, &d->last, &d->step };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!take(c, VALUE_INTEGER, &v))
            return false;
        *numbers[i] = v.number;
    }
    for (uint64_t i = 6; i < list.count; i++) {
        bool ok = i == 6   ? take_categories(c, &d->row.categories)
                  : i == 7 ? take_tips(c, d)
                  : i == 8 ? take_specs(c, &d->row)
                           : value_next(c, &v) && value_skip_children(c, &v);
        if (!ok)
            return false;
    }
    return true;
}

static void free_words(struct command *row)
{
    for (int i = 0; i < KEY_SPECS_MAX; i++)
        free((char *)(uintptr_t)row->specs[i].keyword);
}

/* A server before 7.0 names its keys by three numbers only. */
static void use_old_numbers(struct description *d)
{
    bool named = d->row.specs[0].begin != KEY_BEGIN_NONE;
    if (named || d->first <= 0 || d->first > INT16_MAX || d->step <= 0 || d->step > INT16_MAX ||
        d->last < INT16_MIN || d->last > INT16_MAX)
        return;
    d->row.specs[0] = (struct key_spec){
        .begin = KEY_BEGIN_INDEX,
        .find = KEY_FIND_RANGE,
        .pos = (int16_t)d->first,
        .last = (int16_t)(d->last < 0 ? d->last : d->last - d->first),
        .step = (int16_t)d->step,
        .flags = KEY_RW | KEY_ACCESS | KEY_UPDATE,
    };
}

static void decide_how(struct description *d)
{
    struct command *row = &d->row;
    row->flags |= CMD_AFTER_7_0;
    if ((row->flags & CMD_BLOCKING) != 0)
        row->how = HOW_BLOCK;
    else if ((row->flags & CMD_PUBSUB) != 0)
        row->how = HOW_SESSION;
    else if (row->specs[0].begin != KEY_BEGIN_NONE)
        row->how = HOW_KEYS;
    else
        row->how = d->all_shards ? HOW_BROADCAST : HOW_ANY;
    if (row->how == HOW_BROADCAST && row->merge == MERGE_NONE)
        row->merge = MERGE_CONCAT;
    if (row->how != HOW_BROADCAST)
        row->merge = MERGE_NONE;
}

static bool well_formed(const struct command *row)
{
    for (int i = 0; i < KEY_SPECS_MAX; i++) {
        const struct key_spec *s = &row->specs[i];
        bool keyword_ok = (s->begin == KEY_BEGIN_KEYWORD) == (s->keyword != NULL);
        bool index_ok = s->begin != KEY_BEGIN_INDEX || s->pos > 0;
        bool step_ok = s->begin == KEY_BEGIN_NONE || s->find == KEY_FIND_UNKNOWN || s->step > 0;
        if (!keyword_ok || !index_ok || !step_ok)
            return false;
    }
    return row->arity != 0;
}

int command_table_learn(struct command_table *t, struct span reply)
{
    struct value_cursor c = { reply.at, reply.at + reply.len };
    struct value list;
    int added = 0;
    if (!take(&c, VALUE_LIST, &list))
        return -1;
    for (uint64_t i = 0; i < list.count; i++) {
        struct description d;
        struct span name = { NULL, 0 };
        bool ok = take_description(&c, &d, &name);
        bool wanted =
            ok && name.len > 0 && name.len <= COMMAND_NAME_MAX && command_find(t, name) == NULL;
        if (wanted) {
            use_old_numbers(&d);
            decide_how(&d);
            wanted = well_formed(&d.row) && command_table_add(t, &d.row, name);
        }
        if (wanted)
            added++;
        else
            free_words(&d.row);
        if (!ok)
            return -1;
    }
    return added;
}
