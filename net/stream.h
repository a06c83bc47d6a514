/*
 * stream.h: one byte stream (TCP) on the worker's loop.
 *
 * Life: stream_init (owns a libuv handle from then on) -> the handle is connected by net/dial, or
 * stream_adopt for a socket that is already -> stream_start reads until stream_close -> on_closed,
 * once; only then may the struct that embeds the stream be freed. stream_close may come at any time
 * and twice; the first reason stays. No callback comes from inside stream_send, stream_share or
 * stream_close.
 *
 * Reading: bytes land in the worker's shared read chunk, or, after stream_read_into, behind the
 * bytes that the user keeps in a chunk of its own. A user that keeps a span of on_data's chunk
 * past the callback shares it with chunk_ref.
 *
 * Writing: what is queued during a turn goes out at its end in one write. Past high bytes queued,
 * stream_is_behind is true; on_drained comes once when the queue has fallen below low again.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/net.h"
#include "net/tls.h"

struct stream;

struct stream_user {
    /* at lies in chunk. The stream may be closed from inside. */
    void (*on_data)(struct stream *s, struct chunk *chunk, const char *at, size_t len);
    void (*on_drained)(struct stream *s);
    /* The peer says no more, but may still read. NULL: the stream closes. */
    void (*on_end)(struct stream *s);
    void (*on_closed)(struct stream *s, int why);
    enum net_side side;
};

/*
 * When queued bytes are written. A write costs a few microseconds whatever its size, so waiting for
 * more to go with it is worth a little time; none of these waits when there is nothing to wait for.
 */
enum stream_when {
    STREAM_AT_TURN_END,
    STREAM_WHEN_QUIET, /* after a turn that read nothing, or after four turns: for upstream
                          connections, so that requests of many clients go together */
    STREAM_CORKED,     /* when uncorked, past CORK_BYTES, or after CORK_MS of its own: for a client
                          whose pipelined requests are half answered */
};

enum { CORK_BYTES = 64 * 1024, CORK_MS = 2 };

enum { STREAM_HIGH = 256 * 1024, STREAM_LOW = 64 * 1024 };

struct stream {
    uv_tcp_t tcp;
    struct net *net;
    const struct stream_user *user;
    struct rope out;
    struct chunk *current;  /* where small pieces of out are copied to */
    struct chunk *into;     /* where reads go; NULL: the shared read chunk */
    struct tls *tls;        /* NULL: what is read and written is the wire itself */
    struct list_node dirty; /* in net->dirty */
    uint64_t given;         /* bytes handed to the kernel or to libuv so far */
    uint64_t queued_total;  /* bytes ever queued */
    uint64_t writing_bytes; /* of the uv_write under way */
    uint64_t corked_at;     /* ms of loop time */
    uint64_t received;
    void *connect_context; /* the dial that connects it, while it does */
    int why;               /* of closing */
    bool open;             /* connected: may write */
    bool reading;
    bool writing; /* a uv_write is under way */
    bool behind;
    uint8_t when;   /* enum stream_when */
    bool ended;     /* the peer has said its last word */
    bool finishing; /* close once everything is written */
    bool overheard; /* while finishing something came, and was dropped */
    bool parted;    /* all is written, and the peer, who still talks, has time to see it */
    bool closing;
};

/* Creates the handle; s stays where it is until on_closed. family: AF_INET, AF_INET6 or AF_UNSPEC.
 */
MUST_USE int stream_init(struct stream *s, struct net *net, const struct stream_user *user,
                         unsigned family);
/* The same for a socket that is connected; takes it. If libuv does not want it, the stream closes
   by itself. */
MUST_USE int stream_adopt(struct stream *s, struct net *net, const struct stream_user *user,
                          int fd);
/* The handle is connected: set TCP_NODELAY and keepalive (seconds; 0: none), begin to read. */
void stream_start(struct stream *s, unsigned keepalive);
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Borrows chunk (NULL: back to the shared one). It must have room. */
void stream_read_into(struct stream *s, struct chunk *chunk);

/* Copies bytes; they go out at the end of this turn. Gives their place in s->current. */
const char *stream_send(struct stream *s, struct span bytes);
/* Shares bytes that lie in chunk. */
void stream_share(struct stream *s, struct chunk *chunk, struct span bytes);
/* From now on, what is queued is written at that time. */
void stream_write_when(struct stream *s, enum stream_when when);
/* Moves a rope to the end of what is to be written; the rope is empty afterwards. */
void stream_send_rope(struct stream *s, struct rope *rope);

/* Bytes that really left for the kernel, as far as known (with TLS: were encrypted): less than this
   is certain. */
uint64_t stream_sent(const struct stream *s);

/* Writes what is queued, so that the peer gets to read it (stream_part.c), and closes with why. */
void stream_finish(struct stream *s, int why);
void stream_close(struct stream *s, int why);

static inline uint64_t stream_unsent(const struct stream *s)
{
    return s->queued_total - stream_sent(s);
}

static inline bool stream_is_behind(const struct stream *s)
{
    return s->behind;
}

enum { STREAM_ADDRESS_MAX = 64 };
/* The peer's and the own address as "1.2.3.4:5" or "[::1]:5"; "?:0" when unknown. */
void stream_peer_text(const struct stream *s, char *buf, size_t size);
void stream_local_text(const struct stream *s, char *buf, size_t size);
int stream_fd(const struct stream *s);

#endif
