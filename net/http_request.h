/*
 * http_request.h: bytes of a connection as HTTP requests, one after the other, within limits.
 *
 * Knows no socket, no clock and no path. http-parser reads the grammar; this keeps the few things
 * that somebody asks for, bounds the rest, and says with which status a request is refused. A
 * header that decides about access may come once only, so that nobody can read another one than we
 * do.
 *
 *   http_request_start -> http_request_read as long as it gives HTTP_MORE -> HTTP_DONE: the fields
 *   hold until the next http_request_start | HTTP_BAD: `status`, and no further byte makes sense
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "resp/span.h"

enum {
    HTTP_HEAD_MAX = 8 * 1024,
    HTTP_TARGET_MAX = 1024,
    HTTP_BODY_MAX = 64 * 1024, /* is read; ... */
    HTTP_BODY_KEPT = 256,      /* ... so much of it is kept */
    HTTP_NAME_MAX = 32,        /* a longer header name is none that we know */
    HTTP_VALUE_MAX = 512,
};

enum http_header {
    HTTP_HOST,
    HTTP_ORIGIN,
    HTTP_AUTHORIZATION,
    HTTP_FETCH_SITE, /* Sec-Fetch-Site */
    HTTP_EXPECT,
    HTTP_HEADERS,
};

enum http_got { HTTP_MORE, HTTP_DONE, HTTP_BAD };

struct http_request {
    http_parser parser;
    size_t head_len, body_len;
    int status; /* with which it is refused */
    bool begun, head_done, done;
    bool keep_alive; /* the connection may bring another one */
    bool has[HTTP_HEADERS];
    char header[HTTP_HEADERS][HTTP_VALUE_MAX]; /* each with a NUL */
    char target[HTTP_TARGET_MAX];              /* as it came */
    size_t target_len;
    char path[HTTP_TARGET_MAX];  /* without the query */
    char query[HTTP_TARGET_MAX]; /* "" when there is none */
    char body[HTTP_BODY_KEPT];   /* its beginning, with a NUL */
    char name[HTTP_NAME_MAX];    /* of the header that is being read */
    size_t name_len, value_len;
    bool in_value;
};

void http_request_start(struct http_request *r);
/* Takes from the front of bytes what belongs to the request, and says how much that was. */
MUST_USE enum http_got http_request_read(struct http_request *r, struct span bytes, size_t *used);

static inline bool http_is(const struct http_request *r, enum http_method method)
{
    return r->parser.method == (unsigned)method;
}

/* The value of name=value in the query, copied with a NUL; false: there is none, or it is too long.
 */
MUST_USE bool http_query_value(const struct http_request *r, const char *name, char *out,
                               size_t cap);

#endif
