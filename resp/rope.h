/*
 * rope.h: a queue of bytes made of pieces of chunks: what a connection still has to write, or a
 * reply that waits for its turn.
 *
 * Small pieces are copied into the last chunk, so that they lie side by side and a piece pins only
 * its own memory; large ones are shared. The pieces themselves come from a slab.
 */
#ifndef RESP_ROPE_H
#define RESP_ROPE_H

#include "base/slab.h"
#include "resp/chunk.h"

/* Below this many bytes a copy is cheaper than a piece of its own. */
enum { ROPE_SHARE_MIN = 4 * 1024 };

struct piece {
    struct piece *next;
    struct chunk *chunk; /* one reference per piece */
    const char *at;
    size_t len;
};

struct rope {
    struct piece *head, *tail;
    uint64_t bytes;
};

/* What ropes are made from; one per worker. */
struct rope_store {
    struct chunk_pool chunks;
    struct slab pieces;
};

void rope_store_init(struct rope_store *s);
void rope_store_close(struct rope_store *s);

static inline bool rope_is_empty(const struct rope *r)
{
    return r->head == NULL;
}

/*
 * Copies bytes to the end. *current is the chunk that copies go into: when it is NULL or has too
 * little room, another is taken and the old reference given back; the caller owns *current.
 * The copy is never split. Gives the place of the copy, which lies in *current.
 */
const char *rope_copy(struct rope *r, struct rope_store *s, struct chunk **current,
                      struct span bytes);
/* Shares bytes that lie in chunk. */
void rope_share(struct rope *r, struct rope_store *s, struct chunk *chunk, struct span bytes);
/* Drops n bytes from the front; n <= bytes. */
void rope_drop(struct rope *r, struct rope_store *s, uint64_t n);
void rope_clear(struct rope *r, struct rope_store *s);
/* Moves all of `from` to the end of `to`: large pieces as they are, small ones copied. */
void rope_move(struct rope *to, struct rope *from, struct rope_store *s, struct chunk **current);

#endif
