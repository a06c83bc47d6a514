#include "cluster/command.h"

#include <stdlib.h>

#include "base/check.h"
#include "cluster/categories.h"
#include "cluster/commands.h"

static const struct {
    const struct command *rows;
    uint32_t category; /* enum command_category, or 0 */
} families[] = {
    { commands_cluster, 0 },
    { commands_connection, CAT_CONNECTION },
    { commands_generic, CAT_KEYSPACE },
    { commands_geo, CAT_GEO },
    { commands_hash, CAT_HASH },
    { commands_list, CAT_LIST },
    { commands_pubsub, 0 },
    { commands_script, CAT_SCRIPTING },
    { commands_server, 0 },
    { commands_set, CAT_SET },
    { commands_stream, CAT_STREAM },
    { commands_string, CAT_STRING },
    { commands_zset, CAT_SORTEDSET },
};

/*
 * A name, ASCII case folded, as two words that together hold all of a name up to 16 bytes: its
 * first and its last bytes, which overlap as they may. Longer names are compared once more.
 */
struct name {
    uint64_t head, tail;
    uint32_t len;
    uint32_t parent; /* 1 + index of the container that a subcommand belongs to, else 0 */
};

struct entry {
    struct name name;
    const struct command *row; /* NULL: free */
};

/* About one place in six is taken, so that a name is found, or found missing, at first sight. */
enum { HASH_BITS = 11 };

struct command_table {
    struct entry hash[1u << HASH_BITS];
    uint32_t size;
    const struct command **by_index;
    struct command *rows; /* families, then sub rows by container, each of these with its end */
    uint32_t
        built_in; /* size before anything was learned; rows behind it are one allocation each */
};

/* Sets bit 5 of the bytes that are 'A' to 'Z', and of no others. */
static uint64_t fold(uint64_t w)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t low = w & (ones * 0x7F);
    uint64_t from_a = low + ones * (0x80 - 'A');
    uint64_t above_z = low + ones * (0x7F - 'Z');
    uint64_t upper = (from_a ^ above_z) & ~w & (ones * 0x80);
    return w | upper >> 2;
}

static uint64_t load_8(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

static uint64_t load_4(const char *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

static struct name name_of(struct span s, uint32_t parent)
{
    struct name n = { .len = (uint32_t)s.len, .parent = parent };
    if (s.len >= 8) {
        n.head = fold(load_8(s.at));
        n.tail = fold(load_8(s.at + s.len - 8));
    } else if (s.len >= 4) {
        n.head = fold(load_4(s.at) | load_4(s.at + s.len - 4) << 32);
    } else if (s.len > 0) {
        const unsigned char *p = (const unsigned char *)s.at;
        n.head = fold((uint64_t)p[0] | (uint64_t)p[s.len / 2] << 8 | (uint64_t)p[s.len - 1] << 16);
    }
    return n;
}

static uint32_t hash_of(const struct name *n)
{
    uint64_t h = (n->head ^ (n->tail << 23 | n->tail >> 41)) + n->len + (uint64_t)n->parent * 131;
    h *= UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 32;
    h *= UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(h >> (64 - HASH_BITS));
}

static bool name_equal(const struct name *a, const struct name *b)
{
    return a->head == b->head && a->tail == b->tail && a->len == b->len && a->parent == b->parent;
}

static const struct command *find(const struct command_table *t, struct span s, uint32_t parent)
{
    if (UNLIKELY(s.len > 255)) /* no name is that long, and `len` is narrower than a size */
        return NULL;
    struct name n = name_of(s, parent);
    for (uint32_t i = hash_of(&n);; i = (i + 1) & ((1u << HASH_BITS) - 1)) {
        const struct entry *e = &t->hash[i];
        if (e->row == NULL)
            return NULL;
        if (name_equal(&e->name, &n) && (s.len <= 16 || span_is(s, e->row->name)))
            return e->row;
    }
}

/* What a mistake in a row could break elsewhere. The tests say more of what is sane. */
static void check_row(const struct command *c)
{
    for (const char *p = c->name; *p != '\0'; p++)
        REQUIRE(*p < 'A' || *p > 'Z');
    REQUIRE(c->arity != 0);
    REQUIRE((c->how == HOW_REFUSE) == (c->refuse != NULL));
    REQUIRE(c->how != HOW_SPLIT || c->merge != MERGE_NONE);
    REQUIRE(c->how != HOW_BROADCAST || c->merge != MERGE_NONE);
    REQUIRE(c->subs == NULL || c->spec_count == 0);
    for (uint32_t i = 0; i < c->spec_count; i++) {
        const struct key_spec *s = &c->specs[i];
        REQUIRE((s->begin == KEY_BEGIN_KEYWORD) == (s->keyword != NULL));
        REQUIRE(s->begin != KEY_BEGIN_INDEX || s->pos > 0);
        REQUIRE(s->find == KEY_FIND_UNKNOWN || s->step > 0);
    }
}

static void count_specs(struct command *c)
{
    while (c->spec_count < KEY_SPECS_MAX && c->specs[c->spec_count].begin != KEY_BEGIN_NONE)
        c->spec_count++;
}

/* See only_key: the one spec that names keys is "the argument 1" or "the argument 2". */
static uint8_t only_key_of(const struct command *c)
{
    const struct key_spec *one = NULL;
    if (c->rule != KEY_RULE_SPECS && c->rule != KEY_RULE_SET && c->rule != KEY_RULE_BITFIELD)
        return 0;
    for (uint32_t i = 0; i < c->spec_count; i++) {
        if (c->specs[i].begin == KEY_BEGIN_UNKNOWN)
            continue;
        if (one != NULL)
            return 0;
        one = &c->specs[i];
    }
    if (one == NULL || one->begin != KEY_BEGIN_INDEX || one->find != KEY_FIND_RANGE ||
        one->last != 0 || (one->flags & KEY_NOT_KEY) != 0 || one->pos > 2)
        return 0;
    return (uint8_t)one->pos;
}

static void index_row(struct command_table *t, struct command *c)
{
    count_specs(c);
    check_row(c);
    c->only_key = only_key_of(c);
    c->index = (uint16_t)t->size;
    c->tally = (uint16_t)(t->built_in > 0 ? t->built_in : t->size);
    t->by_index[t->size++] = c;

    uint32_t parent = c->parent == NULL ? 0 : c->parent->index + 1u;
    struct span s = { c->name, strlen(c->name) };
    REQUIRE(s.len <= 255 && find(t, s, parent) == NULL);
    struct name n = name_of(s, parent);
    uint32_t i = hash_of(&n);
    while (t->hash[i].row != NULL)
        i = (i + 1) & ((1u << HASH_BITS) - 1);
    t->hash[i] = (struct entry){ .name = n, .row = c };
}

static uint32_t row_count(const struct command *rows)
{
    uint32_t n = 0;
    while (rows[n].name != NULL)
        n++;
    return n;
}

static void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    REQUIRE(p != NULL);
    return p;
}

struct command_table *command_table_new(void)
{
    uint32_t top = 0, all = 0;
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        for (const struct command *c = families[f].rows; c->name != NULL; c++) {
            top++;
            all += 1 + (c->subs != NULL ? row_count(c->subs) + 1 : 0);
        }
    }
    REQUIRE(all < COMMANDS_MAX);

    struct command_table *t = must_alloc(1, sizeof(*t));
    t->rows = must_alloc(all, sizeof(*t->rows));
    t->by_index = must_alloc(COMMANDS_MAX, sizeof(void *));
    struct command *row = t->rows, *sub = t->rows + top;
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        for (const struct command *c = families[f].rows; c->name != NULL; c++, row++) {
            *row = *c;
            row->categories = categories_derive(row, families[f].category);
            index_row(t, row);
            if (c->subs == NULL)
                continue;
            row->subs = sub;
            for (const struct command *s = c->subs; s->name != NULL; s++, sub++) {
                *sub = *s;
                sub->parent = row;
                sub->categories = categories_derive(sub, families[f].category);
                index_row(t, sub);
            }
            sub++; /* its end: calloc left the name NULL */
        }
    }
    t->built_in = t->size;
    return t;
}

bool command_table_add(struct command_table *t, const struct command *row, struct span name)
{
    if (t->size >= COMMANDS_MAX)
        return false;
    struct command *c = must_alloc(1, sizeof(*c));
    *c = *row;
    char *lower = must_alloc(name.len + 1, 1);
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.at[i];
        lower[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
    }
    c->name = lower;
    index_row(t, c);
    return true;
}

static void free_learned(struct command *c)
{
    for (int i = 0; i < KEY_SPECS_MAX; i++)
        free((char *)(uintptr_t)c->specs[i].keyword);
    free((char *)(uintptr_t)c->name);
    free(c);
}

void command_table_free(struct command_table *t)
{
    if (t == NULL)
        return;
    for (uint32_t i = t->built_in; i < t->size; i++)
        free_learned((struct command *)(uintptr_t)t->by_index[i]);
    free(t->by_index);
    free(t->rows);
    free(t);
}

uint32_t command_table_size(const struct command_table *t)
{
    return t->size;
}

uint32_t command_table_built_in(const struct command_table *t)
{
    return t->built_in;
}

const struct command *command_at(const struct command_table *t, uint32_t index)
{
    REQUIRE(index < t->size);
    return t->by_index[index];
}

const struct command *command_find(const struct command_table *t, struct span name)
{
    return find(t, name, 0);
}

const struct command *command_resolve(const struct command_table *t, const struct argv *argv,
                                      const struct command **container)
{
    *container = NULL;
    if (argv->count == 0)
        return NULL;
    const struct command *c = find(t, argv_get(argv, 0), 0);
    if (c == NULL || c->subs == NULL || argv->count == 1)
        return c;
    *container = c;
    return find(t, argv_get(argv, 1), c->index + 1u);
}
