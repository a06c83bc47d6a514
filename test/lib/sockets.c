#include "test/lib/sockets.h"

#include <stdio.h>

#include "test/lib/testenv.h"

enum { LISTEN = 0x0a, STILL_MS = 200 };

long sockets_unread(uint16_t port)
{
    char line[256];
    long sum = 0;
    FILE *f = fopen("/proc/net/tcp", "r");
    REQUIRE(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned own, state, unread;
        bool row = sscanf(line, "%*d: %*x:%x %*x:%*x %x %*x:%x", &own, &state, &unread) == 3;
        if (row && own == port && state != LISTEN)
            sum += (long)unread;
    }
    fclose(f);
    return sum;
}

bool sockets_hold(void *arg)
{
    const struct sockets_at *at = arg;
    return sockets_unread(at->port) > at->more_than;
}

bool sockets_are_still(void *arg)
{
    struct sockets_at *at = arg;
    long now = sockets_unread(at->port);
    if (now != at->last)
        at->since = now_ms();
    at->last = now;
    return now > at->more_than && now_ms() - at->since >= STILL_MS;
}
