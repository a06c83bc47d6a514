/*
 * SINTER, SUNION, SDIFF and SINTERCARD of small sets in several slots: the members are read where
 * they are and merged here, nothing is copied. SCARD of every set, and when they are small
 * together, SMEMBERS; else the way of gather.c.
 *
 * Redis speaks of a key of the wrong type before it looks at any set, and so does the first failed
 * SCARD. Members of small sets of integers come in ascending order, as from Redis; others in any.
 */
#include <stdlib.h>

#include <uthash.h>

#include "cluster/keys.h"
#include "cluster/keyslot.h"
#include "proxy/gather_keys.h"

enum { MEMBERS_MAX = 1000, BYTES_MAX = 256 * 1024 };

/* A member of any of the sets. */
struct member {
    UT_hash_handle hh;
    struct span text; /* in op->in */
    int64_t number;
    uint32_t seen; /* SINTER: in so many of the first sets; SDIFF: 0 when a later one has it */
};

struct merged {
    struct member *room, *table;
    uint32_t count, capacity;
};

static struct member *find(const struct merged *m, struct span text)
{
    struct member *found = NULL;
    HASH_FIND(hh, m->table, text.at, text.len, found);
    return found;
}

static void add(struct merged *m, struct span text)
{
    REQUIRE(m->count < m->capacity);
    struct member *new = &m->room[m->count++];
    *new = (struct member){ .text = text, .seen = 1 };
    HASH_ADD_KEYPTR(hh, m->table, new->text.at, new->text.len, new);
}

/* --- the three ways --------------------------------------------------------------------------- */

typedef void merge_member(struct merged *m, uint32_t set, struct span text);

static void unite(struct merged *m, uint32_t set, struct span text)
{
    (void)set;
    if (find(m, text) == NULL)
        add(m, text);
}

static void intersect(struct merged *m, uint32_t set, struct span text)
{
    struct member *known = set == 0 ? NULL : find(m, text);
    if (set == 0)
        add(m, text);
    else if (known != NULL && known->seen == set)
        known->seen++;
}

static void subtract(struct merged *m, uint32_t set, struct span text)
{
    struct member *known = set == 0 ? NULL : find(m, text);
    if (set == 0)
        add(m, text);
    else if (known != NULL)
        known->seen = 0;
}

static merge_member *way_of(const struct command *cmd)
{
    return cmd->name[1] == 'u' ? unite : cmd->name[1] == 'd' ? subtract : intersect;
}

/* --- the reply -------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Leaves only the members of the result in the room; the table is gone. */
static void keep_result(struct merged *m, uint32_t sets, merge_member *way)
{
    uint32_t kept = 0, wanted = way == intersect ? sets : 1;
    bool numbers = true;
    HASH_CLEAR(hh, m->table);
    for (uint32_t i = 0; i < m->count; i++) {
        struct member one = m->room[i];
        if (one.seen != wanted)
            continue;
        numbers = numbers && text_to_i64(one.text.at, one.text.len, &one.number);
        m->room[kept++] = one;
    }
    m->count = kept;
    if (numbers)
        qsort(m->room, m->count, sizeof(m->room[0]), by_number);
}

static bool only_counts(const struct op *op)
{
    return strcmp(op->cmd->name, "sintercard") == 0;
}

/* SINTERCARD numkeys key ... [LIMIT n]: false when it is anything else. */
static bool read_limit(const struct op *op, uint32_t sets, int64_t *limit)
{
    const struct argv *argv = &op->argv;
    *limit = 0;
    if (!only_counts(op))
        return true;
    uint32_t behind = 2 + sets;
    if (argv->count == behind)
        return true;
    struct span n = argv_get(argv, argv->count - 1);
    return argv->count == behind + 2 && span_is(argv_get(argv, behind), "limit") &&
           text_to_i64(n.at, n.len, limit) && *limit >= 0;
}

static void answer(struct op *op, const struct merged *m, uint32_t sets)
{
    int64_t limit;
    writer_clear(&op->out, op->flow.protocol);
    if (only_counts(op)) {
        bool cut = read_limit(op, sets, &limit) && limit > 0 && limit < m->count;
        write_integer(&op->out, cut ? limit : m->count);
    } else {
        write_set(&op->out, m->count);
        for (uint32_t i = 0; i < m->count; i++)
            write_bulk(&op->out, m->room[i].text);
    }
    op_answer(op, writer_span(&op->out));
    op_end(op);
}

/* --- the steps -------------------------------------------------------------------------------- */

/* Asks something of every set, in the caller's order. */
static void ask_all(struct op *op, struct span what)
{
    struct key_walk w;
    for (int rc = key_walk_start(&w, op->cmd, &op->argv); rc > 0; rc = key_walk_next(&w)) {
        struct span key = argv_get(&op->argv, w.key.arg);
        OP_SEND(op, keyslot_of(key), what, key);
    }
}

/* How many members all replies have together. */
static uint64_t members_of(const struct op *op)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < op->count; i++)
        total += op_value(op, i).count;
    return total;
}

static void merge_one(struct op *op, struct merged *m, uint32_t set)
{
    struct span reply = op_reply(op, set);
    struct value_cursor at = { reply.at, reply.at + reply.len };
    struct value v;
    merge_member *way = way_of(op->cmd);
    if (!value_next(&at, &v) || v.kind != VALUE_LIST)
        return;
    for (uint64_t left = v.count; left > 0 && value_next(&at, &v); left--)
        way(m, set, v.text);
}

static void merge_all(struct op *op)
{
    if (op->overflowed || members_of(op) > 2 * MEMBERS_MAX) {
        gather_of(op)->otherwise(op); /* few members, but long ones; or they have become many */
        return;
    }
    struct merged m = { .capacity = (uint32_t)members_of(op) };
    m.room = calloc((size_t)m.capacity + 1, sizeof(m.room[0]));
    REQUIRE(m.room != NULL);
    uint32_t sets = op->count;
    for (uint32_t i = 0; i < sets; i++)
        merge_one(op, &m, i);
    keep_result(&m, sets, way_of(op->cmd));
    answer(op, &m, sets);
    free(m.room);
}

static void read_members(struct op *op)
{
    uint64_t members = 0;
    for (uint32_t i = 0; i < op->count; i++)
        members += (uint64_t)(op_integer(op, i) < 0 ? MEMBERS_MAX : op_integer(op, i));
    if (members > MEMBERS_MAX) {
        gather_of(op)->otherwise(op);
        return;
    }
    ask_all(op, SPAN("smembers"));
    op_bound(op, BYTES_MAX);
    op_then(op, merge_all);
}

/* A LIMIT that is wrong is for a node to explain. */
void gather_set_look(struct op *op)
{
    struct key_walk w;
    uint32_t sets = 0;
    int64_t limit;
    for (int rc = key_walk_start(&w, op->cmd, &op->argv); rc > 0; rc = key_walk_next(&w))
        sets++;
    if (!read_limit(op, sets, &limit)) {
        gather_of(op)->otherwise(op);
        return;
    }
    ask_all(op, SPAN("scard"));
    op_then(op, read_members);
}
