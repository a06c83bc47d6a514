/*
 * chunk.h: ref-counted pieces of memory that bytes from the wire live in.
 *
 * A chunk has room for `size` bytes, of which the first `used` hold something. Whoever keeps a span
 * into a chunk past the callback that showed it shares the chunk (chunk_ref) and gives it back
 * (chunk_unref); the last one returns it to its pool. Two sizes are pooled, others are malloc'd and
 * freed. One pool per worker; nothing here is thread-safe.
 */
#ifndef RESP_CHUNK_H
#define RESP_CHUNK_H

#include <stdint.h>

#include "base/check.h"
#include "resp/span.h"

enum {
    CHUNK_SMALL = 16 * 1024, /* output, requests in flight, replies that wait */
    CHUNK_READ = 64 * 1024,  /* one read(2) */
};

struct chunk {
    uint32_t refs;
    uint32_t used;
    uint64_t size;
    struct chunk_pool *pool;
    struct chunk *next_free;
    char bytes[];
};

struct chunk_pool {
    struct chunk *small, *read; /* free chunks, linked through next_free */
    uint32_t small_free, read_free;
    uint32_t live;       /* chunks that somebody holds */
    uint64_t live_bytes; /* their room */
    uint64_t mallocs;    /* calls of malloc so far, for the test that counts them */
};

void chunk_pool_init(struct chunk_pool *p);
/* Frees what is pooled; requires that no chunk is live. */
void chunk_pool_close(struct chunk_pool *p);

/* Gives an empty chunk with one reference, of CHUNK_SMALL or CHUNK_READ. Aborts without memory. */
struct chunk *chunk_take(struct chunk_pool *p, uint64_t size);
/* The same for any size; NULL without memory, because a peer chose the size. */
MUST_USE struct chunk *chunk_try_take(struct chunk_pool *p, uint64_t size);
void chunk_free(struct chunk *c);

static inline struct chunk *chunk_ref(struct chunk *c)
{
    c->refs++;
    return c;
}

static inline void chunk_unref(struct chunk *c)
{
    if (--c->refs == 0)
        chunk_free(c);
}

static inline uint64_t chunk_room(const struct chunk *c)
{
    return c->size - c->used;
}

#endif
