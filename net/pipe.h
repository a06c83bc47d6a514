/*
 * pipe.h: a pipelined RESP connection: requests go out, replies come back in the same order.
 *
 * Knows no command: it matches the n-th reply with the n-th call and hands the reply on in the
 * pieces in which it arrives. A call may owe several replies (MULTI, commands, EXEC): the last one
 * is its own. Life: pipe_dial -> on_open or on_closed; on_closed comes exactly once
 * per pipe_dial, also when it never connected. Calls belong to the caller; the pipe only lists
 * them, and on_closed finds those that were never answered still in `calls`, oldest first.
 */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include "net/dial.h"
#include "resp/reply.h"
#include "resp/writer.h"

struct pipe;

/* One request under way; embedded in the caller's record. */
struct pipe_call {
    struct list_node link; /* in pipe->calls */
    uint64_t end;          /* the stream's queued_total behind the call's last byte */
    uint32_t lead;         /* replies that come before the call's own: on_lead gets them */
    uint32_t lead_left;    /* of those, still to come */
};

struct pipe_user {
    void (*on_open)(struct pipe *p);
    /* A piece of the reply to call; bytes lie in chunk. On `done` the call has left the list.
       first: the reply's first byte. An error reply comes whole; chunk is NULL if it was put
       together. One of more than PIPE_ERROR_MAX bytes comes in pieces, with '\0' for first. */
    void (*on_reply)(struct pipe *p, struct pipe_call *call, struct span bytes, struct chunk *chunk,
                     char first, bool done);
    /* A piece of a reply that call->lead has announced; as on_reply. Needed only with such calls.
     */
    void (*on_lead)(struct pipe *p, struct pipe_call *call, struct span bytes, char first,
                    bool done);
    /* A RESP3 push, in pieces; belongs to no call. */
    void (*on_push)(struct pipe *p, struct span bytes, bool done);
    void (*on_closed)(struct pipe *p, int why);
};

enum { PIPE_ERROR_MAX = 64 * 1024 };

struct pipe {
    struct stream stream;
    struct dial *dial; /* until it has answered */
    const struct pipe_user *user;
    struct list_node calls;
    struct reply_scanner scanner;
    struct writer error; /* the beginning of an error reply that came in pieces */
    uint64_t heard_at; /* loop time in ms of the last bytes, or of the last time calls was empty */
    int why;           /* of closing */
    bool closing;      /* pipe_close was called, or there never was a connection */
    bool long_error;   /* inside an error reply that is handed on in pieces */
};

/* tls: NULL for none; see dial.h. */
void pipe_dial(struct pipe *p, struct net *net, const struct endpoint *to, uint64_t timeout,
               struct tls_context *tls, const struct pipe_user *user);
/* Queues a call's bytes. Copied: gives their place in the stream's current chunk. */
const char *pipe_send(struct pipe *p, struct pipe_call *call, struct span bytes);
/* Shares the bytes, which lie in chunk. */
void pipe_share(struct pipe *p, struct pipe_call *call, struct chunk *chunk, struct span bytes);
/* Whether the call's last byte has left, as far as can be known: false is certain. */
bool pipe_wrote(const struct pipe *p, const struct pipe_call *call);
/* Bytes queued and not yet taken by the kernel. */
uint64_t pipe_unsent(const struct pipe *p);
/* May come at any time after pipe_dial, and twice. */
void pipe_close(struct pipe *p, int why);

#endif
