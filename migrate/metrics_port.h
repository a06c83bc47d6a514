/*
 * metrics_port.h: GET /metrics over HTTP, for a Prometheus that collects from us by itself.
 *
 * Nothing else is there, and nothing can be changed by it: commands go over the admin socket, which
 * only the own user can reach. Life: open -> close -> the loop runs empty.
 */
#ifndef MIGRATE_METRICS_PORT_H
#define MIGRATE_METRICS_PORT_H

#include "net/http_server.h"
#include "resp/writer.h"

struct metrics_port {
    struct http_server http;
    void (*write)(void *context, struct writer *out); /* the page */
    void *context;
    int fd;
    bool open;
};

/* address: numeric. 0 or libuv's error; then there is nothing to close. */
MUST_USE int metrics_port_open(struct metrics_port *m, struct net *net, const char *address,
                               uint16_t port, void (*write)(void *context, struct writer *out),
                               void *context);
/* May be called twice. */
void metrics_port_close(struct metrics_port *m);

#endif
