/* The entries of one node of a stream: a listpack with a master entry, see t_stream.c in Redis. */
#include <stdlib.h>

#include "base/text.h"
#include "migrate/rdb_decode.h"
#include "migrate/rdb_packed.h"

/*
 *   count, deleted, number of fields, the fields' names, 0
 *   then for each entry:
 *     flags, ms and seq counted from the node's id,
 *     SAME_FIELDS: the values;  else: number of fields, names and values in turn
 *     how many elements the entry has
 */
enum { DELETED = 1, SAME_FIELDS = 2 };
enum { FIELDS_MAX = 64 * 1024 * 1024 };

struct node {
    struct rdb_decode *d;
    struct rdb_packed p;
    struct stream_id first;
    uint32_t names; /* of the master entry; they stand first in d->fields, as offsets in d->words */
    size_t names_end;
};

static bool next_number(struct node *n, int64_t *out)
{
    struct span s;
    return rdb_packed_next(&n->p, &s) == 1 && text_to_i64(s.at, s.len, out);
}

/* One more than asked for, so that there is a place even for none. */
static bool make_room(struct rdb_decode *d, uint64_t fields)
{
    if (fields < d->fields_room)
        return true;
    if (fields > FIELDS_MAX)
        return false;
    uint64_t room = (fields + 1) * 2;
    struct span *more = realloc(d->fields, room * sizeof(*more));
    REQUIRE(more != NULL);
    d->fields = more;
    d->fields_room = (uint32_t)room;
    return true;
}

/* Keeps the next word: its place is an offset until all words are there, because d->words may
   move. */
static bool keep_word(struct node *n, uint32_t at)
{
    struct rdb_decode *d = n->d;
    struct span s;
    if (rdb_packed_next(&n->p, &s) != 1 || !make_room(d, (uint64_t)at + 1))
        return false;
    d->fields[at] = (struct span){ (const char *)(uintptr_t)d->words.len, s.len };
    write_raw(&d->words, s);
    return true;
}

static bool read_master(struct node *n)
{
    int64_t count, deleted, names, zero;
    if (!next_number(n, &count) || !next_number(n, &deleted) || !next_number(n, &names) ||
        names < 0 || names > FIELDS_MAX)
        return false;
    writer_clear(&n->d->words, 2);
    n->names = (uint32_t)names;
    for (uint32_t i = 0; i < n->names; i++)
        if (!keep_word(n, i))
            return false;
    n->names_end = n->d->words.len;
    return next_number(n, &zero);
}

static struct span place(const struct rdb_decode *d, struct span offset)
{
    return (struct span){ d->words.at + (uintptr_t)offset.at, offset.len };
}

/* The words of the entry stand behind the master's names in d->fields, and behind them is room for
   the pairs. */
static bool give_entry(struct node *n, struct stream_id id, uint32_t pairs, bool same)
{
    struct rdb_decode *d = n->d;
    uint32_t words = same ? pairs : pairs * 2, out = n->names + words;
    if (!make_room(d, (uint64_t)out + pairs * 2))
        return false;
    struct span *fields = d->fields + out;
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t word = n->names + (same ? i : i * 2);
        fields[i * 2] = place(d, d->fields[same ? i : word]);
        fields[i * 2 + 1] = place(d, d->fields[same ? word : word + 1]);
    }
    return d->out(d->context, &(struct rdb_item){ .part = RDB_PART_ENTRY,
                                                  .id = id,
                                                  .fields = fields,
                                                  .field_count = pairs * 2 });
}

static bool read_entry(struct node *n, int64_t flags)
{
    int64_t ms, seq, pairs = n->names, elements;
    bool same = (flags & SAME_FIELDS) != 0;
    if (!next_number(n, &ms) || !next_number(n, &seq) || (!same && !next_number(n, &pairs)) ||
        pairs < 0 || pairs > FIELDS_MAX)
        return false;
    n->d->words.len = n->names_end;
    uint32_t words = (uint32_t)pairs * (same ? 1 : 2);
    for (uint32_t i = 0; i < words; i++)
        if (!keep_word(n, n->names + i))
            return false;
    if (!next_number(n, &elements))
        return false;
    struct stream_id id = { n->first.ms + (uint64_t)ms, n->first.seq + (uint64_t)seq };
    return (flags & DELETED) != 0 || give_entry(n, id, (uint32_t)pairs, same);
}

static uint64_t big_endian(const char *at)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | (uint8_t)at[i];
    return n;
}

bool rdb_stream_entries(struct rdb_decode *d, struct span first_id, struct span listpack)
{
    struct node n = { .d = d };
    struct span flags_text;
    int64_t flags;
    if (first_id.len != 16 || !rdb_packed_open(&n.p, RDB_LISTPACK, listpack))
        return false;
    n.first = (struct stream_id){ big_endian(first_id.at), big_endian(first_id.at + 8) };
    if (!read_master(&n))
        return false;
    int rc;
    while ((rc = rdb_packed_next(&n.p, &flags_text)) == 1)
        if (!text_to_i64(flags_text.at, flags_text.len, &flags) || !read_entry(&n, flags))
            return false;
    return rc == 0;
}
