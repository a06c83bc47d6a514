#include "proxy/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "proxy/admin_gather.h"
#include "proxy/worker.h"

enum { LINE_MAX_LEN = 512 };

static void on_request(void *context, struct http_exchange *x)
{
    struct admin *a = context;
    admin_route(a->worker, x);
}

void admin_open(struct worker *w)
{
    static const struct http_server_user user = { .on_request = on_request };
    if (w->crew->admin_count == 0)
        return;
    w->admin = calloc(1, sizeof(*w->admin));
    REQUIRE(w->admin != NULL);
    w->admin->worker = w;
    list_init(&w->admin->gathers);
    http_server_open(&w->admin->http, &w->net, &user, w->admin);
    for (uint32_t i = 0; i < w->crew->admin_count; i++) {
        int rc = http_server_listen(&w->admin->http, w->crew->admin[i]);
        if (rc != 0)
            log_error("cannot listen", "port=%d reason=%s", w->config.admin_port,
                      log_text(uv_strerror(rc)));
    }
}

void admin_retire(struct worker *w)
{
    if (w->admin == NULL)
        return;
    http_server_retire(&w->admin->http);
    crew_close_admin(w->crew);
}

bool admin_is_quiet(const struct worker *w)
{
    return w->admin == NULL || http_server_is_quiet(&w->admin->http);
}

void admin_close(struct worker *w)
{
    if (w->admin != NULL)
        http_server_close(&w->admin->http);
}

void admin_free(struct worker *w)
{
    if (w->admin == NULL)
        return;
    admin_gather_close(w);
    free(w->admin);
    w->admin = NULL;
}

void admin_say(struct http_exchange *x, int status, const char *fmt, ...)
{
    char line[LINE_MAX_LEN];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof(line) - 1, fmt, args);
    va_end(args);
    size_t len = n < (int)sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
    line[len++] = '\n';
    struct http_answer a = { .status = status,
                             .type = "text/plain; charset=utf-8",
                             .body = { line, len } };
    http_answer(x, &a);
}
