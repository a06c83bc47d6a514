#include "proxy/secure.h"

#include "base/error.h"
#include "base/log.h"

enum { REASON_MAX = 512 };

static bool open_clients(struct secure *s, const struct config *c, char *err, size_t cap)
{
    const struct tls_options o = { .cert_file = c->tls_cert_file,
                                   .key_file = c->tls_key_file,
                                   .ca_file = c->tls_ca_cert_file,
                                   .verify = (enum tls_verify)c->tls_auth_clients };
    if (c->tls_clients == TLS_CLIENTS_NO)
        return true;
    s->plain_too = c->tls_clients == TLS_CLIENTS_OPTIONAL;
    s->clients = tls_context_new(TLS_SERVER, &o, err, cap);
    return s->clients != NULL;
}

static bool open_nodes(struct secure *s, const struct config *c, char *err, size_t cap)
{
    const struct tls_options o = { .cert_file = c->tls_client_cert_file,
                                   .key_file = c->tls_client_key_file,
                                   .ca_file = c->tls_ca_cert_file,
                                   .verify = (enum tls_verify)c->tls_cluster_verify,
                                   .name = c->tls_cluster_name };
    if (!c->tls_cluster)
        return true;
    s->nodes = tls_context_new(TLS_CLIENT, &o, err, cap);
    return s->nodes != NULL;
}

int secure_open(struct secure *s, const struct config *c, char *err, size_t cap)
{
    *s = (struct secure){ 0 };
    if (open_clients(s, c, err, cap) && open_nodes(s, c, err, cap))
        return 0;
    secure_close(s);
    return ERR_OPTION;
}

void secure_close(struct secure *s)
{
    tls_context_unref(s->clients);
    tls_context_unref(s->nodes);
    *s = (struct secure){ 0 };
}

void secure_renew(struct secure *s, const struct config *c)
{
    struct secure fresh;
    char reason[REASON_MAX];
    if (secure_open(&fresh, c, reason, sizeof(reason)) != 0) {
        log_error("certificates not reloaded", "reason=%s", log_text(reason));
        return;
    }
    secure_close(s);
    *s = fresh;
}
