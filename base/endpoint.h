/*
 * endpoint.h: a host (name or address) and a port, as text. Resolves nothing.
 */
#ifndef BASE_ENDPOINT_H
#define BASE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

enum { ENDPOINT_HOST_MAX = 255, ENDPOINT_TEXT_MAX = ENDPOINT_HOST_MAX + 10 };

struct endpoint {
    char host[ENDPOINT_HOST_MAX + 1]; /* without brackets */
    uint16_t port;
};

/* "host:port", "1.2.3.4:7000", "[::1]:7000", also "::1:7000" as Redis writes it in MOVED. An empty
   host (":7000") is allowed only with allow_no_host. False: *out is untouched. */
MUST_USE bool endpoint_parse(const char *text, size_t len, bool allow_no_host,
                             struct endpoint *out);
/* False when the host is too long or has a byte that no host has; *e is untouched then. */
MUST_USE bool endpoint_set(struct endpoint *e, const char *host, size_t len, uint16_t port);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/* "host:port", with brackets around an IPv6 address. Gives back buf. */
const char *endpoint_text(const struct endpoint *e, char buf[ENDPOINT_TEXT_MAX]);

#endif
