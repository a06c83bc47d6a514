/*
 * admin.h: the HTTP server of a worker for people and machines that look after the proxy: health,
 * metrics, what goes on, and the few things that they may do.
 *
 * All workers of a proxy accept from the same sockets (crew.h), so any of them answers for all:
 * what it says comes from shared memory, or is asked from the others. It runs from the start of the
 * worker to its end, also while it does not serve yet and while it drains.
 *
 * Who may do what: admin_guard.h. What there is: admin_routes.c.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include "net/http_server.h"

struct worker;

struct admin {
    struct http_server http;
    struct worker *worker;
    struct list_node gathers; /* see admin_gather.h */
};

/* Does nothing without admin-port. */
void admin_open(struct worker *w);
/* A successor accepts from the same sockets. */
void admin_retire(struct worker *w);
/* Whether a worker that leaves to a successor may end: nobody is owed an answer. */
bool admin_is_quiet(const struct worker *w);
/* May be called twice. */
void admin_close(struct worker *w);
/* When the loop has run empty. */
void admin_free(struct worker *w);

/* Finds the path, asks the guard and answers. */
void admin_route(struct worker *w, struct http_exchange *x);

/* Answers with a line of text; it gets its line end here. */
void admin_say(struct http_exchange *x, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
