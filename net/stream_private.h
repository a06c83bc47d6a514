/*
 * stream_private.h: what the files of streams know of each other.
 *
 * With TLS:
 *   read:   wire -> tls_feed -> stream_secure_read: decrypted into the stream's chunk -> on_data
 *   write:  out -> stream_secure_write: encrypted into tls->wire -> flush
 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include "net/stream.h"

/* For net.c. Writes every stream in the list, now; the list is empty afterwards. */
void stream_flush_all(struct list_node *dirty);
/* For net.c. Lets streams with TLS go on reading what they have been brought before. */
void stream_read_unread(struct list_node *unread);

/* The shared chunk, fresh when somebody kept a piece of it or little room is left. */
struct chunk *stream_shared_chunk(struct net *net);
/* A look at what stands to be written, at the end of this turn, whatever it is. */
void stream_flush_soon(struct stream *s);
/* stream_part.c. The peer has said its last word. */
void stream_end(struct stream *s);
/* A stream that is finishing has written everything. */
void stream_part(struct stream *s);
/* For net.c. */
void stream_part_open(struct net *net);
void stream_stop_reading(struct stream *s);
/* Reads again, although a stream that is finishing drops what it reads. */
void stream_hear_out(struct stream *s);
/* Gives the plaintext's chunk back once all of it has been taken. */
void stream_drop_out(struct stream *s, uint64_t n);

/* Where bytes of the wire are read to. */
uv_buf_t stream_secure_room(struct stream *s);
/* Such bytes have come. */
void stream_secure_take(struct stream *s, struct span raw);
/* Decrypts and hands on what there is, as long as the stream reads. */
void stream_secure_read(struct stream *s);
/* Encrypts what is queued, if the wire is empty. */
void stream_secure_write(struct stream *s);
/* What can be said before the connection ends, without waiting. */
void stream_secure_farewell(struct stream *s);

#endif
