#include "resp/chunk.h"

#include <stdlib.h>

/*
 * How many free chunks a pool keeps per size: about 4 MiB each. A worker that had a burst gives the
 * rest back to malloc, so that its memory follows its load.
 */
enum {
    KEEP_SMALL = 256,
    KEEP_READ = 64,
};

void chunk_pool_init(struct chunk_pool *p)
{
    *p = (struct chunk_pool){ .live = 0 };
}

static void free_all(struct chunk *c)
{
    while (c != NULL) {
        struct chunk *next = c->next_free;
        free(c);
        c = next;
    }
}

void chunk_pool_close(struct chunk_pool *p)
{
    REQUIRE(p->live == 0);
    free_all(p->small);
    free_all(p->read);
    chunk_pool_init(p);
}

/* A free chunk of that size, or NULL when the pool has none or does not keep the size. */
static struct chunk *take_pooled(struct chunk_pool *p, uint64_t size)
{
    struct chunk *c = NULL;
    if (size == CHUNK_SMALL && p->small != NULL) {
        c = p->small;
        p->small = c->next_free;
        p->small_free--;
    } else if (size == CHUNK_READ && p->read != NULL) {
        c = p->read;
        p->read = c->next_free;
        p->read_free--;
    }
    return c;
}

struct chunk *chunk_try_take(struct chunk_pool *p, uint64_t size)
{
    struct chunk *c = take_pooled(p, size);
    if (c == NULL) {
        if (size > SIZE_MAX - sizeof(*c))
            return NULL;
        c = malloc(sizeof(*c) + (size_t)size);
        if (c == NULL)
            return NULL;
        p->mallocs++;
        c->pool = p;
        c->size = size;
    }
    c->refs = 1;
    c->used = 0;
    c->next_free = NULL;
    p->live++;
    p->live_bytes += size;
    return c;
}

struct chunk *chunk_take(struct chunk_pool *p, uint64_t size)
{
    REQUIRE(size == CHUNK_SMALL || size == CHUNK_READ);
    struct chunk *c = chunk_try_take(p, size);
    REQUIRE(c != NULL);
    return c;
}

void chunk_free(struct chunk *c)
{
    struct chunk_pool *p = c->pool;
    p->live--;
    p->live_bytes -= c->size;
    if (c->size == CHUNK_SMALL && p->small_free < KEEP_SMALL) {
        c->next_free = p->small;
        p->small = c;
        p->small_free++;
    } else if (c->size == CHUNK_READ && p->read_free < KEEP_READ) {
        c->next_free = p->read;
        p->read = c;
        p->read_free++;
    } else {
        free(c);
    }
}
