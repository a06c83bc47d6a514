/* admin_pages.h: what each path of the admin server answers; the table is in admin_routes.c. */
#ifndef PROXY_ADMIN_PAGES_H
#define PROXY_ADMIN_PAGES_H

#include "net/http_server.h"
#include "proxy/json.h"

struct worker;

/* Answers x, now or later. */
typedef void admin_page(struct worker *w, struct http_exchange *x);

/* The process lives: it answers. */
admin_page admin_health;
/* A client that connects now would be served. */
admin_page admin_ready;
admin_page admin_metrics;
admin_page admin_status;
admin_page admin_topology;
admin_page admin_clients;
/* The few that hold or ask for most. */
admin_page admin_top_clients;
admin_page admin_slowlog;
admin_page admin_hotkeys;
admin_page admin_config;
/* This instance leaves, as by SIGTERM. */
admin_page admin_drain;
admin_page admin_log_level;

/* Why the instance should get no new clients; "" if it should. */
const char *admin_not_ready(struct worker *w);

/* Answers with the JSON and closes it. */
void admin_send_json(struct http_exchange *x, struct json *j);

/* The shards of this worker's map, an array under that key. */
void admin_write_shards(struct worker *w, struct json *j, const char *key);

#endif
