#include "test/lib/http.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "test/lib/testenv.h"

enum { ANSWER_MAX = 4 * 1024 * 1024, PATIENCE_MS = 10 * 1000 };

bool http_open(struct http *h, uint16_t port)
{
    *h = (struct http){ .status = 0 };
    return client_open(&h->raw, port);
}

void http_close(struct http *h)
{
    client_close(&h->raw);
    free(h->answer);
    h->answer = NULL;
}

bool http_send(struct http *h, const char *bytes)
{
    return client_send_text(&h->raw, bytes);
}

/* One more byte or several, up to `want` in all; false: the end, or too late. */
static bool read_some(struct http *h, size_t *len, size_t want)
{
    struct pollfd wait = { h->raw.fd, POLLIN, 0 };
    if (poll(&wait, 1, PATIENCE_MS) != 1)
        return false;
    ssize_t n = recv(h->raw.fd, h->answer + *len, want - *len, 0);
    if (n <= 0)
        return false;
    *len += (size_t)n;
    h->answer[*len] = '\0';
    return true;
}

int http_read(struct http *h, bool has_body)
{
    size_t len = 0;
    char *end = NULL;
    h->status = 0;
    h->answer = realloc(h->answer, ANSWER_MAX + 1);
    REQUIRE(h->answer != NULL);
    h->answer[0] = '\0';
    while (end == NULL) { /* byte by byte, so that the next answer stays where it is */
        if (len >= ANSWER_MAX || !read_some(h, &len, len + 1))
            return 0;
        end = len >= 4 && memcmp(h->answer + len - 4, "\r\n\r\n", 4) == 0 ? h->answer + len : NULL;
    }
    if (sscanf(h->answer, "HTTP/1.1 %d ", &h->status) != 1)
        return 0;
    h->body = end;
    h->body_len = has_body ? strtoul(http_header(h, "content-length"), NULL, 10) : 0;
    size_t whole = len + h->body_len;
    while (len < whole && whole <= ANSWER_MAX)
        if (!read_some(h, &len, whole))
            return h->status = 0;
    return h->status;
}

const char *http_header(struct http *h, const char *name)
{
    size_t len = strlen(name);
    h->value[0] = '\0';
    for (const char *line = h->answer; line != NULL && line < h->body;) {
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            line += strspn(line, " ");
            snprintf(h->value, sizeof(h->value), "%.*s", (int)strcspn(line, "\r\n"), line);
            return h->value;
        }
        line = strchr(line, '\n');
        line += line != NULL;
    }
    return h->value;
}

int http_ask(struct http *h, const char *method, const char *target, const char *more)
{
    char request[2048];
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method,
             target, more);
    if (!http_send(h, request))
        return h->status = 0;
    return http_read(h, strcmp(method, "HEAD") != 0);
}

int http_once(uint16_t port, const char *method, const char *target, const char *more, char *body,
              size_t cap)
{
    struct http h;
    int status = http_open(&h, port) ? http_ask(&h, method, target, more) : 0;
    if (body != NULL)
        snprintf(body, cap, "%s", status != 0 ? h.body : "");
    http_close(&h);
    return status;
}
