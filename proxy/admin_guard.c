#include "proxy/admin_guard.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

#include "proxy/admin.h"
#include "proxy/worker.h"

/* The name or address of "name:port", "[address]:port". */
static bool split_host(const char *host, char *out, size_t cap)
{
    const char *end = host + strcspn(host, ":");
    if (host[0] == '[') {
        host++;
        end = host + strcspn(host, "]");
        if (*end == '\0')
            return false;
    }
    size_t len = (size_t)(end - host);
    if (len == 0 || len >= cap)
        return false;
    memcpy(out, host, len);
    out[len] = '\0';
    return true;
}

bool admin_guard_is_own_host(const char *host)
{
    static const char localhost[] = "localhost";
    char name[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    if (!split_host(host, name, sizeof(name)))
        return false;
    return strcasecmp(name, localhost) == 0 ||
           inet_pton(host[0] == '[' ? AF_INET6 : AF_INET, name, &ignored) == 1;
}

/* Browsers send Origin with every POST, and Sec-Fetch-Site with every request. */
bool admin_guard_is_own_origin(const struct http_request *r)
{
    const char *site = r->header[HTTP_FETCH_SITE], *origin = r->header[HTTP_ORIGIN];
    if (r->has[HTTP_FETCH_SITE] && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return false;
    if (!r->has[HTTP_ORIGIN])
        return true;
    if (strncmp(origin, "http://", 7) == 0)
        origin += 7;
    else if (strncmp(origin, "https://", 8) == 0) /* somebody in front of us speaks TLS */
        origin += 8;
    else
        return false;
    return strcasecmp(origin, r->header[HTTP_HOST]) == 0;
}

static bool brings(const struct http_request *r, const char *token)
{
    static const char scheme[] = "Bearer ";
    const char *given = r->header[HTTP_AUTHORIZATION];
    if (strncasecmp(given, scheme, sizeof(scheme) - 1) != 0)
        return false;
    given += sizeof(scheme) - 1;
    size_t len = strlen(token);
    return strlen(given) == len && CRYPTO_memcmp(given, token, len) == 0;
}

static void ask_for_token(struct http_exchange *x)
{
    static const char text[] = "this needs the admin-token: Authorization: Bearer TOKEN\n";
    struct http_answer a = { .status = 401,
                             .type = "text/plain; charset=utf-8",
                             .extra = "WWW-Authenticate: Bearer\r\n",
                             .body = { text, sizeof(text) - 1 } };
    http_answer(x, &a);
}

bool admin_guard_passes(const struct worker *w, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    const char *token = w->config.admin_token;
    if (token != NULL && !brings(r, token)) {
        ask_for_token(x);
        return false;
    }
    if (token == NULL && !http_exchange_is_local(x)) {
        admin_say(x, 403, "beyond the loopback this needs an admin-token, and none is set");
        return false;
    }
    if (token == NULL && r->has[HTTP_HOST] && !admin_guard_is_own_host(r->header[HTTP_HOST])) {
        admin_say(x, 403, "without an admin-token the host has to be an address or localhost");
        return false;
    }
    if (http_is(r, HTTP_POST) && !admin_guard_is_own_origin(r)) {
        admin_say(x, 403, "a page of another origin may not do this");
        return false;
    }
    return true;
}
