#include "migrate/rdb_text.h"

#include <stdlib.h>

#include "base/text.h"

void rdb_text_close(struct rdb_text *t)
{
    writer_close(&t->bytes);
    free(t->lzf);
    *t = (struct rdb_text){ 0 };
}

static bool begin(struct rdb_text *t, const struct rdb_walk *w, uint64_t max)
{
    char digits[TEXT_NUMBER_MAX];
    writer_clear(&t->bytes, 2);
    t->taken = 0;
    if (w->form == WALK_INT) {
        write_raw(&t->bytes, (struct span){ digits, text_from_i64(digits, w->integer) });
        t->taken = t->bytes.len;
        return true;
    }
    if (w->form == WALK_PACKED) {
        if (t->lzf == NULL)
            t->lzf = calloc(1, sizeof(*t->lzf));
        REQUIRE(t->lzf != NULL);
        lzf_reset(t->lzf);
        if (w->body == 0)
            return false; /* nothing cannot be packed */
    }
    return w->number <= max;
}

static bool take_packed(struct rdb_text *t, const struct rdb_walk *w, struct span stored)
{
    if (!lzf_unpack(t->lzf, stored, &t->bytes) || t->lzf->written > w->number)
        return false;
    t->taken = t->lzf->written;
    return w->body > 0 || (lzf_is_whole(t->lzf) && t->taken == w->number);
}

bool rdb_text_take(struct rdb_text *t, const struct rdb_walk *w, enum walk_token token,
                   struct span stored, uint64_t max)
{
    if (token == WALK_STRING)
        return begin(t, w, max);
    if (w->form == WALK_PACKED)
        return take_packed(t, w, stored);
    write_raw(&t->bytes, stored);
    t->taken += stored.len;
    return true;
}
