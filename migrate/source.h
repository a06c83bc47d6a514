/*
 * source.h: a Redis that we are a replica of: handshake, full copy, replication stream.
 *
 *   DIALLING -> LOGIN (PING, AUTH, REPLCONF ...) -> ASKED (PSYNC, or SYNC) -> PAYLOAD_HEAD ->
 * PAYLOAD ^                                                  | | | +--CONTINUE--> STREAM
 * <---------------+
 *     +---- RESTING <--LOADING, BUSY, NOMASTERLINK ...; lost in STREAM----+
 *
 * Offsets are exact: `offset` is that of the last byte of the stream received, so a connection that
 * was lost goes on with the very next byte. Lost before the stream, or a backlog that does not
 * reach back: on_failed, or with `again` a new full copy. Sources: replication.c of Redis,
 * "Replication" in its documentation.
 */
#ifndef MIGRATE_SOURCE_H
#define MIGRATE_SOURCE_H

#include "migrate/eof_mark.h"
#include "net/dial.h"

enum { SOURCE_ID_LEN = 40, SOURCE_LINE_MAX = 1024 };

enum source_state {
    SOURCE_DIALLING,
    SOURCE_LOGIN,
    SOURCE_ASKED,
    SOURCE_PAYLOAD_HEAD,
    SOURCE_PAYLOAD,
    SOURCE_STREAM,
    SOURCE_RESTING,
    SOURCE_CLOSED,
};

struct source_options {
    struct endpoint endpoint;
    const char *user, *password; /* NULL: none */
    const char *psync;           /* the command's name */
    const char *announce_ip;     /* NULL: none */
    int announce_port;
    bool again;                        /* a full copy may follow another one, see on_again */
    struct tls_context *tls;           /* NULL: plain */
    uint64_t connect_timeout, silence; /* ms */
};

struct source_user {
    /* Before a first full copy: the source's process, or its history, has that id. False: no copy
       may be taken of it, and the source was closed, or will be. NULL: of any. */
    bool (*on_id)(void *context, struct span id);
    void (*on_payload)(void *context, struct span bytes);
    void (*on_payload_end)(void *context);
    void (*on_stream)(void *context, struct span bytes);
    /* The stream goes on; from its next byte on `id` may be another one. NULL: of no interest. */
    void (*on_continued)(void *context);
    /* Nothing that has come goes on: a new full copy begins, of another history or further on. */
    void (*on_again)(void *context);
    void (*on_failed)(void *context, const char *why); /* once; nothing else comes afterwards */
};

struct source {
    const struct source_options *options;
    const struct source_user *user;
    void *context;
    struct net *net;
    struct stream stream;
    struct dial *dial;
    uv_timer_t timer;              /* once a second: acknowledges, looks for silence */
    char id[SOURCE_ID_LEN + 1];    /* of the replication history; "": the source knows none */
    uint64_t offset;               /* of the last byte of the stream received */
    uint64_t acknowledged;         /* what we say to have applied; the user moves it from 0 on */
    uint64_t payload_left;         /* of a payload with a length */
    uint64_t payload_bytes;        /* received so far */
    uint64_t heard_at, rest_until; /* ms of loop time */
    uint8_t state;                 /* enum source_state */
    uint8_t step;                  /* of the login */
    bool marked;                   /* the payload ends with eof.mark */
    bool acknowledges;             /* the source understands REPLCONF ACK */
    bool old_sync;                 /* SYNC was sent */
    bool open;                     /* there is a stream */
    bool resuming; /* the payload is whole: a lost connection goes on where it broke off */
    bool begun;    /* a full copy, or something to go on with */
    bool refused;  /* it has told why not now, and that is logged */
    bool telling;  /* the answer to INFO comes */
    bool paused, closing;
    uint32_t broken; /* full copies that broke off, one behind the other */
    struct eof_mark eof;
    uint32_t line_len;
    char line[SOURCE_LINE_MAX];
};

/* Borrows options and net. */
void source_open(struct source *s, struct net *net, const struct source_options *options,
                 const struct source_user *user, void *context);
/* Right after source_open: no full copy, but what follows that offset of that history. */
void source_go_on(struct source *s, const char *id, uint64_t offset);
/* No callback comes any more. s must live until the loop has run empty. */
void source_close(struct source *s);
/* Stops and goes on reading; the source keeps what it has to send in its output buffer. */
void source_pause(struct source *s);
void source_resume(struct source *s);
/* Acknowledges now, as REPLCONF GETACK asks. */
void source_acknowledge(struct source *s);

#endif
