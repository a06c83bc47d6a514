/*
 * Preloaded into a program under test: counts its calls of malloc, calloc and realloc in the eight
 * bytes of the file that COUNT_MALLOC_FILE names, where the test reads them while the program runs.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

static _Atomic uint64_t unseen; /* what is counted before the file is there */
static _Atomic uint64_t *calls = &unseen;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("COUNT_MALLOC_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(uint64_t)) != 0)
        return;
    void *place = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (place != MAP_FAILED)
        calls = place;
}

void *malloc(size_t size)
{
    atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    atomic_fetch_add_explicit(calls, 1, memory_order_relaxed);
    return __libc_realloc(p, size);
}
