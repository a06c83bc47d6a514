/*
 * client.h: one client connection: its bytes become requests, replies go back in order.
 *
 * Life: client_accept (somebody has connected) -> requests -> stream_close or client_finish
 * by anybody, at any time, twice if they like -> freed when its handle is closed. What is in flight
 * then becomes an orphan of the router.
 *
 *   happy path      read -> parse -> dispatch -> ... -> on_reply -> written at the end of the turn
 *   pipeline full, output behind, or a command that must be alone: reading stops, client_resume
 * later protocol error  the error is written, then the connection closes client leaves   replies of
 * what is in flight are dropped by the router reply breaks off in the middle (node lost): the
 * connection closes, nothing is invented
 *
 * An idle client owns no buffer: `input` and `stash` exist only while something is incomplete.
 */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "cluster/router.h"
#include "net/stream.h"
#include "resp/request.h"

struct worker;
struct client;
struct op;
struct blocked;
struct transaction;
struct watch;
struct subscriber;
struct acl_user;

enum client_reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP_NEXT, REPLY_SKIP };

/* Why dispatch has to look twice at a client's request; most clients have none of these. */
enum client_special {
    SPECIAL_REPLY_MODE = 1 << 0,
    SPECIAL_TRANSACTION = 1 << 1,
    SPECIAL_NOBODY = 1 << 2,  /* has to log in first */
    SPECIAL_LIMITED = 1 << 3, /* may not do everything */
};

/* See access.h. */
enum client_user { USER_OF_ACL, USER_NOBODY, USER_ADMIN };

/* What CLIENT SETNAME and SETINFO set; most clients have none. */
struct client_labels {
    char *name, *lib_name, *lib_ver;
};

struct client {
    struct stream stream;
    struct worker *worker;
    struct flow flow;
    struct list_node in_worker; /* worker->clients */
    struct list_node in_resume; /* worker->to_resume */
    struct request_parser parser;
    struct chunk *input; /* bytes read and not yet parsed, from input_at to used */
    struct chunk *stash; /* where replies that wait for their turn are copied */
    struct client_labels *labels;
    struct op *op;           /* runs for this client, which reads no request meanwhile; or NULL */
    struct blocked *blocked; /* waits in a blocking command; or NULL */
    struct transaction *transaction; /* from MULTI until EXEC is done; else NULL */
    struct watch *watch;             /* from WATCH until EXEC; else NULL */
    struct subscriber *subscriber;   /* subscriptions and MONITOR, see subscriber.h; or NULL */
    const struct command *last_command;
    const struct acl_user *acl_user; /* of nobody the default user */
    uint64_t id;
    uint64_t created_at; /* ms of loop time */
    uint64_t active_at;
    uint64_t commands;
    uint64_t took_us;    /* of all its commands; those of a pipeline overlap */
    uint32_t slowest_us; /* of one */
    uint32_t input_at;
    uint32_t window;    /* requests that may be under way; see client_reply.c */
    uint32_t errors;    /* error replies */
    uint8_t reply_mode; /* enum client_reply_mode; set by client_set_reply_mode */
    uint8_t special;    /* enum client_special */
    uint8_t user;       /* enum client_user; set by access.c */
    bool paused;        /* not reading: client_resume goes on when it may */
    bool wants_drain;   /* ... not before every reply is out */
    bool finishing;     /* closes with finish_why once every reply is out */
    bool parting;       /* closes with finish_why behind a reply that leaves nothing owed */
    bool ended;         /* it has said its last word, and may have left */
    bool no_evict, no_touch;
    bool exact; /* see exact.h */
    int finish_why;
};

/* Takes a connected socket, or drops it with an error when there are too many. */
void client_accept(struct worker *w, int fd);
extern const struct span client_refusal;

/* Parses and dispatches what is in the client's input, and closes one that is parting and owed
   nothing; for clients in worker->to_resume. */
void client_resume(struct client *c);
/* Resumes it when the turn ends, before its replies are written. */
void client_look_later(struct client *c);

/* Answers a request that no node has to see, in its place among the others. Copies the bytes. */
void client_reply(struct client *c, struct span reply);

/* Takes no further request; once every reply is out, client_finish_if_quiet closes. */
void client_finish_later(struct client *c, int why);
/* The same, and closes at once when nothing is owed. */
void client_finish(struct client *c, int why);

/* Drops everything under way for a client whose stream is closing; may be called twice. */
void client_abandon(struct client *c);

static inline void client_set_special(struct client *c, enum client_special what, bool on)
{
    c->special = (uint8_t)(on ? c->special | what : c->special & ~(unsigned)what);
}

static inline void client_set_reply_mode(struct client *c, enum client_reply_mode mode)
{
    c->reply_mode = (uint8_t)mode;
    client_set_special(c, SPECIAL_REPLY_MODE, mode != REPLY_ON);
}

static inline struct client *client_of_flow(struct flow *f)
{
    return CONTAINER_OF(f, struct client, flow);
}

#endif
