#include "migrate/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int scratch_file(const char *folder)
{
    char path[4096];
    int file = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return file;
    /* Where the file system has none such: one whose name is taken away. */
    snprintf(path, sizeof(path), "%s/slotgate-migrate-XXXXXX", folder);
    file = mkostemp(path, O_CLOEXEC);
    if (file >= 0)
        unlink(path);
    return file;
}

void *scratch_map(const char *folder, size_t size)
{
    int file = scratch_file(folder);
    if (file < 0)
        return NULL;
    /* Room on the disk now, since a mapped page without one ends the program. */
    int error = posix_fallocate(file, 0, (off_t)size);
    void *at = MAP_FAILED;
    if (error == 0) {
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        error = errno;
    }
    close(file);
    errno = error;
    return at != MAP_FAILED ? at : NULL;
}
