#include "proxy/check.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const struct timeval patience = { .tv_sec = 3 };
static const char ping[] = "*1\r\n$4\r\nPING\r\n";

/* How the answer of a proxy that serves may begin. One that wants a password or is full is healthy:
   to start it anew would only cut its clients off. */
static const char *const living[] = { "+PONG\r\n", "-NOAUTH ", "-NOPERM ",
                                      "-ERR max number of clients",
                                      "-ERR slotgate: this port speaks TLS only" };

static const char *host_of(const char *address)
{
    address += address[0] == '-';
    if (strcmp(address, "*") == 0)
        return "127.0.0.1";
    return strcmp(address, "::*") == 0 ? "::1" : address;
}

/* A connected socket, or -1 and *why. */
static int dial(const char *host, int port, const char **why)
{
    char service[8];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo *found,
        hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The time to send bounds connect as well. */
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
                    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
                    connect(fd, found->ai_addr, found->ai_addrlen) != 0)) {
        *why = errno == EINPROGRESS ? "no answer" : strerror(errno);
        close(fd);
        fd = -1;
    } else if (fd < 0) {
        *why = strerror(errno);
    }
    freeaddrinfo(found);
    return fd;
}

static bool lives(const char *answer, size_t len)
{
    for (size_t i = 0; i < sizeof(living) / sizeof(living[0]); i++) {
        size_t want = strlen(living[i]);
        if (len >= want && memcmp(answer, living[i], want) == 0)
            return true;
    }
    return false;
}

/* NULL, or why it does not answer as one that serves. */
static const char *ask(int fd)
{
    char answer[256];
    size_t len = 0;
    /* One that is full may have said so and closed before; that is there to be read. */
    (void)send(fd, ping, sizeof(ping) - 1, MSG_NOSIGNAL);
    while (len < sizeof(answer) && memchr(answer, '\n', len) == NULL) {
        ssize_t n = recv(fd, answer + len, sizeof(answer) - len, 0);
        if (n < 0 && errno == EINTR) /* stopped and continued, as a debugger does it */
            continue;
        if (n < 0)
            return errno == EAGAIN ? "no answer" : strerror(errno);
        if (n == 0)
            return "closed without an answer";
        len += (size_t)n;
    }
    return lives(answer, len) ? NULL : "the answer to PING is not PONG";
}

static const char *check_one(const char *host, int port)
{
    const char *why = NULL;
    int fd = dial(host, port, &why);
    if (fd < 0)
        return why;
    why = ask(fd);
    close(fd);
    return why;
}

int check_run(const struct config *c)
{
    for (size_t i = 0; i < c->bind.count; i++) {
        const char *host = host_of(c->bind.items[i]);
        const char *why = check_one(host, c->port);
        if (why == NULL)
            return 0;
        fprintf(stderr, "slotgate: %s port %d: %s\n", host, c->port, why);
    }
    return 1;
}
