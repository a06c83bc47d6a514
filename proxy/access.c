#include "proxy/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/log.h"
#include "proxy/worker.h"

enum { PEER_MAX = 64 };

static const char *const user_names[] = {
    [USER_DEFAULT] = "default",
    [USER_NOBODY] = "default",
    [USER_ADMIN] = "admin",
};

static void become(struct client *c, enum client_user user)
{
    c->user = (uint8_t)user;
    client_set_special(c, SPECIAL_NOBODY, user == USER_NOBODY);
}

void access_begin(struct client *c)
{
    become(c, c->worker->config.requirepass != NULL ? USER_NOBODY : USER_DEFAULT);
}

bool access_allows(const struct client *c, const struct command *cmd)
{
    return c->user != USER_NOBODY || (cmd->flags & CMD_NO_AUTH) != 0;
}

/* Redis 7.0, networking.c: ten arguments of 16 KiB. */
const struct request_limits *access_nobody_limits(void)
{
    static const struct request_limits limits = {
        .max_bulk = 16384, .max_request = 10 * (16384 + 64), .max_args = 10, .max_inline = 16384
    };
    return &limits;
}

/* Takes the same time whatever is wrong with the password, its length included. */
static bool is_password(const char *wanted, struct span given)
{
    unsigned char a[SHA256_DIGEST_LENGTH], b[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)wanted, strlen(wanted), a);
    SHA256((const unsigned char *)given.at, given.len, b);
    return CRYPTO_memcmp(a, b, sizeof(a)) == 0;
}

static bool opens(const struct config *cf, enum client_user user, struct span password)
{
    if (user == USER_DEFAULT)
        return cf->requirepass == NULL || is_password(cf->requirepass, password);
    return cf->admin_password != NULL && is_password(cf->admin_password, password);
}

bool access_login(struct client *c, struct span user, struct span password)
{
    static const enum client_user users[] = { USER_DEFAULT, USER_ADMIN };
    char peer[PEER_MAX];
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        const char *name = user_names[users[i]];
        if (!span_equal(user, (struct span){ name, strlen(name) }))
            continue;
        if (!opens(&c->worker->config, users[i], password))
            break;
        become(c, users[i]);
        return true;
    }
    stream_peer_text(&c->stream, peer, sizeof(peer));
    log_warn("client login refused", "id=%llu addr=%s user=%s", (unsigned long long)c->id, peer,
             log_bytes(user.at, user.len));
    return false;
}

const char *access_user_name(const struct client *c)
{
    return user_names[c->user];
}

bool access_is_admin(const struct client *c, const char *what, struct writer *w)
{
    if (c->user == USER_ADMIN)
        return true;
    if (c->worker->config.admin_password == NULL)
        write_error(w, "NOPERM slotgate: %s is for the admin, and no admin-password is set", what);
    else
        write_error(w, "NOPERM slotgate: %s is for the admin: AUTH admin PASSWORD", what);
    return false;
}
