#include "migrate/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/scratch.h"

enum { PATH_ROOM = 4200 };

/* Holds the bytes from `start`, a multiple of SPOOL_SEGMENT, up to start + SPOOL_SEGMENT. */
struct segment {
    struct list_node link; /* in spool->segments, by start */
    int file;
    uint64_t start;
    bool dirty; /* may not be on the disk */
};

void spool_open(struct spool *s, const char *folder, bool named, uint64_t max)
{
    *s = (struct spool){ .folder = folder, .named = named, .max = max };
    list_init(&s->segments);
}

static struct segment *entry(struct list_node *n)
{
    return LIST_ENTRY(n, struct segment, link);
}

static void name_file(const char *folder, uint64_t start, char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/spool.%llu", folder, (unsigned long long)(start / SPOOL_SEGMENT));
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
        drop(entry(n));
    s->begin = s->at = s->end = 0;
}

void spool_remove_all(const char *folder)
{
    char path[PATH_ROOM + 256];
    DIR *d = opendir(folder);
    if (d == NULL)
        return;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strncmp(e->d_name, "spool.", 6) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        unlink(path);
    }
    closedir(d);
}

/* --- files --------------------------------------------------------------------------------- */

static int named_file(const char *folder, uint64_t start, int how)
{
    char path[PATH_ROOM];
    name_file(folder, start, path);
    return open(path, how | O_RDWR | O_CLOEXEC, 0600);
}

static struct segment *add(struct spool *s, int file, uint64_t start)
{
    struct segment *g = calloc(1, sizeof(*g));
    REQUIRE(g != NULL);
    g->file = file;
    g->start = start;
    g->dirty = true; /* an earlier program need not have waited for what it wrote */
    list_append(&s->segments, &g->link);
    return g;
}

static struct segment *find(struct spool *s, uint64_t position)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->segments, n, safe)
        if (position >= entry(n)->start && position < entry(n)->start + SPOOL_SEGMENT)
            return entry(n);
    return NULL;
}

static int take_up(struct spool *s, uint64_t begin, uint64_t end)
{
    s->begin = s->at = s->end = begin;
    uint64_t start = begin - begin % SPOOL_SEGMENT;
    for (; s->end < end; start += SPOOL_SEGMENT) {
        struct stat st;
        int file = named_file(s->folder, start, 0);
        if (file < 0) /* a segment comes to be with its first byte */
            return s->end == start && errno == ENOENT ? 0 : errno;
        add(s, file, start);
        if (fstat(file, &st) != 0)
            return errno;
        uint64_t there = start + (uint64_t)st.st_size;
        if (there < s->end)
            return EIO; /* what the state says to be there is not */
        s->end = there < end ? there : end;
        s->written = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        if (s->end < there && ftruncate(file, (off_t)(s->end - start)) != 0)
            return errno;
        if (s->end < start + SPOOL_SEGMENT)
            return 0;
    }
    return 0;
}

/* What an earlier program had behind the end is not to be taken for ours when that is reached. */
static void remove_behind(const struct spool *s)
{
    char path[PATH_ROOM];
    uint64_t start = s->end - s->end % SPOOL_SEGMENT;
    if (start < s->end)
        start += SPOOL_SEGMENT;
    do {
        name_file(s->folder, start, path);
        start += SPOOL_SEGMENT;
    } while (unlink(path) == 0);
}

int spool_reopen(struct spool *s, uint64_t begin, uint64_t end)
{
    int error = take_up(s, begin, end);
    if (error == 0)
        remove_behind(s);
    return error;
}

int spool_sync(struct spool *s, uint64_t from)
{
    struct list_node *n, *safe;
    LIST_EACH (&s->segments, n, safe) {
        if (entry(n)->start + SPOOL_SEGMENT <= from)
            continue;
        if (entry(n)->dirty && fdatasync(entry(n)->file) != 0)
            return errno;
        entry(n)->dirty = false;
    }
    return 0;
}

/* --- bytes --------------------------------------------------------------------------------- */

static struct segment *writable(struct spool *s)
{
    struct list_node *last = s->segments.prev;
    if (last != &s->segments && s->end < entry(last)->start + SPOOL_SEGMENT)
        return entry(last);
    uint64_t start = s->end - s->end % SPOOL_SEGMENT;
    /* One of an earlier program lies there if the machine's end came before its last bytes did. */
    int file = s->named ? named_file(s->folder, start, O_CREAT | O_TRUNC) : scratch_file(s->folder);
    return file >= 0 ? add(s, file, start) : NULL;
}

int spool_write(struct spool *s, struct span bytes)
{
    while (bytes.len > 0) {
        struct segment *g = writable(s);
        if (g == NULL)
            return errno;
        uint64_t room = g->start + SPOOL_SEGMENT - s->end;
        size_t len = bytes.len < room ? bytes.len : (size_t)room;
        ssize_t n = pwrite(g->file, bytes.at, len, (off_t)(s->end - g->start));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? ENOSPC : errno;
        g->dirty = true;
        s->end += (uint64_t)n;
        bytes.at += n;
        bytes.len -= (size_t)n;
    }
    s->peak = spool_unread(s) > s->peak ? spool_unread(s) : s->peak;
    return 0;
}

long spool_read(struct spool *s, char *to, size_t room)
{
    struct segment *g = s->at < s->end ? find(s, s->at) : NULL;
    if (s->at == s->end)
        return 0;
    if (g == NULL)
        return -EIO;
    uint64_t stop = g->start + SPOOL_SEGMENT < s->end ? g->start + SPOOL_SEGMENT : s->end;
    size_t want = stop - s->at < room ? (size_t)(stop - s->at) : room;
    ssize_t n;
    do {
        n = pread(g->file, to, want, (off_t)(s->at - g->start));
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 ? -EIO : -errno;
    s->at += (uint64_t)n;
    return n;
}

void spool_release(struct spool *s, uint64_t position)
{
    char path[PATH_ROOM];
    if (position <= s->begin)
        return;
    s->begin = position < s->end ? position : s->end;
    while (!list_is_empty(&s->segments)) {
        struct segment *g = entry(s->segments.next); /* NOLINT(clang-analyzer-unix.Malloc) */
        if (g->start + SPOOL_SEGMENT > s->begin)
            return;
        name_file(s->folder, g->start, path);
        if (s->named)
            unlink(path);
        drop(g);
    }
}

void spool_seek(struct spool *s, uint64_t position)
{
    REQUIRE(position >= s->begin && position <= s->end);
    s->at = position;
}
