#include "base/endpoint.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
    if (len == 0 || len > 5)
        return false;
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    if (n == 0 || n > 65535)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* A host stands in errors and log lines, and a node may have made it up. */
static bool host_is_clean(const char *host, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] <= ' ' || strchr("/\\\"'[],@", host[i]) != NULL)
            return false;
    return true;
}

bool endpoint_set(struct endpoint *e, const char *host, size_t len, uint16_t port)
{
    if (len > ENDPOINT_HOST_MAX || !host_is_clean(host, len))
        return false;
    memcpy(e->host, host, len);
    e->host[len] = '\0';
    e->port = port;
    return true;
}

bool endpoint_parse(const char *text, size_t len, bool allow_no_host, struct endpoint *out)
{
    size_t colon = len;
    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    uint16_t port;
    if (colon == 0 || !parse_port(text + colon, len - colon, &port))
        return false;
    const char *host = text;
    size_t host_len = colon - 1;
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    }
    if (host_len == 0 && !allow_no_host)
        return false;
    return endpoint_set(out, host, host_len, port);
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

const char *endpoint_text(const struct endpoint *e, char buf[ENDPOINT_TEXT_MAX])
{
    bool v6 = strchr(e->host, ':') != NULL;
    snprintf(buf, ENDPOINT_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", e->host, e->port);
    return buf;
}
