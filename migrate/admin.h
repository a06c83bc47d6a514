/*
 * admin.h: a UNIX socket at which a running program is asked and told things.
 *
 * A client sends one line; it gets lines back, and the end of the connection behind the last one,
 * which is "OK", or "ERR " and why. Nobody but the owner of the process may connect (mode 0600).
 *
 * Bounded: ADMIN_CLIENTS at the same time, lines of ADMIN_LINE_MAX, seconds to send one; a client
 * that does not read is closed. Life: admin_open -> on_line for each client -> admin_close -> the
 * loop runs empty.
 */
#ifndef MIGRATE_ADMIN_H
#define MIGRATE_ADMIN_H

#include <uv.h>

#include "base/check.h"

enum { ADMIN_CLIENTS = 8, ADMIN_LINE_MAX = 4096, ADMIN_PATH_MAX = 104 };

struct admin_client;

struct admin_user {
    /* The client has asked; admin_end must follow, now or later, unless on_gone comes before. */
    void (*on_line)(void *context, struct admin_client *client, char *line);
    void (*on_gone)(void *context, struct admin_client *client);
};

struct admin {
    const struct admin_user *user;
    void *context;
    uv_pipe_t pipe;
    char path[ADMIN_PATH_MAX];
    struct admin_client *clients[ADMIN_CLIENTS]; /* NULL: free */
    bool open;
};

/* A socket that a dead process has left is replaced; that of a living one is EADDRINUSE. 0 or an
   errno. */
MUST_USE int admin_open(struct admin *a, uv_loop_t *loop, const char *path,
                        const struct admin_user *user, void *context);
/* Clients that still wait get this last line. */
void admin_close(struct admin *a, const char *last);

PRINTF_LIKE(2, 3) void admin_say(struct admin_client *client, const char *fmt, ...);
/* why: NULL when all is well. The client is gone for the user. */
void admin_end(struct admin_client *client, const char *why);
/* The same; and what to do about it (advice.h). */
void admin_refuse(struct admin_client *client, const char *why);

#endif
