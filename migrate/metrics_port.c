#include "migrate/metrics_port.h"

#include <string.h>
#include <unistd.h>

static const char text[] = "text/plain; charset=utf-8";

static void answer(struct http_exchange *x, int status, const char *type, const char *extra,
                   struct span body)
{
    struct http_answer a = { .status = status, .type = type, .extra = extra, .body = body };
    http_answer(x, &a);
}

static void on_request(void *context, struct http_exchange *x)
{
    struct metrics_port *m = context;
    const struct http_request *r = http_exchange_request(x);
    struct writer page;
    if (strcmp(r->path, "/metrics") != 0) {
        answer(x, 404, text, NULL, SPAN("there is only /metrics\n"));
        return;
    }
    if (!http_is(r, HTTP_GET) && !http_is(r, HTTP_HEAD)) {
        answer(x, 405, text, "Allow: GET, HEAD\r\n", SPAN("only GET\n"));
        return;
    }
    writer_init(&page, 2);
    m->write(m->context, &page);
    answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", NULL, writer_span(&page));
    writer_close(&page);
}

static const struct http_server_user user = { .on_request = on_request };

int metrics_port_open(struct metrics_port *m, struct net *net, const char *address, uint16_t port,
                      void (*write)(void *context, struct writer *out), void *context)
{
    *m = (struct metrics_port){ .write = write, .context = context };
    m->fd = listener_bind_alone(address, port);
    if (m->fd < 0)
        return m->fd;
    http_server_open(&m->http, net, &user, m);
    m->open = true;
    int rc = http_server_listen(&m->http, m->fd);
    if (rc != 0)
        metrics_port_close(m);
    return rc;
}

void metrics_port_close(struct metrics_port *m)
{
    if (!m->open)
        return;
    m->open = false;
    http_server_close(&m->http);
    close(m->fd);
}
