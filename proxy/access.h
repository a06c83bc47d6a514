/*
 * access.h: who a client is, and what that allows it to do.
 *
 * The users are those of acl.h. A client that comes is the user default, if that one needs no
 * password; otherwise it is nobody until AUTH or HELLO brings a name and a password: it may say
 * only what bears CMD_NO_AUTH, in small requests, as in Redis. Beside the users there is `admin`:
 * whoever logs in so with `admin-password` may do everything, and what concerns the proxy as a
 * whole. Without admin-password nobody can.
 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

#include "proxy/acl.h"
#include "proxy/client.h"

/* The config has other users than before: clients whose user is gone or has changed are closed. The
   old users have to be there still. */
void access_renew(struct worker *w);

/* A client that has just come, or has said RESET. */
void access_begin(struct client *c);

/* False: the client has to log in first. */
bool access_allows(const struct client *c, const struct command *cmd);
/* For a client with SPECIAL_LIMITED. False: its user may not do this, and the error is written. */
MUST_USE bool access_permits(const struct client *c, const struct command *cmd,
                             const struct argv *argv, struct writer *w);
/* What its requests may be like: those of nobody have to be small. */
const struct request_limits *access_nobody_limits(void);

/* Whether these words open the door; then the client is that user. word: the command that brought
   them, AUTH or HELLO, as it was written. */
MUST_USE bool access_login(struct client *c, struct span word, struct span user,
                           struct span password);
const char *access_user_name(const struct client *c);
/* The user default has no password. */
bool access_needs_no_password(const struct worker *w);

/* Otherwise an error is written: `what` is for the admin only. */
MUST_USE bool access_is_admin(const struct client *c, const char *what, struct writer *w);

static inline const struct request_limits *access_limits(const struct client *c,
                                                         const struct request_limits *usual)
{
    return LIKELY((c->special & SPECIAL_NOBODY) == 0) ? usual : access_nobody_limits();
}

#endif
