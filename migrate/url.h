/*
 * url.h: where a server is and how to log in: "host:port" or
 * "redis://[user[:password]@]host:port[/db]", "rediss://" for TLS; several of them parted by
 * commas. Resolves nothing.
 */
#ifndef MIGRATE_URL_H
#define MIGRATE_URL_H

#include "base/endpoint.h"

enum { URL_ENDPOINTS_MAX = 64, URL_SECRET_MAX = 512 };

struct url {
    struct endpoint endpoints[URL_ENDPOINTS_MAX];
    uint32_t count;
    int database;                                        /* of the last that names one; -1: none */
    bool tls;                                            /* all of them, or none */
    char user[URL_SECRET_MAX], password[URL_SECRET_MAX]; /* "": none; of the first that has one */
};

/* NULL, or what is wrong. The text is not shown in it, because it may hold a password. */
MUST_USE const char *url_parse(struct url *u, const char *text);

#endif
