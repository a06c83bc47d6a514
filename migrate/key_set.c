#include "migrate/key_set.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "migrate/key_print.h"
#include "migrate/scratch.h"

enum { CHUNK = 64 * 1024, PAGE = 4096, PAGE_PRINTS = PAGE / 8, TOUCHED_MAX = 8192 /* pages */ };

void key_set_open(struct key_set *s, const char *folder)
{
    *s = (struct key_set){ .folder = folder, .file = -1 };
    writer_init(&s->unwritten, 2);
    while (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
        continue;
}

static size_t size_of(const struct key_set *s)
{
    return s->count * sizeof(*s->prints);
}

void key_set_clear(struct key_set *s)
{
    if (s->prints != NULL)
        munmap(s->prints, size_of(s));
    if (s->folder != NULL && s->file >= 0)
        close(s->file);
    writer_close(&s->unwritten);
    s->prints = NULL;
    s->file = -1;
    s->count = s->sorted = s->touched = 0;
}

/* --- adding -------------------------------------------------------------------------------- */

static int flush(struct key_set *s)
{
    off_t at = (off_t)(size_of(s) - s->unwritten.len);
    size_t done = 0;
    if (s->file < 0)
        s->file = scratch_file(s->folder);
    if (s->file < 0)
        return errno;
    while (done < s->unwritten.len) {
        ssize_t n =
            pwrite(s->file, s->unwritten.at + done, s->unwritten.len - done, at + (off_t)done);
        if (n < 0 && errno != EINTR)
            return errno;
        done += n > 0 ? (size_t)n : 0;
    }
    writer_clear(&s->unwritten, 2);
    return 0;
}

int key_set_add(struct key_set *s, struct span key)
{
    uint64_t print = key_print(s->seed, key);
    int error = s->unwritten.len >= CHUNK || s->file < 0 ? flush(s) : 0;
    if (error != 0)
        return error;
    write_raw(&s->unwritten, (struct span){ (const char *)&print, sizeof(print) });
    s->count++;
    return 0;
}

/* --- sorting ------------------------------------------------------------------------------- */

/* The pages stay in the system's cache, or in the file, as memory is scarce or not. */
static void touch(struct key_set *s)
{
    if (++s->touched < TOUCHED_MAX || size_of(s) <= (size_t)TOUCHED_MAX * PAGE)
        return;
    s->touched = 0;
    madvise(s->prints, size_of(s), MADV_DONTNEED);
}

static uint32_t part_of(uint64_t print)
{
    return (uint32_t)(print >> 56);
}

/* Hands on every hash in the file. 0 or an errno. */
static int read_all(struct key_set *s, void (*take)(struct key_set *s, uint64_t print))
{
    uint64_t prints[CHUNK / sizeof(uint64_t)];
    for (uint64_t at = 0; at < s->count;) {
        ssize_t n = pread(s->file, prints, sizeof(prints), (off_t)(at * sizeof(*prints)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < (ssize_t)sizeof(*prints))
            return n < 0 ? errno : EIO;
        uint64_t count = (uint64_t)n / sizeof(*prints);
        for (uint64_t i = 0; i < count; i++)
            take(s, prints[i]);
        at += count;
    }
    return 0;
}

static void count_one(struct key_set *s, uint64_t print)
{
    s->begins[part_of(print) + 1]++;
}

/* While they are put in their places, begins[n] is where the next one of that part goes. */
static void place_one(struct key_set *s, uint64_t print)
{
    uint64_t at = s->begins[part_of(print)]++;
    s->prints[at] = print;
    if (at % PAGE_PRINTS == 0)
        touch(s);
}

static int part(struct key_set *s)
{
    memset(s->begins, 0, sizeof(s->begins));
    int error = flush(s);
    if (error == 0)
        error = read_all(s, count_one);
    s->prints = error == 0 ? scratch_map(s->folder, size_of(s)) : NULL;
    if (s->prints == NULL)
        return error != 0 ? error : errno;
    for (uint32_t i = 0; i < KEY_SET_PARTS; i++)
        s->begins[i + 1] += s->begins[i];
    error = read_all(s, place_one);
    /* Each has come to where the next one began. */
    memmove(s->begins + 1, s->begins, sizeof(s->begins) - sizeof(s->begins[0]));
    s->begins[0] = 0;
    return error;
}

static int order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int key_set_sort(struct key_set *s)
{
    if (s->count == 0 || s->sorted == KEY_SET_PARTS)
        return 0;
    if (s->prints == NULL) {
        int error = part(s);
        return error != 0 ? -error : 1;
    }
    uint64_t begin = s->begins[s->sorted], end = s->begins[s->sorted + 1];
    qsort(s->prints + begin, end - begin, sizeof(*s->prints), order);
    for (uint64_t at = begin; at < end; at += PAGE_PRINTS)
        touch(s);
    return ++s->sorted < KEY_SET_PARTS ? 1 : 0;
}

bool key_set_has(struct key_set *s, struct span key)
{
    if (s->count == 0)
        return false;
    REQUIRE(s->sorted == KEY_SET_PARTS);
    uint64_t print = key_print(s->seed, key);
    uint64_t low = s->begins[part_of(print)], high = s->begins[part_of(print) + 1], end = high;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (s->prints[middle] < print)
            low = middle + 1;
        else
            high = middle;
    }
    bool there = low < end && s->prints[low] == print;
    touch(s);
    return there;
}
