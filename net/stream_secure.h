/*
 * stream_secure.h: a stream that speaks TLS. Nobody else notices.
 */
#ifndef NET_STREAM_SECURE_H
#define NET_STREAM_SECURE_H

#include "net/stream.h"

/* From now on it speaks TLS: to be called right before stream_start. host: what was dialled. The
   other side's: with plain_too, who does not begin with TLS is served without. */
void stream_secure_client(struct stream *s, struct tls_context *c, const char *host);
void stream_secure_server(struct stream *s, struct tls_context *c, bool plain_too);

#endif
