#include "cluster/group.h"

#include <stdlib.h>

#include "base/text.h"

static const uint32_t none = UINT32_MAX;

struct group *group_new(const struct command *cmd, uint32_t keys, size_t room)
{
    struct group *g = malloc(sizeof(*g) + keys * sizeof(g->part_of_key[0]) + room);
    REQUIRE(g != NULL);
    *g = (struct group){ .cmd = cmd, .keys = keys };
    return g;
}

struct request *group_add(struct router *rt, struct flow *f, struct group *g, uint16_t slot,
                          bool silent)
{
    struct request *r = router_request(rt, f, g->cmd, slot);
    r->group = g;
    r->silent = silent;
    g->parts++;
    g->open++;
    g->refs++;
    return r;
}

/* --- splitting ------------------------------------------------------------------------------- */

/* Which keys go to which part, while the command is being split. Keys of a part form a chain. */
struct split {
    uint32_t *next;  /* per key: the next key of its part, or none */
    uint32_t *first; /* per part: its first key */
    uint32_t *last;
    uint32_t *count;
    uint16_t *slot;
    uint32_t parts;
};

/* Room for the five arrays of n entries each, in one piece that the router keeps for the next time.
 */
static void split_open(struct router *rt, struct split *s, uint32_t n)
{
    size_t need = (size_t)n * (4 * sizeof(uint32_t) + sizeof(uint16_t));
    if (need > rt->split_room_size) {
        free(rt->split_room);
        rt->split_room = malloc(need);
        REQUIRE(rt->split_room != NULL);
        rt->split_room_size = need;
    }
    uint32_t *at = rt->split_room;
    *s = (struct split){ .next = at,
                         .first = at + n,
                         .last = at + 2 * (size_t)n,
                         .count = at + 3 * (size_t)n,
                         .slot = (uint16_t *)(void *)(at + 4 * (size_t)n) };
}

static void assign_keys(struct router *rt, struct split *s, struct group *g,
                        const struct argv *argv, uint32_t step)
{
    rt->walk++;
    for (uint32_t i = 0; i < g->keys; i++) {
        uint16_t slot = keyslot_of(argv_get(argv, 1 + i * step));
        struct split_mark *m = &rt->split_marks[slot];
        s->next[i] = none;
        if (m->walk != rt->walk) {
            m->walk = rt->walk;
            m->part = s->parts++;
            s->first[m->part] = i;
            s->count[m->part] = 0;
            s->slot[m->part] = slot;
        } else {
            s->next[s->last[m->part]] = i;
        }
        s->last[m->part] = i;
        s->count[m->part]++;
        g->part_of_key[i] = m->part;
    }
}

/* Digits with type byte and line end: "*3\r\n", "$64\r\n". */
static void write_header(struct writer *w, char type, uint64_t n)
{
    char text[TEXT_NUMBER_MAX + 3];
    text[0] = type;
    size_t len = 1 + text_from_u64(text + 1, n);
    text[len++] = '\r';
    text[len++] = '\n';
    write_raw(w, (struct span){ text, len });
}

/* An argument with its header and line end, as it stands in the caller's request. */
static struct span raw_argument(const struct argv *argv, uint32_t i)
{
    const struct arg *a = &argv->v[i];
    const char *from = argv->base + a->off - 2; /* at "\r\n" behind the length */
    while (*--from != '$') {
    }
    const char *end = argv->base + a->off + a->len + 2;
    return (struct span){ from, (size_t)(end - from) };
}

static void write_part(struct writer *w, const struct split *s, uint32_t part,
                       const struct argv *argv, uint32_t step)
{
    writer_clear(w, 2);
    write_header(w, '*', 1 + (uint64_t)s->count[part] * step);
    write_raw(w, raw_argument(argv, 0));
    for (uint32_t key = s->first[part]; key != none; key = s->next[key])
        for (uint32_t j = 0; j < step; j++)
            write_raw(w, raw_argument(argv, 1 + key * step + j));
}

void group_split(struct router *rt, struct flow *f, const struct command *cmd,
                 const struct argv *argv, uint32_t step, bool silent)
{
    struct split s;
    struct group *g = group_new(cmd, (argv->count - 1) / step, 0);
    split_open(rt, &s, g->keys);
    assign_keys(rt, &s, g, argv, step);
    for (uint32_t part = 0; part < s.parts; part++) {
        struct request *r = group_add(rt, f, g, s.slot[part], silent);
        write_part(&rt->part, &s, part, argv, step);
        router_submit(rt, r, writer_span(&rt->part), NULL);
    }
} /* NOLINT(clang-analyzer-unix.Malloc): the parts own the group */

/* --- broadcasting ----------------------------------------------------------------------------- */

/* A shard is named by the lowest of its slots, so that its part follows the shard to a new master.
 */
uint32_t group_shard_slots(struct router *rt, uint16_t *slots, uint32_t room)
{
    uint32_t found = 0, shards = rt->map == NULL ? 0 : rt->map->shard_count;
    rt->walk++;
    for (uint32_t slot = 0; slot < SLOT_COUNT && found < shards && found < room; slot++) {
        uint16_t shard = rt->map->shard_of[slot];
        if (shard == SLOTMAP_NO_SHARD || rt->split_marks[shard].walk == rt->walk)
            continue;
        rt->split_marks[shard].walk = rt->walk;
        slots[found++] = (uint16_t)slot;
    }
    return found;
}

struct group *group_one(struct router *rt, struct flow *f, const struct command *cmd,
                        struct group *g, uint16_t slot, struct span bytes, bool silent)
{
    if (g == NULL)
        g = group_new(cmd, 0, 0);
    router_submit(rt, group_add(rt, f, g, slot, silent), bytes, NULL);
    return g;
}

struct group *group_broadcast(struct router *rt, struct flow *f, const struct command *cmd,
                              struct span bytes, bool silent)
{
    uint16_t slots[SLOTMAP_SHARDS_MAX];
    uint32_t shards = group_shard_slots(rt, slots, SLOTMAP_SHARDS_MAX);
    struct group *g = NULL;
    for (uint32_t i = 0; i < shards; i++)
        g = group_one(rt, f, cmd, g, slots[i], bytes, silent);
    return g;
}
