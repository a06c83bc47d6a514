/*
 * Preloaded into the proxy: ends or stops it at a certain write to a node, so that a test can try
 * every place between two steps. The test rules it by the struct in the file that
 * DIE_AT_WRITE_FILE names; see test/lib/die_at_write.h. DIE_AT_WRITE_PORT is the proxy's own port,
 * whose connections, those of clients, are not counted.
 */
#include "test/lib/die_at_write.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static struct die_at_write *rule;
static int own_port;

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("DIE_AT_WRITE_FILE"), *port = getenv("DIE_AT_WRITE_PORT");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *place = mmap(NULL, sizeof(*rule), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    own_port = port == NULL ? 0 : atoi(port);
    if (place != MAP_FAILED)
        rule = place;
}

/* The port at the other end of a connection to a node; 0 for all else. */
static int node_port(int fd)
{
    struct sockaddr_in here, there;
    socklen_t len = sizeof(here);
    if (getsockname(fd, (struct sockaddr *)&here, &len) != 0 || here.sin_family != AF_INET)
        return 0;
    len = sizeof(there);
    if (ntohs(here.sin_port) == own_port || getpeername(fd, (struct sockaddr *)&there, &len) != 0)
        return 0;
    return ntohs(there.sin_port);
}

static void before_write(int fd)
{
    if (rule == NULL || atomic_load(&rule->left) <= 0)
        return;
    int port = node_port(fd);
    if (port == 0 || atomic_fetch_sub(&rule->left, 1) != 1)
        return;
    if (!rule->stops)
        _exit(DIE_AT_WRITE_CODE);
    atomic_store(&rule->stopped_at, port);
    while (atomic_load(&rule->stopped_at) != 0)
        usleep(500);
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    before_write(fd);
    return next(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    static ssize_t (*next)(int, const struct iovec *, int);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "writev");
    before_write(fd);
    return next(fd, pieces, count);
}
