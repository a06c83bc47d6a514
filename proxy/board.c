#include "proxy/board.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

int board_make(void)
{
    int fd = memfd_create("slotgate-board", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, sizeof(struct board)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct board *board_map(int fd)
{
    void *at = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

void board_unmap(struct board *b)
{
    if (b != NULL)
        munmap(b, sizeof(*b));
}
