#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* What is encrypted at once: a record stays below CHUNK_SMALL with all that TLS adds. */
enum { RECORD_MAX = 15 * 1024 };

struct tls_context {
    SSL_CTX *ssl;
    char *name;
    enum tls_role role;
    enum tls_verify verify;
    uint32_t refs;
};

/* --- contexts --------------------------------------------------------------------------------- */

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    return reason != NULL ? reason : "unknown";
}

static bool load_own(SSL_CTX *ssl, const struct tls_options *o, char *err, size_t cap)
{
    if (o->cert_file == NULL && o->key_file == NULL)
        return true;
    if (o->cert_file == NULL || o->key_file == NULL) {
        snprintf(err, cap, "a certificate and its key belong together; one of them is not given");
        return false;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1) {
        snprintf(err, cap, "cannot use certificate %s: %s", o->cert_file, last_reason());
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, o->key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1) {
        snprintf(err, cap, "cannot use key %s: %s", o->key_file, last_reason());
        return false;
    }
    return true;
}

static bool load_trust(SSL_CTX *ssl, enum tls_role role, const struct tls_options *o, char *err,
                       size_t cap)
{
    static const int modes[] = {
        [TLS_VERIFY_NONE] = SSL_VERIFY_NONE,
        [TLS_VERIFY_IF_GIVEN] = SSL_VERIFY_PEER,
        [TLS_VERIFY_CHAIN] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [TLS_VERIFY_NAME] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    SSL_CTX_set_verify(ssl, modes[o->verify], NULL);
    if (o->verify == TLS_VERIFY_NONE)
        return true;
    if (o->ca_file == NULL)
        return SSL_CTX_set_default_verify_paths(ssl) == 1;
    if (SSL_CTX_load_verify_file(ssl, o->ca_file) != 1) {
        snprintf(err, cap, "cannot use CA file %s: %s", o->ca_file, last_reason());
        return false;
    }
    if (role == TLS_SERVER) /* tells clients which certificates are of use */
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(o->ca_file));
    return true;
}

struct tls_context *tls_context_new(enum tls_role role, const struct tls_options *o, char *err,
                                    size_t cap)
{
    static const unsigned char id[] = "slotgate";
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(role == TLS_SERVER ? TLS_server_method() : TLS_client_method());
    REQUIRE(ssl != NULL);
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_id_context(ssl, id, sizeof(id) - 1);
    snprintf(err, cap, "%s", "cannot use the system's authorities");
    if (!load_own(ssl, o, err, cap) || !load_trust(ssl, role, o, err, cap)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_context *c = calloc(1, sizeof(*c));
    REQUIRE(c != NULL);
    *c = (struct tls_context){ .ssl = ssl, .role = role, .verify = o->verify, .refs = 1 };
    if (o->name != NULL)
        REQUIRE((c->name = strdup(o->name)) != NULL);
    return c;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    if (c != NULL)
        c->refs++;
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (c == NULL || --c->refs > 0)
        return;
    SSL_CTX_free(c->ssl);
    free(c->name);
    free(c);
}

/* --- the wire, as OpenSSL sees it ------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(bio);
    rope_copy(&t->wire, t->store, &t->current, (struct span){ bytes, (size_t)len });
    return len;
}

static size_t take(struct span *from, char *to, size_t room)
{
    size_t n = from->len < room ? from->len : room;
    if (n > 0)
        memcpy(to, from->at, n);
    from->at += n;
    from->len -= n;
    return n;
}

static size_t take_kept(struct tls *t, char *to, size_t room)
{
    if (t->kept == NULL)
        return 0;
    struct span rest = { t->kept->bytes + t->kept_at, t->kept->used - t->kept_at };
    size_t n = take(&rest, to, room);
    t->kept_at += (uint32_t)n;
    if (rest.len > 0)
        return n;
    chunk_unref(t->kept);
    t->kept = NULL;
    return n;
}

static int bio_read(BIO *bio, char *to, int room)
{
    struct tls *t = BIO_get_data(bio);
    size_t n = take_kept(t, to, (size_t)room);
    n += take(&t->fed, to + n, (size_t)room - n);
    BIO_clear_retry_flags(bio);
    if (n > 0)
        return (int)n;
    BIO_set_retry_read(bio);
    return -1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* a flush always succeeds; nothing else is known */
}

/* One for all, made at first need and kept for the life of the process. */
static BIO_METHOD *wire_method(void)
{
    static BIO_METHOD *method;
    if (method != NULL)
        return method;
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "slotgate wire");
    REQUIRE(method != NULL);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_ctrl);
    return method;
}

/* --- sessions --------------------------------------------------------------------------------- */

static struct tls *new_session(struct tls_context *c, struct rope_store *store)
{
    struct tls *t = calloc(1, sizeof(*t));
    REQUIRE(t != NULL);
    t->store = store;
    t->context = c->ssl;
    SSL_CTX_up_ref(c->ssl);
    list_init(&t->unread);
    return t;
}

static void begin(struct tls *t)
{
    SSL *ssl = SSL_new(t->context);
    BIO *bio = BIO_new(wire_method());
    REQUIRE(ssl != NULL && bio != NULL);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    t->ssl = ssl;
}

struct tls *tls_new_client(struct tls_context *c, struct rope_store *store, const char *host)
{
    struct tls *t = new_session(c, store);
    begin(t);
    const char *name = c->name != NULL ? c->name : host;
    SSL_set_connect_state(t->ssl);
    X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
    bool is_address = X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1;
    if (!is_address)
        SSL_set_tlsext_host_name(t->ssl, name);
    if (c->verify == TLS_VERIFY_NAME && !is_address)
        REQUIRE(X509_VERIFY_PARAM_set1_host(p, name, 0) == 1);
    if (c->verify != TLS_VERIFY_NAME && is_address)
        X509_VERIFY_PARAM_set1_ip(p, NULL, 0);
    return t;
}

struct tls *tls_new_server(struct tls_context *c, struct rope_store *store, bool plain_too)
{
    struct tls *t = new_session(c, store);
    t->plain_too = plain_too;
    return t;
}

void tls_free(struct tls *t)
{
    SSL_free(t->ssl);
    SSL_CTX_free(t->context);
    rope_clear(&t->wire, t->store);
    if (t->current != NULL)
        chunk_unref(t->current);
    if (t->kept != NULL)
        chunk_unref(t->kept);
    list_remove(&t->unread);
    free(t);
}

bool tls_is_ready(const struct tls *t)
{
    return t->ssl != NULL && !t->failed && SSL_is_init_finished(t->ssl);
}

/* --- bytes ------------------------------------------------------------------------------------ */

void tls_feed(struct tls *t, struct span raw)
{
    t->fed = raw;
    if (t->ssl != NULL)
        return;
    begin(t);
    SSL_set_accept_state(t->ssl);
}

void tls_unfeed(struct tls *t)
{
    struct span rest = t->fed;
    t->fed = (struct span){ 0 };
    if (rest.len == 0 || t->failed)
        return;
    uint64_t have = t->kept != NULL ? t->kept->used - t->kept_at : 0;
    struct chunk *c = chunk_try_take(&t->store->chunks, have + rest.len);
    REQUIRE(c != NULL);
    c->used = (uint32_t)take_kept(t, c->bytes, (size_t)have);
    memcpy(c->bytes + c->used, rest.at, rest.len);
    c->used += (uint32_t)rest.len;
    t->kept = c;
    t->kept_at = 0;
}

bool tls_has_unread(const struct tls *t)
{
    return t->kept != NULL || (t->ssl != NULL && SSL_has_pending(t->ssl));
}

static long fail_or_wait(struct tls *t, int n)
{
    switch (SSL_get_error(t->ssl, n)) {
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        t->failed = true;
        return TLS_BAD;
    }
}

long tls_read(struct tls *t, char *to, size_t room)
{
    if (t->failed)
        return TLS_BAD;
    ERR_clear_error();
    int n = SSL_read(t->ssl, to, room < INT32_MAX ? (int)room : INT32_MAX);
    return n > 0 ? n : fail_or_wait(t, n);
}

long tls_write(struct tls *t, struct span bytes)
{
    ERR_clear_error();
    int n = SSL_write(t->ssl, bytes.at, bytes.len < RECORD_MAX ? (int)bytes.len : RECORD_MAX);
    if (n > 0)
        return n;
    t->failed = true;
    return TLS_BAD;
}

void tls_shut(struct tls *t)
{
    if (!tls_is_ready(t) || (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
}

void tls_wrote(struct tls *t, uint64_t n)
{
    rope_drop(&t->wire, t->store, n);
    if (t->current == NULL || !rope_is_empty(&t->wire))
        return;
    chunk_unref(t->current);
    t->current = NULL;
}

const char *tls_reason(const struct tls *t)
{
    long verified = t->ssl != NULL ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    if (verified != X509_V_OK)
        return X509_verify_cert_error_string(verified);
    return last_reason();
}
