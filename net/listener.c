#include "net/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"

static void on_connection(uv_stream_t *server, int status)
{
    struct listener *l = server->data;
    if (status == 0)
        l->on_accept(l->context, l);
}

static int bind_to(struct listener *l, const struct sockaddr *address)
{
    uv_os_fd_t fd;
    int on = 1;
    int rc = uv_fileno((uv_handle_t *)&l->tcp, &fd);
    if (rc == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
        rc = uv_translate_sys_error(errno);
    /* An IPv6 listener leaves IPv4 to a listener of its own. */
    unsigned flags = address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0;
    return rc != 0 ? rc : uv_tcp_bind(&l->tcp, address, flags);
}

int listener_open(struct listener *l, struct net *net, const char *address, uint16_t port,
                  listener_accepted *on_accept, void *context)
{
    *l = (struct listener){ .net = net, .on_accept = on_accept, .context = context };
    struct sockaddr_storage a;
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)&a) != 0 &&
        uv_ip6_addr(address, port, (struct sockaddr_in6 *)&a) != 0)
        return UV_EINVAL;
    int rc = uv_tcp_init_ex(net->loop, &l->tcp, a.ss_family);
    if (rc != 0)
        return rc;
    l->tcp.data = l;
    l->open = true;
    rc = bind_to(l, (const struct sockaddr *)&a);
    if (rc != 0)
        listener_close(l);
    return rc;
}

int listener_start(struct listener *l, int backlog)
{
    return uv_listen((uv_stream_t *)&l->tcp, backlog, on_connection);
}

int listener_accept(struct listener *l, struct stream *s, const struct stream_user *user)
{
    int rc = stream_init(s, l->net, user, AF_UNSPEC);
    if (rc != 0)
        return rc;
    rc = uv_accept((uv_stream_t *)&l->tcp, (uv_stream_t *)&s->tcp);
    if (rc != 0)
        stream_close(s, net_error(rc));
    return 0;
}

void listener_close(struct listener *l)
{
    if (!l->open)
        return;
    l->open = false;
    uv_close((uv_handle_t *)&l->tcp, NULL);
}
