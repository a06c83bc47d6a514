#include "migrate/url.h"

#include <string.h>

#include "base/text.h"

static int hex(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);
    return at == NULL ? -1 : (int)(at - digits);
}

/* With %XX decoded. False: too long, or a % that is none. */
static bool unescape(char *out, const char *at, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = at[i];
        if (c == '%') {
            if (len - i < 3 || hex(at[i + 1]) < 0 || hex(at[i + 2]) < 0)
                return false;
            c = (char)(hex(at[i + 1]) * 16 + hex(at[i + 2]));
            i += 2;
        }
        if (n == URL_SECRET_MAX - 1 || c == '\0')
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

/* "user:password", ":password" or, as redis-cli has it, a bare password. */
static bool take_login(struct url *u, const char *at, size_t len)
{
    const char *colon = memchr(at, ':', len);
    if (colon == NULL)
        return unescape(u->password, at, len);
    size_t user = (size_t)(colon - at);
    return unescape(u->user, at, user) && unescape(u->password, colon + 1, len - user - 1);
}

static bool take_scheme(const char **at, size_t *len, const char *scheme)
{
    size_t n = strlen(scheme);
    if (*len < n || memcmp(*at, scheme, n) != 0)
        return false;
    *at += n;
    *len -= n;
    return true;
}

/* Nothing, or a number. */
static bool take_database(struct url *u, const char *at, size_t len)
{
    enum { DATABASE_MAX = 9999 };
    uint64_t n;
    if (len == 0)
        return true;
    if (!text_to_u64(at, len, &n) || n > DATABASE_MAX)
        return false;
    u->database = (int)n;
    return true;
}

static const char *take_one(struct url *u, const char *at, size_t len)
{
    bool tls = take_scheme(&at, &len, "rediss://");
    if (!tls)
        take_scheme(&at, &len, "redis://");
    if (u->count > 0 && u->tls != tls)
        return "some addresses with TLS (rediss://) and some without";
    u->tls = tls;
    const char *sign = memrchr(at, '@', len);
    if (sign != NULL) {
        size_t login = (size_t)(sign - at);
        if (!take_login(u, at, login))
            return "a user or password with a % that is no escape, or too long";
        at += login + 1;
        len -= login + 1;
    }
    const char *slash = memchr(at, '/', len);
    if (slash != NULL && !take_database(u, slash + 1, (size_t)(at + len - slash) - 1))
        return "no number of a database behind the address";
    len = slash != NULL ? (size_t)(slash - at) : len;
    if (u->count == URL_ENDPOINTS_MAX)
        return "too many addresses";
    if (!endpoint_parse(at, len, false, &u->endpoints[u->count]))
        return "bad address (expected host:port or redis://[user:password@]host:port[/db])";
    u->count++;
    return NULL;
}

const char *url_parse(struct url *u, const char *text)
{
    memset(u, 0, sizeof(*u));
    u->database = -1;
    for (;;) {
        size_t len = strcspn(text, ",");
        const char *wrong = take_one(u, text, len);
        if (wrong != NULL || text[len] == '\0')
            return wrong;
        text += len + 1;
    }
}
