#include "resp/rope.h"

void rope_store_init(struct rope_store *s)
{
    chunk_pool_init(&s->chunks);
    slab_init(&s->pieces, sizeof(struct piece));
}

void rope_store_close(struct rope_store *s)
{
    slab_close(&s->pieces);
    chunk_pool_close(&s->chunks);
}

static void append(struct rope *r, struct piece *p)
{
    p->next = NULL;
    if (r->tail == NULL)
        r->head = p;
    else
        r->tail->next = p;
    r->tail = p;
    r->bytes += p->len;
}

static void append_piece(struct rope *r, struct rope_store *s, struct chunk *chunk,
                         struct span bytes)
{
    struct piece *p = slab_take(&s->pieces);
    p->chunk = chunk_ref(chunk);
    p->at = bytes.at;
    p->len = bytes.len;
    append(r, p);
}

/* Makes sure that *current has room for len bytes. */
static void make_room(struct rope_store *s, struct chunk **current, size_t len)
{
    if (*current != NULL && chunk_room(*current) >= len)
        return;
    if (*current != NULL)
        chunk_unref(*current);
    if (len <= CHUNK_SMALL) {
        *current = chunk_take(&s->chunks, CHUNK_SMALL);
        return;
    }
    *current = chunk_try_take(&s->chunks, len);
    REQUIRE(*current != NULL);
}

const char *rope_copy(struct rope *r, struct rope_store *s, struct chunk **current,
                      struct span bytes)
{
    make_room(s, current, bytes.len);
    struct chunk *c = *current;
    char *to = c->bytes + c->used;
    if (UNLIKELY(bytes.len == 0))
        return to; /* a piece without bytes would be a write that gets nowhere */
    memcpy(to, bytes.at, bytes.len);
    c->used += (uint32_t)bytes.len;
    struct piece *last = r->tail;
    if (LIKELY(last != NULL && last->chunk == c && last->at + last->len == to)) {
        last->len += bytes.len;
        r->bytes += bytes.len;
        return to;
    }
    append_piece(r, s, c, (struct span){ to, bytes.len });
    return to;
}

void rope_share(struct rope *r, struct rope_store *s, struct chunk *chunk, struct span bytes)
{
    struct piece *last = r->tail;
    if (bytes.len == 0)
        return;
    if (last != NULL && last->chunk == chunk && last->at + last->len == bytes.at) {
        last->len += bytes.len;
        r->bytes += bytes.len;
        return;
    }
    append_piece(r, s, chunk, bytes);
}

static void drop_head(struct rope *r, struct rope_store *s)
{
    struct piece *p = r->head;
    r->head = p->next;
    if (r->head == NULL)
        r->tail = NULL;
    chunk_unref(p->chunk);
    slab_give(&s->pieces, p);
}

void rope_drop(struct rope *r, struct rope_store *s, uint64_t n)
{
    REQUIRE(n <= r->bytes);
    r->bytes -= n;
    while (n > 0) {
        struct piece *p = r->head;
        if (n < p->len) {
            p->at += n;
            p->len -= n;
            return;
        }
        n -= p->len;
        drop_head(r, s);
    }
}

void rope_clear(struct rope *r, struct rope_store *s)
{
    while (r->head != NULL)
        drop_head(r, s);
    r->bytes = 0;
}

void rope_move(struct rope *to, struct rope *from, struct rope_store *s, struct chunk **current)
{
    while (from->head != NULL) {
        struct piece *p = from->head;
        from->head = p->next;
        if (p->len >= ROPE_SHARE_MIN) {
            append(to, p);
            continue;
        }
        rope_copy(to, s, current, (struct span){ p->at, p->len });
        chunk_unref(p->chunk);
        slab_give(&s->pieces, p);
    }
    from->tail = NULL;
    from->bytes = 0;
}
