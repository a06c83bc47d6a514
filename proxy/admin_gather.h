/*
 * admin_gather.h: pages that all workers have a part of: whoever is asked asks the others (talk.h)
 * and answers when they have, or when they should have.
 *
 * Each part is a row of JSON values without brackets; together they are one array.
 */
#ifndef PROXY_ADMIN_GATHER_H
#define PROXY_ADMIN_GATHER_H

#include "net/http_server.h"
#include "proxy/json.h"
#include "proxy/talk.h"

struct worker;

struct admin_part {
    const char *name; /* key of the array, and how the others know what is asked for */
    void (*write)(struct worker *w, struct json *j);
};

/* Answers x later with {"NAME": [...], "missing": how many workers have not answered}. */
void admin_gather(struct worker *w, struct http_exchange *x, const struct admin_part *part);
/* Those that are still open end without an answer. */
void admin_gather_close(struct worker *w);

/* TALK_ADMIN_PART. */
talk_handler admin_on_part_asked;

extern const struct admin_part admin_clients_part, admin_top_clients_part, admin_slowlog_part;

#endif
