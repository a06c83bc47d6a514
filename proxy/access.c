#include "proxy/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "proxy/acl_log.h"
#include "proxy/worker.h"

enum { PEER_MAX = 64, COMMAND_MAX = 2 * COMMAND_NAME_MAX + 2 };

static const struct span admin_name = { "admin", 5 };

static void become(struct client *c, enum client_user user, const struct acl_user *acl_user)
{
    c->user = (uint8_t)user;
    c->acl_user = acl_user;
    client_set_special(c, SPECIAL_NOBODY, user == USER_NOBODY);
    client_set_special(c, SPECIAL_LIMITED, user == USER_OF_ACL && !acl_is_free(acl_user));
}

void access_begin(struct client *c)
{
    const struct acl_user *u = acl_default(c->worker->config.acl);
    become(c, acl_is_open(u) ? USER_OF_ACL : USER_NOBODY, u);
}

bool access_allows(const struct client *c, const struct command *cmd)
{
    return c->user != USER_NOBODY || (cmd->flags & CMD_NO_AUTH) != 0;
}

static struct span span_of(const char *text)
{
    return (struct span){ text, strlen(text) };
}

/* object: the key or channel; at NULL: the command itself was refused. */
static void log_denied(const struct client *c, const struct command *cmd,
                       enum acl_log_reason reason, struct span object)
{
    char peer[PEER_MAX], name[COMMAND_MAX];
    stream_peer_text(&c->stream, peer, sizeof(peer));
    snprintf(name, sizeof(name), "%s%s%s", cmd->parent != NULL ? cmd->parent->name : "",
             cmd->parent != NULL ? "|" : "", cmd->name);
    acl_log_add(c, reason, span_of(acl_name(c->acl_user)),
                object.at != NULL ? object : span_of(name));
    /* A health probe without a login is no news, however often it comes. */
    LOG_AT(strcmp(name, "ping") == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
           "command refused to its user", "id=%llu addr=%s user=%s command=%s",
           (unsigned long long)c->id, peer, log_text(acl_name(c->acl_user)), name);
}

bool access_permits(const struct client *c, const struct command *cmd, const struct argv *argv,
                    struct writer *w)
{
    uint32_t arg;
    enum acl_verdict v = acl_check(c->acl_user, cmd, argv, c->worker->config.acl_scripts, &arg);
    if (LIKELY(v == ACL_ALLOWED))
        return true;
    acl_write_denial(w, v, cmd);
    if (v == ACL_NO_KEY || v == ACL_NO_CHANNEL)
        log_denied(c, cmd, v == ACL_NO_KEY ? ACL_LOG_KEY : ACL_LOG_CHANNEL, argv_get(argv, arg));
    else
        log_denied(c, cmd, ACL_LOG_COMMAND, (struct span){ 0 });
    return false;
}

/* Redis 7.0, networking.c: ten arguments of 16 KiB. */
const struct request_limits *access_nobody_limits(void)
{
    static const struct request_limits limits = {
        .max_bulk = 16384, .max_request = 10 * (16384 + 64), .max_args = 10, .max_inline = 16384
    };
    return &limits;
}

/* --- logging in ------------------------------------------------------------------------------- */

/* Takes the same time whatever is wrong with the password, its length included. */
static bool is_password(const char *wanted, struct span given)
{
    unsigned char a[SHA256_DIGEST_LENGTH], b[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)wanted, strlen(wanted), a);
    SHA256((const unsigned char *)given.at, given.len, b);
    return CRYPTO_memcmp(a, b, sizeof(a)) == 0;
}

static bool try_login(struct client *c, struct span user, struct span password)
{
    const char *admin = c->worker->config.admin_password;
    if (span_equal(user, admin_name)) {
        if (admin == NULL || !is_password(admin, password))
            return false;
        become(c, USER_ADMIN, NULL);
        return true;
    }
    const struct acl_user *u = acl_find(c->worker->config.acl, user);
    if (u == NULL || !acl_opens(u, password))
        return false;
    become(c, USER_OF_ACL, u);
    return true;
}

bool access_login(struct client *c, struct span word, struct span user, struct span password)
{
    char peer[PEER_MAX];
    if (try_login(c, user, password))
        return true;
    acl_log_add(c, ACL_LOG_AUTH, user, word);
    stream_peer_text(&c->stream, peer, sizeof(peer));
    log_warn("client login refused", "id=%llu addr=%s user=%s", (unsigned long long)c->id, peer,
             log_bytes(user.at, user.len));
    return false;
}

const char *access_user_name(const struct client *c)
{
    return c->user == USER_ADMIN ? admin_name.at : acl_name(c->acl_user);
}

bool access_needs_no_password(const struct worker *w)
{
    return acl_needs_no_password(acl_default(w->config.acl));
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

/* --- the users change ------------------------------------------------------------------------- */

/* Does something that the rules of an earlier moment have allowed. */
static bool is_in_the_middle(const struct client *c)
{
    return c->subscriber != NULL || c->transaction != NULL || c->blocked != NULL || c->op != NULL;
}

/* Redis leaves the connections of the user default alone, and so does this, unless they would go
   on with what they may not begin any more. Of other users only those stay who are as they were. */
static void renew_one(struct client *c, const struct acl *users)
{
    const struct acl_user *old = c->acl_user, *first = acl_default(users);
    const char *name = acl_name(old);
    const struct acl_user *fresh = acl_find(users, (struct span){ name, strlen(name) });
    bool same = fresh != NULL && acl_is_same(old, fresh);
    bool stays = same || (fresh == first && !is_in_the_middle(c));
    if (c->user == USER_NOBODY) {
        access_begin(c);
        return;
    }
    become(c, stays ? USER_OF_ACL : USER_NOBODY, stays ? fresh : first);
    if (!stays)
        stream_close(&c->stream, ERR_KILLED);
}

void access_renew(struct worker *w)
{
    struct list_node *n, *safe;
    LIST_EACH (&w->clients, n, safe) {
        struct client *c = LIST_ENTRY(n, struct client, in_worker);
        if (c->user != USER_ADMIN)
            renew_one(c, w->config.acl);
    }
}
