#include "migrate/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/scratch.h"

struct segment {
    struct list_node link; /* in spool->segments */
    int file;
    uint64_t written, taken;
};

void spool_open(struct spool *s, const char *folder, uint64_t max)
{
    *s = (struct spool){ .folder = folder, .max = max };
    list_init(&s->segments);
}

static void drop(struct segment *g)
{
    list_remove(&g->link);
    close(g->file);
    free(g);
}

void spool_close(struct spool *s)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->segments, n, safe)
        drop(LIST_ENTRY(n, struct segment, link));
    s->used = 0;
}

static struct segment *writable(struct spool *s)
{
    if (!list_is_empty(&s->segments)) {
        struct segment *last = LIST_ENTRY(s->segments.prev, struct segment, link);
        if (last->written < SPOOL_SEGMENT)
            return last;
    }
    int file = scratch_file(s->folder);
    if (file < 0)
        return NULL;
    struct segment *g = calloc(1, sizeof(*g));
    REQUIRE(g != NULL);
    g->file = file;
    list_append(&s->segments, &g->link);
    return g;
}

int spool_write(struct spool *s, struct span bytes)
{
    while (bytes.len > 0) {
        struct segment *g = writable(s);
        if (g == NULL)
            return errno;
        ssize_t n = pwrite(g->file, bytes.at, bytes.len, (off_t)g->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? ENOSPC : errno;
        g->written += (uint64_t)n;
        s->used += (uint64_t)n;
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    s->peak = s->used > s->peak ? s->used : s->peak;
    return 0;
}

static long read_segment(struct spool *s, struct segment *g, char *to, size_t room)
{
    uint64_t left = g->written - g->taken;
    size_t want = left < room ? (size_t)left : room;
    ssize_t n;
    do {
        n = pread(g->file, to, want, (off_t)g->taken);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 ? -EIO : -errno;
    g->taken += (uint64_t)n;
    s->used -= (uint64_t)n;
    return n;
}

long spool_read(struct spool *s, char *to, size_t room)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->segments, n, safe) {
        struct segment *g = LIST_ENTRY(n, struct segment, link);
        if (g->taken < g->written)
            return read_segment(s, g, to, room);
        if (g->written < SPOOL_SEGMENT)
            return 0;
        drop(g);
    }
    return 0;
}
