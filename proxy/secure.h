/*
 * secure.h: TLS to clients and to nodes, as the options say.
 *
 * Certificates are read when a worker starts and again at SIGHUP; connections that are up keep what
 * they have. A takeover reads them anew, too.
 */
#ifndef PROXY_SECURE_H
#define PROXY_SECURE_H

#include "net/tls.h"
#include "proxy/config.h"

struct secure {
    struct tls_context *clients; /* NULL: clients speak no TLS */
    struct tls_context *nodes;   /* the same for nodes */
    bool plain_too;              /* a client may choose */
};

/* 0, or ERR_OPTION with one line in err; *s is empty then. */
MUST_USE int secure_open(struct secure *s, const struct config *c, char *err, size_t cap);
/* May be called twice. */
void secure_close(struct secure *s);
/* Replaces all of it, or logs why not and changes nothing. */
void secure_renew(struct secure *s, const struct config *c);

#endif
