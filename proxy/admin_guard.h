/*
 * admin_guard.h: who may see and do what over HTTP.
 *
 *   with admin-token     whoever brings it
 *   without              whoever comes over the loopback and names us by address or as localhost: a
 *                        page of somebody else's, in a browser on this machine, cannot do that
 *                        under a name of its own (DNS rebinding)
 *   what changes things  in addition not from a page of another origin
 *
 * Metrics, health and the page's own files, which hold no data, are open to all.
 */
#ifndef PROXY_ADMIN_GUARD_H
#define PROXY_ADMIN_GUARD_H

#include "net/http_server.h"

struct worker;

/* True: go on. False: it has been answered. */
MUST_USE bool admin_guard_passes(const struct worker *w, struct http_exchange *x);

/* Whether a Host header names an IP address or localhost. */
bool admin_guard_is_own_host(const char *host);
/* Whether the request came from a page of the same origin, or from no page. */
bool admin_guard_is_own_origin(const struct http_request *r);

#endif
