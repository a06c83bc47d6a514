/*
 * dial.h: connects a stream to an endpoint, with a time limit.
 *
 * Numeric addresses are connected at once; names are resolved anew at each dial (uv_getaddrinfo)
 * and their addresses tried one after the other. The answer comes once, never from inside
 * dial_start. A dial is one object of its own that frees itself: a connected stream costs nothing
 * for it.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include "base/endpoint.h"
#include "net/stream.h"

struct dial;

/* status: 0 or an error. On 0 the stream is connected and belongs to the caller: stream_start it.
   On an error there is no stream (its memory may be reused at once, on_closed does not come). */
typedef void dial_done(void *context, int status);

/* stream: memory for the stream, untouched until a connect is tried. timeout: ms. tls: NULL for
   none; the handshake comes with stream_start and is no part of the dial. */
struct dial *dial_start(struct net *net, const struct endpoint *to, uint64_t timeout,
                        struct tls_context *tls, struct stream *stream,
                        const struct stream_user *user, dial_done *done, void *context);
/* Ends it with ERR_SHUTDOWN; done comes later, once. To be called before done has come. */
void dial_cancel(struct dial *d);

#endif
