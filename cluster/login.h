/*
 * login.h: what is said first on a new connection to a node: AUTH, HELLO 3 where RESP3 is spoken,
 * SELECT for a database other than 0, the name of the connection, if it shall have one, and
 * READONLY where a replica shall answer.
 *
 * The whole login leaves at once. Its calls are records of its own that nobody else sees: they are
 * freed with their replies, or by login_drop when the connection ends before.
 */
#ifndef CLUSTER_LOGIN_H
#define CLUSTER_LOGIN_H

#include "net/pipe.h"

enum login_step {
    LOGIN_MORE,     /* in the middle of a reply */
    LOGIN_ANSWERED, /* one call of the login has succeeded */
    LOGIN_REFUSED,  /* logged; the connection is of no use and to be closed with ERR_AUTH */
};

enum { LOGIN_PEER_MAX = 48 };

struct login_words {
    const char *user, *password, *name; /* each may be NULL or "" */
    uint16_t database;
    bool asks_peer;    /* a slotgate shall say which one it is (PROXY FENCE) */
    bool name_is_wish; /* a node that refuses the name is used all the same */
};

/* Sends the login over p, which has just opened. Gives the number of LOGIN_ANSWERED to wait for; 0:
   nothing had to be said. */
uint32_t login_send(struct pipe *p, const struct login_words *words, int protocol);
/* The same for READONLY, behind the login. */
uint32_t login_send_readonly(struct pipe *p);
/* A piece of a reply, as pipe_user.on_reply gave it, while the login is under way. peer: gets which
   slotgate it is, "" if it is none; may be NULL if that is not asked. */
enum login_step login_take(struct pipe_call *call, struct span bytes, char first, bool done,
                           const struct endpoint *to, char peer[LOGIN_PEER_MAX]);
/* Frees a call that is not answered any more. */
void login_drop(struct pipe_call *call);

#endif
