#include "base/slab.h"

#include <stdlib.h>

#include "base/check.h"

enum { OBJECTS_PER_BLOCK = 64, ALIGN = 16 };

void slab_init(struct slab *s, size_t object_size)
{
    *s = (struct slab){ .object_size = (object_size + ALIGN - 1) / ALIGN * ALIGN };
}

static void slab_grow(struct slab *s)
{
    char *block = malloc(ALIGN + s->object_size * OBJECTS_PER_BLOCK);
    REQUIRE(block != NULL);
    *(void **)(void *)block = s->blocks;
    s->blocks = block;
    for (int i = OBJECTS_PER_BLOCK - 1; i >= 0; i--) {
        void *object = block + ALIGN + (size_t)i * s->object_size;
        *(void **)object = s->free;
        s->free = object;
    }
    s->total += OBJECTS_PER_BLOCK;
}

void *slab_take(struct slab *s)
{
    if (UNLIKELY(s->free == NULL))
        slab_grow(s);
    void *object = s->free;
    s->free = *(void **)object;
    s->live++;
    return object;
}

void slab_give(struct slab *s, void *object)
{
    REQUIRE(s->live > 0);
    *(void **)object = s->free;
    s->free = object;
    s->live--;
}

void slab_close(struct slab *s)
{
    REQUIRE(s->live == 0);
    while (s->blocks != NULL) {
        void *next = *(void **)s->blocks;
        free(s->blocks);
        s->blocks = next;
    }
    s->free = NULL;
    s->total = 0;
}
