#include "proxy/board.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/stats.h"

/*
 *   0           struct board
 *   AREAS_AT    struct areas: where the statistics of each layout are
 *   FIRST_AT    the areas themselves, one behind the other
 *
 * One process at a time adds an area: the supervisor that begins, or the launcher of a takeover.
 */
enum { AREAS = 16384, AREAS_AT = 1 << 20, FIRST_AT = 2 << 20 };

#define STATS_SIZE ((sizeof(struct stats_page) + FIRST_AT - 1) / FIRST_AT * FIRST_AT)
#define MAPPED (FIRST_AT + STATS_SIZE)

struct area {
    uint64_t layout; /* 0: free */
    uint64_t at, end;
};

struct areas {
    struct area v[AREAS];
};

BUILD_ASSERT(sizeof(struct board) <= AREAS_AT, "the board has room");
BUILD_ASSERT(sizeof(struct areas) <= FIRST_AT - AREAS_AT, "the areas have room");

static const struct area *find_area(struct areas *all)
{
    uint64_t layout = stats_layout();
    for (size_t i = 0; i < AREAS; i++)
        if (all->v[i].layout == layout)
            return &all->v[i];
    return NULL;
}

/* Behind the last one. NULL: that many layouts in a row of takeovers. The file has addresses for
   all of them, and memory only for what was counted. */
static const struct area *add_area(struct areas *all)
{
    uint64_t at = FIRST_AT;
    size_t i = 0;
    while (i < AREAS && all->v[i].layout != 0)
        at = all->v[i++].end;
    if (i == AREAS)
        return NULL;
    all->v[i] = (struct area){ stats_layout(), at, at + STATS_SIZE };
    return &all->v[i];
}

static struct areas *areas_of(struct board *b)
{
    return (struct areas *)(void *)((char *)b + AREAS_AT);
}

int board_make(void)
{
    int fd = memfd_create("slotgate-board", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, FIRST_AT) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool grow(int fd, uint64_t size)
{
    struct stat st;
    return fstat(fd, &st) == 0 && ((uint64_t)st.st_size >= size || ftruncate(fd, (off_t)size) == 0);
}

/* Maps a part of the file to a place that is reserved. */
static bool map_at(char *where, int fd, uint64_t at, uint64_t size)
{
    return grow(fd, at + size) && mmap(where, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                                       fd, (off_t)at) != MAP_FAILED;
}

/* In this process the own area lies right behind the board, wherever it is in the file. */
struct board *board_map(int fd)
{
    char *where = mmap(NULL, MAPPED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (where == MAP_FAILED)
        return NULL;
    struct board *b = (struct board *)(void *)where;
    const struct area *area = NULL;
    if (map_at(where, fd, 0, FIRST_AT)) {
        area = find_area(areas_of(b));
        if (area == NULL)
            area = add_area(areas_of(b));
    }
    if (area != NULL && map_at(where + FIRST_AT, fd, area->at, STATS_SIZE))
        return b;
    munmap(where, MAPPED);
    return NULL;
}

void board_unmap(struct board *b)
{
    if (b != NULL)
        munmap(b, MAPPED);
}

struct stats_page *board_stats(struct board *b)
{
    return (struct stats_page *)(void *)((char *)b + FIRST_AT);
}
