/*
 * http.h: an HTTP client of a few lines for tests: sends exactly the bytes it is told, and reads
 * one answer after the other. Blocking, with a deadline on each call; reports failures in what it
 * returns and asserts nothing, so any thread may use it.
 */
#ifndef TEST_LIB_HTTP_H
#define TEST_LIB_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "test/lib/client.h"

struct http {
    struct client raw; /* its connection */
    int status;        /* of the last answer; 0: there was none */
    char *answer;      /* head and body, each with a NUL */
    char *body;
    size_t body_len;
    char value[512]; /* of http_header */
};

/* Whether it connected or not, http_close must follow. */
bool http_open(struct http *h, uint16_t port);
void http_close(struct http *h);
bool http_send(struct http *h, const char *bytes);
/* Reads one answer; gives its status, 0 when there is none. has_body false: after HEAD. */
int http_read(struct http *h, bool has_body);
/* The value of a header of the last answer, without its line end, lent until the next call; "" */
const char *http_header(struct http *h, const char *name);

/* One request with `Host: localhost` on the connection. more: further header lines, or "". */
int http_ask(struct http *h, const char *method, const char *target, const char *more);
/* The same on a connection of its own; the body goes to `body` if that is not NULL. */
int http_once(uint16_t port, const char *method, const char *target, const char *more, char *body,
              size_t cap);

#endif
