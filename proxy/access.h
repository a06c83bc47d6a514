/*
 * access.h: who a client is, and what that allows it to do.
 *
 * With `requirepass` a client is nobody until AUTH or HELLO brings the password: it may say only
 * what bears CMD_NO_AUTH, in small requests, as in Redis. Whoever logs in as `admin` with
 * `admin-password` may do, beside all that the default user may, what concerns the proxy as a
 * whole. Without admin-password nobody can.
 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

#include "proxy/client.h"

/* A client that has just come, or has said RESET. */
void access_begin(struct client *c);

/* False: the client has to log in first. */
bool access_allows(const struct client *c, const struct command *cmd);
/* What its requests may be like: those of nobody have to be small. */
const struct request_limits *access_nobody_limits(void);

/* Whether these words open the door; then the client is that user. */
MUST_USE bool access_login(struct client *c, struct span user, struct span password);
const char *access_user_name(const struct client *c);

/* Otherwise an error is written: `what` is for the admin only. */
MUST_USE bool access_is_admin(const struct client *c, const char *what, struct writer *w);

static inline const struct request_limits *access_limits(const struct client *c,
                                                         const struct request_limits *usual)
{
    return LIKELY((c->special & SPECIAL_NOBODY) == 0) ? usual : access_nobody_limits();
}

#endif
