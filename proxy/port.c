#include "proxy/port.h"

#include "base/log.h"
#include "proxy/worker.h"

static void on_accept(void *context, int fd)
{
    struct worker *w = context;
    if (balance_hand_over(w, fd))
        return;
    client_accept(w, fd);
    worker_publish_clients(w);
}

static const int *sockets_of(const struct worker *w)
{
    return w->crew->members[w->number].listeners;
}

void port_stop_accepting(struct worker *w)
{
    for (uint32_t i = 0; i < w->crew->addresses; i++)
        listener_close(&w->listeners[i]);
}

void port_shut(struct worker *w)
{
    for (uint32_t i = 0; i < w->crew->addresses; i++) {
        listener_accept_waiting(&w->listeners[i]);
        listener_close(&w->listeners[i]);
        listener_hush(sockets_of(w)[i]);
    }
}

void port_open(struct worker *w)
{
    static const struct listener_user user = { .on_accept = on_accept, .refusal = &client_refusal };
    w->listening = true;
    for (uint32_t i = 0; i < w->crew->addresses; i++) {
        if (sockets_of(w)[i] < 0)
            continue;
        int rc = listener_start(&w->listeners[i], &w->net, sockets_of(w)[i], w->config.tcp_backlog,
                                &user, w);
        if (rc == 0)
            continue;
        log_error("cannot listen", "port=%d reason=%s", w->config.port, log_text(uv_strerror(rc)));
        w->left = true;
        leaving_start(w, LEAVE_FOR_GOOD);
        return;
    }
    seat_enter(w->seat, SEAT_SERVING);
}
