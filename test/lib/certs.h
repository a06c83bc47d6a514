/*
 * certs.h: certificates for tests, made with openssl, and a tunnel into TLS for clients that know
 * none.
 */
#ifndef TEST_LIB_CERTS_H
#define TEST_LIB_CERTS_H

#include <stdint.h>

#include "test/lib/process.h"

/* Makes a folder of that name in testenv_dir(): ca.crt, server.crt and server.key for that subject
   alternative name ("IP:127.0.0.1", "DNS:redis.example"), client.crt and client.key. Gives its
   path, which lives as long as the program. Asserts. */
const char *certs_make(const char *name, const char *subject);
/* A path in such a folder, in one of four buffers. */
const char *certs_file(const char *dir, const char *file);

struct tunnel {
    uint16_t port; /* speaks plain */
    struct process process;
};

/* Whoever connects to t->port speaks TLS to 127.0.0.1:port, whose certificate is checked with
   dir/ca.crt; with_cert: and shows dir/client.crt. Asserts that it is up. */
void tunnel_start(struct tunnel *t, uint16_t port, const char *dir, bool with_cert);
void tunnel_stop(struct tunnel *t);

#endif
