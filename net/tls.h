/*
 * tls.h: TLS between a stream and its wire, with OpenSSL. Knows no socket: what the wire brings is
 * fed in, what is to go out lies in a rope.
 *
 * A context holds certificate, key and whom to trust. It is counted, and sessions made from it
 * outlive it, so it may be replaced at any time. A session of a server begins with the first byte
 * that comes in: what is no TLS can still be told apart then (tls_is_hello). An idle session holds
 * no buffer of its own beside OpenSSL's.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/check.h"
#include "base/list.h"
#include "resp/rope.h"

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* How a peer is checked. */
enum tls_verify {
    TLS_VERIFY_NONE,
    TLS_VERIFY_IF_GIVEN, /* a server's: a client may come without a certificate */
    TLS_VERIFY_CHAIN,    /* it has a certificate that a trusted authority has signed */
    TLS_VERIFY_NAME,     /* a client's: and it bears the name or address that was dialled */
};

/* Files are PEM; NULL: none. */
struct tls_options {
    const char *cert_file, *key_file; /* the chain and its key; a server's must be there */
    const char *ca_file;              /* whom to trust; NULL: whom the system trusts */
    enum tls_verify verify;
    const char *name; /* to ask for and to check, in place of what was dialled; NULL */
};

struct tls_context;

/* NULL and one line in err when a file is not to be had or makes no sense. */
struct tls_context *tls_context_new(enum tls_role role, const struct tls_options *options,
                                    char *err, size_t cap);
/* Both take NULL, too. */
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c);

struct tls {
    struct rope wire;        /* to be written, in this order */
    struct list_node unread; /* for the owner: it goes on reading */
    void *owner;
    /* Private from here on. */
    struct rope_store *store;
    struct chunk *current; /* where wire is copied to */
    struct chunk *kept;    /* bytes of the wire that could not be used yet, from kept_at on */
    struct span fed;       /* bytes of the wire that are lent for this moment */
    void *ssl;             /* SSL *, NULL before the session has begun */
    void *context;         /* SSL_CTX *, counted */
    uint32_t kept_at;
    bool plain_too; /* a server that also takes what is no TLS */
    bool failed;
};

/* A client's session begins at once. host: what was dialled. Borrows store. */
struct tls *tls_new_client(struct tls_context *c, struct rope_store *store, const char *host);
struct tls *tls_new_server(struct tls_context *c, struct rope_store *store, bool plain_too);
void tls_free(struct tls *t);

/* Whether a first byte is one of TLS. */
static inline bool tls_is_hello(char first)
{
    return first == 0x16;
}
static inline bool tls_has_begun(const struct tls *t)
{
    return t->ssl != NULL;
}
/* The handshake is done: tls_write may be called. */
bool tls_is_ready(const struct tls *t);

/* Lends bytes of the wire until tls_unfeed, which keeps a copy of those not used by then. */
void tls_feed(struct tls *t, struct span raw);
void tls_unfeed(struct tls *t);
bool tls_has_unread(const struct tls *t);

enum tls_result { TLS_MORE = 0, TLS_ENDED = -1, TLS_BAD = -2 };

/* Gives how many bytes were put to `to`, or a tls_result: MORE when the wire has to bring more
   first. Both ways may put something on the wire. */
MUST_USE long tls_read(struct tls *t, char *to, size_t room);
/* Gives how many bytes were taken, at least one, or TLS_BAD. */
MUST_USE long tls_write(struct tls *t, struct span bytes);
/* Puts the farewell on the wire, once. */
void tls_shut(struct tls *t);
/* n bytes of the wire have been written. */
void tls_wrote(struct tls *t, uint64_t n);
/* Why it failed, for the log. Lent until the next call; names no secret. */
const char *tls_reason(const struct tls *t);

#endif
