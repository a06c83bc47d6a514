/*
 * slab.h: objects of one size, given out and taken back without malloc in steady state.
 *
 * Knows nothing of what it holds. Blocks of objects are allocated as needed and freed only by
 * slab_close. slab_take aborts when there is no memory: the objects are small and ours, their
 * number is bounded by limits elsewhere.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab {
    size_t object_size;
    void *free;   /* linked through the objects' first word */
    void *blocks; /* linked through the blocks' first word */
    uint32_t live;
    uint32_t total;
};

void slab_init(struct slab *s, size_t object_size);
/* Gives an object; its bytes are not cleared. */
void *slab_take(struct slab *s);
/* Takes the object back. */
void slab_give(struct slab *s, void *object);
/* Frees every block; requires that no object is live. */
void slab_close(struct slab *s);

#endif
