/* Which path is answered by whom, and with which methods. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "proxy/admin.h"
#include "proxy/admin_files.h"
#include "proxy/admin_guard.h"
#include "proxy/admin_pages.h"

struct admin_route {
    const char *path;
    enum http_method method; /* HTTP_GET stands for HEAD, too */
    bool open;               /* no guard: it shows nobody's data */
    admin_page *page;
};

static const struct admin_route routes[] = {
    { "/healthz", HTTP_GET, true, admin_health },
    { "/readyz", HTTP_GET, true, admin_ready },
    { "/metrics", HTTP_GET, true, admin_metrics },
    { "/status.json", HTTP_GET, false, admin_status },
    { "/topology", HTTP_GET, false, admin_topology },
    { "/clients", HTTP_GET, false, admin_clients },
    { "/top-clients", HTTP_GET, false, admin_top_clients },
    { "/slowlog", HTTP_GET, false, admin_slowlog },
    { "/hotkeys", HTTP_GET, false, admin_hotkeys },
    { "/config", HTTP_GET, false, admin_config },
    { "/drain", HTTP_POST, false, admin_drain },
    { "/log-level", HTTP_POST, false, admin_log_level },
};

static bool is_for(const struct admin_route *route, const struct http_request *r)
{
    return http_is(r, route->method) || (route->method == HTTP_GET && http_is(r, HTTP_HEAD));
}

static void refuse_method(const struct admin_route *route, struct http_exchange *x)
{
    static const char text[] = "405 Method Not Allowed\n";
    struct http_answer a = { .status = 405,
                             .type = "text/plain; charset=utf-8",
                             .extra = route->method == HTTP_POST ? "Allow: POST\r\n"
                                                                 : "Allow: GET, HEAD\r\n",
                             .body = { text, sizeof(text) - 1 } };
    http_answer(x, &a);
}

/* Nothing from elsewhere may run in the page, and no other page may hold it in a frame. */
static const char page_headers[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

static bool send_file(struct http_exchange *x, const char *path)
{
    for (size_t i = 0; i < admin_file_count; i++) {
        const struct admin_file *f = &admin_files[i];
        if (strcmp(path, f->path) != 0)
            continue;
        struct http_answer a = { .status = 200,
                                 .type = f->type,
                                 .extra = page_headers,
                                 .body = { (const char *)f->bytes, f->len } };
        http_answer(x, &a);
        return true;
    }
    return false;
}

void admin_route(struct worker *w, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    const struct admin_route *route = NULL;
    for (size_t i = 0; i < ARRAY_LEN(routes) && route == NULL; i++)
        if (strcmp(r->path, routes[i].path) == 0)
            route = &routes[i];
    if (route == NULL && (http_is(r, HTTP_GET) || http_is(r, HTTP_HEAD)) && send_file(x, r->path))
        return;
    if (route == NULL)
        admin_say(x, 404, "404 Not Found");
    else if (!is_for(route, r))
        refuse_method(route, x);
    else if (route->open || admin_guard_passes(w, x))
        route->page(w, x);
}

void admin_send_json(struct http_exchange *x, struct json *j)
{
    write_raw(&j->out, SPAN("\n"));
    struct http_answer a = { .status = 200,
                             .type = "application/json",
                             .body = writer_span(&j->out) };
    http_answer(x, &a);
    json_close(j);
}
