#include "migrate/key_set.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "migrate/key_print.h"
#include "migrate/scratch.h"

enum { ROOM_MIN = 4096, TOUCHED_MAX = 8192 /* pages: 32 MiB */ };

void key_set_open(struct key_set *s, const char *folder)
{
    *s = (struct key_set){ .folder = folder };
    while (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
        continue;
}

void key_set_clear(struct key_set *s)
{
    if (s->prints != NULL)
        munmap(s->prints, s->room * sizeof(*s->prints));
    s->prints = NULL;
    s->room = s->used = 0;
}

/* Its place, or the free one where it would be. */
static uint64_t *place_of(uint64_t *prints, uint64_t room, uint64_t print)
{
    uint64_t i = print & (room - 1);
    while (prints[i] != 0 && prints[i] != print)
        i = (i + 1) & (room - 1);
    return &prints[i];
}

/* The pages stay in the system's cache, or in the file, as memory is scarce or not. */
static void give_back_pages(struct key_set *s)
{
    if (++s->touched < TOUCHED_MAX)
        return;
    s->touched = 0;
    madvise(s->prints, s->room * sizeof(*s->prints), MADV_DONTNEED);
}

static int make_room(struct key_set *s)
{
    uint64_t room = s->room > 0 ? s->room * 2 : ROOM_MIN;
    if (s->used * 2 < s->room)
        return 0;
    uint64_t *more = scratch_map(s->folder, room * sizeof(*more));
    if (more == NULL)
        return errno;
    for (uint64_t i = 0; i < s->room; i++)
        if (s->prints[i] != 0)
            *place_of(more, room, s->prints[i]) = s->prints[i];
    uint64_t used = s->used;
    key_set_clear(s);
    s->prints = more;
    s->room = room;
    s->used = used;
    return 0;
}

int key_set_add(struct key_set *s, struct span key)
{
    uint64_t print = key_print(s->seed, key);
    int error = make_room(s);
    if (error != 0)
        return error;
    uint64_t *place = place_of(s->prints, s->room, print);
    s->used += *place == 0;
    *place = print;
    give_back_pages(s);
    return 0;
}

bool key_set_has(struct key_set *s, struct span key)
{
    if (s->prints == NULL)
        return false;
    uint64_t print = key_print(s->seed, key);
    bool there = *place_of(s->prints, s->room, print) == print;
    give_back_pages(s);
    return there;
}
